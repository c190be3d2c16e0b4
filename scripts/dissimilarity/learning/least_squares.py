"""Least squares over pairs of images, from sums over pairs alone."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.dissimilarity.learning.pair_features import (
    blocks,
    image_folds,
    pair_features,
    some_pairs,
)
from scripts.dissimilarity.learning.pair_models import Training
from workflow.lib.pairs.sampling import Pairs

# Over the images of a training whose split has no validation pairs.
N_FOLDS = 5


@dataclass(frozen=True)
class Line:
    """y = intercept + slope x, by least squares; the mean of y if x does not vary."""

    intercept: float
    slope: float

    @classmethod
    def fit(
        cls, x: np.ndarray, y: np.ndarray, slopes: tuple[float, float] = (-np.inf, np.inf)
    ) -> "Line":
        """Return the line through points (n,), with a slope between two bounds."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        deviations = x - x.mean()
        spread = deviations @ deviations
        slope = float(deviations @ (y - y.mean()) / spread) if spread > 0 else 0.0
        slope = min(max(slope, slopes[0]), slopes[1])
        return cls(float(y.mean()) - slope * float(x.mean()), slope)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return y (n,) float64."""
        return self.intercept + self.slope * np.asarray(x, np.float64)


@dataclass(frozen=True)
class Moments:
    """Sums over pairs of the products of one, features and target: all that a fit asks for.

    Attributes
    ----------
    products : float64 array (n_features + 2, n_features + 2)
        Of the rows (1, features, target) of all pairs. Those of two sets of pairs add up.
    """

    products: np.ndarray

    @property
    def n_pairs(self) -> float:
        """Pairs that were summed over."""
        return self.products[0, 0]

    @property
    def means(self) -> np.ndarray:
        """Of features and target, (n_features + 1,)."""
        return self.products[0, 1:] / self.n_pairs

    @property
    def covariance(self) -> np.ndarray:
        """Of features and target, (n_features + 1, n_features + 1)."""
        means = self.means
        return self.products[1:, 1:] / self.n_pairs - means[:, np.newaxis] * means

    def squared_error(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the summed squared error of linear models.

        Parameters
        ----------
        coefficients : float array (n_models, 1 + n_features)
            Intercept and weights.

        Returns
        -------
        float64 array (n_models,)
        """
        rows = np.column_stack([coefficients, np.full(len(coefficients), -1.0)])
        return np.einsum("ij,ij->i", rows @ self.products, rows)


def with_intercept(moments: Moments, weights: np.ndarray) -> np.ndarray:
    """Return coefficients (n_models, 1 + n_features) of weights (n_models, n_features)."""
    means = moments.means
    return np.column_stack([means[-1] - weights @ means[:-1], weights])


def ridge_path(moments: Moments, penalties: np.ndarray) -> np.ndarray:
    """Return the coefficients of ridge regression for each penalty.

    Parameters
    ----------
    moments : Moments
    penalties : float array (n_penalties,)

    Returns
    -------
    float64 array (n_penalties, 1 + n_features)
        Intercept and weights, for features as they are.

    Notes
    -----
    Minimises mean (y - b - Z w)^2 + penalty |w|^2 with Z the features scaled to unit variance, as
    scikit-learn's Ridge does with alpha = penalty * n_pairs. A feature that does not vary has
    weight zero.
    """
    covariance = moments.covariance
    spread = np.sqrt(np.maximum(np.diagonal(covariance)[:-1], 0))
    scale = np.where(spread > 0, spread, np.inf)
    values, vectors = np.linalg.eigh(covariance[:-1, :-1] / scale / scale[:, np.newaxis])
    coordinates = vectors.T @ (covariance[:-1, -1] / scale)
    shrunk = coordinates / (np.maximum(values, 0) + penalties[:, np.newaxis])
    return with_intercept(moments, shrunk @ vectors.T / scale)


