"""Compute the RDM over categories of every layer of a trained network.

snakemake --cores 2 results/demo/digits/features/rdms/model_vgg.h5
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from scripts.digits.codes.codes import kinds_of
from scripts.digits.codes.component_rdms import category_rdm
from scripts.digits.codes.model_names import NETWORK_MODEL
from scripts.digits.data.labelled_images import ImageSet, read_images
from scripts.digits.network.layer_features import layer_features
from scripts.digits.network.trained import Trained, read_trained
from workflow.lib.errors import InputError
from workflow.lib.features.devices import choose_device
from workflow.lib.features.grams import feature_gram
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import write_rdms


def layer_rdms(
    trained: Trained, images: ImageSet, *, variance: float, metric: str, device: torch.device
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield the RDM of every analysed layer over the network's categories, in their order.

    Parameters
    ----------
    trained : Trained
    images : ImageSet
        Several of each category.
    variance, metric : see `scripts.digits.codes.component_rdms.category_rdm`
    device : torch.device

    Yields
    ------
    labels : dict with layer
    rdm : float64 array (n_pairs,)

    Raises
    ------
    InputError
        A layer that cannot tell some category from no image at all.
    """
    codes = images.codes(trained.categories)
    for layer, gram in layer_grams(trained, images, device=device):
        try:
            rdm = category_rdm(gram, codes, variance=variance, metric=metric)
        except InputError as error:
            raise InputError(f"layer {layer}: {error}") from None
        yield {"layer": layer}, rdm


def layer_grams(
    trained: Trained, images: ImageSet, *, device: torch.device
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every analysed layer with the products between images, units standardised over them.

    Yields
    ------
    layer : str
    gram : float64 array (n_images, n_images)
    """
    with tempfile.TemporaryDirectory() as folder:
        layers = layer_features(trained, images, device=device, folder=Path(folder))
        for layer, blocks in layers.items():
            with blocks:
                gram = feature_gram(blocks, True, device=device)
            yield layer, gram


def check_categories(
    images: ImageSet, trained: Trained, categories: Sequence[str], what: str
) -> None:
    """Raise InputError unless network and images have just the categories of the config.

    Parameters
    ----------
    images, trained : what is checked
    categories : of the config, in order
    what : what errors call the images
    """
    if list(categories) != list(trained.categories):
        raise InputError(
            f"found a network of {len(trained.categories)} categories "
            f"({', '.join(trained.categories)}), expected {len(categories)} "
            f"({', '.join(categories)}); train it again"
        )
    missing = sorted(set(categories) - set(images.labels.tolist()))
    if missing:
        raise InputError(
            f"{what}: found no image of {', '.join(missing)}, expected some of all "
            f"{len(categories)} categories; give images or leave these out of `categories`"
        )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        kinds = kinds_of(params.categories)
        trained = read_trained(Path(snakemake.input.network))
        images = read_images(Path(snakemake.input.images))
        check_categories(images, trained, list(kinds), Path(snakemake.input.images).name)
        write_rdms(
            snakemake.output[0],
            layer_rdms(
                trained,
                images,
                variance=params.variance,
                metric=params.metric,
                device=choose_device(snakemake.resources.get("gpu", 0)),
            ),
            names=list(kinds),
            groups=list(kinds.values()),
            measure=params.metric,
            descriptors={
                "study": snakemake.wildcards.study,
                "model": NETWORK_MODEL,
                "images": params.part,
                "n_images": str(len(images)),
            },
        )
