"""A U-Net that draws a colour image from a shape, and from a vector that tells what is in it.

    python -m scripts.reconstruction.generator.unet        layers and parameters, published size

Convolutions halve the map until little or nothing is left of space; there the vector joins, the
same at every place; transposed convolutions double the map again, each of them seeing as well what
was there when the map last had its size. A shape finds its place through these bridges; what the
vector tells has to come up from the bottom.

References
----------
Isola et al. 2017, arXiv:1611.07004 (pix2pix), of which Fang, Qi & Pan 2020, arXiv:2101.12083, join
the vector at the bottleneck. Norm over the places of one image: Ulyanov et al. 2016,
arXiv:1607.08022. Initial weights: He et al. 2015, arXiv:1502.01852.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from workflow.lib.errors import InputError
from workflow.lib.features.initial import seeded_network

PUBLISHED_SIZE = 256
PUBLISHED_WIDTHS = (64, 128, 256, 512, 512, 512, 512, 512)
PUBLISHED_VECTOR = 1024
# Values drop out where the map has a sixteenth of the image's side or less, on the way down as on
# the way up: down4 to down8 and up1 to up4 in the code of Fang, Qi & Pan 2020 (model/models.py of
# their repository Reconstructing-Perceptive-Images-from-Brain-Activity-by-Shape-Semantic-GAN, by
# duolala1). Isola et al. 2017 drop out on the way up alone.
DROPPED_OUT = 16
N_COLOURS = 3
LEAK = 0.2


STRIDED = {"kernel_size": 4, "stride": 2, "padding": 1}


# Weights are drawn once all layers are there: until then they are whatever memory held.
def _halving(inputs: int, outputs: int) -> nn.Conv2d:
    return skip_init(nn.Conv2d, inputs, outputs, bias=False, **STRIDED)


def _doubling(inputs: int, outputs: int, *, bias: bool = False) -> nn.ConvTranspose2d:
    return skip_init(nn.ConvTranspose2d, inputs, outputs, bias=bias, **STRIDED)


class Join(nn.Module):
    """The first doubling, where the vector joins the map.

    It has no norm: one over places would take off what is the same at all of them, which is all
    that the vector says. The convolution of a map with the vector as more channels is the sum of
    one of the map and one of the vector, whose weights are kept apart. Values drop out with a
    probability of `dropout` in training.
    """

    def __init__(self, inputs: int, n_vector: int, outputs: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.map = _doubling(inputs, outputs)
        self.vector = _doubling(n_vector, outputs) if n_vector else None

    def forward(self, x: torch.Tensor, vectors: torch.Tensor | None) -> torch.Tensor:
        """Return (n, outputs, 2 * side, 2 * side) of a map (n, inputs, side, side)."""
        doubled = self.map(x)
        if self.vector is not None:
            everywhere = vectors[:, :, None, None].expand(-1, -1, *x.shape[2:])
            doubled = doubled + self.vector(everywhere)
        return functional.dropout(torch.relu(doubled), self.dropout, self.training)


class UNet(nn.Module):
    """The network.

    Parameters
    ----------
    size : int
        Pixels of a side of the image.
    widths : sequence of int
        Channels after each halving, see `published_widths`.
    n_vector : int
        Numbers of the vector; 0 for a network that gets none. That is the same network as one of
        any other number whose vector is always zero: the weights of the vector are drawn after all
        others, and add nothing.
    dropout : float
        Probability with which a value is silent in training, where the map is small: 0.5 as
        published.

    Raises
    ------
    InputError
        A size that 4 does not divide; fewer than two halvings, or more than the size has without a
        remainder.
    """

    def __init__(self, size: int, widths: Sequence[int], n_vector: int, *, dropout: float = 0.5):
        super().__init__()
        _check_widths(size, widths)
        self.size, self.widths, self.n_vector = size, tuple(widths), n_vector

        def dropped_out(level: int) -> float:
            return dropout if size >> level <= size // DROPPED_OUT else 0.0

        def block(convolution: nn.Module, level: int, activation: nn.Module) -> nn.Sequential:
            side, outputs = size >> level, convolution.out_channels
            # The first layer keeps the contrast; over a single place a norm leaves nothing.
            normed = side > 1 and convolution.in_channels > 1
            norm = [nn.InstanceNorm2d(outputs)] if normed else []
            dropped = [nn.Dropout(dropped_out(level))] if dropped_out(level) else []
            return nn.Sequential(convolution, *norm, activation, *dropped)

        # At a level the map has size / 2^level a side, and widths[level - 1] channels.
        self.down = nn.ModuleList(
            block(_halving(inputs, outputs), level, nn.LeakyReLU(LEAK))
            for level, (inputs, outputs) in enumerate(pairwise((1, *widths)), 1)
        )
        self.join = Join(widths[-1], n_vector, widths[-2], dropout=dropped_out(len(widths) - 1))
        self.up = nn.ModuleList(
            # Twice the channels: what comes up, and what was there on the way down.
            block(_doubling(2 * widths[level], widths[level - 1]), level, nn.ReLU())
            for level in range(len(widths) - 2, 0, -1)
        )
        self.last = _doubling(2 * widths[0], N_COLOURS, bias=True)
        self._draw_weights()

    def _draw_weights(self) -> None:
        """Draw weights as He et al. 2015 do, those of the vector after all others."""
        of_vector = self.join.vector
        convolutions = [
            module
            for module in self.modules()
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module is not of_vector
        ]
        for module in [*convolutions, *filter(None, [of_vector])]:
            nn.init.kaiming_normal_(module.weight, a=LEAK)
        nn.init.zeros_(self.last.bias)

    def forward(self, shapes: torch.Tensor, vectors: torch.Tensor | None = None) -> torch.Tensor:
        """Return images (n, 3, size, size) from -1 to 1.

        Parameters
        ----------
        shapes : float tensor (n, 1, size, size)
        vectors : float tensor (n, n_vector)
            Not looked at by a network without.
        """
        seen = []
        x = shapes  # (n, 1, size, size)
        for down in self.down:
            x = down(x)  # (n, widths[level - 1], size / 2^level, size / 2^level)
            seen.append(x)
        x = self.join(seen.pop(), vectors)  # (n, widths[-2], ...), one level up
        for up in self.up:
            x = up(torch.cat([x, seen.pop()], dim=1))  # (n, widths[level - 1], ...), one up
        x = self.last(torch.cat([x, seen.pop()], dim=1))  # (n, 3, size, size)
        return torch.tanh(x)


def build_unet(
    size: int, widths: Sequence[int], n_vector: int, *, dropout: float, seed: int
) -> UNet:
    """Return an untrained network; the global random state neither matters nor changes."""
    return seeded_network(lambda: UNet(size, widths, n_vector, dropout=dropout), seed)


def n_halvings(size: int) -> int:
    """Return how often a size can be halved without a remainder."""
    return (size & -size).bit_length() - 1


def published_widths(size: int) -> tuple[int, ...]:
    """Return the channels of the published network, as deep as an image of another size allows."""
    return PUBLISHED_WIDTHS[: n_halvings(size)]


def _check_widths(size: int, widths: Sequence[int]) -> None:
    if n_halvings(size) < 2:
        raise InputError(
            f"image.size: found {size} pixels, expected a number that 4 divides, since a generator "
            "halves images twice at least; change it, to a power of two if you can"
        )
    if not 2 <= len(widths) <= n_halvings(size):
        raise InputError(
            f"generator.widths: found {len(widths)} halvings of images of {size} pixels, expected "
            f"between 2 and {n_halvings(size)}, as often as the size can be halved; change "
            "`widths`, or `image.size` to a power of two"
        )


def _print_layers() -> None:
    network = UNet(PUBLISHED_SIZE, PUBLISHED_WIDTHS, PUBLISHED_VECTOR)
    blocks = {
        **{f"down{level}": block for level, block in enumerate(network.down, 1)},
        "join": network.join,
        **{f"up{number}": block for number, block in enumerate(network.up, 2)},
        "last": network.last,
        "all": network,
    }
    for name, block in blocks.items():
        print(f"{name}\t{sum(p.numel() for p in block.parameters()):,}")


if __name__ == "__main__":
    _print_layers()
