"""Activations of the fifteen analysed layers to a set of images, on disk."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from scripts.digits.image_sets import ImageSet
from scripts.digits.trained import Trained, as_tensor
from scripts.digits.vgg import ANALYSED_LAYERS, node_of
from workflow.lib.features.extraction import extract_features
from workflow.lib.features.networks import layer_extractor
from workflow.lib.features.stimuli import Stimuli
from workflow.lib.features.unit_blocks import UnitBlocks

BATCH_SIZE = 32


def layer_features(
    trained: Trained, images: ImageSet, *, device: torch.device, folder: Path
) -> dict[str, UnitBlocks]:
    """Return every unit of every layer for all images.

    Parameters
    ----------
    trained : Trained
        The network, in evaluation mode, and the scaling of its images.
    images : ImageSet
        Of the network's size.
    device : torch.device
    folder : Path
        Of the temporary files; they take 4 bytes per image and unit.

    Returns
    -------
    dict, layer -> UnitBlocks (n_images, n_units), which the caller closes
    """

    def scaled(image: Image.Image) -> torch.Tensor:
        return trained.scaling(as_tensor(np.asarray(image)[np.newaxis]))[0]

    stimuli = Stimuli(
        # Of several images of one category an error must tell which.
        names=[f"{number} ({label})" for number, label in enumerate(images.labels)],
        read=lambda number: Image.fromarray(images.images[number]),
        positions=list(range(len(images))),
    )
    return extract_features(
        layer_extractor(trained.network, {layer: node_of(layer) for layer in ANALYSED_LAYERS}),
        scaled,
        stimuli,
        device=device,
        folder=folder,
        batch_size=BATCH_SIZE,
    )
