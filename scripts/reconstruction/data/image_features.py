"""What networks see in the images of a study."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from workflow.lib.features.devices import choose_device
from workflow.lib.features.extraction import extract_features
from workflow.lib.features.networks import layer_extractor, load_network, without_crop
from workflow.lib.features.stimuli import Stimuli


class ImageFeatures:
    """What a network gives of images, loaded once for several sets of them.

    Parameters
    ----------
    extractor : nn.Module
        Images (n, 3, side, side) in, a mapping of one name to features (n, ...) out.
    transforms : callable, PIL image -> float32 tensor (3, side, side)
    pooling : "none", "mean" or "max", over space
    n_gpus : int
        GPUs that the job was given.
    """

    def __init__(
        self,
        extractor: nn.Module,
        transforms: Callable[..., torch.Tensor],
        *,
        pooling: str,
        n_gpus: int,
    ) -> None:
        self.extractor, self.transforms = extractor, transforms
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


def layer_features(
    *,
    network: str,
    layer: str,
    weights: str,
    pooling: str,
    seed: int,
    n_gpus: int,
    whole: bool = False,
) -> ImageFeatures:
    """Return what a layer of a network of torchvision gives of images.

    Parameters
    ----------
    network, layer, weights : str, see `workflow.lib.features.networks.load_network`
    pooling, n_gpus : see `ImageFeatures`
    seed : int
        Of random weights.
    whole : bool
        Whether images are shown with their edges, which preprocessing as in training cuts off.

    Raises
    ------
    InputError
        No such network, layer or weights.
    """
    loaded, transforms = load_network(network, weights, seed)
    if whole:
        transforms = without_crop(network, transforms)
    extractor = layer_extractor(loaded, {layer: layer})
    return ImageFeatures(extractor, transforms, pooling=pooling, n_gpus=n_gpus)
