"""Say what a config would do before anything is run: names, missing files, time, memory, disk.

    python -m scripts.check.check_config config/my.yaml [--mirror FOLDER]

Exits with status 1 if a study could not run.
"""

import argparse
import collections
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import yaml

from scripts.features.compute_groups import group_rdm
from scripts.rdms.align_images import groups_of, read_group_table
from workflow.lib.acquire.datasets import RawFile, find_file, load_datasets, size_text
from workflow.lib.config.complete import complete_config
from workflow.lib.config.merging import laid_over
from workflow.lib.errors import InputError
from workflow.lib.features.activations import read_activations
from workflow.lib.features.controls import CONTROLS, control_features
from workflow.lib.features.networks import default_weights, load_network
from workflow.lib.features.stimuli import open_stimuli
from workflow.lib.image_sets import STIMULI, align_study
from workflow.lib.inference.folds import most_folds
from workflow.lib.layout import (
    RESOURCES,
    feature_sources,
    find_raw_file,
    find_weights,
    raw_folder,
    rdm_sources,
    study_raw_files,
)
from workflow.lib.patterns.rdms import brain_rdms, extract_patterns
from workflow.lib.patterns.reading import Patterns
from workflow.lib.patterns.store import PatternStore, write_patterns
from workflow.lib.prediction import (
    CHANNELS,
    OPERATIONS_PER_SECOND,
    NetworkCost,
    encoding_cost,
    network_cost,
    searchlight_cost,
    study_size,
)
from workflow.lib.rdms.alignment import Alignment
from workflow.lib.rdms.source import read_aligned
from workflow.lib.searchlight.maps import grid_of
from workflow.lib.searchlight.spheres import sphere_offsets
from workflow.lib.sources import (
    WHOLE_BRAIN,
    axis_of,
    model_source,
    pattern_files,
    searchlight_source,
)

REPOSITORY = Path(__file__).parents[2]
DEFAULT_CONFIG = REPOSITORY / "config" / "config.yaml"
DATASETS_FILE = REPOSITORY / "config" / "datasets.yaml"
EXAMPLES = 3
# Files of one kind are counted, not listed, where there are more.
LISTED_FILES = 8


def check_study(name: str, study: Mapping, config: Mapping) -> list[str]:
    """Print what a study would do and return its problems, one sentence each."""
    print(f"\n{name}: {study['title']} (source: {study['source']})")
    try:
        if "group_table" in study["images"]:
            read_group_table(study["images"]["group_table"])
        check_weights(study, config["mirror"])
        if study["source"] == "simulated":
            print("  raw files are simulated; there is nothing to compare by name")
            n_images = study["simulation"]["n_images"]
            print_prediction(study, n_images, n_images)
            return []
        missing = print_files(study, config)
        if missing:
            return [] if study["source"] == "download" else [_missing(name, study, missing)]
        with folder_now(study, config) as folder:
            check_raw_files(study, folder)
    except InputError as error:
        return [f"{name}: {error}"]
    return []


def check_weights(study: Mapping, mirror: str | None) -> None:
    """Say which weights are downloaded, and load those that lie in files.

    Raises
    ------
    InputError
        Weights that are nowhere, or do not fit their network.
    """
    for name, model in study["models"].items():
        if "network" not in model or model["weights"] == "untrained":
            continue
        if model["weights"] == "torchvision":
            weights = default_weights(model["network"])
            here = weights.path.is_file()
            action, place = ("found", weights.path) if here else ("download", weights.url)
            print(f"  {action:8} {place}{_size_note([weights.bytes])}, weights of {name}")
            continue
        path = find_weights(model["weights"], mirror)
        if path:
            load_network(model["network"], path)
        else:
            size = _registered_weights(model["weights"]).bytes
            print(f"  download {model['weights']}{_size_note([size])}, weights of {name}")


def _registered_weights(file: str) -> RawFile:
    """Return the raw file of weights that are not here; raise InputError if there is none."""
    folder, *parts = PurePosixPath(file).parts
    registry = load_datasets(DATASETS_FILE)
    if folder != RESOURCES or len(parts) < 2 or parts[0] not in registry:
        raise InputError(f"found no weights {file}, expected that file; correct `weights`")
    return find_file(registry, parts[0], "/".join(parts[1:]))[1]


def check_raw_files(study: Mapping, folder: Path) -> None:
    """Read all raw files of a study as a run would, and print their names and what it takes.

    Raises
    ------
    InputError
        Whatever a run would stop at.
    """
    models = {
        name: model_source(model)
        for name, model in study["models"].items()
        if "files" in model or "features" in model
    }
    images = study["images"]
    names, alignment = align_study(study["brain"], models, study.get("stimuli"), images, folder)
    print_names(names, alignment, images["match"])
    common = alignment.names
    groups = groups_of(alignment, images)
    if any(model.get("control") == "groups" for model in study["models"].values()):
        group_rdm(groups)
    shown = common if study.get("stimuli", {}).get("extract") == "common" else names.get(STIMULI)
    spheres = searchlight_spheres(study, folder) if "searchlight" in study else {}
    print_prediction(study, len(common), len(shown or common), spheres)
    check_rdms(study, folder, common)
    if study["brain"]["data"] == "patterns":
        check_patterns(study, folder, common)
    check_features(study, folder, common)
    if any("network" in model or "control" in model for model in study["models"].values()):
        check_stimuli(study, folder)


