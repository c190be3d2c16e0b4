"""A perceptron over the features of two images, as published and in a symmetric form."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
import torch

from scripts.dissimilarity.learning.pair_models import Items, Training
from scripts.dissimilarity.learning.pair_networks import SYMMETRIC, PairMLP
from scripts.dissimilarity.learning.pair_training import (
    PairOptions,
    Regression,
    initial,
    needed,
    predicted,
    scale_of,
    train,
)
from workflow.lib.features.devices import choose_device


@dataclass(kw_only=True)
class Model(PairOptions):
    """A pair MLP; the other options are those of `PairOptions`.

    Attributes
    ----------
    form : "published", "both_orders" or "symmetric"
        Published: features one after the other, each pair in one order. Symmetric: |a - b|, a * b.
    n_hidden : int
        Layers after the first, each of half the width; published 0 to 3.
    width : int or None
        Of the first layer; None for the number of features, as published.
    dropout : float
    targets : "standardised" or "raw"
        Raw as published.
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)
    leaked: ClassVar[bool] = True
    stepwise: ClassVar[bool] = True

    form: str = SYMMETRIC
    n_hidden: int = 1
    width: int | None = None
    dropout: float = 0.0
    targets: str = "standardised"

    @property
    def symmetric(self) -> bool:
        """Whether f(a, b) = f(b, a)."""
        return self.form == SYMMETRIC

    def fit(self, training: Training) -> pd.DataFrame:
        """Learn from pairs, and return the learning curve."""
        device = choose_device(training.n_gpus)
        features = np.asarray(needed(training.items, "features"), np.float32)
        build = partial(
            PairMLP,
            features.shape[1],
            n_hidden=self.n_hidden,
            width=self.width,
            form=self.form,
            dropout=self.dropout,
        )
        self._network = initial(build, training, device)
        self._scale = scale_of(training, self.targets)
        objective = Regression(
            training,
            torch.from_numpy(features).to(device),
            self._scale,
            self,
            form=self.form,
            correlation_share=0.0,
        )
        return train(self._network, objective, self, training, features)

    def predict(self, items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the dissimilarity of images `first` and `second`, (n,) float64."""
        features = torch.from_numpy(np.asarray(needed(items, "features"), np.float32))
        return self._scale.back(predicted(self._network, features, first, second))
