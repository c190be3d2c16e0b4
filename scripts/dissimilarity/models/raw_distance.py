"""The distance of an embedding as it is: a straight line through the training pairs."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from scripts.dissimilarity.learning.least_squares import Line
from scripts.dissimilarity.learning.pair_features import some_pairs
from scripts.dissimilarity.learning.pair_models import Items, Training
from workflow.lib.rdms.vectors import condensed_index, n_conditions


@dataclass
class Model:
    """d(a, b) = intercept + slope * distance(a, b).

    Attributes
    ----------
    max_pairs : int
        Learned from, random ones if there are more.
    """

    needs: ClassVar[tuple[str, ...]] = ("distances",)
    leaked: ClassVar[bool] = True
    stepwise: ClassVar[bool] = False
    symmetric: ClassVar[bool] = True

    max_pairs: int = 2_000_000
    line: Line = field(init=False, repr=False)

    def fit(self, training: Training) -> None:
        """Learn intercept and slope."""
        first, second, values = some_pairs(training.pairs, self.max_pairs, training)
        self.line = Line.fit(_distances(training.items, first, second), values)

    def predict(self, items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the dissimilarity of images `first` and `second`, (n,) float64."""
        return self.line(_distances(items, first, second))


def _distances(items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    n_images = n_conditions(items.distances.size)
    return items.distances[condensed_index(first, second, n_images)]
