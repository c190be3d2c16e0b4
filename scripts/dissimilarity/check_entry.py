"""What an entry of section `dissimilarity` would do, and what it would stop at: `make check`."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from scripts.dissimilarity.data.algonauts import Algonauts2023, image_files
from scripts.dissimilarity.data.compute_fmri_rdms import rois_of_subject
from scripts.dissimilarity.data.pair_images import check_excluded, excluded_images
from workflow.lib.acquire.datasets import Dataset
from workflow.lib.check.files import find_own_weights
from workflow.lib.check.problems import Checks, problems
from workflow.lib.config.pair_kinds import FILE_KEYS, file_of_subject
from workflow.lib.config.pair_sizes import asked_sizes, check_sizes
from workflow.lib.config.schema import check_name
from workflow.lib.errors import InputError
from workflow.lib.features.networks import layer_extractor, load_network
from workflow.lib.layouts.algonauts2023 import SIMULATED_SUBJECTS, classes_of
from workflow.lib.sources import axis_of
from workflow.lib.words import listed


def check_entry(name: str, config: Mapping, datasets: Mapping[str, Dataset]) -> list[str]:
    """Print what an entry would do, and return what it would stop at, a sentence each.

    Parameters
    ----------
    name : of the entry
    config : completed
    datasets : the registry
    """
    entry = config["dissimilarity"][name]
    print(f"  {_models_text(entry)}")
    checks = [
        *_embedding_checks(entry, datasets, config["mirror"]),
        *SOURCES[entry["source"]](name, entry, config),
    ]
    return list(problems(checks))


def _models_text(entry: Mapping) -> str:
    """Return how many models are fitted to what."""
    models, metrics = entry["models"], " and ".join(entry["metrics"])
    n_variants = sum(max(1, len(block["variants"])) for block in models.values())
    measured = "" if entry["source"] == "rsa" else f" of {listed(entry['rois'])} by {metrics}"
    return (
        f"{len(models)} models of pairs ({n_variants} with their variants), "
        f"{len(entry['embeddings'])} embeddings, {entry['splits']['n_folds']} folds{measured}"
    )


# Embeddings


def _embedding_checks(
    entry: Mapping, datasets: Mapping[str, Dataset], mirror: str | None
) -> Checks:
    """Yield a check of the files of every embedding."""
    for name, block in entry["embeddings"].items():
        if block["kind"] == "network":
            yield partial(_check_network, name, block, datasets, mirror)
        elif block.get("weights"):
            network = block.get("network", "")
            yield partial(find_own_weights, network, block["weights"], name, datasets, mirror)
        for key in FILE_KEYS:
            if block.get(key):
                yield partial(_find_arrays, name, key, block[key], entry["subjects"])


def _check_network(
    name: str, block: Mapping, datasets: Mapping[str, Dataset], mirror: str | None
) -> None:
    """Load a network, with its weights if they lie in a file, and find its layer in it."""
    path = find_own_weights(block["network"], block["weights"], name, datasets, mirror)
    try:
        network, _ = load_network(block["network"], path or "untrained")
        layer_extractor(network, {block["layer"]: block["layer"]})
    except InputError as error:
        raise InputError(f"embedding {name}: {error}") from None


def _find_arrays(name: str, key: str, file: str, subjects: Iterable[str]) -> None:
    paths = dict.fromkeys(file_of_subject(file, subject) for subject in subjects)
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise InputError(
            f"embedding {name}: found no file {missing[0]} ({len(missing)} of {len(paths)} "
            f"missing), expected what was computed elsewhere; correct `{key}`"
        )


# Data


def _simulated_checks(name: str, entry: Mapping, config: Mapping) -> Checks:
    n_available = entry["simulation"]["n_images"]
    print(f"  raw files are simulated: {n_available} images of {listed(entry['subjects'])}")
    where = f"config, dissimilarity.{name}"
    for subject in entry["subjects"]:
        yield partial(check_name, f"{where}.subjects", subject, SIMULATED_SUBJECTS)
    for parts in entry["rois"].values():
        yield partial(classes_of, parts)
    yield partial(excluded_images, entry["images"]["exclude"])


def _folder_checks(name: str, entry: Mapping, config: Mapping) -> Checks:
    folder = Path(entry["path"])
    there = [subject for subject in entry["subjects"] if (folder / subject).is_dir()]
    if len(there) < len(entry["subjects"]):
        yield partial(_refuse_folder, folder, entry["subjects"], there)
    yield partial(_check_names, entry, folder, there)
    for subject in there:
        yield partial(_check_subject, entry, folder, subject)


def _refuse_folder(folder: Path, subjects: Iterable[str], there: list[str]) -> None:
    lacking = [subject for subject in subjects if subject not in there]
    raise InputError(
        f"{folder}: found no folder of {', '.join(lacking)}, expected one for each of `subjects`, "
        "as the Algonauts 2023 challenge has them; correct `path` or `subjects`"
    )


def _readable(exclude: str | list[str]) -> list[str]:
    """Return the names of images to exclude; none where another check says what is wrong."""
    try:
        return excluded_images(exclude)
    except InputError:
        return []


def _check_names(entry: Mapping, folder: Path, subjects: Iterable[str]) -> None:
    exclude = excluded_images(entry["images"]["exclude"])
    files = [file for subject in subjects for file in image_files(folder, subject)]
    # Without a file nothing can be said of names, and other checks speak of it.
    check_excluded(exclude if files else (), {file.stem for file in files})


def _check_subject(entry: Mapping, folder: Path, subject: str) -> None:
    """Read all responses of a subject once, as a run would."""
    challenge = Algonauts2023(folder, subject)
    rows = challenge.rows_without(_readable(entry["images"]["exclude"]))
    n_available = len(rows)
    taken = rows[: entry["n_images"]]
    rois, _ = rois_of_subject(challenge, entry["rois"], rois_missing=entry["rois_missing"])
    counts = {roi: challenge.n_vertices(parts, taken) for roi, parts in rois.items()}
    vertices = ", ".join(f"{n:,} in {roi}" for roi, n in counts.items())
    print(f"  {subject}: {n_available:,} images with responses of vertices: {vertices}")
    _check_size(entry, n_available, f"{folder}, {subject}")
    check_sizes(len(taken), f"{folder}, {subject}, splits", **asked_sizes(entry))


def _rsa_checks(name: str, entry: Mapping, config: Mapping) -> Checks:
    print(f"  RDMs and stimuli are those of rsa.{name}; models of responses are not applicable")
    brain = config["rsa"][name]["brain"]
    where = f"config, dissimilarity.{name}"
    for key, axis in (("rois", "roi"), ("subjects", "subject")):
        known = axis_of(brain, axis)
        of_models = [(f"models.{model}.", block) for model, block in entry["models"].items()]
        for place, block in [("", entry), *of_models]:
            for given in block.get(key, []) if known else []:
                yield partial(check_name, f"{where}.{place}{key}", given, known.names)


# Source of an entry -> the checks of its data.
SOURCES = {"simulated": _simulated_checks, "path": _folder_checks, "rsa": _rsa_checks}


def _check_size(entry: Mapping, n_available: int, where: str) -> None:
    if entry["n_images"] and entry["n_images"] > n_available:
        raise InputError(
            f"{where}: found {n_available} images with responses, expected {entry['n_images']}; "
            "lower n_images"
        )
