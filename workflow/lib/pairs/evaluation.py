"""How well dissimilarities of pairs are predicted, with intervals and tests that respect images.

Pairs that share an image are not independent: intervals resample images, p-values permute them.
All resamples and orders are sums over the pairs of each image, and no pair is looked up twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numba
import numpy as np
import pandas as pd

from workflow.lib.errors import InputError
from workflow.lib.inference.permutation import TIE_TOLERANCE, PermutationTest
from workflow.lib.inference.variance import interval, one_factor_variance
from workflow.lib.rdms.vectors import working_dtype
from workflow.lib.rsa.ranking import midranks

MEASURES = ("r2", "spearman", "pearson", "row_pearson")
# A variance below this share of the mean square is rounding of a constant.
CONSTANT = 1e-12
# Of the null where folds learned from one another's images, see `evaluate`.
WIDENING = float(np.sqrt(2))


@dataclass(frozen=True)
class Predictions:
    """Test pairs of a fold with what was predicted of them.

    All pairs among some images, or all pairs of one image of the left and one of the right: what
    permutations of images can be applied to. Folds of pairs dealt out at random are such only
    together.

    Attributes
    ----------
    first, second : int arrays (n_pairs,)
        Where a left image was seen in training and a right one was not, left images come first.
    true, predicted : float arrays (n_pairs,)
    """

    first: np.ndarray
    second: np.ndarray
    true: np.ndarray
    predicted: np.ndarray


def joined(tests: Sequence[Predictions]) -> Predictions:
    """Return the pairs of several folds as those of one."""
    fields = ("first", "second", "true", "predicted")
    return Predictions(
        *(np.concatenate([getattr(test, field) for test in tests]) for field in fields)
    )


@dataclass(frozen=True)
class Scores:
    """Scores of one model on one split.

    Attributes
    ----------
    table : DataFrame, a row per measure of `MEASURES`
        measure, value, low, high (95 % interval over images), p (one-sided), n_images, n_pairs.
    draws : float64 array (n_resamples, n_measures)
        The measures in every resample of the images. Those of two models tested on the same
        images with the same counts are paired.
    """

    table: pd.DataFrame
    draws: np.ndarray


def evaluate(
    tests: Sequence[Predictions],
    *,
    counts: np.ndarray,
    n_permutations: int,
    rng: np.random.Generator,
    level: float = 0.95,
    widening: float = 1.0,
) -> Scores:
    """Return the scores of predictions, with intervals over images and p-values.

    Parameters
    ----------
    tests : sequence of Predictions, one per fold
    counts : int array (n_resamples, n_images)
        How often each image is drawn, from `workflow.lib.inference.bootstrap.image_counts`.
    n_permutations : int
    rng : numpy Generator
        Of the permutations.
    level : float
        Coverage of intervals.
    widening : float
        How many times wider than under permutations the null is taken; `WIDENING` for folds whose
        models learned from the images that other folds test.

    Returns
    -------
    Scores

    Raises
    ------
    InputError
        Test pairs that are not all pairs of some images, a pair twice, or values that are no
        numbers.

    Notes
    -----
    r2
        1 - SSE / SST over the test pairs of all folds at once, SST around their mean.
    pearson, spearman
        Of the pairs of a fold, then the mean over folds. Over all pairs at once a model that says
        the mean of its training pairs would correlate negatively: where the pairs of a fold lie
        high, those that it learned from lie low.
    row_pearson
        Of the pairs of one image, then the mean over images: those tested, where the other image
        of a pair was seen in training.

    A prediction that does not vary tells no pair from another, and correlates by 0.

    In a resample the pair of images i and j weighs w_i w_j, pairs of an image with its own copies
    drop out. Limits are value -+ t(n_images - 1) times the standard deviation of the draws, with
    the model as it was fitted: over test images, not over trainings.

    p is the share of orders of the images, their own counted, under which predictions score as well
    as they do: images change places with those that are seen, and not seen, in the same folds.
    Models are not fitted anew. Of one fold the test is exact. Scores of several folds vary together
    more than their orders tell, since what one fold tests the models of the others learned: where
    the score of fold k has parts t_k . A t_j for the other folds j, the variance of the sum is at
    most twice that under permutations (each such part stands in two folds; Cauchy-Schwarz). With
    `WIDENING`, all orders but their own count with sqrt(2) times their scores, which are 0 on
    average, and p is an upper bound: up to 0.1 also of a line through one distance, whose score is
    the size of a normal variable, for its sign is learned. Of 150 to 200 data sets without
    effect, 60 images in five folds, p <= 0.05 on clean pairs came up in 2 to 5 % for such a line (6
    to 11 % without widening), in 0 to 2 % for a ridge on 12 features, a learned metric of six, and
    encoding (3 to 6 %).

    Of 200 data sets with an effect 95 % intervals held the score of the population in 96 to 99 %:
    standard deviations of draws are a sixth too large.

    References
    ----------
    Mantel 1967, Cancer Res 27:209; Efron & Tibshirani 1993, An Introduction to the Bootstrap;
    Phipson & Smyth 2010, Stat Appl Genet Mol Biol 9:39; Fafchamps & Gubert 2007, J Dev Econ 83:326
    (pairs that share a member).
    """
    folds = [_Fold.of(test) for test in tests]
    true = np.concatenate([test.true for test in tests])
    error = np.concatenate([test.predicted for test in tests]) - true
    r2 = _ratio_r2((error**2).sum(), ((true - true.mean()) ** 2).sum())
    observed, null = _permuted(folds, n_permutations, rng)
    value = np.array([r2, *observed[1:]])
    draws = _draws(folds, counts, true.mean())
    n_images = np.unique(np.concatenate([fold.images for fold in folds])).size
    low, high = interval(value, one_factor_variance(draws, n_images), n_images - 1, level)
    test = PermutationTest(
        observed[np.newaxis],
        np.concatenate([observed[np.newaxis], widening * null])[:, np.newaxis],
        TIE_TOLERANCE[np.dtype(working_dtype(max(max(fold.true.shape) for fold in folds)))],
        complete=False,
    )
    table = pd.DataFrame(
        {
            "measure": MEASURES,
            "value": value,
            "low": low,
            "high": high,
            "p": test.p[0],
            "n_images": n_images,
            "n_pairs": true.size,
        }
    )
    return Scores(table, draws)


def symmetry_error(
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray], first: np.ndarray, second: np.ndarray
) -> float:
    """Return the largest |f(a, b) - f(b, a)| over some pairs.

    Parameters
    ----------
    predict : function of two int arrays (n,) that returns predictions (n,)
    first, second : int arrays (n,)
    """
    return float(np.abs(predict(first, second) - predict(second, first)).max(initial=0))


@dataclass(frozen=True)
class _Fold:
    """The pairs of a fold as a table: a row per tested image, a column per image it is paired with.

    Attributes
    ----------
    rows, columns : int arrays
        Images; the same for pairs among some images, whose table is symmetric.
    present : bool array (n_rows, n_columns)
        False on the diagonal of a symmetric table.
    true, predicted : float64 arrays (n_rows, n_columns), zero where no pair is
    """

    rows: np.ndarray
    columns: np.ndarray
    present: np.ndarray
    true: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, test: Predictions) -> "_Fold":
        left, right = np.unique(test.first), np.unique(test.second)
        apart = np.intersect1d(left, right).size == 0 and left.size * right.size > 1
        rows, columns = (right, left) if apart else (np.union1d(left, right),) * 2
        row, column = np.searchsorted(rows, test.second), np.searchsorted(columns, test.first)
        times = np.zeros((rows.size, columns.size), np.uint8)
        np.add.at(times, (row, column), 1)
        if not apart:
            np.add.at(times, (column, row), 1)
        expected = np.ones(times.shape, bool) if apart else ~np.eye(rows.size, dtype=bool)
        if not np.array_equal(times, expected):
            raise InputError(
                f"found {test.first.size} test pairs of {rows.size} and {columns.size} images, "
                "expected every pair of them once; test folds of pairs dealt out at random together"
            )
        tables = []
        for what, values in (("true", test.true), ("predicted", test.predicted)):
            if not np.isfinite(values).all():
                raise InputError(
                    f"found {np.count_nonzero(~np.isfinite(values))} of {values.size} {what} "
                    "dissimilarities that are no numbers, expected none; look at the model's "
                    "learning curve"
                )
            table = np.zeros(times.shape)
            table[row, column] = values
            if not apart:
                table[column, row] = values
            tables.append(table)
        return cls(rows, columns, expected, *tables)

    @property
    def symmetric(self) -> bool:
        return self.rows is self.columns

    @property
    def images(self) -> np.ndarray:
        return self.rows if self.symmetric else np.concatenate([self.rows, self.columns])

    @property
    def weight(self) -> float:
        """How often a pair counts once its two places in a symmetric table are summed."""
        return 0.5 if self.symmetric else 1.0

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return row and column of every pair, once."""
        return np.nonzero(np.triu(self.present) if self.symmetric else self.present)


