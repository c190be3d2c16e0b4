"""Show images to a trained network, and keep the products between them in every layer.

The images' own pixels come first, as the layer `pixels`.

snakemake --cores 2 results/demo/digits/embedding/grams.h5
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from scripts.digits.codes.model_names import NETWORK_MODEL
from scripts.digits.data.labelled_images import ImageSet, read_images
from scripts.digits.network.layer_features import layer_features
from scripts.digits.network.trained import Trained, read_trained
from workflow.lib.errors import InputError
from workflow.lib.features.devices import choose_device
from workflow.lib.features.grams import feature_gram, products_on
from workflow.lib.jobs import script_job
from workflow.lib.rdms.gram_store import gram_writer
from workflow.lib.tables import write_table

PIXELS = "pixels"


def extract_layer_grams(
    trained: Trained,
    images: ImageSet,
    write: Callable[[Mapping[str, str], np.ndarray], None],
    *,
    device: torch.device,
) -> None:
    """Write the products between images, less their mean, of the pixels and of every layer.

    Parameters
    ----------
    trained : Trained
    images : ImageSet
    write : callable
        Takes labels (layer) and a float64 array (n_images, n_images).
    device : torch.device
    """
    write({"layer": PIXELS}, pixel_gram(images))
    with tempfile.TemporaryDirectory() as folder:
        layers = layer_features(trained, images, device=device, folder=Path(folder))
        for layer, blocks in layers.items():
            with blocks:
                gram = feature_gram(blocks, False, centred_over="images", device=device)
            write({"layer": layer}, gram)


def pixel_gram(images: ImageSet) -> np.ndarray:
    """Return the products between images (0 to 1), less their mean, float64 (n, n)."""
    pixels = images.images.reshape(len(images), -1) / np.float32(255)
    pixels -= pixels.mean(axis=0, dtype=np.float64).astype(np.float32)
    return products_on(torch.device("cpu"))(pixels).astype(np.float64)


def items_of(images: ImageSet, categories: Sequence[str]) -> pd.DataFrame:
    """Return a row per image, name and group; names are the category and a number within it.

    Raises
    ------
    InputError
        No image at all, or a category that is not among these.
    """
    if not len(images):
        raise InputError("images: found none, expected some of each category; give more")
    images.codes(categories)
    labels = pd.Series(images.labels)
    numbers = labels.groupby(labels).cumcount() + 1
    return pd.DataFrame({"name": labels + " " + numbers.astype(str), "group": labels})


if __name__ == "__main__":
    with script_job(snakemake):
        trained = read_trained(Path(snakemake.input.network))
        images = read_images(Path(snakemake.input.images))
        items = items_of(images, trained.categories)
        with gram_writer(
            snakemake.output.grams, names=list(items["name"]), model=NETWORK_MODEL
        ) as write:
            extract_layer_grams(
                trained, images, write, device=choose_device(snakemake.resources.get("gpu", 0))
            )
        write_table(items, snakemake.output.groups)
