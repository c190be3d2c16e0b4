"""Ridge regression on symmetric features of pairs: |a - b| and a * b of every component."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from scripts.dissimilarity.learning.least_squares import (
    best_coefficients,
    ridge_path,
    training_moments,
)
from scripts.dissimilarity.learning.pair_features import blocks, check_forms, pair_features
from scripts.dissimilarity.learning.pair_models import Items, Training

# Features of pairs are scaled to unit variance: 1 is as much as the variance of one.
PENALTIES = np.logspace(-4, 4, 17)


@dataclass
class Model:
    """A linear model of features of pairs.

    Attributes
    ----------
    forms : sequence of str
        Keys of `scripts.dissimilarity.learning.pair_features.FORMS`.
    penalties : sequence of float
        Of which that of least squared error on the validation pairs is taken; without these, on
        pairs among held-out folds of the training images.
    max_pairs : int
        Learned from, random ones if there are more.

    Notes
    -----
    Fitted from products summed over pairs in blocks, of which those without a fold are a part: each
    pair is looked at once for all folds and penalties.

    References
    ----------
    Hoerl & Kennard 1970, Technometrics 12:55.
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)
    leaked: ClassVar[bool] = True
    stepwise: ClassVar[bool] = False
    symmetric: ClassVar[bool] = True

    forms: Sequence[str] = ("absolute", "product")
    penalties: Sequence[float] = tuple(PENALTIES.tolist())
    max_pairs: int = 200_000
    penalty: float = field(init=False, repr=False)
    coefficients: np.ndarray = field(init=False, repr=False)

    def fit(self, training: Training) -> None:
        """Choose the penalty and learn the weights.

        Raises
        ------
        InputError
            A form that there is not.
        """
        check_forms(self.forms)
        moments = training_moments(training, self.forms, self.max_pairs)
        self.coefficients, self.penalty = best_coefficients(
            moments, ridge_path, np.asarray(self.penalties, np.float64)
        )

    def predict(self, items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the dissimilarity of images `first` and `second`, (n,) float64."""
        predicted = np.full(len(first), self.coefficients[0])
        for block in blocks(len(first)):
            seen = pair_features(items.features, first[block], second[block], self.forms)
            predicted[block] += seen @ self.coefficients[1:]
        return predicted
