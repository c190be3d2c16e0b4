"""Representational dissimilarity matrices: vector and square form, and what makes one valid.

An RDM of n conditions is stored condensed: its n(n-1)/2 dissimilarities in row-major order of
the upper triangle, as in scipy.spatial.distance.squareform and in rsatoolbox.
"""

import math
from collections.abc import Sequence

import numpy as np

from workflow.lib.errors import InputError

# An RDM computed in float32 is symmetric, and zero on its diagonal, only up to rounding.
SYMMETRY_TOLERANCE = 1e-5
# Above this number of images matrices are held in float32: half the memory, twice the speed.
FLOAT64_LIMIT = 1500


def working_dtype(n_images: int) -> type:
    """Return the type in which RDMs of this many images are held and multiplied."""
    return np.float64 if n_images <= FLOAT64_LIMIT else np.float32


def n_conditions(n_pairs: int) -> int:
    """Return n for a condensed RDM of `n_pairs` = n(n-1)/2 dissimilarities.

    Raises
    ------
    InputError
        `n_pairs` is no such number, or n < 2.
    """
    n = (1 + math.isqrt(1 + 8 * n_pairs)) // 2
    if n < 2 or n * (n - 1) // 2 != n_pairs:
        below = max(n, 2)
        raise InputError(
            f"found an RDM of {n_pairs} dissimilarities, expected n(n-1)/2 for some number of "
            f"conditions n (n = {below} has {below * (below - 1) // 2}, n = {below + 1} has "
            f"{below * (below + 1) // 2}); give a square matrix or its upper triangle"
        )
    return n


def condensed_index(first: np.ndarray, second: np.ndarray, n: int) -> np.ndarray:
    """Return the positions of the pairs (first, second) in a condensed RDM.

    Parameters
    ----------
    first, second : int arrays of one shape
        Condition indices, in either order, never equal.
    n : int
        Number of conditions.
    """
    low = np.minimum(first, second).astype(np.int64)
    high = np.maximum(first, second).astype(np.int64)
    return low * (2 * n - low - 1) // 2 + high - low - 1


def take_conditions(vector: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the condensed RDM of the conditions `order`, in that order.

    Works row by row, so that a large RDM is never held in square form.

    Parameters
    ----------
    vector : array (n(n-1)/2,)
    order : int array (m,)
        Distinct condition indices, 0 to n-1.

    Returns
    -------
    array (m(m-1)/2,), dtype of `vector`
    """
    n, m = n_conditions(vector.size), len(order)
    if m == n and np.array_equal(order, np.arange(n)):
        return vector
    taken = np.empty(m * (m - 1) // 2, vector.dtype)
    start = 0
    for i in range(m - 1):
        stop = start + m - 1 - i
        taken[start:stop] = vector[condensed_index(order[i], order[i + 1 :], n)]
        start = stop
    return taken


def to_square(vector: np.ndarray, n: int) -> np.ndarray:
    """Return the symmetric (n, n) matrix, zero on its diagonal, of a condensed RDM."""
    square = np.zeros((n, n), vector.dtype)
    start = 0
    for i in range(n - 1):
        stop = start + n - 1 - i
        square[i, i + 1 :] = square[i + 1 :, i] = vector[start:stop]
        start = stop
    return square


def as_floats(values: np.ndarray) -> np.ndarray:
    """Return integers and logicals as float64: unsigned ones wrap around in a subtraction."""
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def named(condition: int, names: Sequence[str] | None) -> str:
    """Return how errors call a condition: by its name, or by its number, counted from 1."""
    return f"condition {condition + 1}" if names is None else repr(names[condition])


def to_condensed(square: np.ndarray, what: str, names: Sequence[str] | None = None) -> np.ndarray:
    """Return the upper triangle of a square RDM, after checking that it is one.

    Parameters
    ----------
    square : array (n, n)
        Values on the diagonal may be NaN, and so may the lower triangle.
    what : str
        How an error names the matrix, for example "92_brainRDMs.mat, RDMs[0, 1]".
    names : sequence of n str, optional
        The conditions, for errors.

    Raises
    ------
    InputError
        Not square, asymmetric, or not zero on its diagonal.
    """
    if square.ndim != 2 or square.shape[0] != square.shape[1]:
        raise InputError(
            f"{what}: found shape {square.shape}, expected a square RDM; give one row and one "
            "column per condition"
        )
    square = as_floats(square)
    tolerance = max(SYMMETRY_TOLERANCE, 2 * float(np.finfo(square.dtype).eps))
    scale = max(float(np.nanmax(np.abs(square), initial=0.0)), 1e-300)
    diagonal = float(np.nanmax(np.abs(np.diagonal(square)), initial=0.0))
    if diagonal > tolerance * scale:
        raise InputError(
            f"{what}: found a diagonal of up to {diagonal:.4g}, expected zeros; a matrix with "
            "ones there holds similarities: give 1 - similarity"
        )
    with np.errstate(invalid="ignore"):  # infinite values are reported by check_dissimilarities
        asymmetry = float(np.nanmax(np.abs(square - square.T), initial=0.0))
    if asymmetry > tolerance * scale:
        worst = np.nanargmax(np.abs(square - square.T))
        first, second = (named(int(i), names) for i in np.unravel_index(worst, square.shape))
        raise InputError(
            f"{what}: found entries (i, j) and (j, i) that differ by up to {asymmetry:.4g}, most "
            f"for {first} and {second}, expected a symmetric RDM; average it with its transpose if "
            "that is meant"
        )
    return square[np.triu_indices(square.shape[0], 1)]


def check_dissimilarities(
    vector: np.ndarray, what: str, names: Sequence[str] | None = None
) -> np.ndarray:
    """Return `vector` if a comparison can use it.

    Parameters
    ----------
    vector : array (n(n-1)/2,)
    what : str
        How an error names the RDM.
    names : sequence of n str, optional
        The conditions, for errors: they name the one with the most such dissimilarities.

    Raises
    ------
    InputError
        NaN or infinite values, or all dissimilarities equal.
    """
    finite = np.isfinite(vector)
    if not finite.all():
        raise InputError(
            f"{what}: found {np.count_nonzero(~finite)} NaN or infinite of {vector.size} "
            f"dissimilarities ({_most_of(~finite, names)}), expected none; leave out the "
            "conditions or voxels that cause them"
        )
    if vector.min() == vector.max():
        raise InputError(
            f"{what}: found all {vector.size} dissimilarities equal to {vector[0]:.4g}, expected "
            "an RDM that varies; look for a constant pattern or an empty ROI, and leave it out"
        )
    return vector


def _most_of(bad: np.ndarray, names: Sequence[str] | None) -> str:
    """Return which condition has the most bad pairs, how many, and one of them.

    Parameters
    ----------
    bad : bool array (n(n-1)/2,)
    """
    square = to_square(bad, n_conditions(bad.size))
    counts = square.sum(axis=1)
    worst = int(counts.argmax())
    other = named(int(square[worst].argmax()), names)
    return f"{counts[worst]} of {named(worst, names)}, such as that from {other}"
