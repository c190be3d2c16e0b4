"""A 3D network of depthwise separable convolutions that tells emotions apart in a volume.

    python -m scripts.emotions.network.emotion_cnn   layers and parameters of the published size

A convolution, then blocks that halve the volume: each widens its channels by products within a
voxel, filters every channel by itself in space, and mixes them into the channels of the next. What
is left of space is averaged; a linear layer gives a logit per emotion. A mean over places keeps
what is there and not where, but for what the border tells; in a large volume, whose places see far,
that is enough. In a small one the linear layer can be given all places in place of their mean.

References
----------
The published network is that of kamiljkon/neuro120fp (2025). Separable blocks: Howard et al. 2017,
arXiv:1704.04861; widened between, linear at their end: Sandler et al. 2018, arXiv:1801.04381.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from workflow.lib.errors import InputError
from workflow.lib.features.initial import seeded_network
from workflow.lib.features.state_dicts import fit_state, read_state, renamed

# Channels of the first convolution, and of each block, in the published network.
PUBLISHED_WIDTHS = (32, 64, 128, 256, 256)
PUBLISHED_CLASSES = 5
# Voxels of the published volumes.
PUBLISHED_SHAPE = (80, 80, 35)
POOLED, LOGITS = "pooled", "logits"
# What parts of the published network are called in its file, and what they are called here.
STEM_NAMES = {"conv1": "stem.convolution", "bn1": "stem.norm", "fc": "head"}
BLOCK_NAMES = {
    "expand": "expand.convolution",
    "bn1": "expand.norm",
    "dwconv": "filter.convolution",
    "bn2": "filter.norm",
    "project": "project.convolution",
    "bn3": "project.norm",
}


def _convolution(inputs: int, outputs: int, size: int, *, active: bool = True, **options: int):
    """Return a convolution that keeps its place, normalised over the batch, perhaps rectified."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    # The normalisation takes off any constant.
    parts["convolution"] = nn.Conv3d(
        inputs, outputs, size, padding=size // 2, bias=False, **options
    )
    parts["norm"] = nn.BatchNorm3d(outputs)
    if active:
        parts["active"] = nn.ReLU6()
    return nn.Sequential(parts)


class SeparableBlock(nn.Module):
    """Widen, filter each channel in space with stride 2, and mix into other channels.

    Parameters
    ----------
    inputs, outputs : int
        Channels before and after.
    expansion : int
        How many times wider the block is inside.
    """

    def __init__(self, inputs: int, outputs: int, expansion: int):
        super().__init__()
        inside = inputs * expansion
        self.expand = _convolution(inputs, inside, 1)
        self.filter = _convolution(inside, inside, 3, stride=2, groups=inside)
        self.project = _convolution(inside, outputs, 1, active=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, outputs, x / 2, y / 2, z / 2), rounded up, of (n, inputs, x, y, z)."""
        x = self.expand(x)  # (n, inside, x, y, z)
        x = self.filter(x)  # (n, inside, x / 2, y / 2, z / 2)
        return self.project(x)  # (n, outputs, x / 2, y / 2, z / 2)


class EmotionCNN(nn.Module):
    """The network.

    Parameters
    ----------
    widths : sequence of int
        Channels of the first convolution, and of each block; as many blocks as there are more.
    n_classes : int
    expansion : int
        How many times wider a block is inside.
    dropout : float
        Probability with which an input of the linear layer is silent in training.
    shape : sequence of three int, optional
        Voxels of volumes, for a linear layer over all places that are left; over the means over
        places, as published, if not given.
    """

    def __init__(
        self,
        widths: Sequence[int] = PUBLISHED_WIDTHS,
        n_classes: int = PUBLISHED_CLASSES,
        *,
        expansion: int = 2,
        dropout: float = 0.3,
        shape: Sequence[int] | None = None,
    ):
        super().__init__()
        self.averages = shape is None
        # Each block halves, rounding up.
        places = [-(-side // 2 ** (len(widths) - 1)) for side in shape or ()]
        self.stem = _convolution(1, widths[0], 3)
        self.blocks = nn.ModuleList(
            SeparableBlock(inputs, outputs, expansion) for inputs, outputs in pairwise(widths)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(widths[-1] * math.prod(places), n_classes)

    def layer_outputs(self, volumes: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return what every layer gives, from early to late.

        Parameters
        ----------
        volumes : float tensor (n, x, y, z)

        Returns
        -------
        dict
            block1 and so on (n, width, x, y, z), "pooled" (n, width) of a network that averages,
            "logits" (n, n_classes).
        """
        outputs = {}
        x = self.stem(volumes.unsqueeze(1))  # (n, widths[0], x, y, z)
        for number, block in enumerate(self.blocks, 1):
            x = outputs[f"block{number}"] = block(x)  # (n, widths[i], x / 2^i, y / 2^i, z / 2^i)
        if self.averages:
            x = outputs[POOLED] = x.mean(dim=(2, 3, 4))  # (n, widths[-1])
        outputs[LOGITS] = self.head(self.dropout(x.flatten(1)))  # (n, n_classes)
        return outputs

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        """Return logits (n, n_classes) of volumes (n, x, y, z)."""
        return self.layer_outputs(volumes)[LOGITS]


def build_network(
    widths: Sequence[int],
    n_classes: int,
    *,
    seed: int,
    expansion: int = 2,
    dropout: float = 0.3,
    shape: Sequence[int] | None = None,
) -> EmotionCNN:
    """Return an untrained network; the global random state neither matters nor changes.

    Parameters
    ----------
    widths, n_classes, expansion, dropout, shape : see `EmotionCNN`
    seed : int
        Of the initial weights.

    Raises
    ------
    InputError
        No block.
    """
    if len(widths) < 2:
        raise InputError(
            f"network.widths: found {list(widths)}, expected the channels of the first convolution "
            "and of one block or more; add one"
        )
    build = partial(
        EmotionCNN, widths, n_classes, expansion=expansion, dropout=dropout, shape=shape
    )
    return seeded_network(build, seed)


def read_published_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Return the state of the published network's file (bestmodel.pth), under our names.

    Raises
    ------
    InputError
        A file that cannot be read, could run code, or is of another network.
    """
    path = Path(path)
    network = EmotionCNN()
    state = renamed(read_state(path), _name_here)
    fit_state(network, state, name="the published network", what=f"weights {path.name}")
    return network.state_dict()


def _name_here(key: str) -> str:
    """Return our name of an entry of the published file, such as "ds2.bn1.weight"."""
    part, _, rest = str(key).partition(".")
    if part.startswith("ds") and part[2:].isdigit():
        inside, _, value = rest.partition(".")
        return f"blocks.{int(part[2:]) - 1}.{BLOCK_NAMES.get(inside, inside)}.{value}"
    return f"{STEM_NAMES.get(part, part)}.{rest}"


def _print_layers() -> None:
    network = EmotionCNN()
    for name, module in (
        ("stem", network.stem),
        *((f"block{number}", block) for number, block in enumerate(network.blocks, 1)),
        ("head", network.head),
        ("all", network),
    ):
        print(f"{name}\t{sum(p.numel() for p in module.parameters()):,}")


if __name__ == "__main__":
    _print_layers()
