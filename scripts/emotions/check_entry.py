"""What an entry of section `emotions` would do, and what it would stop at: part of `make check`."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from scripts.emotions.data.bold_runs import open_runs
from scripts.emotions.data.planted import GRID
from scripts.emotions.data.prepare_parcels import common_parcels
from scripts.emotions.decoding.splits import make_folds
from scripts.emotions.labelling.label_volumes import Choices, label_volumes
from scripts.emotions.labelling.labels import UNLABELLED, Labels
from scripts.emotions.network.emotion_cnn import PUBLISHED_SHAPE
from scripts.emotions.network.trained_networks import UNTRAINED, NetworkOptions, network_of
from scripts.emotions.rsa.emotion_rdms import MIN_RUNS
from workflow.lib.acquire.datasets import Dataset, size_text
from workflow.lib.check.files import (
    NeededFile,
    find_files,
    find_own_weights,
    folder_now,
)
from workflow.lib.check.forecast import n_cores, without_gpu_text
from workflow.lib.check.problems import Checks, problems
from workflow.lib.errors import InputError
from workflow.lib.layout import raw_folder
from workflow.lib.layouts.movie import annotation_files, movie_files, run_files
from workflow.lib.prediction import training_cost


def check_entry(name: str, config: Mapping, datasets: Mapping[str, Dataset]) -> list[str]:
    """Print what an entry would do, and return what it would stop at, a sentence each.

    Parameters
    ----------
    name : of the entry
    config : completed
    datasets : the registry
    """
    entry = config["emotions"][name]
    print(f"  {_models_text(entry)}")
    found = list(problems(_model_checks(entry, datasets, config["mirror"])))
    if entry["source"] == "simulated":
        print(f"  raw files are simulated: {_runs_text(entry)}")
        return found
    files, lacking = find_files(entry, movie_files(entry), "files", datasets, config)
    checks = _data_checks(name, entry, config, files) if files else ()
    return [*found, *lacking, *problems(checks)]


def _models_text(entry: Mapping) -> str:
    models, splits = entry["models"], entry["splits"]
    return (
        f"{len(entry['subjects'])} subjects, {len(entry['runs'])} runs of {entry['data']}, "
        f"{len(entry['annotations']['observers'])} observers; models {', '.join(models)} in up to "
        f"{len(splits['names'])} splits ({', '.join(splits['names'])}) of {splits['n_folds']} folds"
    )


def _runs_text(entry: Mapping) -> str:
    return f"{_n_volumes(entry):,} volumes of {entry['tr']:g} s of each subject"


def _n_volumes(entry: Mapping) -> int:
    """Return the number of volumes of a subject."""
    return sum(run["n_volumes"] for run in entry["runs"].values())


def _model_checks(entry: Mapping, datasets: Mapping[str, Dataset], mirror: str | None) -> Checks:
    """Yield a check of every network, and of its weights."""
    for model, block in entry["models"].items():
        if block["kind"] == "cnn":
            yield partial(_check_network, model, entry)
            weights = block["network"]["weights"]
            yield partial(find_own_weights, model, weights, model, datasets, mirror)


def _check_network(model: str, entry: Mapping) -> None:
    """Build a network, and say how large it is and what its training takes.

    The box around the brain is known of simulated volumes alone; others are taken to be as large as
    the published ones.
    """
    block, n_volumes = entry["models"][model], len(entry["subjects"]) * _n_volumes(entry)
    options, training = NetworkOptions(**block["network"]), block["training"]
    shape = GRID if entry["source"] == "simulated" else PUBLISHED_SHAPE
    n_classes, n_epochs = len(entry["labels"]["classes"]), training["n_epochs"]
    cost = training_cost(
        network_of(replace(options, weights=UNTRAINED), n_classes, shape, seed=0),
        shape,
        batch_size=training["batch"],
        # All volumes are the most that a fold can learn from.
        n_steps=n_epochs * (n_volumes // training["batch"]),
        n_evaluated=int(n_epochs * entry["splits"]["validation_share"] * n_volumes),
    )
    grid = " x ".join(map(str, shape))
    print(
        f"  {model}: {cost.n_parameters:,} parameters, {cost.operations / 1e9:.3g} GFLOP of each "
        f"volume of {grid} voxels, {size_text(cost.memory_bytes())} of memory"
    )
    if options.trains:
        print(
            f"    in every fold up to {n_epochs} epochs, at most {cost.n_steps:,} steps of "
            f"{cost.batch_size} volumes, {without_gpu_text(cost.seconds(n_cores()))}"
        )
    else:
        print("    not trained")


def _data_checks(name: str, entry: Mapping, config: Mapping, files: list[NeededFile]) -> Checks:
    """Yield checks of annotations, splits and time series, which are all here."""
    with folder_now(raw_folder(entry, config["run"]), files) as folder:
        yield partial(_check_labels, name, entry, folder, config["seed"])
        if entry["data"] == "parcels":
            yield partial(_check_parcels, entry, folder)
        else:
            for subject in entry["subjects"]:
                yield partial(_check_volumes, entry, folder, subject)


def _check_labels(name: str, entry: Mapping, folder: Path, seed: int) -> None:
    """Label the volumes as a run does, and deal them out in every split."""
    tables = label_volumes(
        {observer: folder / file for observer, file in annotation_files(entry).items()},
        runs=entry["runs"],
        tr=entry["tr"],
        labels=Choices(**entry["labels"]),
        seed=seed,
        study=name,
        vocabulary=entry["annotations"]["vocabulary"],
    )
    labels = Labels(tables.labels, tuple(entry["labels"]["classes"]))
    print(f"  {_labels_text(labels)}")
    for split in entry["splits"]["names"]:
        make_folds(
            labels,
            entry["subjects"],
            split,
            n_folds=entry["splits"]["n_folds"],
            validation_share=entry["splits"]["validation_share"],
            seed=seed,
            study=name,
        )
    _check_runs_of_classes(labels)


def _labels_text(labels: Labels) -> str:
    """Return how many volumes and episodes there are of each class."""
    rows = labels.table[labels.labelled & (labels.table["label"] != UNLABELLED)]
    counts = rows.groupby("label")["episode"].agg(["size", "nunique"])
    spread = ", ".join(
        f"{name} {counts.loc[name, 'size']} in {counts.loc[name, 'nunique']} episodes"
        for name in labels.classes
    )
    return f"{labels.labelled.sum():,} of {labels.n_rows:,} volumes labelled: {spread}"


def _check_runs_of_classes(labels: Labels) -> None:
    """Refuse classes whose distances cannot be cross-validated over runs."""
    shown = labels.table[labels.labelled].groupby("label")["run"].nunique()
    for name in labels.classes:
        if len(labels.runs) >= MIN_RUNS and shown[name] < MIN_RUNS:
            raise InputError(
                f"labels.classes: found {name} in {shown[name]} run, expected at least {MIN_RUNS} "
                "for RDMs that are cross-validated over runs; leave it out"
            )


def _check_parcels(entry: Mapping, folder: Path) -> None:
    files = [
        folder / file
        for subject in entry["subjects"]
        for file in run_files(entry, subject).values()
    ]
    print(f"  {len(common_parcels(files))} parcels that all subjects have")


def _check_volumes(entry: Mapping, folder: Path, subject: str) -> None:
    """Read the headers of a subject's runs, which have to agree with the config."""
    runs = open_runs(
        {run: folder / file for run, file in run_files(entry, subject).items()},
        tr=entry["tr"],
        n_volumes={run: block["n_volumes"] for run, block in entry["runs"].items()},
    )
    first = next(iter(runs.values()))
    print(f"  sub-{subject}: grid of {' x '.join(map(str, first.grid))} voxels")
