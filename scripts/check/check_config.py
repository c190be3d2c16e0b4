"""Say what a config would do before anything is run: names, missing files, time, memory, disk.

    python -m scripts.check.check_config config/my.yaml [--mirror FOLDER]

Exits with status 1 if a study could not run.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from workflow.lib.alignment import Alignment, align
from workflow.lib.config import complete_config, merged
from workflow.lib.datasets import find_file, load_datasets, size_text
from workflow.lib.errors import InputError
from workflow.lib.image_names import check_ordered, study_names
from workflow.lib.layout import (
    find_raw_file,
    find_weights,
    raw_folder,
    rdm_sources,
    study_raw_files,
    weight_files,
)
from workflow.lib.networks import layer_extractor, load_network
from workflow.lib.rdm_source import read_aligned
from workflow.lib.sources import axes_of

DEFAULT_CONFIG = Path("config/config.yaml")
DATASETS_FILE = Path("config/datasets.yaml")
EXAMPLES = 3

# Measured with benchmarks/real_size.py on two cores; they predict within a factor of about two.
SECONDS_PER_PERMUTED_PAIR = 8e-9
SECONDS_PER_READ_PAIR = 5e-8
SECONDS_PER_JOB = 2.0
COPIES_OF_RDMS_IN_MEMORY = 4
BYTES_OF_LIBRARIES = 250e6


@dataclass(frozen=True)
class Size:
    """How large a study is."""

    n_images: int
    n_subjects: int
    n_rois: int
    n_sessions: int
    n_layers: int
    n_models: int
    n_tests: int

    @property
    def n_pairs(self) -> int:
        """Pairs of images."""
        return self.n_images * (self.n_images - 1) // 2

    @property
    def rdms_per_subject(self) -> int:
        """RDMs in a subject's file: the ROIs' means over sessions, and the sessions kept apart."""
        return self.n_rois * (self.n_sessions + 1 if self.n_sessions > 1 else 1)

    @property
    def n_tables(self) -> int:
        """Subjects, and their joint RDM."""
        return self.n_subjects + (self.n_subjects > 1)

    def disk_bytes(self) -> float:
        """Return the size of the aligned RDMs (float32)."""
        return 4.0 * self.n_pairs * (self.rdms_per_subject * self.n_tables + self.n_layers)

    def memory_bytes(self) -> float:
        """Return the peak memory of the largest job, the comparison."""
        item = 8 if self.n_images <= 1500 else 4
        rdms = self.rdms_per_subject + self.n_layers
        return BYTES_OF_LIBRARIES + COPIES_OF_RDMS_IN_MEMORY * item * self.n_pairs * rdms

    def seconds(self, cores: int) -> float:
        """Return the time of the whole study."""
        smaller = min(self.rdms_per_subject, self.n_layers)
        permuting = SECONDS_PER_PERMUTED_PAIR * self.n_pairs * smaller * self.n_tests
        reading = SECONDS_PER_READ_PAIR * self.n_pairs * (self.rdms_per_subject + self.n_layers)
        jobs = SECONDS_PER_JOB * (3 * self.n_tables + self.n_models + 8)
        return ((permuting + reading) * self.n_tables + jobs) / min(cores, self.n_tables)


def check_study(name: str, study: Mapping, config: Mapping) -> list[str]:
    """Print what a study would do and return its problems, one sentence each."""
    print(f"\n{name}: {study['title']} (source: {study['source']})")
    if study["source"] == "simulated":
        print("  raw files are simulated; there is nothing to compare by name")
        print_prediction(study, study["simulation"]["n_images"])
        return []
    missing = print_files(study, config)
    if missing:
        return [] if study["source"] == "download" else [_missing_sentence(name, study, missing)]
    for file in weight_files(study):
        if not find_weights(file, config["mirror"]):
            return [f"{name}: found no weights {file}, expected that file; correct `weights`"]
    try:
        names = raw_names(study, config)
        check_ordered(names, sources_with_names(study))
        alignment = align(
            names,
            match=study["images"]["match"],
            unmatched=study["images"]["unmatched"],
            min_common=study["images"]["min_common"],
        )
        check_rdms(study, config, alignment.names)
        check_networks(study)
    except InputError as error:
        return [f"{name}: {error}"]
    print_names(names, alignment, study["images"]["match"])
    print_prediction(study, len(alignment.names))
    return []


def print_files(study: Mapping, config: Mapping) -> list[str]:
    """Print every raw file with where it is, and return those that are nowhere."""
    registry = load_datasets(DATASETS_FILE)
    missing = []
    for file in _files(study, config):
        found = find_raw_file(study, file, config["run"], config["mirror"])
        if found:
            print(f"  found    {found} ({size_text(found.stat().st_size)})")
            continue
        missing.append(file)
        size = ""
        if study["dataset"]:
            _, raw_file = find_file(registry, study["dataset"], file)
            n_bytes = raw_file.bytes or raw_file.approx_bytes
            size = f" ({size_text(n_bytes)})" if n_bytes else ""
        action = "download" if study["source"] == "download" else "missing"
        print(f"  {action} {file}{size}")
    return missing


def _missing_sentence(name: str, study: Mapping, missing: list[str]) -> str:
    place = study["path"] if study["source"] == "path" else f"<mirror>/{study['dataset']}"
    return (
        f"{name}: found {len(missing)} of its raw files missing (for example {missing[0]}), "
        f"expected them in {place}; correct `path`, `mirror` or `files`"
    )


def raw_names(study: Mapping, config: Mapping) -> dict[str, list[str]]:
    """Return the names of the images in every part of a study."""
    models = {name: model for name, model in study["models"].items() if "files" in model}
    return study_names(
        study["brain"],
        models,
        study.get("stimuli"),
        folder_now(study, config),
        match=study["images"]["match"],
    )


def sources_with_names(study: Mapping) -> list[Mapping]:
    """Return the blocks of a study that name conditions."""
    models = [model for model in study["models"].values() if "files" in model]
    return [study["brain"], *models, *([study["stimuli"]] if "stimuli" in study else [])]


def check_rdms(study: Mapping, config: Mapping, images: Sequence[str]) -> None:
    """Read every RDM of a study once, so that whatever a run would stop at is said now."""
    for source in rdm_sources(study).values():
        folder = folder_now(study, config)
        for _ in read_aligned(source, folder, images, match=study["images"]["match"]):
            pass


def check_networks(study: Mapping) -> None:
    """Build every network of a study, untrained, and look its layers up."""
    for model in study["models"].values():
        if "network" in model:
            network, _ = load_network(model["network"], "untrained")
            layer_extractor(network, model["layers"]["names"])


def folder_now(study: Mapping, config: Mapping) -> Path:
    """Return the folder in which all raw files of a study lie now: in place, or the mirror."""
    folder = Path(raw_folder(study, config["run"]))
    if config["mirror"] and not all((folder / file).is_file() for file in _files(study, config)):
        return Path(config["mirror"], study["dataset"])
    return folder


def _files(study: Mapping, config: Mapping) -> list[str]:
    return study_raw_files(study, load_datasets(DATASETS_FILE), config["run"])


def print_names(names: Mapping[str, list[str]], alignment: Alignment, match: str) -> None:
    """Print matched and unmatched names per file."""
    print(f"  images common to all files: {len(alignment.names)} (names matched as {match})")
    for file, found in names.items():
        lost = alignment.unmatched[file]
        examples = f", for example {', '.join(map(repr, lost[:EXAMPLES]))}" if lost else ""
        print(f"  {file}: {len(found)} images, {len(lost)} unmatched{examples}")


def print_prediction(study: Mapping, n_images: int) -> None:
    """Print about how long the study takes and what it needs."""
    size = study_size(study, n_images)
    cores = os.cpu_count() or 1
    print(
        f"  predicted: {size.n_images:,} images ({size.n_pairs:,} pairs), "
        f"about {_duration(size.seconds(cores))} on {cores} cores, "
        f"{size_text(size.memory_bytes())} of memory per job, "
        f"{size_text(size.disk_bytes())} of disk"
    )


def study_size(study: Mapping, n_images: int) -> Size:
    """Return the size of a study over a number of images."""
    brain = {axis.placeholder: axis.names for axis in axes_of(study["brain"])}
    layers = [
        axis.names
        for model in study["models"].values()
        for axis in axes_of(model)
        if axis.placeholder == "layer"
    ]
    separate = study["brain"].get("sessions", {}).get("combine") == "separate"
    return Size(
        n_images=n_images,
        n_subjects=len(brain["subject"]),
        n_rois=len(brain["roi"]),
        n_sessions=len(brain.get("session", ())) if separate else 1,
        n_layers=sum(map(len, layers)),
        n_models=len(study["models"]),
        n_tests=study["inference"]["n_permutations"] * len(study["comparators"]),
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def read_config(path: Path, mirror: str | None) -> dict:
    """Return a config laid over the default, completed, as a run would see it."""
    config = yaml.safe_load(DEFAULT_CONFIG.read_text())
    if not path.is_file():
        raise InputError(f"{path}: found no such file; give a config, make check CONFIG=<file>")
    try:
        over = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{path}: found no valid YAML ({error}); correct it there") from error
    config = merged(config, over)
    return complete_config(config | ({"mirror": mirror} if mirror else {}))


def main() -> int:
    """Check the config named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="config laid over config/config.yaml")
    parser.add_argument("--mirror", help="folder searched for raw files first")
    arguments = parser.parse_args()
    problems = []
    try:
        config = read_config(arguments.config, arguments.mirror)
        print(f"{arguments.config}: run {config['run']}, results in results/{config['run']}/")
        for name in config["studies"]:
            problems += check_study(name, config["rsa"][name], config)
    except InputError as error:
        problems.append(str(error))
    for problem in problems:
        print(f"\nproblem: {problem}", file=sys.stderr)
    print("\nnothing stands in the way" if not problems else f"\n{len(problems)} problem(s)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
