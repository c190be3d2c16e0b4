"""What an entry of section `digits` would do, and what it would stop at: part of `make check`."""

import contextlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from scripts.digits.codes.code_contrasts import contrast_vectors
from scripts.digits.codes.codes import code_rdms
from scripts.digits.data.labelled_images import ImageSet
from scripts.digits.data.prepare_images import prepare_images
from scripts.digits.network.classification import Classification, ClassifierOptions
from scripts.digits.network.trained import IMAGENET_MEAN, IMAGENET_STD, Scaling
from scripts.digits.network.vgg import PRETRAINED, SIZES, VGG, load_convolutions
from workflow.lib.acquire.datasets import Dataset, size_text
from workflow.lib.check.files import (
    NeededFile,
    are_readable,
    find_own_weights,
    folder_now,
    missing_sentence,
    needed_file,
    print_files,
)
from workflow.lib.check.forecast import n_cores, without_gpu_text
from workflow.lib.config.digits import all_categories
from workflow.lib.features.networks import load_network
from workflow.lib.layout import raw_folder
from workflow.lib.layouts.digits import collection_files, image_collections
from workflow.lib.prediction import TrainingCost, training_cost

PARTS = ("train", "validation", "stimuli")


def check_entry(name: str, config: Mapping, datasets: Mapping[str, Dataset]) -> list[str]:
    """Print what an entry would do, and return what it would stop at, a sentence each.

    Parameters
    ----------
    name : of the entry
    config : completed
    datasets : the registry

    Raises
    ------
    InputError
        Whatever a run would stop at, too: the first of it.
    """
    entry = config["digits"][name]
    print(f"  {_images_text(entry)}")
    _check_codes(entry)
    _check_weights(entry, datasets, config["mirror"])
    files = _needed_files(entry, datasets, config)
    missing = print_files((file for _, those in files for file in those), entry["source"])
    if missing or not _can_be_read(files):
        sets = {part: _blank_images(entry, part) for part in PARTS}
    else:
        sets = _prepared(name, config, files)
    _print_training(entry, sets)
    if missing and entry["source"] != "download":
        lacking = next(where for where, those in files if any(not file.place for file in those))
        return [missing_sentence(missing, lacking, "images.files")]
    return []


def _check_codes(entry: Mapping) -> None:
    """Compute every code, and see that contrasts of them do not explain one another."""
    if entry["codes"]:
        codes = code_rdms(entry["codes"], entry["categories"], entry["groups"])
        contrast_vectors(codes, entry["contrasts"])


def _needed_files(
    entry: Mapping, datasets: Mapping[str, Dataset], config: Mapping
) -> list[tuple[Mapping, list[NeededFile]]]:
    """Return every collection of images with its files."""
    return [
        (
            collection,
            [
                needed_file(collection, file, datasets, config)
                for file in collection_files(collection, datasets, config["run"])
            ],
        )
        for collection in image_collections(entry)
    ]


def _can_be_read(files: Sequence[tuple[Mapping, Sequence[NeededFile]]]) -> bool:
    """Return whether there are images to read, all of them here, and say so if not."""
    if not files:
        print("  images are drawn; there are no files to read")
    return bool(files) and are_readable([file for _, those in files for file in those])


def _images_text(entry: Mapping) -> str:
    """Return how many images there are of each part and category."""
    images, n_categories = entry["images"], len(all_categories(entry))
    kinds = ", ".join(f"{len(those)} {kind}" for kind, those in entry["categories"].items())
    parts = " + ".join(f"{images[part]:,} {part}" for part in PARTS)
    n_images = n_categories * sum(images[part] for part in PARTS)
    stimuli = "" if images["stimuli"] else "; RDMs of layers are those of validation images"
    return (
        f"images of {images['side']} x {images['side']} pixels: {parts} of each of {n_categories} "
        f"categories ({kinds}), {n_images:,} in all{stimuli}"
    )


def _check_weights(entry: Mapping, datasets: Mapping[str, Dataset], mirror: str | None) -> None:
    """Fit the weights that training starts from into the network, or others of their shapes."""
    size, weights = entry["network"]["size"], entry["network"]["weights"]
    path = find_own_weights(PRETRAINED, weights, size, datasets, mirror)
    if weights != "untrained":
        pretrained, _ = load_network(PRETRAINED, path or "untrained")
        network = VGG(SIZES[size], len(all_categories(entry)))
        load_convolutions(network, pretrained.state_dict(), f"weights {weights}")


def _prepared(
    name: str, config: Mapping, files: Sequence[tuple[Mapping, Sequence[NeededFile]]]
) -> dict[str, ImageSet]:
    """Return the images of every part, read as a run reads them."""
    entry = config["digits"][name]
    with contextlib.ExitStack() as stack:
        collections = []
        for collection, those in files:
            folder = folder_now(raw_folder(collection, config["run"]), those)
            collections.append({**collection, "folder": stack.enter_context(folder)})
        return prepare_images(
            collections,
            all_categories(entry),
            {part: entry["images"][part] for part in PARTS},
            side=entry["images"]["side"],
            seed=config["seed"],
            study=name,
        )


def _blank_images(entry: Mapping, part: str) -> ImageSet:
    """Return as many images of each category as a part has, black, in no memory."""
    side, labels = entry["images"]["side"], np.repeat(all_categories(entry), entry["images"][part])
    return ImageSet(np.broadcast_to(np.uint8(0), (len(labels), side, side, 3)), labels)


def _print_training(entry: Mapping, sets: Mapping[str, ImageSet]) -> None:
    """Print how many steps training takes and about how long.

    Raises
    ------
    InputError
        Images or batches that the network cannot be trained on.
    """
    settings = ClassifierOptions(**entry["network"], categories=entry["categories"])
    cost = _training_cost(settings, sets["train"], sets["validation"])
    n_bytes = cost.memory_bytes() + sum(images.images.nbytes for images in sets.values())
    batch = " + ".join(f"{size} {kind}" for kind, size in settings.batch_sizes.items())
    n_epochs = settings.n_epochs
    print(
        f"  training of {settings.size}: {cost.operations / 1e9:.3g} GFLOP per image, "
        f"{cost.n_parameters:,} parameters, {cost.n_steps:,} steps ({n_epochs} epochs x "
        f"{cost.n_steps // n_epochs:,}) of {cost.batch_size} images ({batch}), "
        f"{without_gpu_text(cost.seconds(n_cores()))}, {size_text(n_bytes)} of memory"
    )


def _training_cost(
    settings: ClassifierOptions, training: ImageSet, validation: ImageSet
) -> TrainingCost:
    network = VGG(SIZES[settings.size], len(settings.classes), settings.dropout)
    # What refuses images and batches in a run does so here.
    task = Classification(
        network,
        training,
        validation,
        settings,
        scaling=Scaling(IMAGENET_MEAN, IMAGENET_STD),
        device=torch.device("cpu"),
        seed=0,
    )
    return training_cost(
        network,
        (3, network.size.image, network.size.image),
        batch_size=sum(settings.batch_sizes.values()),
        n_steps=settings.n_epochs * task.n_steps(0),
        # After every epoch, and as many training images beside them.
        n_evaluated=2 * settings.n_epochs * len(validation),
    )
