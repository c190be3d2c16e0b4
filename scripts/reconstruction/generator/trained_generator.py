"""Trained generators: the network with the scaling of its inputs, on disk and at work."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from scripts.reconstruction.generator.generator_inputs import (
    STREAMS,
    Decoded,
    Deviations,
    Inputs,
    InputScaling,
)
from scripts.reconstruction.generator.unet import UNet, build_unet
from workflow.lib.training.weights import read_weights, write_weights

# Pixels that are drawn at once: 32 images of the published size, whose maps take 32 MB each.
PIXELS_AT_ONCE = 32 * 256 * 256
# What the mean over training images of a stream is called, beside the weights.
CENTRE = "centre of "


@dataclass(frozen=True)
class TrainedGenerator:
    """A network in evaluation mode.

    Attributes
    ----------
    network : UNet
    scaling : InputScaling
    """

    network: UNet
    scaling: InputScaling

    def draw(self, decoded: Decoded) -> np.ndarray:
        """Return images, uint8 (n, size, size, 3), of what was decoded."""
        return drawn(self.network, self.scaling(decoded, self.network.size))


@torch.no_grad()
def drawn(network: UNet, inputs: Inputs) -> np.ndarray:
    """Return what a network in evaluation mode draws, uint8 (n, size, size, 3)."""
    device = next(network.parameters()).device
    at_once = max(1, PIXELS_AT_ONCE // network.size**2)
    images = [np.zeros((0, network.size, network.size, 3), np.uint8)]
    for start in range(0, len(inputs), at_once):
        shown = inputs[start : start + at_once].to(device)
        images.append(as_bytes(network(shown.shapes, shown.vectors)))
    return np.concatenate(images)


def as_signed(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return uint8 images (n, size, size, 3) as float32 (n, 3, size, size) from -1 to 1."""
    # A byte per value travels to the device.
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_bytes(images: torch.Tensor) -> np.ndarray:
    """Return images (n, 3, size, size) from -1 to 1 as uint8 (n, size, size, 3)."""
    levels = ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).cpu().numpy()


def write_generator(path: Path, trained: TrainedGenerator) -> None:
    """Write a generator with what rebuilds it."""
    network, tensors = trained.network, dict(trained.network.state_dict())
    spreads = {}
    for stream in STREAMS:
        deviations = getattr(trained.scaling, stream)
        if deviations is not None:
            spreads[stream] = deviations.spread
            tensors[CENTRE + stream] = torch.from_numpy(deviations.centre)
    description = {
        "size": network.size,
        "widths": network.widths,
        "n_vector": network.n_vector,
        "spreads": spreads,
    }
    write_weights(path, tensors, description)


def read_generator(path: Path) -> TrainedGenerator:
    """Return a generator that `write_generator` wrote, in evaluation mode, on the CPU."""
    tensors, description = read_weights(path)
    scaling = InputScaling(
        **{
            stream: Deviations(tensors.pop(CENTRE + stream).numpy(), spread)
            for stream, spread in description["spreads"].items()
        }
    )
    sizes = (description[key] for key in ("size", "widths", "n_vector"))
    network = build_unet(*sizes, dropout=0.0, seed=0)
    network.load_state_dict(tensors)
    return TrainedGenerator(network.eval(), scaling)
