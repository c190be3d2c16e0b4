"""What of a volume a network needs: the fall of a probability when a cube of it is covered.

A voxel is covered by zero: its mean over the run in standardised or detrended time series, and the
mean over the brain of a volume that was scaled for its network. Cubes lie on a grid; those without
a voxel of the brain are left out, and of the others nothing changes outside the brain, which is
zero from the start.

References
----------
Zeiler & Fergus 2014, doi:10.1007/978-3-319-10590-1_53. Networks of shuffled weights: Adebayo et al.
2018, arXiv:1810.03292.
"""

import copy

import numpy as np
import torch
from torch import nn

from scripts.emotions.maps.local_network import LocalNetwork
from scripts.emotions.network.emotion_cnn import EmotionCNN
from scripts.emotions.network.emotion_training import VOXELS_AT_ONCE

# Of patches, in the widest layer: 64 MB of float32.
NUMBERS_AT_ONCE = 1 << 24


@torch.inference_mode()
def occluded_drops(
    network: EmotionCNN, volume: np.ndarray, code: int, corners: np.ndarray, edge: int
) -> np.ndarray:
    """Return by how much the probability of an emotion falls when each cube is covered.

    Parameters
    ----------
    network : EmotionCNN
        In evaluation mode, on its device.
    volume : float32 array (x, y, z)
        Zero outside the brain.
    code : int
        Class of the emotion.
    corners : int array (n_cubes, 3), see `cube_corners`
    edge : int

    Returns
    -------
    float32 array (n_cubes,)
        Positive where the cube speaks for the emotion.
    """
    device = next(network.parameters()).device
    local = LocalNetwork(network, torch.from_numpy(volume).to(device))
    before = torch.softmax(local.logits, dim=0)[code]
    # The patch of a cube, with a margin of two on each side, in the widest layer.
    at_once = max(1, NUMBERS_AT_ONCE // (local.widest * (edge + 5) ** 3))
    parts = torch.from_numpy(corners).to(device).split(at_once)
    after = [torch.softmax(local.covered_logits(part, edge), dim=1)[:, code] for part in parts]
    return (before - torch.cat(after)).cpu().numpy()


def shuffled_network(
    network: EmotionCNN, volumes: np.ndarray, rng: np.random.Generator
) -> EmotionCNN:
    """Return a network with the weights of another in random order, within each layer.

    What a map of it shows owes nothing to what was learned. Normalisations are estimated anew, on
    the volumes that it is shown: with those of the other network most units would be silent.

    Parameters
    ----------
    network : EmotionCNN
    volumes : float32 array (n, x, y, z)
    rng : numpy Generator
    """
    other = copy.deepcopy(network)
    other.load_state_dict(
        {name: _shuffled(value.cpu(), rng) for name, value in network.state_dict().items()}
    )
    for module in other.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.reset_running_stats()
            module.momentum = None
            module.train()
    device = next(network.parameters()).device
    at_once = max(1, VOXELS_AT_ONCE // volumes[0].size)
    with torch.inference_mode():
        for part in torch.from_numpy(volumes).split(at_once):
            other(part.to(device))
    return other.eval()


def _shuffled(values: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    order = torch.from_numpy(rng.permutation(values.numel()))
    return values.flatten()[order].reshape(values.shape)
