"""A convolutional network with two branches, as published and in a symmetric form."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from scripts.dissimilarity.learning.pair_models import Items, Training
from scripts.dissimilarity.learning.pair_networks import SYMMETRIC, Siamese
from scripts.dissimilarity.learning.pair_training import (
    IMAGES_AT_ONCE,
    PairOptions,
    Regression,
    initial,
    needed,
    predicted,
    scale_of,
    train,
)
from workflow.lib.errors import InputError
from workflow.lib.features.devices import choose_device

# Of red, green and blue in a grey pixel (ITU-R 601, as PIL converts).
GREY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(kw_only=True)
class Model(PairOptions):
    """A siamese network; the other options are those of `PairOptions`.

    Attributes
    ----------
    form : "published", "both_orders" or "symmetric"
        Published: two branches without common weights, and a linear head on both. Symmetric: one
        branch for both images, a dense layer, and a head on |a - b|, a * b.
    head : "linear" or "sigmoid2"
    side : int or None
        Images are brought to this many pixels; None for as they are. Published 128.
    colour : bool
        Three channels instead of grey.
    widths : list of two ints
        Channels of the convolutions; published 32 and 64.
    n_codes : int
        Of an image in the symmetric form, whose other options are the next two.
    grid : int or None
        Maps are averaged over the cells of such a grid before the dense layer.
    dropout : float
        Before the dense layer.
    correlation_share : float
        Of the loss; the rest is the mean squared error.
    targets : "standardised" or "raw"
        Raw as published, and always under a head of 2 sigmoid.
    """

    needs: ClassVar[tuple[str, ...]] = ("images",)
    leaked: ClassVar[bool] = True
    stepwise: ClassVar[bool] = True

    learning_rate: float = 0.001
    form: str = SYMMETRIC
    head: str = "linear"
    side: int | None = None
    colour: bool = False
    widths: tuple[int, int] = (32, 64)
    n_codes: int = 64
    grid: int | None = None
    dropout: float = 0.0
    correlation_share: float = 0.5
    targets: str = "standardised"

    @property
    def symmetric(self) -> bool:
        """Whether f(a, b) = f(b, a)."""
        return self.form == SYMMETRIC

    def fit(self, training: Training) -> pd.DataFrame:
        """Learn from pairs, and return the learning curve."""
        device = choose_device(training.n_gpus)
        images = self._prepared(training.items)
        build = partial(
            Siamese,
            images.shape[2],
            n_channels=images.shape[1],
            widths=self.widths,
            n_codes=self.n_codes,
            grid=self.grid,
            dropout=self.dropout,
            form=self.form,
            head=self.head,
        )
        self._network = initial(build, training, device)
        self._see(images[torch.from_numpy(training.pairs.images)])
        self._scale = scale_of(training, self.targets, self.head)
        objective = Regression(
            training,
            images.to(device),
            self._scale,
            self,
            form=self.form,
            correlation_share=self.correlation_share,
        )
        return train(self._network, objective, self, training, images)

    def predict(self, items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the dissimilarity of images `first` and `second`, (n,) float64."""
        images = self._prepared(items)
        return self._scale.back(predicted(self._network, images, first, second))

    def _prepared(self, items: Items) -> torch.Tensor:
        """Return the images as the network takes them, uint8 (n_images, channels, side, side)."""
        images = needed(items, "images")
        side = self.side or images.shape[1]
        if side > images.shape[1]:
            raise InputError(
                f"siamese: found images of {images.shape[1]} pixels, expected {side} or more; "
                "lower `side`, or prepare larger images"
            )
        parts = np.split(images, range(IMAGES_AT_ONCE, len(images), IMAGES_AT_ONCE))
        return torch.cat([prepared(part, side, colour=self.colour) for part in parts])

    def _see(self, images: torch.Tensor) -> None:
        """Scale pixels by the training images: minimum to maximum if grey, by variance if not."""
        pixels = self._network.pixels
        for channel in range(images.shape[1]):
            values = images[:, channel].float()
            if self.colour:
                offset, spread = values.mean(), values.std()
            else:
                offset, spread = values.min(), values.max() - values.min()
            pixels.offset[channel] = offset
            pixels.spread[channel] = spread.clamp_min(1.0)


def prepared(images: np.ndarray, side: int, *, colour: bool) -> torch.Tensor:
    """Return images in grey or colour at another size, each new pixel the mean of those below it.

    Parameters
    ----------
    images : uint8 array (n, height, width, 3)
    side : int
    colour : bool

    Returns
    -------
    uint8 tensor (n, 3 or 1, side, side)
    """
    values = images if colour else (images @ GREY).round()[..., None]
    channels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, 3, 1))).float()
    if channels.shape[2:] != (side, side):
        channels = functional.adaptive_avg_pool2d(channels, side).round()
    return channels.to(torch.uint8)
