"""What networks see in the images of a study."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from workflow.lib.features.devices import choose_device
from workflow.lib.features.extraction import extract_features
from workflow.lib.features.networks import layer_extractor, load_network
from workflow.lib.features.stimuli import Stimuli


class LayerFeatures:
    """A layer of a network, loaded once for several sets of images.

    Parameters
    ----------
    network, layer, weights : str, see `workflow.lib.features.networks.load_network`
    pooling : "none", "mean" or "max", over space
    seed : int
        Of random weights.
    n_gpus : int
        GPUs that the job was given.

    Raises
    ------
    InputError
        No such network, layer or weights.
    """

    def __init__(
        self, *, network: str, layer: str, weights: str, pooling: str, seed: int, n_gpus: int
    ) -> None:
        loaded, self.transforms = load_network(network, weights, seed)
        self.extractor = layer_extractor(loaded, {layer: layer})
        self.pooling = pooling
        self.device: torch.device = choose_device(n_gpus)

    def of(self, names: Sequence[str], images: np.ndarray) -> np.ndarray:
        """Return the features of images.

        Parameters
        ----------
        names : sequence of n_images str
        images : uint8 array (n_images, side, side, 3)

        Returns
        -------
        float32 array (n_images, n_units)
        """
        stimuli = Stimuli(
            list(names), lambda row: Image.fromarray(images[row]), list(range(len(images)))
        )
        with tempfile.TemporaryDirectory() as folder:
            (blocks,) = extract_features(
                self.extractor,
                self.transforms,
                stimuli,
                device=self.device,
                folder=Path(folder),
                pooling=self.pooling,
            ).values()
            with blocks:
                return np.concatenate(list(blocks), axis=1)