def _ratio_r2(error: np.ndarray, total: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - error / np.where(total > 0, total, np.nan)


# Permutations of images: sums of products of prepared tables, of which one is relabelled.


def _permuted(
    folds: Sequence[_Fold], n_permutations: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the measures order predictions by, as observed and under permutations.

    Relabelled predictions keep their sum of squares, so that R2 follows the sum of products.

    Returns
    -------
    observed : float64 array (n_measures,)
        All but the first, a cosine that R2 grows with, are the measures themselves.
    null : float64 array (n_permutations, n_measures)
    """
    totals = np.zeros((n_permutations + 1, len(MEASURES)))
    squares = np.zeros(2)
    n_rows = sum(fold.rows.size for fold in folds)
    orders = _orders(folds, n_permutations, rng)
    for fold in folds:
        true, predicted = _prepared(fold, fold.true), _prepared(fold, fold.predicted)
        squares += (true[..., 0] ** 2).sum(), (predicted[..., 0] ** 2).sum()
        sums = np.zeros_like(totals)
        rows, columns = (_places(orders, images) for images in (fold.rows, fold.columns))
        _products(true, predicted, rows, columns, sums)
        totals += sums / [1, len(folds), len(folds), n_rows]
    totals[:, 0] /= np.sqrt(np.prod(squares)) or 1
    return totals[0], totals[1:]


def _orders(folds: Sequence[_Fold], n_permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Return which image stands in the place of each, int64 (n_permutations + 1, n_images).

    The first order is their own. Images change places with those that have the same part in every
    fold, and in all folds alike: pairs of one image seen stand in two folds, and two orders of them
    would average out what one leaves.
    """
    n_images = 1 + max(fold.images.max() for fold in folds)
    parts = np.zeros((n_images, 2 * len(folds)), bool)
    for number, fold in enumerate(folds):
        parts[fold.rows, 2 * number] = True
        parts[fold.columns, 2 * number + 1] = True
    kinds = np.unique(parts, axis=0, return_inverse=True)[1].ravel()
    orders = np.tile(np.arange(n_images), (n_permutations + 1, 1))
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        orders[1:, members] = rng.permuted(orders[1:, members], axis=1)
    return orders


def _places(orders: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return orders of some images, as places among them, uint32 (n_orders, len(images))."""
    place = np.zeros(orders.shape[1], np.uint32)
    place[images] = np.arange(images.size, dtype=np.uint32)
    return place[orders[:, images]]


def _prepared(fold: _Fold, values: np.ndarray) -> np.ndarray:
    """Return the table as each measure takes it, so that products sum to it.

    Returns
    -------
    array (n_rows, n_columns, n_measures), in the working type for its size
        Centred over the fold; ranks of unit length; unit length; rows of unit length.
    """
    row, column = fold.pairs()
    ranks = np.zeros(values.shape)
    ranks[row, column] = midranks(values[row, column])
    if fold.symmetric:
        ranks += ranks.T
    prepared = np.empty((*values.shape, len(MEASURES)), working_dtype(max(values.shape)))
    centred = _centred(ranks, fold.present, None)
    prepared[..., 1] = _unit(centred, ranks, None)
    prepared[..., 3] = _unit(_centred(values, fold.present, 1), values, 1)
    prepared[..., 0] = centred = _centred(values, fold.present, None)
    prepared[..., 2] = _unit(centred, values, None)
    return prepared


def _centred(values: np.ndarray, present: np.ndarray, axis: int | None) -> np.ndarray:
    n = present.sum(axis=axis, keepdims=True)
    return np.where(present, values - values.sum(axis=axis, keepdims=True) / n, 0)


def _unit(centred: np.ndarray, values: np.ndarray, axis: int | None) -> np.ndarray:
    """Return values scaled to unit length; zero where they do not vary."""
    squares = (centred**2).sum(axis=axis, keepdims=True)
    varies = squares > CONSTANT * (values**2).sum(axis=axis, keepdims=True)
    return np.where(varies, centred / np.sqrt(np.where(varies, squares, 1)), 0)


@numba.njit(cache=True, nogil=True)
def _products(
    true: np.ndarray,
    predicted: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Add the sums over pairs of true x relabelled predicted to `sums` (n_orders, 4)."""
    for order in range(len(rows)):
        a = b = c = d = 0.0
        for i in range(true.shape[0]):
            relabelled = predicted[rows[order, i]]
            own = true[i]
            for j in range(true.shape[1]):
                k = columns[order, j]
                a += own[j, 0] * relabelled[k, 0]
                b += own[j, 1] * relabelled[k, 1]
                c += own[j, 2] * relabelled[k, 2]
                d += own[j, 3] * relabelled[k, 3]
        sums[order, 0] += a
        sums[order, 1] += b
        sums[order, 2] += c
        sums[order, 3] += d


# Resamples of images: a pair weighs w_i w_j.


def _draws(folds: Sequence[_Fold], counts: np.ndarray, shift: float) -> np.ndarray:
    """Return the measures in every resample, float64 (n_resamples, n_measures)."""
    weights = counts.astype(np.float64)
    pooled, pearson, rows, n_rows = 0.0, [], 0.0, 0.0
    for fold in folds:
        sums = _row_sums(fold, weights, shift)
        drawn = weights[:, fold.rows]
        of_fold = {name: (drawn * part).sum(axis=1) for name, part in sums.items()}
        pearson.append(_correlation(of_fold))
        pooled = pooled + fold.weight * np.array([of_fold[name] for name in _OF_R2])
        of_rows = _correlation(sums)
        defined = np.isfinite(of_rows) * drawn
        rows = rows + (np.where(defined > 0, of_rows, 0) * drawn).sum(axis=1)
        n_rows = n_rows + defined.sum(axis=1)
    n, total, squares, error = pooled
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = _ratio_r2(error, squares - total**2 / n)
        return np.stack(
            [
                r2,
                _mean_of_folds([_spearman_draws(fold, counts) for fold in folds]),
                _mean_of_folds(pearson),
                rows / n_rows,
            ],
            axis=1,
        )


_OF_R2 = ("n", "y", "yy", "ee")


def _row_sums(fold: _Fold, weights: np.ndarray, shift: float) -> dict[str, np.ndarray]:
    """Return weighted sums over the pairs of each row, (n_resamples, n_rows) each.

    `shift` is taken off before squares are summed, so that less of them cancels.
    """
    y = np.where(fold.present, fold.true - shift, 0)
    x = np.where(fold.present, fold.predicted - shift, 0)
    columns = weights[:, fold.columns]
    sums = {"n": columns @ fold.present.T.astype(np.float64)}
    sums |= {"x": columns @ x.T, "y": columns @ y.T, "ee": columns @ ((y - x) ** 2).T}
    # One table of products at a time: of all pairs of thousands of images none is small.
    return sums | {"xx": columns @ (x * x).T, "yy": columns @ (y * y).T, "xy": columns @ (x * y).T}


def _correlation(sums: dict[str, np.ndarray]) -> np.ndarray:
    """Return weighted correlations: 0 where predictions do not vary, NaN where the truth does."""
    with np.errstate(invalid="ignore", divide="ignore"):
        n = sums["n"]
        xx, yy, xy = (sums[a + b] - sums[a] * sums[b] / n for a, b in ("xx", "yy", "xy"))
        varies = xx > CONSTANT * sums["xx"]
        correlation = np.where(varies, xy / np.sqrt(np.where(varies, xx, 1) * yy), 0)
        return np.where(yy > CONSTANT * sums["yy"], correlation, np.nan)


def _mean_of_folds(values: Sequence[np.ndarray]) -> np.ndarray:
    defined = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0).sum(axis=0) / defined.sum(axis=0)


def _spearman_draws(fold: _Fold, counts: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of the fold in every resample, float64 (n_resamples,)."""
    row, column = fold.pairs()
    true, predicted = fold.true[row, column], fold.predicted[row, column]
    by_true = np.argsort(true, kind="stable")
    row, column = (images[by_true].astype(np.int32) for images in (row, column))
    by_predicted = np.argsort(predicted[by_true], kind="stable").astype(np.int32)
    return _rank_correlations(
        row,
        column,
        _run_ends(true[by_true]),
        by_predicted,
        _run_ends(predicted[by_true][by_predicted]),
        np.ascontiguousarray(counts[:, fold.rows], np.int64),
        np.ascontiguousarray(counts[:, fold.columns], np.int64),
    )


def _run_ends(ordered: np.ndarray) -> np.ndarray:
    """Return where each run of equal values ends."""
    return np.append(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, ordered.size)


@numba.njit(cache=True, nogil=True)
def _rank_correlations(row, column, true_ends, by_predicted, predicted_ends, of_rows, of_columns):
    """Return the correlation of weighted midranks, pairs given in the order of the truth.

    The midrank of a run is that of the pairs below it and half its own, doubled and centred.
    """
    n_pairs = row.size
    weights, ranks = np.empty(n_pairs), np.empty(n_pairs)
    found = np.empty(len(of_rows))
    for draw in range(len(of_rows)):
        total = 0.0
        for k in range(n_pairs):
            weights[k] = of_rows[draw, row[k]] * of_columns[draw, column[k]]
            total += weights[k]
        below, start, yy = -total, 0, 0.0
        for end in true_ends:
            own = 0.0
            for k in range(start, end):
                own += weights[k]
            for k in range(start, end):
                ranks[k] = below + own
            yy += own * (below + own) ** 2
            below += 2 * own
            start = end
        below, start, xx, xy = -total, 0, 0.0, 0.0
        for end in predicted_ends:
            own, crossed = 0.0, 0.0
            for k in range(start, end):
                pair = by_predicted[k]
                own += weights[pair]
                crossed += weights[pair] * ranks[pair]
            xy += crossed * (below + own)
            xx += own * (below + own) ** 2
            below += 2 * own
            start = end
        if yy <= 0:
            found[draw] = np.nan
        elif xx <= 0:
            found[draw] = 0.0
        else:
            found[draw] = xy / np.sqrt(xx * yy)
    return found
