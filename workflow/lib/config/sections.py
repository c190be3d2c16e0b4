"""The sections of the config whose entries are studies, and what each says of its own.

A section is a schema in workflow/schemas/studies and, where it needs one, a module of its name
beside this one with a record `SECTION`. `rsa`, whose schema is in the main one, is the first.

Read while rules are parsed: standard library and the schema only.
"""

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow.lib.acquire.datasets import Dataset
from workflow.lib.config.schema import load_schema, section_files, study_schemas

HERE = Path(__file__).parent


def _nothing(config: Mapping) -> None:
    """Check or change nothing."""


def _no_paths(entry: Mapping, datasets: Mapping[str, Dataset], run: str) -> list[str]:
    return []


def _no_folders(entry: Mapping, run: str) -> list[str]:
    return []


def _none_of(entry: Mapping) -> list:
    return []


@dataclass(frozen=True)
class Section:
    """A section of the config.

    Attributes
    ----------
    name : str
        Of the section, its schema and its module.
    check : callable
        (config) -> None. Raises InputError for what the schema cannot say.
    raw_paths : callable
        (entry, datasets, run) -> paths of all raw files of an entry, and of its weights.
    given_folders : callable
        (entry, run) -> folders that no rule makes and that have to be here before a run.
    dataset_blocks : callable
        (entry) -> its blocks with a `source` and a `dataset` of the registry.
    beside : tuple of str
        Other sections in which a study of the same name may stand: results of both lie in one
        folder.
    finish : callable
        (config) -> None. Changes the completed config after all checks.
    torchvision_networks : callable
        (entry) -> names of the networks whose weights torchvision downloads.
    made_conditions : callable, optional
        (entry) -> key -> conditions that the models know that an entry makes for the study of
        `rsa` of its name. Without it a section makes no models.
    n_simulated : callable, optional
        (entry) -> number of conditions that are simulated for the study of `rsa` of its name.
    checker : str
        The module whose `check_entry(name, config, datasets)` prints what an entry would do, and
        returns its problems, a sentence each; by default scripts.<name>.check_entry.
    """

    name: str
    check: Callable[[Mapping], None] = _nothing
    raw_paths: Callable[[Mapping, Mapping[str, Dataset], str], list[str]] = _no_paths
    given_folders: Callable[[Mapping, str], list[str]] = _no_folders
    dataset_blocks: Callable[[Mapping], list[Mapping]] = _none_of
    beside: tuple[str, ...] = ()
    finish: Callable[[Mapping], None] = _nothing
    torchvision_networks: Callable[[Mapping], list[str]] = _none_of
    made_conditions: Callable[[Mapping], Mapping[str, list[str]]] | None = None
    n_simulated: Callable[[Mapping], int] | None = None
    checker: str = ""

    def check_entry(self, name: str, config: Mapping, datasets: Mapping[str, Dataset]) -> list[str]:
        """Print what an entry would do, and return what it would stop at, a sentence each."""
        # By name, because what checks an entry imports what computes it, which takes seconds.
        module = importlib.import_module(self.checker or f"scripts.{self.name}.check_entry")
        return list(module.check_entry(name, config, datasets))

    def may_share_names(self, other: "Section") -> bool:
        """Return whether a study of one name may stand in both sections."""
        return other.name in self.beside or self.name in other.beside


@functools.cache
def sections() -> dict[str, Section]:
    """Return name -> record of every section, `rsa` first."""
    return {name: _record(name) for name in ("rsa", *section_files())}


@functools.cache
def study_sections() -> dict[str, Section]:
    """Return name -> record of the sections whose entries are studies, `rsa` first.

    Others hold settings of something that is there once (calibration, bold5000), or add to studies
    of `rsa` (stand_ins).
    """
    return {name: sections()[name] for name in study_schemas(load_schema())}


def _record(name: str) -> Section:
    """Return the record in the module of a section; one without a module is its schema alone."""
    if not (HERE / f"{name}.py").is_file():
        return Section(name)
    section: Section = importlib.import_module(f"workflow.lib.config.{name}").SECTION
    return section
