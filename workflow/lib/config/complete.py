"""Reading the configuration: inheritance, defaults, and errors that name the key.

Imported while the Snakefile is parsed: nothing heavier than jsonschema.
"""

import itertools
from collections.abc import Mapping

from workflow.lib.acquire.datasets import Dataset
from workflow.lib.config.merging import inherited
from workflow.lib.config.rsa_kinds import check_given_keys, name_layers
from workflow.lib.config.schema import check_name, load_schema, study_schemas, validate
from workflow.lib.config.sections import sections, study_sections
from workflow.lib.errors import InputError


def complete_config(config: Mapping) -> dict:
    """Return the config with inherited keys and defaults filled in.

    Raises
    ------
    InputError
        An unknown key, a wrong value, or keys that contradict each other; the message names the
        key and what is allowed.
    """
    schema = load_schema()
    completed = _unshared(config)
    for section in study_schemas(schema):
        if isinstance(completed.get(section), dict):
            completed[section] = inherited(section, completed[section], schema)
    given = _unshared(completed)
    validate(completed, schema)
    name_layers(completed)
    names = study_names(completed)
    for study in completed["studies"]:
        check_name("config, studies", study, names)
    _check_shared_names(completed)
    for section in sections().values():
        section.check(completed)
    check_given_keys(given.get("rsa", {}))
    for section in sections().values():
        section.finish(completed)
    return completed


def study_names(config: Mapping) -> list[str]:
    """Return the names of all studies, of whatever sections; one may stand in several."""
    return list(dict.fromkeys(name for section in study_sections() for name in config[section]))


def entries_of(config: Mapping, study: str) -> dict[str, dict]:
    """Return what each section says of a study, by section; `rsa` comes first."""
    return {name: config[name][study] for name in study_sections() if study in config[name]}


def section_raw_paths(
    config: Mapping, section: str, study: str, datasets: Mapping[str, Dataset]
) -> list[str]:
    """Return the raw files that a section names of a study, none if it has no such entry."""
    entry = config[section].get(study)
    return sections()[section].raw_paths(entry, datasets, config["run"]) if entry else []


def made_conditions(config: Mapping, study: str) -> dict[str, list[str]]:
    """Return the conditions that the models know that a study of `rsa` makes, by where they stand.

    Empty for a study that makes none.
    """
    models = config["rsa"][study]["models"].values()
    if not any("made" in model for model in models):
        return {}
    made = next(
        section
        for section in sections().values()
        if section.made_conditions and study in config[section.name]
    )
    conditions = made.made_conditions(config[made.name][study])
    return {f"{made.name}.{study}.{key}": names for key, names in conditions.items()}


def _check_shared_names(config: Mapping) -> None:
    """Refuse a name in two sections that do not say that they share it."""
    for first, second in itertools.combinations(study_sections().values(), 2):
        for name in config[second.name]:
            if name in config[first.name] and not first.may_share_names(second):
                raise InputError(
                    f"config, {second.name}.{name}: found a study of that name in `{first.name}`, "
                    "expected a name of its own, for results of both would lie in one folder; give "
                    "it another"
                )


def _unshared(value: object) -> object:
    """Return a copy in which YAML anchors no longer share one block: each is completed alone."""
    if isinstance(value, Mapping):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value
