"""What an entry of section `dissimilarity` would do, and what it would stop at: `make check`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from scripts.dissimilarity.algonauts import Algonauts2023, image_files
from scripts.dissimilarity.algonauts_layout import SIMULATED_SUBJECTS, classes_of
from scripts.dissimilarity.pair_images import check_excluded, excluded_images
from scripts.dissimilarity.pair_models import build
from workflow.lib.acquire.datasets import Dataset
from workflow.lib.check.files import find_own_weights
from workflow.lib.config.schema import listed, near
from workflow.lib.errors import InputError
from workflow.lib.pairs.splits import make_splits
from workflow.lib.seeds import generator
from workflow.lib.sources import axis_of

# Of the training images, where no score against their number is asked for.
FEWEST = 2


def check_pairs_entry(name: str, config: Mapping, datasets: Mapping[str, Dataset]) -> list[str]:
    """Print what an entry would do, and return what it would stop at, a sentence each.

    Parameters
    ----------
    name : of the entry
    config : completed
    datasets : the registry
    """
    entry = config["dissimilarity"][name]
    print(f"  {_models_text(entry)}")
    checks: list[Callable[[], object]] = [
        *_model_checks(name, entry),
        *_embedding_checks(entry, datasets, config["mirror"]),
        *SOURCES[entry["source"]](name, entry, config),
    ]
    return list(_problems(checks))


def _problems(checks: Iterable[Callable[[], object]]) -> Iterator[str]:
    """Run every check, whatever the others find, and yield what they stop at."""
    for check in checks:
        try:
            check()
        except InputError as error:
            yield str(error)


def _models_text(entry: Mapping) -> str:
    """Return how many models are fitted to what."""
    models, metrics = entry["models"], " and ".join(entry["metrics"])
    n_variants = sum(max(1, len(block["variants"])) for block in models.values())
    measured = "" if entry["source"] == "rsa" else f" of {listed(entry['rois'])} by {metrics}"
    return (
        f"{len(models)} models of pairs ({n_variants} with their variants), "
        f"{len(entry['embeddings'])} embeddings, {entry['splits']['n_folds']} folds{measured}"
    )


# Models and embeddings


def _model_checks(name: str, entry: Mapping) -> Iterator[Callable[[], object]]:
    """Yield a check of the options of every variant of every model."""
    for model, block in entry["models"].items():
        for variant, options in (block["variants"] or {"": {}}).items():
            where = f"config, dissimilarity.{name}.models.{model}"
            where += f".variants.{variant}" if variant else ""
            together = {**block["options"], **options}
            yield partial(build, block["kind"], together, where)


def _embedding_checks(
    entry: Mapping, datasets: Mapping[str, Dataset], mirror: str | None
) -> Iterator[Callable[[], object]]:
    """Yield a check of the files of every embedding."""
    for name, block in entry["embeddings"].items():
        if block.get("weights"):
            network = block.get("network", "")
            yield partial(find_own_weights, network, block["weights"], name, datasets, mirror)
        for key in ("file", "names"):
            if block.get(key):
                yield partial(_find_arrays, name, key, block[key], entry["subjects"])


def _find_arrays(name: str, key: str, file: str, subjects: Iterable[str]) -> None:
    paths = dict.fromkeys(file.replace("{subject}", subject) for subject in subjects)
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise InputError(
            f"embedding {name}: found no file {missing[0]} ({len(missing)} of {len(paths)} "
            f"missing), expected what was computed elsewhere; correct `{key}`"
        )


# Data


def _simulated_checks(name: str, entry: Mapping, config: Mapping) -> Iterator[Callable[[], object]]:
    n_available = entry["simulation"]["n_images"]
    print(f"  raw files are simulated: {n_available} images of {listed(entry['subjects'])}")
    where = f"config, dissimilarity.{name}"
    for subject in entry["subjects"]:
        yield partial(_known_name, f"{where}.subjects", subject, SIMULATED_SUBJECTS)
    for parts in entry["rois"].values():
        yield partial(classes_of, parts)
    yield partial(excluded_images, entry["images"]["exclude"])
    yield partial(_check_size, entry, n_available, where)
    yield partial(_check_splits, name, entry, entry["n_images"] or n_available)


def _folder_checks(name: str, entry: Mapping, config: Mapping) -> Iterator[Callable[[], object]]:
    folder = Path(entry["path"])
    there = [subject for subject in entry["subjects"] if (folder / subject).is_dir()]
    if len(there) < len(entry["subjects"]):
        yield partial(_refuse_folder, folder, entry["subjects"], there)
    yield partial(_check_names, entry, folder, there)
    for subject in there:
        yield partial(_check_subject, name, entry, folder, subject)


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


def _check_subject(name: str, entry: Mapping, folder: Path, subject: str) -> None:
    """Read all responses of a subject once, as a run would."""
    challenge = Algonauts2023(folder, subject)
    rows = challenge.rows_without(_readable(entry["images"]["exclude"]))
    n_available = len(rows)
    taken = rows[: entry["n_images"]]
    counts = {roi: challenge.n_vertices(parts, taken) for roi, parts in entry["rois"].items()}
    vertices = ", ".join(f"{n:,} in {roi}" for roi, n in counts.items())
    print(f"  {subject}: {n_available:,} images with responses of vertices: {vertices}")
    _check_size(entry, n_available, f"{folder}, {subject}")
    _check_splits(name, entry, entry["n_images"] or n_available)


def _rsa_checks(name: str, entry: Mapping, config: Mapping) -> Iterator[Callable[[], object]]:
    print(f"  RDMs and stimuli are those of rsa.{name}; models of responses are not applicable")
    brain = config["rsa"][name]["brain"]
    where = f"config, dissimilarity.{name}"
    for key, axis in (("rois", "roi"), ("subjects", "subject")):
        known = axis_of(brain, axis)
        of_models = [(f"models.{model}.", block) for model, block in entry["models"].items()]
        for place, block in [("", entry), *of_models]:
            for given in block.get(key, []) if known else []:
                yield partial(_known_name, f"{where}.{place}{key}", given, known.names)


def _known_name(where: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        raise InputError(
            f"{where}: found {name!r}, expected one of {listed(names)}{near(name, list(names))}"
        )


# Source of an entry -> the checks of its data.
SOURCES = {"simulated": _simulated_checks, "path": _folder_checks, "rsa": _rsa_checks}


def _check_size(entry: Mapping, n_available: int, where: str) -> None:
    if entry["n_images"] and entry["n_images"] > n_available:
        raise InputError(
            f"{where}: found {n_available} images with responses, expected {entry['n_images']}; "
            "lower n_images"
        )


def _check_splits(name: str, entry: Mapping, n_images: int) -> None:
    """Split images as a run would; the dissimilarities of their pairs do not matter."""
    splits = entry["splits"]
    of_curve = any(block["training_size"] for block in entry["models"].values())
    for n in (of_curve and splits["n_training_images"]) or [FEWEST]:
        make_splits(
            np.broadcast_to(0.0, n_images * (n_images - 1) // 2),
            n_images,
            n_folds=splits["n_folds"],
            validation_share=splits["validation_share"],
            rng=generator(0, "check", name),
            n_training_images=n,
        )