def moments_of(
    features: np.ndarray, pairs: Pairs, forms: Sequence[str], groups: np.ndarray
) -> dict[int, Moments]:
    """Return the moments of each group of pairs.

    Parameters
    ----------
    features : float array (n_images, n_features)
    pairs : first, second, target, arrays (n_pairs,)
    forms : of the features of pairs
    groups : int array (n_pairs,)
    """
    first, second, target = pairs
    size = len(forms) * features.shape[1] + 2
    sums: dict[int, np.ndarray] = defaultdict(lambda: np.zeros((size, size)))
    for block in blocks(target.size):
        seen = pair_features(features, first[block], second[block], forms)
        rows = np.column_stack([np.ones(len(seen)), seen, target[block]])
        for group in np.unique(groups[block]).tolist():
            own = rows[groups[block] == group]
            sums[group] += own.T @ own
    return {group: Moments(products) for group, products in sums.items()}


def training_moments(
    training: Training,
    forms: Sequence[str],
    max_pairs: int,
    transform: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> tuple[Moments, list[tuple[Moments, Moments]]]:
    """Return the moments of the training pairs, and those to choose a penalty by.

    Parameters
    ----------
    training : Training
    forms : of the features of pairs
    max_pairs : int
        More than that are not looked at.
    transform : callable, optional
        Of the dissimilarities.

    Returns
    -------
    all : Moments
        Of the training pairs.
    choices : list of (Moments, Moments)
        To fit with, and to check by: the training pairs and the validation pairs; without
        validation pairs, for each fold of images the pairs without an image of the fold, and those
        among its images.
    """
    pairs = _transformed(some_pairs(training.pairs, max_pairs, training), transform)
    features = training.items.features
    if training.validation is not None:
        checked = some_pairs(training.validation, max_pairs, training, "validation")
        checked = _transformed(checked, transform)
        fit, check = (
            moments_of(features, these, forms, np.zeros(these[2].size, np.int64))[0]
            for these in (pairs, checked)
        )
        return fit, [(fit, check)]
    folds = image_folds(training.pairs.images, N_FOLDS, training)
    return _fold_moments(features, pairs, forms, folds)


def _transformed(pairs: Pairs, transform: Callable[[np.ndarray], np.ndarray]) -> Pairs:
    first, second, values = pairs
    return first, second, transform(values.astype(np.float64))


def _fold_moments(
    features: np.ndarray, pairs: Pairs, forms: Sequence[str], folds: Sequence[np.ndarray]
) -> tuple[Moments, list[tuple[Moments, Moments]]]:
    fold_of = np.zeros(len(features), np.int64)
    for number, fold in enumerate(folds):
        fold_of[fold] = number
    one, other = (fold_of[side] for side in pairs[:2])
    groups = np.minimum(one, other) * len(folds) + np.maximum(one, other)
    found = moments_of(features, pairs, forms, groups)
    total = Moments(sum(moments.products for moments in found.values()))
    choices = []
    for fold in range(len(folds)):
        without = [
            m.products for group, m in found.items() if fold not in divmod(group, len(folds))
        ]
        among = found.get(fold * len(folds) + fold)
        if without and among is not None:
            choices.append((Moments(sum(without)), among))
    return total, choices


def best_coefficients(
    training_moments: tuple[Moments, list[tuple[Moments, Moments]]],
    path: Callable[[Moments, np.ndarray], np.ndarray],
    penalties: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Return the coefficients (1 + n_features,) for the penalty of least held-out error, and it.

    Parameters
    ----------
    training_moments : as `training_moments` returns
    path : callable, (moments, penalties) -> coefficients (n_penalties, 1 + n_features)
    penalties : float array (n_penalties,)
    """
    everything, choices = training_moments
    errors = sum(
        (check.squared_error(path(fit, penalties)) for fit, check in choices),
        np.zeros(len(penalties)),
    )
    # Without anything to choose by, the largest.
    best = penalties[errors.argmin()] if choices else penalties.max()
    return path(everything, np.array([best]))[0], float(best)
