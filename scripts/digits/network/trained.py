"""Networks of the study with all that belongs to them: classes, and the scaling of their images."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from scripts.digits.network.vgg import VGG, build_vgg
from workflow.lib.training.weights import read_weights, write_weights

# Of ImageNet's images, from 0 to 1: what torchvision's weights were trained with.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Scaling:
    """What is taken off red, green and blue (0 to 1), and what they are divided by."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (n, 3, height, width) as the network takes them."""
        mean, std = (images.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (images - mean) / std

    def undone(self, images: torch.Tensor) -> torch.Tensor:
        """Return images from 0 to 1."""
        mean, std = (images.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return images * std + mean


def scaling_of(images: np.ndarray) -> Scaling:
    """Return the scaling by the mean and spread of training images, uint8 (n, side, side, 3)."""
    pixels = images.reshape(-1, 3) / 255
    return Scaling(tuple(pixels.mean(axis=0).tolist()), tuple(pixels.std(axis=0).tolist()))


def as_tensor(images: np.ndarray, device: torch.device | None = None) -> torch.Tensor:
    """Return uint8 images (n, side, side, 3) as float32 (n, 3, side, side) from 0 to 1."""
    # A byte per value travels to the device.
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).contiguous().float() / 255


@dataclass(frozen=True)
class Trained:
    """A network in evaluation mode.

    Attributes
    ----------
    network : VGG
    categories : list of str
        Of its logits, in order.
    scaling : Scaling
    """

    network: VGG
    categories: list[str]
    scaling: Scaling


def write_trained(path: Path, name: str, trained: Trained) -> None:
    """Write a network whose size has a name, see `scripts.digits.network.vgg.SIZES`."""
    description = {
        "network": name,
        # No tensor: without it a network that is put to training mode is another than was trained.
        "dropout": trained.network.layers.dropout6.p,
        "categories": trained.categories,
        "scaling": asdict(trained.scaling),
    }
    write_weights(path, trained.network.state_dict(), description)


def read_trained(path: Path) -> Trained:
    """Return a network that `write_trained` wrote, on the CPU."""
    state, description = read_weights(path)
    categories = description["categories"]
    network = build_vgg(
        description["network"], len(categories), seed=0, dropout=description["dropout"]
    )
    network.load_state_dict(state)
    return Trained(network.eval(), categories, Scaling(**description["scaling"]))
