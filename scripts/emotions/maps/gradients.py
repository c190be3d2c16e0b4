"""Integrated gradients: how much each voxel adds to the probability of an emotion.

Along the straight way from a volume of zeros, the mean of every voxel, to the volume, gradients are
summed up. Together they give the difference in probability between both ends.

References
----------
Sundararajan, Taly & Yan 2017, arXiv:1703.01365.
"""

import numpy as np
import torch
from captum.attr import IntegratedGradients

from scripts.emotions.network.emotion_cnn import EmotionCNN
from scripts.emotions.network.emotion_training import VOXELS_AT_ONCE

N_STEPS = 24


def integrated_gradients(
    network: EmotionCNN, volume: np.ndarray, code: int, *, n_steps: int = N_STEPS
) -> np.ndarray:
    """Return what each voxel adds to the probability of an emotion.

    Parameters
    ----------
    network : EmotionCNN
        In evaluation mode, on its device.
    volume : float32 array (x, y, z)
    code : int
        Class of the emotion.
    n_steps : int
        Places on the way, by Gauss-Legendre quadrature.

    Returns
    -------
    float32 array (x, y, z)
    """
    device = next(network.parameters()).device
    shown = torch.from_numpy(volume)[None].to(device)
    attributed = IntegratedGradients(
        lambda volumes: torch.softmax(network(volumes), dim=1)
    ).attribute(
        shown,
        baselines=torch.zeros_like(shown),
        target=int(code),
        n_steps=n_steps,
        internal_batch_size=max(1, VOXELS_AT_ONCE // volume.size),
    )
    return attributed[0].float().cpu().numpy()
