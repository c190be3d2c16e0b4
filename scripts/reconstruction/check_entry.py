"""What an entry of section `reconstruction` would do and stop at: part of `make check`."""

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from scripts.reconstruction.data.bdata_files import Session, write_bdata
from scripts.reconstruction.data.image_files import ImageFolder, named_ids
from scripts.reconstruction.data.image_table import check_n_images
from scripts.reconstruction.data.prepare_pictures import shown_names
from scripts.reconstruction.data.response_files import open_responses
from scripts.reconstruction.data.simulate_pictures import draw_brain
from scripts.reconstruction.decoders.penalties import inner_folds
from scripts.reconstruction.evaluation.tabulate_comparison import read_published
from scripts.reconstruction.network_costs import Size, decoder_costs, generator_cost
from workflow.lib.acquire.datasets import Dataset, size_text
from workflow.lib.check.files import (
    NeededFile,
    find_files,
    find_own_weights,
    folder_now,
)
from workflow.lib.check.forecast import duration_text, n_cores, without_gpu_text
from workflow.lib.check.problems import Checks, problems
from workflow.lib.config.reconstruction_models import (
    STREAMS,
    generators_of,
    network_blocks,
    vector_length,
)
from workflow.lib.errors import InputError
from workflow.lib.layout import raw_folder
from workflow.lib.layouts.pictures import (
    all_response_files,
    response_patterns,
    stimulus_patterns,
    stimulus_tables,
)
from workflow.lib.pairs.splits import make_folds
from workflow.lib.prediction import BYTES_OF_TORCH, SECONDS_PER_JOB, TrainingCost, network_cost
from workflow.lib.sources import TRAINING

# Of the published sessions, by which sizes are told while no file is here: training images, times
# that each was shown, and voxels of V1 to V3 or of higher visual cortex.
PUBLISHED = {"n_training": 1200, "repeats": 5, "n_voxels": 5000}
BATCH_SIZE = 32
# Kinds of decoders whose penalty is chosen by folds within those images that they learn from.
LINEAR = ("ridge", "logistic")
# Jobs that train no network, about: of each subject with generators, and of all subjects together.
JOBS_OF_GENERATORS, JOBS_OF_ALL = 5, 16


def check_entry(name: str, config: Mapping, datasets: Mapping[str, Dataset]) -> list[str]:
    """Print what an entry would do, and return what it would stop at, a sentence each.

    Parameters
    ----------
    name : of the entry
    config : completed
    datasets : the registry
    """
    entry = config["reconstruction"][name]
    print(f"  {_models_text(entry)}")
    if entry["source"] == "simulated":
        return list(problems(_simulated_checks(entry, datasets, config)))
    files, lacking = find_files(entry, all_response_files(entry), "responses", datasets, config)
    if files:
        return list(problems(_file_checks(entry, datasets, config, files)))
    print(
        f"  sizes are taken to be {PUBLISHED['n_training']:,} training images x "
        f"{PUBLISHED['repeats']} and {PUBLISHED['n_voxels']:,} voxels"
    )
    checks = _network_checks(entry, _published_size(entry), datasets, config)
    return [*problems(checks), *lacking]


def _models_text(entry: Mapping) -> str:
    """Return who is decoded by what."""
    parts = [
        f"subjects {', '.join(entry['subjects'])}",
        f"ROIs {', '.join(entry['responses']['rois'])}",
    ]
    named = {stream: list(entry[stream]) for stream in STREAMS.values()}
    named["generators and baselines"] = generators_of(entry)
    parts += [f"{what} {', '.join(names)}" for what, names in named.items() if names]
    return f"images of {entry['image']['size']} pixels; {'; '.join(parts)}"


def _simulated_checks(entry: Mapping, datasets: Mapping[str, Dataset], config: Mapping) -> Checks:
    """Yield checks of what is simulated: its ROIs are those of every simulated subject."""
    simulation = entry["simulation"]
    n_tests = len(entry["responses"]["tests"])
    print(
        f"  raw files are simulated: {simulation['n_training']:,} training images x "
        f"{simulation['training_repeats']}, {n_tests} x {simulation['n_test']:,} test images x "
        f"{simulation['test_repeats']}"
    )
    with tempfile.TemporaryDirectory() as folder:
        # Errors name the file that a run will simulate.
        file = response_patterns(entry)[TRAINING].format(subject=entry["subjects"][0])
        path = Path(folder, Path(file).name)
        brain = draw_brain(np.random.default_rng(0))
        one = np.ones(1, int)
        trial = Session(np.zeros((1, brain.areas.size)), one, one, one, one, np.zeros((1, 6)))
        write_bdata(path, trial, brain.rois(), variant=simulation["variant"])
        masks = open_responses(path, TRAINING, entry["responses"]).masks(entry["responses"]["rois"])
    n_training = simulation["n_training"]
    size = _size(entry, masks, n_training, n_training * simulation["training_repeats"])
    yield partial(_check_identification, entry, simulation["n_test"])
    yield from _size_checks(entry, size, datasets, config)


