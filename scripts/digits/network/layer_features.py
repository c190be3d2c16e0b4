"""Activations of the fifteen analysed layers to a set of images, on disk."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from scripts.digits.data.labelled_images import ImageSet
from scripts.digits.network.trained import Trained, as_tensor
from scripts.digits.network.vgg import ANALYSED_LAYERS, VGG, node_of
from workflow.lib.features.extraction import extract_features
from workflow.lib.features.stimuli import Stimuli
from workflow.lib.features.unit_blocks import UnitBlocks

# All layers of a batch are held at once, and two batches: of the published size 54 MB an image.
BATCH_SIZE = 8


class LayerOutputs(nn.Module):
    """A network that returns what its analysed layers give.

    Layers are run by their own names. torchvision's graph of a network drops a number after an
    underscore and counts anew: there `relu1_1` is the second ReLU, not the first.
    """

    def __init__(self, network: VGG) -> None:
        super().__init__()
        self.network = network
        self.labels = {node_of(layer): layer for layer in ANALYSED_LAYERS}

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return layer -> output (n, channels, height, width) of images (n, 3, side, side)."""
        outputs, values = {}, images
        for name, module in self.network.layers.named_children():
            values = module(values)
            if f"layers.{name}" in self.labels:
                outputs[self.labels[f"layers.{name}"]] = values
        return outputs


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
        return trained.scaling(as_tensor(np.array(image)[np.newaxis]))[0]

    stimuli = Stimuli(
        # Of several images of one category an error must tell which.
        names=[f"{number} ({label})" for number, label in enumerate(images.labels)],
        read=lambda number: Image.fromarray(images.images[number]),
        positions=list(range(len(images))),
    )
    return extract_features(
        LayerOutputs(trained.network).eval(),
        scaled,
        stimuli,
        device=device,
        folder=folder,
        batch_size=BATCH_SIZE,
    )