def check_rdms(study: Mapping, folder: Path, images: Sequence[str]) -> None:
    """Read every RDM of a study once."""
    for source in rdm_sources(study).values():
        for _ in read_aligned(source, folder, images, match=study["images"]["match"]):
            pass


def check_features(study: Mapping, folder: Path, images: Sequence[str]) -> None:
    """Read all activations of a study that were computed elsewhere once."""
    for source in feature_sources(study).values():
        for _, activations in read_activations(
            source, folder, images, match=study["images"]["match"]
        ):
            for _ in activations.rows():
                pass


def check_patterns(study: Mapping, folder: Path, images: Sequence[str]) -> None:
    """Read every subject's patterns once, and compute their RDMs."""
    brain, match = study["brain"], study["images"]["match"]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "patterns.h5")
        for subject, patterns in _patterns(study, brain, folder):
            write_patterns(file, patterns)
            rdms = brain_rdms(
                PatternStore(file),
                images,
                metric=brain["metric"],
                noise_normalisation=brain["noise_normalisation"],
                match=match,
            )
            with _naming_subject(subject, file):
                for _ in rdms:
                    pass


def searchlight_spheres(study: Mapping, folder: Path) -> dict[str, tuple[int, int]]:
    """Read every subject's responses over the mask of the searchlight once.

    Returns
    -------
    dict, subject -> number of voxels with data, and of those of a whole sphere
    """
    source, settings = searchlight_source(study), study["searchlight"]
    spheres = {}
    for subject, patterns in _patterns(study, source, folder):
        n_voxels = patterns[WHOLE_BRAIN].measurements.shape[1]
        image = pattern_files(source, folder, {"subject": subject})[0]
        _, affine = grid_of(folder / image)
        per_sphere = len(sphere_offsets(affine, settings["radius"], settings["unit"]))
        print(f"  searchlight of {subject}: {n_voxels:,} voxels with data, {per_sphere} per sphere")
        spheres[subject] = n_voxels, per_sphere
    return spheres


def _patterns(
    study: Mapping, source: Mapping, folder: Path
) -> Iterator[tuple[str, dict[str, Patterns]]]:
    """Yield every subject with the patterns of a source, prepared as the study says."""
    brain = study["brain"]
    for subject in axis_of(brain, "subject").names:
        yield (
            subject,
            extract_patterns(
                source,
                folder,
                subject,
                match=study["images"]["match"],
                detrend=brain["detrend"],
                standardise=brain["standardise"],
                remove_mean_pattern=brain["remove_mean_pattern"],
            ),
        )


