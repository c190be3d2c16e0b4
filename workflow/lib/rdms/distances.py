"""Distances between patterns from matrix products, with noise normalisation and across runs."""

from collections.abc import Sequence

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.noise import noise_normalised
from workflow.lib.rdms.vectors import condensed_index, named

# Rows of the matrix of products computed at a time.
ROWS = 256

# Crossvalidated, from patterns per run: see `crossnobis_distances`.
CROSSNOBIS = "crossnobis"
# By the noise between repeats: see `mahalanobis_distances`.
MAHALANOBIS = "mahalanobis"

# Last places within which a distance is zero, as it is among equal patterns.
ROUNDING = 8


def _one_minus_cosine(products: np.ndarray, own: float, others: np.ndarray) -> np.ndarray:
    return _without_rounding(1 - products / (np.sqrt(own) * np.sqrt(others)), 1.0)


def _squared(products: np.ndarray, own: float, others: np.ndarray) -> np.ndarray:
    lengths = own + others
    return _without_rounding(lengths - 2 * products, lengths)


def _without_rounding(distances: np.ndarray, terms: np.ndarray | float) -> np.ndarray:
    """Set differences of two terms to zero that are no larger than their rounding."""
    distances[distances <= ROUNDING * np.finfo(distances.dtype).eps * terms] = 0
    return distances


def _root_of_squared(products: np.ndarray, own: float, others: np.ndarray) -> np.ndarray:
    return np.sqrt(_squared(products, own, others))


# Distances of one pattern from others, from its products with them, and the products of each with
# itself. Names as in scipy.spatial.distance.
FROM_PRODUCTS = {
    "correlation": _one_minus_cosine,
    "cosine": _one_minus_cosine,
    "euclidean": _root_of_squared,
    "sq_euclidean": _squared,
}
METRICS = tuple(FROM_PRODUCTS)