def _file_checks(
    entry: Mapping,
    datasets: Mapping[str, Dataset],
    config: Mapping,
    files: Sequence[NeededFile],
) -> Checks:
    """Yield checks of responses and images, which are all here."""
    folder = raw_folder(entry, config["run"])
    with folder_now(folder, files) as place:
        paths = {
            part: {
                subject: place / pattern.format(subject=subject) for subject in entry["subjects"]
            }
            for part, pattern in response_patterns(entry).items()
        }
        names = shown_names(paths, entry["responses"])
        for part, of_part in names.items():
            print(f"  {part}: {len(of_part):,} images")
            yield partial(check_n_images, part, len(of_part))
        yield partial(_check_images, entry, names, _image_folder(entry, folder))
        yield partial(_check_identification, entry, min(map(len, names.values())))
        sizes = [_subject_size(entry, paths, names, subject) for subject in entry["subjects"]]
    yield from _size_checks(entry, max(sizes, key=lambda size: size.n_trials), datasets, config)


def _image_folder(entry: Mapping, folder: str) -> Path:
    """Return the folder of the image files, that of the raw files unless another is given."""
    return Path(entry.get("stimuli", {}).get("path") or folder)


def _check_images(entry: Mapping, names: Mapping[str, Sequence[str]], folder: Path) -> None:
    """Find the file of every image."""
    tables = stimulus_tables(entry)
    for part, pattern in stimulus_patterns(entry).items():
        known = {}
        if part in tables:
            table = tables[part]
            known = named_ids(
                folder / table["file"], id_column=table["id"], name_column=table["name"]
            )
        ImageFolder(folder, pattern, known).find_all(names[part])
        print(f"  found    the {len(names[part]):,} images of {part} in {folder}")


def _subject_size(
    entry: Mapping,
    paths: Mapping[str, Mapping[str, Path]],
    names: Mapping[str, Sequence[str]],
    subject: str,
) -> Size:
    """Return what there is of a subject, and see that files of all parts have the same voxels."""
    options = entry["responses"]
    opened = {part: open_responses(paths[part][subject], part, options) for part in paths}
    masks = {part: file.masks(options["rois"]) for part, file in opened.items()}
    counts = {roi: int(mask.sum()) for roi, mask in masks[TRAINING].items()}
    print(f"  sub-{subject}: " + ", ".join(f"{roi} {n:,}" for roi, n in counts.items()) + " voxels")
    for part, of_part in masks.items():
        for roi, mask in of_part.items():
            if mask.sum() != counts[roi]:
                raise InputError(
                    f"{paths[part][subject].name}, {roi}: found {mask.sum():,} voxels, expected "
                    f"the {counts[roi]:,} of {paths[TRAINING][subject].name}; give files of the "
                    "same subject and mask"
                )
    n_trials = sum(name is not None for name in opened[TRAINING].names())
    return _size(entry, masks[TRAINING], len(names[TRAINING]), n_trials)


def _size(entry: Mapping, masks: Mapping[str, np.ndarray], n_training: int, n_trials: int) -> Size:
    """Return how much decoders learn from; each sees the voxels of any of its ROIs."""
    n_voxels = {
        (stream, name): int(np.any([masks[roi] for roi in block["rois"]], axis=0).sum())
        for stream in STREAMS.values()
        for name, block in entry[stream].items()
    }
    return Size(n_training, n_trials, n_voxels)


def _published_size(entry: Mapping) -> Size:
    decoders = [(stream, name) for stream in STREAMS.values() for name in entry[stream]]
    n_training = PUBLISHED["n_training"]
    n_voxels = dict.fromkeys(decoders, PUBLISHED["n_voxels"])
    return Size(n_training, n_training * PUBLISHED["repeats"], n_voxels)


def _size_checks(
    entry: Mapping, size: Size, datasets: Mapping[str, Dataset], config: Mapping
) -> Checks:
    """Yield checks of what a number of training images allows, and of networks."""
    yield partial(_check_folds, entry, size)
    if entry["semantics"]:
        yield partial(_check_clusters, entry["clusters"], size)
    yield from _network_checks(entry, size, datasets, config)


def _check_folds(entry: Mapping, size: Size) -> None:
    """Deal the training images out, within folds as well, as if none were a copy of another."""
    folds = make_folds(
        size.n_training,
        n_folds=entry["folds"]["n_folds"],
        validation_share=entry["folds"]["validation_share"],
        rng=np.random.default_rng(0),
        leaked=None,
        min_test_images=1,
    )
    fewest = min(fold.trained.size + fold.validated.size for fold in folds)
    for stream in STREAMS.values():
        for block in entry[stream].values():
            if block["kind"] in LINEAR:
                inner_folds(np.arange(fewest), block[block["kind"]]["n_inner_folds"], seed=0)


def _check_identification(entry: Mapping, n_images: int) -> None:
    """Refuse sets of more images than a part has, as if none were a copy of another."""
    most = max(entry["evaluation"]["n_way"])
    if (entry["shapes"] or entry["generators"]) and most > n_images:
        raise InputError(
            f"evaluation.n_way: found {most} of {n_images} images of a test, expected no more than "
            "there are; lower it"
        )