@contextlib.contextmanager
def _naming_subject(subject: str, file: Path) -> Iterator[None]:
    """Put the subject in place of the temporary file in errors."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(file.name, f"patterns of {subject}")) from None


def check_stimuli(study: Mapping, folder: Path) -> None:
    """Decode every image once, and compute the controls of the first."""
    if "stimuli" not in study:
        return
    stimuli = open_stimuli(folder, study["stimuli"])
    for i in range(len(stimuli)):
        stimuli.image(i)
    for model in study["models"].values():
        if model.get("control") in CONTROLS:
            control_features(model["control"], stimuli.select([0]), **model.get("options", {}))


@contextlib.contextmanager
def folder_now(study: Mapping, config: Mapping) -> Iterator[Path]:
    """Give a folder that holds all raw files of a study: their own, or one of links to them.

    Before a run some may lie in resources/ and others in the mirror.
    """
    folder, files = Path(raw_folder(study, config["run"])), _files(study, config)
    if all((folder / file).is_file() for file in files):
        yield folder
        return
    with tempfile.TemporaryDirectory() as links:
        for file in files:
            link = Path(links, file)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(find_raw_file(study, file, config["run"], config["mirror"]).resolve())
        yield Path(links)


def _files(study: Mapping, config: Mapping) -> list[str]:
    return study_raw_files(study, load_datasets(DATASETS_FILE), config["run"])


def print_files(study: Mapping, config: Mapping) -> list[str]:
    """Print every raw file with where it is, and return those that are nowhere."""
    registry = load_datasets(DATASETS_FILE)
    found, missing = {}, {}
    for file in _files(study, config):
        place = find_raw_file(study, file, config["run"], config["mirror"])
        if place:
            found[str(place)] = place.stat().st_size
        else:
            raw_file = find_file(registry, study["dataset"], file)[1] if study["dataset"] else None
            missing[file] = raw_file and (raw_file.bytes or raw_file.approx_bytes)
    action = "download" if study["source"] == "download" else "missing"
    for line in (*_file_lines("found", found), *_file_lines(action, missing)):
        print(f"  {line}")
    return list(missing)


def _file_lines(action: str, sizes: Mapping[str, int | None]) -> Iterator[str]:
    """Yield a line per file, or per folder and suffix where there are many with the suffix."""

    kinds: dict[tuple[PurePosixPath, str], list[str]] = {}
    for file in sizes:
        path = PurePosixPath(file)
        kinds.setdefault((path.parent, path.suffix.lower()), []).append(file)
    counts = collections.Counter(PurePosixPath(file).suffix.lower() for file in sizes)
    for (folder, suffix), files in kinds.items():
        if counts[suffix] > LISTED_FILES and len(files) > 1:
            total = _size_note([sizes[file] for file in files])
            yield f"{action:8} {len(files)} {suffix} files in {folder}{total}"
        else:
            yield from (f"{action:8} {file}{_size_note([sizes[file]])}" for file in files)


def _size_note(sizes: Iterable[int | None]) -> str:
    known = [size for size in sizes if size]
    return f" ({size_text(sum(known))})" if known else ""


def _missing(name: str, study: Mapping, missing: list[str]) -> str:
    place = study["path"] if study["source"] == "path" else f"<mirror>/{study['dataset']}"
    return (
        f"{name}: found {len(missing)} of its raw files missing (for example {missing[0]}), "
        f"expected them in {place}; correct `path`, `mirror` or `files`"
    )


def print_names(names: Mapping[str, list[str]], alignment: Alignment, match: str) -> None:
    """Print matched and unmatched names per file."""
    examples = ", ".join(map(repr, alignment.labels[:EXAMPLES]))
    print(
        f"  images common to all files: {len(alignment.names)} (names matched as {match}; "
        f"{examples}, ...)"
    )
    for file, found in names.items():
        lost = alignment.unmatched[file]
        examples = f", for example {', '.join(map(repr, lost[:EXAMPLES]))}" if lost else ""
        print(f"  {file}: {len(found)} images, {len(lost)} unmatched{examples}")


def print_prediction(
    study: Mapping,
    n_images: int,
    n_shown: int,
    spheres: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """Print about how long the study takes and what it needs.

    Parameters
    ----------
    study : a study of the completed config
    n_images : number of common images
    n_shown : number of images that networks see
    spheres : of each subject with a searchlight, the voxels with data, and those of a sphere
    """
    cores = os.cpu_count() or 1
    size = study_size(study, n_images)
    seconds, memory = size.seconds(cores), size.memory_bytes()
    for name, model in study["models"].items():
        if "network" in model:
            cost = network_cost(model, n_shown)
            print(f"  {name}: {_network_text(cost, cores)}")
            seconds += cost.seconds(cores)
            memory = max(memory, cost.memory_bytes())
    encoding = encoding_cost(study, n_images)
    if encoding and encoding.n_folds > most_folds(n_images):
        print(
            f"  ridge encoding: left out, {n_images} images are too few for encoding.folds: "
            f"{encoding.n_folds} (three a fold)"
        )
    elif encoding:
        print(
            f"  ridge encoding: {encoding.n_fits} layers x ROIs per subject, about "
            f"{_duration(encoding.seconds(cores))} on {cores} cores (with {CHANNELS} channels per "
            "ROI)"
        )
        seconds += encoding.seconds(cores)
    for subject, (n_voxels, per_sphere) in (spheres or {}).items():
        duration = searchlight_cost(study, n_images, n_voxels, per_sphere).seconds(cores)
        print(f"  searchlight of {subject}: about {_duration(duration)} on {cores} cores")
        seconds += duration
    print(
        f"  predicted: {size.n_images:,} images ({size.n_pairs:,} pairs), "
        f"about {_duration(seconds)} on {cores} cores, "
        f"{size_text(memory)} of memory per job, "
        f"{size_text(size.disk_bytes())} of disk"
    )


def _network_text(cost: NetworkCost, cores: int) -> str:
    seeds = f" x {cost.n_seeds} seeds" if cost.n_seeds > 1 else ""
    return (
        f"{cost.operations / 1e9:.3g} GFLOP per image x {cost.n_images:,} images{seeds}, about "
        f"{_duration(cost.seconds(cores))} without a GPU (at {OPERATIONS_PER_SECOND / 1e9:.0f} "
        f"GFLOP/s per core), {size_text(cost.memory_bytes())} of memory, "
        f"{size_text(cost.temporary_bytes())} of temporary activations"
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
    return complete_config(laid_over(config, over, {"mirror": mirror} if mirror else {}))


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