def pattern_distances(
    patterns: np.ndarray,
    metric: str,
    *,
    dtype: type = np.float64,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the distances between all pairs of patterns.

    Equal patterns are at distance zero from one another and at equal distances from others,
    so that ranks tie.

    Parameters
    ----------
    patterns : float array (n_conditions, n_channels)
    metric : one of `METRICS`
    dtype : numpy.float64 or numpy.float32
        Of the products and the distances; means are taken off in float64 before. float32 is right
        to 1e-6 of the largest distance, not of the smallest.
    names : sequence of n_conditions str, optional
        The conditions, for errors.

    Returns
    -------
    array (n_pairs,) of `dtype`, condensed

    Raises
    ------
    InputError
        A pattern that does not vary has no correlation with any other (or, being zero, no angle);
        over a single channel none varies.

    Notes
    -----
    `euclidean` is that of scipy, the root of the summed squared differences, and `sq_euclidean`
    its square, sum_p (x_p - y_p)^2. What rsatoolbox calls "euclidean" is their mean over channels,
    `sq_euclidean` / n_channels; likewise its "mahalanobis" and "crossnobis".
    """
    if metric == "correlation" and patterns.shape[1] == 1:
        raise InputError(
            "found patterns of 1 channel, expected several for the correlation distance, which "
            "compares patterns over channels; widen the ROI, leave it out, or choose the metric "
            "euclidean"
        )
    first = _first_of_equal(patterns)
    centred = centred_for(patterns.astype(np.float64), metric).astype(dtype, copy=False)
    check_metric(metric, np.einsum("ij,ij->i", centred, centred), names)
    distinct, number = np.unique(first, return_inverse=True)
    if len(distinct) == len(patterns):
        return _distances_of(centred, metric)
    # A product of matrices is rounded differently from place to place: each pattern enters once.
    among = _distances_of(centred[distinct], metric)
    distances = np.zeros(len(patterns) * (len(patterns) - 1) // 2, among.dtype)
    left, right = (number[side] for side in np.triu_indices(len(patterns), 1))
    differ = left != right
    distances[differ] = among[condensed_index(left[differ], right[differ], len(distinct))]
    return distances


def _first_of_equal(patterns: np.ndarray) -> np.ndarray:
    """Return for each pattern (n_conditions, n_channels) the number of the first that equals it."""
    found, known = np.arange(len(patterns)), {}
    for i, row in enumerate(patterns):
        # Zero has two signs, of which a sum leaves one.
        first = known.setdefault(hash((row + 0).tobytes()), i)
        if first != i and np.array_equal(row, patterns[first]):
            found[i] = first
    return found


def _distances_of(centred: np.ndarray, metric: str) -> np.ndarray:
    """Return the distances (n_pairs,) of patterns prepared by `centred_for`.

    Block by block of rows, above the diagonal only: the square matrix is never held.
    """
    n = len(centred)
    squares = np.einsum("ij,ij->i", centred, centred)
    distances = np.empty(n * (n - 1) // 2, centred.dtype)
    for start in range(0, n, ROWS):
        block = centred[start : start + ROWS] @ centred[start:].T
        write_rows(distances, block, squares, first=start, metric=metric)
    return distances


def centred_for(patterns: np.ndarray, metric: str) -> np.ndarray:
    """Return patterns whose Gram matrix gives the metric, as exactly as can be.

    The correlation is the cosine of patterns centred over channels. Distances do not change when
    a channel's mean over conditions is taken off, but the numbers that cancel become smaller.
    """
    if metric == "correlation":
        return patterns - patterns.mean(axis=1, keepdims=True)
    if metric in ("euclidean", "sq_euclidean"):
        return patterns - patterns.mean(axis=0)
    return patterns


def distances_from_gram(gram: np.ndarray, metric: str) -> np.ndarray:
    """Return condensed distances from the Gram matrix of patterns prepared by `centred_for`.

    Parameters
    ----------
    gram : float array (n_conditions, n_conditions)
    metric : one of `METRICS`

    Returns
    -------
    array (n_pairs,), dtype of `gram`
    """
    squares = np.diagonal(gram)
    check_metric(metric, squares)
    distances = np.empty(len(gram) * (len(gram) - 1) // 2, gram.dtype)
    write_rows(distances, gram, squares, first=0, metric=metric)
    return distances


def check_metric(metric: str, squares: np.ndarray, names: Sequence[str] | None = None) -> None:
    """Raise InputError unless patterns of these squared lengths have distances by the metric."""
    if metric not in METRICS:
        raise InputError(f"found the metric {metric!r}, expected one of {', '.join(METRICS)}")
    (fixed,) = np.nonzero(~(squares > 0))
    if metric in ("correlation", "cosine") and fixed.size:
        raise InputError(
            f"found {fixed.size} of {len(squares)} patterns that do not vary over channels (the "
            f"first is that of {named(fixed[0], names)}), expected none for the {metric} distance; "
            "drop those conditions"
        )


def write_rows(
    distances: np.ndarray, products: np.ndarray, squares: np.ndarray, *, first: int, metric: str
) -> None:
    """Write the distances of patterns from those after them.

    Parameters
    ----------
    distances : array (n_pairs,)
        Is written to.
    products : array (k, n_conditions - first)
        Of the patterns `first` to `first` + k with all from `first` on.
    squares : array (n_conditions,)
        Products of the patterns with themselves.
    """
    start = first * (2 * len(squares) - first - 1) // 2
    for i, row in enumerate(products, first):
        others = row[i - first + 1 :]
        stop = start + others.size
        distances[start:stop] = FROM_PRODUCTS[metric](others, squares[i], squares[i + 1 :])
        start = stop


def mahalanobis_distances(
    patterns: np.ndarray, residuals: np.ndarray, *, dof: int, method: str = "shrinkage"
) -> np.ndarray:
    """Return the Mahalanobis distances between all pairs of patterns.

    Parameters
    ----------
    patterns : float array (n_conditions, n_channels)
    residuals : float array (n_observations, n_channels)
        Noise, as in `noise_normalised`.
    dof : int
        Degrees of freedom of the residuals.
    method : "shrinkage" or "diagonal"

    Returns
    -------
    float64 array (n_pairs,), condensed

    Raises
    ------
    InputError
        No repeats to estimate noise from, or a channel without noise.

    Notes
    -----
    sqrt((x - y)' S^-1 (x - y)) with S the covariance of `workflow.lib.rdms.noise.noise_covariance`,
    or its diagonal, as in scipy.spatial.distance. Their squares over the number of channels are the
    "mahalanobis" of rsatoolbox.rdm.calc_rdm. The Euclidean distances of noise-normalised patterns
    are the same.

    References
    ----------
    Walther et al. 2016, Reliability of dissimilarity measures for multi-voxel pattern analysis,
    NeuroImage 137:188.
    """
    if dof < 1:
        raise InputError(
            "found one observation of each condition, or one run, expected conditions repeated, "
            "within runs or over them, for the Mahalanobis distance; name the runs by "
            "`observations.run`, or choose another metric"
        )
    normalised = noise_normalised(patterns, residuals, dof=dof, method=method)
    return pattern_distances(normalised, "euclidean")


def crossnobis_distances(means: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Return crossvalidated squared distances between all pairs of patterns.

    Parameters
    ----------
    means : float array (n_runs, n_conditions, n_channels)
        Mean pattern of each condition in each run; noise-normalised for the crossvalidated
        Mahalanobis distance, see `noise_normalised`.
    counts : array (n_runs, n_conditions), optional
        Observations behind each mean; equal numbers if not given.

    Returns
    -------
    float64 array (n_pairs,), condensed
        Negative where noise outweighs the difference: the expectation is zero for equal patterns.

    Raises
    ------
    InputError
        Fewer than two runs.

    Notes
    -----
    d_ij = mean over runs r of (x_ri - x_rj) . (y_ri - y_rj) / n_channels, where x_r is the pattern
    in run r and y_r that over the observations of all other runs. The division by the number of
    channels is the convention of rsatoolbox.rdm.calc_rdm_crossnobis, whose numbers these are;
    `sq_euclidean` is not divided, so the two differ by that factor on data without noise.

    References
    ----------
    Walther et al. 2016, Reliability of dissimilarity measures for multi-voxel pattern analysis,
    NeuroImage 137:188.
    """
    n_runs, n_conditions, n_channels = means.shape
    if n_runs < 2:
        raise InputError(
            f"found {n_runs} run(s), expected at least 2 for the crossnobis distance; name the "
            "run of each observation, or choose another metric"
        )
    # Differences between conditions lose a common offset; without it, less cancels.
    centred = means.astype(np.float64) - means.mean(axis=(0, 1), dtype=np.float64)
    weights = np.ones((n_runs, n_conditions)) if counts is None else np.asarray(counts, np.float64)
    total = np.einsum("rc,rcp->cp", weights, centred)
    kernel = np.zeros((n_conditions, n_conditions))
    for run, weight in zip(centred, weights[:, :, np.newaxis], strict=True):
        others = (total - weight * run) / (weights.sum(axis=0)[:, np.newaxis] - weight)
        kernel += run @ others.T
    first, second = np.triu_indices(n_conditions, 1)
    squares = np.diagonal(kernel)
    products = kernel[first, second] + kernel[second, first]
    return (squares[first] + squares[second] - products) / (n_runs * n_channels)
