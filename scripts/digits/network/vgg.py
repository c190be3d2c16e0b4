"""VGG-16 as a fully convolutional classifier, and small networks of the same layers.

    python -m scripts.digits.network.vgg        layers and parameters of the published size

Thirteen 3 x 3 convolutions in five blocks, then two convolutions in place of fully connected
layers: fc6 over what is left of the image, fc8 of size 1 with a unit per class. The fifteen
analysed layers are the rectified convolutions, rectified fc6, and fc8 as it is (logits).

References
----------
Simonyan & Zisserman 2015, arXiv:1409.1556; fully convolutional head as in Lee, Jung, Lustig, Lee
2023, Hum Brain Mapp, doi:10.1002/hbm.26189.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from workflow.lib.errors import InputError
from workflow.lib.features.initial import seeded_network

# Convolutions of each block; a block ends with max pooling.
DEPTHS = (2, 2, 3, 3, 3)
CONVOLUTIONS = tuple(
    f"conv{block}_{i}" for block, depth in enumerate(DEPTHS, 1) for i in range(1, depth + 1)
)
ANALYSED_LAYERS = (*CONVOLUTIONS, "fc6", "fc8")


@dataclass(frozen=True)
class Size:
    """How wide a network of this kind is.

    Attributes
    ----------
    image : int
        Height and width of the images in pixels; a multiple of 32.
    widths : tuple of five ints
        Channels of each block's convolutions.
    hidden : int
        Channels of fc6.
    """

    image: int
    widths: tuple[int, ...]
    hidden: int


# The published size, of which there are trained weights, under torchvision's name for it.
PRETRAINED = "vgg16"
SIZES = {
    PRETRAINED: Size(image=224, widths=(64, 128, 256, 512, 512), hidden=1024),
    # Trains within a minute on two cores.
    "vgg_small": Size(image=32, widths=(16, 24, 32, 48, 64), hidden=128),
}


class VGG(nn.Module):
    """A network whose layers are its attributes: `network.conv3_1` and so on, before the ReLU.

    Rectified layers are `network.relu3_1`, `network.relu6`; see `node_of`.
    """

    def __init__(self, size: Size, n_classes: int, dropout: float = 0.5):
        super().__init__()
        self.size = size
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = 3
        for block, (depth, width) in enumerate(zip(DEPTHS, size.widths, strict=True), 1):
            for i in range(1, depth + 1):
                layers[f"conv{block}_{i}"] = nn.Conv2d(channels, width, 3, padding=1)
                layers[f"relu{block}_{i}"] = nn.ReLU()
                channels = width
            layers[f"pool{block}"] = nn.MaxPool2d(2)
        # The image has been halved five times.
        layers["fc6"] = nn.Conv2d(channels, size.hidden, size.image // 32)
        layers["relu6"] = nn.ReLU()
        layers["dropout6"] = nn.Dropout(dropout)
        layers["fc8"] = nn.Conv2d(size.hidden, n_classes, 1)
        self.layers = nn.Sequential(layers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (n, n_classes) of images (n, 3, height, width), averaged over places."""
        return self.layers(images).mean(dim=(2, 3))


def node_of(layer: str) -> str:
    """Return the name of the module that gives an analysed layer, such as "layers.relu3_1"."""
    if layer not in ANALYSED_LAYERS:
        raise InputError(f"found the layer {layer!r}, expected one of {', '.join(ANALYSED_LAYERS)}")
    if layer == "fc8":
        return "layers.fc8"
    return f"layers.relu{layer.removeprefix('conv').removeprefix('fc')}"


def build_vgg(name: str, n_classes: int, *, seed: int, dropout: float = 0.5) -> VGG:
    """Return an untrained network.

    Parameters
    ----------
    name : a key of `SIZES`
    n_classes : int
    seed : int
        Of the initial weights; the global random state neither matters nor changes.
    dropout : float
        Probability with which a unit of fc6 is silent in training.

    Notes
    -----
    Convolutions are initialised for rectified units (He et al. 2015, arXiv:1502.01852), without
    which thirteen of them in a row pass on next to nothing; biases are zero.
    """
    if name not in SIZES:
        raise InputError(f"found the network {name!r}, expected one of {', '.join(SIZES)}")
    return seeded_network(partial(_initial, SIZES[name], n_classes, dropout), seed)


def _initial(size: Size, n_classes: int, dropout: float) -> VGG:
    """Return a network with random weights."""
    network = VGG(size, n_classes, dropout)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
    return network


def load_convolutions(network: VGG, state: Mapping[str, torch.Tensor], what: str) -> None:
    """Take the thirteen convolutions from a state dict of torchvision's VGG-16.

    Parameters
    ----------
    network : VGG of the published widths
    state : mapping with torchvision's keys, features.0.weight and so on
    what : what errors call the weights

    Raises
    ------
    InputError
        A convolution is missing, or has another shape.
    """
    numbers = torchvision_numbers(DEPTHS)
    for name, number in zip(CONVOLUTIONS, numbers, strict=True):
        module = network.layers.get_submodule(name)
        for part in ("weight", "bias"):
            key, own = f"features.{number}.{part}", getattr(module, part)
            found = state.get(key)
            if found is None or found.shape != own.shape:
                shape = "nothing" if found is None else f"shape {tuple(found.shape)}"
                raise InputError(
                    f"{what}: found {shape} under {key}, expected {tuple(own.shape)}, the weights "
                    "of torchvision's vgg16; give those, or `untrained`"
                )
            with torch.no_grad():
                own.copy_(found)


def torchvision_numbers(depths: Sequence[int]) -> list[int]:
    """Return the numbers of the convolutions in torchvision's `features`, among ReLUs and pools."""
    numbers, number = [], 0
    for depth in depths:
        for _ in range(depth):
            numbers.append(number)
            number += 2
        number += 1
    return numbers


def _print_layers() -> None:
    network = VGG(SIZES[PRETRAINED], n_classes=16)
    for layer in ANALYSED_LAYERS:
        module = network.layers.get_submodule(layer)
        print(f"{layer}\t{sum(p.numel() for p in module.parameters()):,}")


if __name__ == "__main__":
    _print_layers()
