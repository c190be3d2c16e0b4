"""Order and ranks of millions of dissimilarities."""

import sys

import numba
import numpy as np

from workflow.lib.errors import InputError

# float32 holds every multiple of one half up to here, and so every midrank: 4,096 images.
MOST_FLOAT32_RANKS = 1 << 23
# Where the low half of a 64-bit word lies in memory.
LOW_HALF = 0 if sys.byteorder == "little" else 1


def sorted_order(vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order that sorts a vector, and the vector in that order.

    Parameters
    ----------
    vector : float array (n,), without NaN

    Returns
    -------
    order : int array (n,)
    ordered : array (n,)
        Of a type of its own: equal, or not, as the values of the vector are.
    """
    if vector.dtype != np.float32:
        order = np.argsort(vector)
        return order, vector[order]
    # Value and position in one word: NumPy sorts these with vector instructions, without a
    # detour over an index.
    words = np.empty(vector.size, np.uint64)
    halves = words.view(np.uint32).reshape(-1, 2)
    halves[:, LOW_HALF] = np.arange(vector.size, dtype=np.uint32)
    halves[:, 1 - LOW_HALF] = _sortable(vector)
    words.sort()
    return halves[:, LOW_HALF], halves[:, 1 - LOW_HALF]


def _sortable(vector: np.ndarray) -> np.ndarray:
    """Return float32 values as unsigned integers of the same order."""
    bits = (vector + np.float32(0)).view(np.uint32)  # -0 + 0 is 0: the two zeros are one value
    # Negative numbers count downwards from the sign bit.
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def midranks(vector: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """Return the ranks 1 to n of a vector, ties sharing their mean rank.

    Parameters
    ----------
    vector : float array (n,), without NaN
    dtype : numpy.float64 or numpy.float32
        float32 holds midranks exactly up to n = 2^23 (4,096 images), in half the memory.

    Returns
    -------
    array (n,) of `dtype`

    Raises
    ------
    InputError
        float32 ranks of more values than it can tell apart.
    """
    if np.dtype(dtype) == np.float32 and vector.size > MOST_FLOAT32_RANKS:
        raise InputError(
            f"found {vector.size} dissimilarities to rank in float32, expected at most "
            f"{MOST_FLOAT32_RANKS}, beyond which ranks are rounded; rank them in float64"
        )
    ranks = np.empty(vector.size, dtype)
    _share_ranks(*sorted_order(vector), ranks)
    return ranks


@numba.njit(cache=True, nogil=True)
def _share_ranks(order: np.ndarray, ordered: np.ndarray, ranks: np.ndarray) -> None:
    """Write the midrank of every value to its place."""
    start = 0
    while start < ordered.size:
        stop = start + 1
        while stop < ordered.size and ordered[stop] == ordered[start]:
            stop += 1
        # A run from position a up to b shares the mean of the ranks a + 1 to b.
        for position in range(start, stop):
            ranks[order[position]] = (start + 1 + stop) / 2
        start = stop
