"""A learned metric: the squared distance of two images' features after a linear map.

Euclidean distances of responses are squared before: if responses were a linear map of features plus
noise, both sides would then be equal up to a constant, the noise. One minus the correlation is a
squared distance already, of patterns of length one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy.optimize
import scipy.sparse

from scripts.dissimilarity.learning.least_squares import (
    Line,
    Moments,
    best_coefficients,
    training_moments,
    with_intercept,
)
from scripts.dissimilarity.learning.pair_features import image_folds, some_pairs
from scripts.dissimilarity.learning.pair_models import Items, Training
from workflow.lib.errors import InputError
from workflow.lib.inference.reweighting import nonnegative_weights
from workflow.lib.pairs.sampling import Pairs

# Of squared weights, where 1 is as much as the mean variance of a squared difference.
DIAGONAL_PENALTIES = np.concatenate([[0.0], np.logspace(-4, 3, 15)])
# Of the trace of the metric, where 1 is as much as the variance of the dissimilarities; largest
# first, since each fit starts from the one before.
TRACE_PENALTIES = np.logspace(0, -3, 7)
# Held out to choose by, one of so many folds of images, where there are no validation pairs.
N_FOLDS = 5
# Of the line from learned to measured squared distances.
SLOPES = (0.0, 1.0)
# Of L-BFGS; nearly all of what can be gained is gained by then.
MAX_ITERATIONS = 100


def _root(squares: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(squares, 0))


# Of the metric of responses: to squared distances, and back. RDMs of other metrics, or whose metric
# is not known, are taken for squared ones, as 1 - r is.
LINKS: dict[str, tuple[Callable, Callable]] = {"euclidean": (np.square, _root)}
NO_LINK = (np.asarray, np.asarray)


@dataclass
class Model:
    """d(a, b) = c + |L (a - b)|^2, or the root of it for Euclidean distances.

    Attributes
    ----------
    rank : int or None
        Rows of L. None for a diagonal metric: a weight of zero or more for each feature.
    max_pairs : int
        Learned from, random ones if there are more.

    Notes
    -----
    Diagonal: non-negative least squares with a penalty on squared weights. Low rank: L-BFGS on the
    mean squared error plus a penalty on the squared entries of L, which is one on the trace of the
    metric L'L and leaves it of lower rank than it may have (Srebro, Rennie & Jaakkola 2004, Adv
    Neural Inf Process Syst 17:1329). It starts from the leading eigenvectors of the covariance of
    dissimilarities with products of differences, which for normally distributed features of unit
    variance is in proportion to the metric. Both choose the penalty on the validation pairs;
    without these, on pairs among held-out training images. A metric that is fitted to some images
    separates these more than others: that of low rank is put on a line with the slope of those
    pairs.

    References
    ----------
    Xing, Ng, Jordan & Russell 2002, Adv Neural Inf Process Syst 15:521; Schultz & Joachims 2003,
    Adv Neural Inf Process Syst 16:41 (diagonal).
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)
    leaked: ClassVar[bool] = True
    stepwise: ClassVar[bool] = False
    symmetric: ClassVar[bool] = True

    rank: int | None = None
    max_pairs: int = 200_000
    metric: str = field(init=False, repr=False)
    line: Line = field(init=False, repr=False)
    map: np.ndarray = field(init=False, repr=False)

    def fit(self, training: Training) -> None:
        """Choose the penalty and learn the metric.

        Raises
        ------
        InputError
            A rank below one.
        """
        if self.rank is not None and self.rank < 1:
            raise InputError(
                f"mahalanobis: found the rank {self.rank}, expected 1 or more, or none for a "
                "diagonal metric; correct the model's options"
            )
        self.metric = training.metric
        learn = self._learn_diagonal if self.rank is None else self._learn_low_rank
        self.line, self.map = learn(training, LINKS.get(training.metric, NO_LINK)[0])

    def predict(self, items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the dissimilarity of images `first` and `second`, (n,) float64."""
        places = items.features.astype(np.float64) @ self.map.T
        squares = squared_lengths(places, first, second)
        return LINKS.get(self.metric, NO_LINK)[1](self.line(squares))

    def _learn_diagonal(self, training: Training, to_squares: Callable) -> tuple[Line, np.ndarray]:
        moments = training_moments(training, ("squared",), self.max_pairs, to_squares)
        coefficients, _ = best_coefficients(moments, nonnegative_path, DIAGONAL_PENALTIES)
        kept = np.flatnonzero(coefficients[1:])
        axes = np.zeros((kept.size, coefficients.size - 1))
        axes[np.arange(kept.size), kept] = np.sqrt(coefficients[1:][kept])
        return Line(float(coefficients[0]), 1.0), axes

    def _learn_low_rank(self, training: Training, to_squares: Callable) -> tuple[Line, np.ndarray]:
        features = training.items.features.astype(np.float64)
        first, second, values = some_pairs(training.pairs, self.max_pairs, training)
        pairs = (first, second, to_squares(values.astype(np.float64)))
        fit, check = self._choice(training, pairs, to_squares)
        path = list(low_rank_path(features, fit, self.rank, TRACE_PENALTIES))
        lines = [_line(features @ axes.T, fit, check) for axes in path]
        errors = [
            ((check[2] - line(squared_lengths(features @ axes.T, *check[:2]))) ** 2).sum()
            for line, axes in zip(lines, path, strict=True)
        ]
        best = int(np.argmin(errors))
        if fit is not pairs:
            path = list(low_rank_path(features, pairs, self.rank, TRACE_PENALTIES[: best + 1]))
        return lines[best], path[best]

    def _choice(
        self, training: Training, pairs: Pairs, to_squares: Callable
    ) -> tuple[Pairs, Pairs]:
        """Return the pairs to fit with while the penalty is chosen, and those to choose it by."""
        if training.validation is not None:
            checked = some_pairs(training.validation, self.max_pairs, training, "validation")
            return pairs, (*checked[:2], to_squares(checked[2].astype(np.float64)))
        held_out = image_folds(training.pairs.images, N_FOLDS, training)[0]
        n_held_out = sum(np.isin(side, held_out).astype(int) for side in pairs[:2])
        return tuple(tuple(part[n_held_out == number] for part in pairs) for number in (0, 2))


def nonnegative_path(moments: Moments, penalties: np.ndarray) -> np.ndarray:
    """Return the coefficients of non-negative least squares for each penalty.

    Parameters
    ----------
    moments : Moments
    penalties : float array (n_penalties,)
        Of the squared weights; in units of the mean variance of a feature.

    Returns
    -------
    float64 array (n_penalties, 1 + n_features)
        Intercept, of any sign, and weights of zero or more.
    """
    covariance = moments.covariance
    gram, products = covariance[:-1, :-1], covariance[:-1, -1]
    unit = np.diagonal(gram).mean() * np.eye(len(gram))
    weights = [nonnegative_weights(gram + penalty * unit, products) for penalty in penalties]
    return with_intercept(moments, np.array(weights))


def squared_lengths(places: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the squared distances (n_pairs,) of places (n_images, n_axes) of images."""
    squares = np.zeros(len(first))
    for axis in places.T:
        squares += (axis[first] - axis[second]) ** 2
    return squares


def _line(places: np.ndarray, fit: Pairs, check: Pairs) -> Line:
    """Return the line with the slope of held-out pairs.

    Held-out images are few, and more or less dissimilar on average than others. What of that is
    explained comes with the predictions; what is not says less than the mean of the training pairs.
    """
    squares, measured = squared_lengths(places, *check[:2]), check[2]
    slope = Line.fit(squares, measured, SLOPES).slope
    spread = measured.var()
    explained = min(slope**2 * squares.var() / spread, 1) if spread > 0 else 0.0
    level = explained * measured.mean() + (1 - explained) * fit[2].mean()
    return Line(float(level - slope * squares.mean()), slope)


def low_rank_path(
    features: np.ndarray, pairs: Pairs, rank: int, penalties: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield the map (rank, n_features) for each penalty, each fit started from the one before.

    Parameters
    ----------
    features : float64 array (n_images, n_features)
    pairs : first, second, squared dissimilarity, arrays (n_pairs,)
    rank : int
    penalties : float array (n_penalties,)
        On the trace of the metric.
    """
    problem = LowRank(features, pairs)
    axes = problem.start(rank)
    for penalty in penalties:
        axes = problem.solve(axes, float(penalty))
        yield axes


class LowRank:
    """Mean squared error of squared distances under a low-rank metric.

    Parameters
    ----------
    features : float64 array (n_images, n_features)
    pairs : first, second, squared dissimilarity, arrays (n_pairs,)

    Notes
    -----
    Pairs enter as a sparse matrix with a row per pair, 1 and -1 in it: differences are taken of
    the images' `rank` coordinates, never of their features.
    """

    def __init__(self, features: np.ndarray, pairs: Pairs) -> None:
        first, second, target = pairs
        self.images = np.union1d(first, second)
        self.features = features[self.images]
        rows, ones = np.arange(target.size), np.ones(target.size)
        self.differences = scipy.sparse.csr_array(
            (
                np.r_[ones, -ones],
                (np.tile(rows, 2), np.searchsorted(self.images, np.r_[first, second])),
            ),
            shape=(target.size, self.images.size),
        )
        self.back = self.differences.T.tocsr()
        self.spread = float(target.std()) or 1.0
        self.target = (target - target.mean()) / self.spread

    def start(self, rank: int) -> np.ndarray:
        """Return a map (rank, n_features) to start from."""
        weighted = self.back @ (self.differences * self.target[:, np.newaxis]).tocsr()
        covariance = self.features.T @ (weighted @ self.features) / self.target.size
        values, vectors = np.linalg.eigh(covariance)
        leading = vectors[:, ::-1][:, :rank].T
        # Fourth moments of normal differences of variance 2: 8 times the metric. None of the axes
        # starts at zero, where the gradient is zero too.
        lengths = np.sqrt(np.maximum(values[::-1][:rank], 1e-3 * abs(values[-1]) + 1e-12) / 8)
        return lengths[:, np.newaxis] * leading * np.sqrt(self.spread)

    def solve(self, axes: np.ndarray, penalty: float) -> np.ndarray:
        """Return the map of least error plus penalty times its squared entries, from a start."""
        found = scipy.optimize.minimize(
            self.loss,
            (axes / np.sqrt(self.spread)).ravel(),
            args=(len(axes), penalty),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": MAX_ITERATIONS, "ftol": 1e-7},
        )
        return found.x.reshape(axes.shape) * np.sqrt(self.spread)

    def loss(self, entries: np.ndarray, rank: int, penalty: float) -> tuple[float, np.ndarray]:
        """Return the penalised error for targets of unit variance, and its gradient."""
        axes = entries.reshape(rank, -1)
        differences = self.differences @ (self.features @ axes.T)
        residuals = np.einsum("ij,ij->i", differences, differences) - self.target
        residuals -= residuals.mean()
        n_pairs = self.target.size
        slopes = self.back @ (residuals[:, np.newaxis] * differences)
        gradient = 4 / n_pairs * (slopes.T @ self.features) + 2 * penalty * axes
        loss = residuals @ residuals / n_pairs + penalty * (entries @ entries)
        return float(loss), gradient.ravel()
