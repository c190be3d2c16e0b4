"""A discriminator that judges every patch of an image, given the shape that it was drawn from.

Its output is a map: each place tells how real one patch of the image looks, and nothing of what is
outside the patch but for the norm. Images of 128 pixels and more are judged by patches of 70 x 70,
as published; smaller ones have fewer halvings, so that a patch is no larger than the image.

References
----------
Isola et al. 2017, arXiv:1611.07004, section 3.2.2 and appendix 6.1.2.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from scripts.reconstruction.generator.unet import LEAK, N_COLOURS
from workflow.lib.errors import InputError
from workflow.lib.features.initial import seeded_network

PUBLISHED_WIDTHS = (64, 128, 256, 512)
KERNEL = 4


class PatchGAN(nn.Module):
    """The discriminator.

    Parameters
    ----------
    widths : sequence of int
        Channels of each layer but the last. All layers halve the map but the last of these and the
        one that judges.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise((N_COLOURS + 1, *widths)), 1):
            stride = 1 if number == len(widths) else 2
            layers.append(nn.Conv2d(inputs, outputs, KERNEL, stride=stride, padding=1))
            # The first layer sees colours and contrast as they are.
            if number > 1:
                layers.append(nn.InstanceNorm2d(outputs))
            layers.append(nn.LeakyReLU(LEAK))
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, KERNEL, padding=1))
        for module in self.layers:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=LEAK)
                nn.init.zeros_(module.bias)

    def forward(self, images: torch.Tensor, shapes: torch.Tensor) -> torch.Tensor:
        """Return how real patches look, (n, 1, rows, columns): towards 1 if real, 0 if made.

        Parameters
        ----------
        images : float tensor (n, 3, size, size), from -1 to 1
        shapes : float tensor (n, 1, size, size)
            The condition: what the generator was shown.
        """
        return self.layers(torch.cat([images, shapes], dim=1))


def build_patch_gan(size: int, widths: Sequence[int], *, seed: int) -> PatchGAN:
    """Return an untrained discriminator of images of a size.

    Raises
    ------
    InputError
        Patches would be larger than the image.
    """
    if not widths or receptive_field(len(widths)) > size:
        raise InputError(
            f"generator.discriminator_widths: found {len(widths)} layers, whose patches have "
            f"{receptive_field(len(widths))} pixels a side, for images of {size}, expected no "
            f"more than {len(published_widths(size))} layers, and one at least; leave some out"
        )
    return seeded_network(lambda: PatchGAN(widths), seed)


def receptive_field(n_widths: int) -> int:
    """Return the pixels of a side of the patch that one output of a discriminator judges.

    Notes
    -----
    Backwards from one place: a convolution of kernel k and stride s sees k + s (r - 1) places of
    its input where r places of its output are seen.
    """
    seen = 1
    for stride in (1, 1, *[2] * (n_widths - 1)):
        seen = KERNEL + stride * (seen - 1)
    return seen


def published_widths(size: int) -> tuple[int, ...]:
    """Return the channels of the published layers, as many as an image of another size allows."""
    fitting = [n for n in range(1, len(PUBLISHED_WIDTHS) + 1) if receptive_field(n) <= size]
    return PUBLISHED_WIDTHS[: max(fitting, default=1)]
