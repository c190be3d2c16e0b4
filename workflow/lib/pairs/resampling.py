"""Measures of predictions under permutations and in resamples of the images.

All are sums over the pairs of each image, and no pair is looked up twice.
"""

from collections.abc import Sequence

import numba
import numpy as np

from workflow.lib.pairs.tables import FoldTable
from workflow.lib.rdms.vectors import working_dtype
from workflow.lib.rsa.ranking import midranks

MEASURES = ("r2", "spearman", "pearson", "row_pearson")
# A variance below this share of the mean square is rounding of a constant.
CONSTANT = 1e-12


def ratio_r2(error: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return R2 of sums of squares, arrays of one shape; NaN where nothing varies."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - error / np.where(total > 0, total, np.nan)


# Permutations of images: sums of products of prepared tables, of which one is relabelled.


def permuted(
    folds: Sequence[FoldTable], n_permutations: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the measures order predictions by, as observed and under permutations.

    Parameters
    ----------
    folds : sequence of FoldTable
    n_permutations : int
    rng : numpy Generator

    Returns
    -------
    observed : float64 array (n_measures,)
        All but the first, a cosine that R2 grows with, are the measures themselves.
    null : float64 array (n_permutations, n_measures)

    Notes
    -----
    Relabelled predictions keep their sum of squares, so that R2 follows the sum of products.
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


def _orders(
    folds: Sequence[FoldTable], n_permutations: int, rng: np.random.Generator
) -> np.ndarray:
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


def _prepared(fold: FoldTable, values: np.ndarray) -> np.ndarray:
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


def resampled(folds: Sequence[FoldTable], counts: np.ndarray, shift: float) -> np.ndarray:
    """Return the measures in every resample of the images.

    Parameters
    ----------
    folds : sequence of FoldTable
    counts : int array (n_resamples, n_images)
        How often each image is drawn.
    shift : float
        About the mean of the true values; taken off before squares are summed.

    Returns
    -------
    float64 array (n_resamples, n_measures)
    """
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
        r2 = ratio_r2(error, squares - total**2 / n)
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


def _row_sums(fold: FoldTable, weights: np.ndarray, shift: float) -> dict[str, np.ndarray]:
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


def _spearman_draws(fold: FoldTable, counts: np.ndarray) -> np.ndarray:
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
