"""Where a study's raw files lie, according to its config.

Imported while the Snakefile is parsed: nothing heavy.
"""

import fnmatch
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from workflow.lib.acquire.datasets import Dataset, fetched_for, find_in_place
from workflow.lib.errors import InputError
from workflow.lib.sources import files_of, model_source, pattern_files, searchlight_source

RESOURCES = "resources"


def simulated_folder(run: str) -> str:
    """Return the folder of all simulated raw files of a run."""
    return f"{RESOURCES}/simulated/{run}"


def raw_folder(study: Mapping, run: str) -> str:
    """Return the folder of a study's raw files, once they are there."""
    return {
        "simulated": f"{simulated_folder(run)}/{study['simulation'].get('folder')}",
        "mirror": f"{RESOURCES}/{study['dataset']}",
        "download": f"{RESOURCES}/{study['dataset']}",
        "path": str(study["path"]),
    }[study["source"]]


def rdm_sources(study: Mapping) -> dict[str, Mapping]:
    """Return the blocks of a study that are given as RDM files, by their place in the config."""
    brain = {"brain": study["brain"]} if study["brain"]["data"] == "rdms" else {}
    return brain | {
        f"models.{name}": model for name, model in study["models"].items() if "files" in model
    }


def feature_sources(study: Mapping) -> dict[str, Mapping]:
    """Return the sources of a study's models that are given as activations, by their place."""
    return {
        f"models.{name}": model_source(model)
        for name, model in study["models"].items()
        if "features" in model
    }


def file_sources(study: Mapping) -> dict[str, Mapping]:
    """Return the blocks of a study whose files have placeholders, by their place in the config."""
    return {"brain": study["brain"]} | rdm_sources(study) | feature_sources(study)


def raw_files(source: Mapping, folder: str, fixed: Mapping[str, str] | None = None) -> list[str]:
    """Return the files of a source: data, names of conditions, observations, masks and atlas.

    Parameters
    ----------
    source : a config block, see `workflow.lib.sources`
    folder : folder of the raw files
    fixed : labels to restrict the source to, for example {"subject": "CSI1"}
    """
    if source.get("data") == "patterns":
        return pattern_files(source, Path(folder), fixed)
    conditions = source["conditions"]
    return files_of(source, fixed) + ([conditions["file"]] if conditions["from"] == "list" else [])


def stimulus_files(study: Mapping, datasets: Mapping[str, Dataset], run: str) -> list[str]:
    """Return the files of a study's stimuli, relative to the folder of its raw files.

    A pattern is matched with the registry where the files may have to be fetched first, else with
    the folder.
    """
    if "stimuli" not in study:
        return []
    found = matching_files(study, study["stimuli"]["files"], datasets, run, "stimuli.files")
    conditions = study["stimuli"]["conditions"]
    return found + ([conditions["file"]] if conditions["from"] == "list" else [])


def _is_pattern(file: str) -> bool:
    return any(character in file for character in "*?[")


def matching_files(
    study: Mapping, pattern: str, datasets: Mapping[str, Dataset], run: str, setting: str
) -> list[str]:
    """Return the files of a study's folder, or of its dataset, that a pattern stands for."""
    folder = Path(raw_folder(study, run))
    is_registered = study["source"] in ("mirror", "download")
    if PurePosixPath(pattern).is_absolute():
        raise InputError(
            f"{setting}: found the absolute path {pattern!r}, expected one relative to the folder "
            f"of the raw files, {folder}; let `path` name the folder, and write the rest here"
        )
    if not _is_pattern(pattern):
        return [pattern]
    if is_registered:
        dataset = datasets[study["dataset"]]
        found = sorted(file.path for file in dataset.files if fnmatch.fnmatch(file.path, pattern))
    else:
        paths = (path for path in folder.glob(pattern) if path.is_file())
        found = sorted(str(path.relative_to(folder)) for path in paths)
    if not found:
        raise InputError(
            f"{pattern}: found no file of this form in {folder}, expected at least one; correct "
            f"{setting}"
        )
    return found


def is_weight_file(weights: str) -> bool:
    """Return whether a network's weights are given as a file: neither torchvision's nor random."""
    return weights not in ("torchvision", "untrained")


def weight_files(study: Mapping) -> list[str]:
    """Return the files with the weights of a study's networks."""
    return [
        model["weights"]
        for model in study["models"].values()
        if "network" in model and is_weight_file(model["weights"])
    ]


def study_raw_files(study: Mapping, datasets: Mapping[str, Dataset], run: str) -> list[str]:
    """Return all raw files of a study, relative to their folder, each once."""
    folder = raw_folder(study, run)
    sources = [*file_sources(study).values()]
    if "searchlight" in study:
        sources.append(searchlight_source(study))
    files = [file for source in sources for file in raw_files(source, folder)]
    return list(dict.fromkeys(files + stimulus_files(study, datasets, run)))


def find_source(path: str, datasets: Mapping[str, Dataset], mirror: str | None) -> Path | None:
    """Return where a raw file lies now, or what a run makes it out of; None if nowhere.

    Parameters
    ----------
    path : str
        Where it shall lie; below `RESOURCES`, it may still be in the mirror or in an archive.
    datasets : mapping
        The registry.
    mirror : str or None
        Folder of the mirror.
    """
    folder, *parts = Path(path).parts
    dataset = datasets.get(parts[0]) if folder == RESOURCES and parts else None
    known = {raw_file.path: raw_file for raw_file in dataset.files} if dataset else {}
    raw_file = known.get("/".join(parts[1:]))
    if raw_file is None:
        return find_weights(path, mirror)
    fetched = fetched_for(dataset, raw_file, RESOURCES, mirror)
    return find_in_place(dataset, fetched, RESOURCES, mirror)


def find_weights(file: str, mirror: str | None) -> Path | None:
    """Return where a file of weights lies: in place or, being raw data, in the mirror."""
    places = [Path(file)]
    if mirror and file.startswith(f"{RESOURCES}/"):
        places.append(Path(mirror, places[0].relative_to(RESOURCES)))
    return next((place for place in places if place.is_file()), None)