def _check_clusters(block: Mapping, size: Size) -> None:
    most = max(block["n_clusters"], *block["candidates"], 0)
    if most >= size.n_training:
        raise InputError(
            f"clusters: found {most} clusters of {size.n_training} training images, expected fewer "
            "than images; lower `n_clusters` and `candidates`"
        )


def _network_checks(
    entry: Mapping, size: Size, datasets: Mapping[str, Dataset], config: Mapping
) -> Checks:
    """Yield checks of every network, what it takes, and of the numbers it is set beside."""
    seconds, memory = [], [BYTES_OF_TORCH]
    for block in network_blocks(entry):
        yield partial(_check_network, block, size, datasets, config["mirror"], memory)
    n_subjects, n_fits = len(entry["subjects"]), entry["folds"]["n_folds"] + 1
    for stream, name, cost in decoder_costs(entry, size):
        print(f"  {stream}, {name}: {cost.n_parameters:,} parameters, {_training_text(cost)}")
        what = f"{n_fits} fits for each subject"
        seconds.append(_print_time(cost, what, n_subjects * n_fits, n_subjects))
        memory.append(cost.memory_bytes())
    if entry["generators"]:
        yield partial(_check_generator, entry, size, seconds, memory)
    if entry["published"]:
        yield partial(read_published, Path(entry["published"]))
    yield partial(_print_total, entry, seconds, memory)


def _check_network(
    block: Mapping,
    size: Size,
    datasets: Mapping[str, Dataset],
    mirror: str | None,
    memory: list[float],
) -> None:
    """Build a network that is shown images, find its layers, and say where its weights lie.

    What memory it takes is added to `memory`.
    """
    if block.get("kind") == "clip":
        label = f"CLIP {block['network']}"
        find_own_weights(block["network"], block["weights"], label, datasets, mirror)
        return
    layers = block.get("layers") or [block["layer"]]
    model = {
        "network": block["network"],
        "weights": block["weights"],
        "layers": {"names": {layer: layer for layer in layers}},
        "batch_size": BATCH_SIZE,
        "seeds": 1,
    }
    cost = network_cost(model, size.n_training)
    memory.append(cost.memory_bytes())
    print(
        f"  {block['network']}, {', '.join(layers)}: {cost.n_parameters:,} parameters, "
        f"{cost.operations / 1e9:.3g} GFLOP per image, {size_text(cost.memory_bytes())} of memory"
    )
    find_own_weights(block["network"], block["weights"], block["network"], datasets, mirror)


def _check_generator(entry: Mapping, size: Size, seconds: list[float], memory: list[float]) -> None:
    """Build the U-Net and the discriminator, say what their training takes, and add it to these."""
    cost = generator_cost(entry, size)
    print(
        f"  generator: U-Net of {cost.n_drawing:,} parameters, discriminator of "
        f"{cost.n_judging:,}, {_training_text(cost.training)}"
    )
    _print_lengths(entry)
    n_generators, n_subjects = len(entry["generators"]), len(entry["subjects"])
    n = n_generators * n_subjects
    what = f"{n_generators} generators for each subject"
    seconds.append(_print_time(cost.training, what, n, n))
    memory.append(cost.training.memory_bytes())


def _print_lengths(entry: Mapping) -> None:
    """Tell of generators whose vector has another length than the reference's."""
    told = {
        name: vector_length(entry, block["semantics"]) if block["semantics"] else 0
        for name, block in entry["generators"].items()
    }
    reference = entry["evaluation"]["reference"]
    for name, length in told.items():
        # Without a vector, the network is the reference's with zero in place of it.
        if length not in (0, told[reference]):
            print(
                f"    {name} is told a vector of {length:,} numbers, the reference {reference} one "
                f"of {told[reference]:,}: their networks differ by more than what they are told"
            )


def _training_text(cost: TrainingCost) -> str:
    return (
        f"at most {cost.n_steps:,} steps of {cost.batch_size}, "
        f"{size_text(cost.memory_bytes())} of memory"
    )


def _print_time(cost: TrainingCost, what: str, n_trained: int, n_jobs: int) -> float:
    """Print what the training of several networks takes, and return its seconds."""
    training = cost.seconds(n_cores()) - SECONDS_PER_JOB
    seconds = n_trained * training + n_jobs * SECONDS_PER_JOB
    print(f"    {what}, {without_gpu_text(seconds)}")
    return seconds


def _print_total(entry: Mapping, seconds: Sequence[float], memory: Sequence[float]) -> None:
    """Print what a study takes in all: its networks, and jobs that are mostly started and ended."""
    linear = [
        name
        for stream in STREAMS.values()
        for name, block in entry[stream].items()
        if block["kind"] != "network"
    ]
    of_subject = 1 + len(linear) + JOBS_OF_GENERATORS * bool(entry["generators"])
    n_jobs = JOBS_OF_ALL + len(entry["subjects"]) * of_subject
    total = sum(seconds) + n_jobs * SECONDS_PER_JOB / n_cores()
    print(
        f"  predicted: about {duration_text(total)} on {n_cores()} cores without a GPU, "
        f"{size_text(max(memory))} of memory per job"
    )
