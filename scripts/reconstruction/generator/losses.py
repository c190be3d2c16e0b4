"""What generator and discriminator are trained by.

References
----------
Least squares: Mao et al. 2017, arXiv:1611.04076, with labels 0 and 1. Pixel loss: Isola et al.
2017, arXiv:1611.07004. Perceptual loss: Johnson, Alahi & Fei-Fei 2016, arXiv:1603.08155.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from workflow.lib.features.networks import layer_extractor, load_network


def discriminator_loss(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Return half the mean squared distance from 1 where images are real, from 0 where made.

    Notes
    -----
    Where real images have the density p and made ones q, the best answer is p / (p + q), which is
    1/2 everywhere once both are the same; the loss is then 1/4, and lower before.
    """
    return (real.float().sub(1).square().mean() + made.float().square().mean()) / 2


def adversarial_loss(made: torch.Tensor) -> torch.Tensor:
    """Return the mean squared distance from 1 of what the discriminator says of made images."""
    return made.float().sub(1).square().mean()


def pixel_loss(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute difference of images, which blurs less than the squared one."""
    return (made.float() - true).abs().mean()


class PerceptualLoss(nn.Module):
    """Mean squared difference of what layers of a network make of images.

    Parameters
    ----------
    network : str
        One of torchvision, see `workflow.lib.features.networks`.
    layers : sequence of str
    weights : "torchvision", "untrained", or path
        See `load_network`.
    """

    def __init__(self, network: str, layers: Sequence[str], weights: str | Path) -> None:
        super().__init__()
        loaded, transforms = load_network(network, weights)
        self.extractor = layer_extractor(loaded, {layer: layer for layer in layers})
        self.requires_grad_(False).eval()
        for name in ("mean", "std"):
            values = torch.tensor(getattr(transforms, name))[:, None, None]
            self.register_buffer(name, values, persistent=False)

    def forward(self, made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """Return the loss of images (n, 3, size, size) from -1 to 1, a mean over layers.

        Images are shown in their own size: layers before the last pooling take any.
        """
        outputs = [
            self.extractor(((images + 1) / 2 - self.mean) / self.std) for images in (made, true)
        ]
        differences = [
            nn.functional.mse_loss(of_made.float(), of_true.float())
            for of_made, of_true in zip(*(output.values() for output in outputs), strict=True)
        ]
        return torch.stack(differences).mean()
