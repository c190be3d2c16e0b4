"""What an entry of section `digits` would do, and what it would stop at: part of `make check`."""

import contextlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from scripts.digits.classification import Classification, Settings
from scripts.digits.image_sets import ImageSet
from scripts.digits.prepare_images import prepare_images
from scripts.digits.trained import IMAGENET_MEAN, IMAGENET_STD, Scaling
from scripts.digits.vgg import SIZES, VGG, load_convolutions
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
from workflow.lib.check.forecast import duration_text, n_cores
from workflow.lib.config.digits import all_categories
from workflow.lib.features.networks import load_network
from workflow.lib.layout import collection_files, image_collections, raw_folder
from workflow.lib.prediction import OPERATIONS_PER_SECOND, training_cost

PARTS = ("train", "validation", "stimuli")


def check_digits_entry(name: str, config: Mapping, datasets: Mapping[str, Dataset]) -> list[str]:
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
    _check_weights(entry, datasets, config["mirror"])
    collections = image_collections(entry)
    files = [
        [
            needed_file(collection, file, datasets, config)
            for file in collection_files(collection, datasets, config["run"])
        ]
        for collection in collections
    ]
    together = [file for those in files for file in those]
    missing = print_files(together, entry["source"])
    if collections and not missing and are_readable(together):
        sets = _prepared(name, config, collections, files)
    else:
        if not collections:
            print("  images are drawn; there are no files to read")
        sets = {part: _blank_images(entry, part) for part in PARTS}
    _print_training(entry, sets)
    if missing and entry["source"] != "download":
        return [missing_sentence(missing, entry, "images.files")]
    return []


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
    path = find_own_weights("vgg16", weights, size, datasets, mirror)
    if weights != "untrained":
        pretrained, _ = load_network("vgg16", path or "untrained")
        network = VGG(SIZES[size], len(all_categories(entry)))
        load_convolutions(network, pretrained.state_dict(), f"weights {weights}")


def _prepared(
    name: str,
    config: Mapping,
    collections: Sequence[Mapping],
    files: Sequence[Sequence[NeededFile]],
) -> dict[str, ImageSet]:
    """Return the images of every part, read as a run reads them."""
    entry = config["digits"][name]
    with contextlib.ExitStack() as stack:
        placed = [
            {
                **collection,
                "folder": stack.enter_context(
                    folder_now(raw_folder(collection, config["run"]), those)
                ),
            }
            for collection, those in zip(collections, files, strict=True)
        ]
        return prepare_images(
            placed,
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
    settings = Settings(**entry["network"], categories=entry["categories"])
    network = VGG(SIZES[settings.size], len(settings.classes), settings.dropout)
    task = Classification(
        network,
        sets["train"],
        sets["validation"],
        settings,
        scaling=Scaling(IMAGENET_MEAN, IMAGENET_STD),
        device=torch.device("cpu"),
        seed=0,
    )
    sizes, n_steps = settings.batch_sizes, task.n_steps(0)
    cost = training_cost(
        network,
        (3, network.size.image, network.size.image),
        batch_size=sum(sizes.values()),
        n_steps=settings.n_epochs * n_steps,
        # After every epoch, and as many training images beside them.
        n_evaluated=2 * settings.n_epochs * len(sets["validation"]),
    )
    n_bytes = cost.memory_bytes() + sum(images.images.nbytes for images in sets.values())
    batch = " + ".join(f"{size} {kind}" for kind, size in sizes.items())
    cores = n_cores()
    print(
        f"  training of {settings.size}: {cost.operations / 1e9:.3g} GFLOP per image, "
        f"{cost.n_parameters:,} parameters, {cost.n_steps:,} steps ({settings.n_epochs} epochs x "
        f"{n_steps:,}) of {cost.batch_size} images ({batch}), about "
        f"{duration_text(cost.seconds(cores))} without a GPU (at "
        f"{OPERATIONS_PER_SECOND / 1e9:.0f} GFLOP/s per core), {size_text(n_bytes)} of memory"
    )
