"""The mean dissimilarity of the training pairs, whatever the images: what R2 = 0 stands for."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from scripts.dissimilarity.learning.pair_models import Items, Training


@dataclass
class Model:
    """See the module; it has no options."""

    needs: ClassVar[tuple[str, ...]] = ()
    leaked: ClassVar[bool] = True
    stepwise: ClassVar[bool] = False
    symmetric: ClassVar[bool] = True

    value: float = field(init=False, repr=False)

    def fit(self, training: Training) -> None:
        """Learn the mean."""
        sums = (values.sum(dtype=np.float64) for _, _, values in training.pairs.blocks())
        self.value = float(sum(sums)) / len(training.pairs)

    def predict(self, items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the mean for each pair, (n,) float64."""
        return np.full(len(first), self.value)
