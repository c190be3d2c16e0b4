"""Rows of condensed RDMs, a block at a time: a large RDM is never held in square form."""

from collections.abc import Iterator, Sequence

import numpy as np

# Rows at a time: bounds memory, and is fixed so that sums do not depend on the machine.
ROWS = 64


def upper_rows(
    vectors: Sequence[np.ndarray],
    start: int,
    n_images: int,
    *,
    dtype: type,
    shifts: Sequence[float] | None = None,
    scales: Sequence[float] | None = None,
) -> np.ndarray:
    """Return rows of the upper triangles of RDMs, zero elsewhere.

    Parameters
    ----------
    vectors : n_rdms arrays (n_images (n_images - 1) / 2,)
    start : int
        First row.
    n_images : int
    dtype : type of the result
    shifts, scales : sequences of n_rdms float, optional
        Taken off, then multiplied with, the dissimilarities of each RDM.

    Returns
    -------
    array (n_rdms, up to `ROWS`, n_images - start)
        The first column is that of image `start`: those before are zero in these rows.
    """
    stop = min(start + ROWS, n_images)
    block = np.zeros((len(vectors), stop - start, n_images - start), dtype)
    for rdm, vector in enumerate(vectors):
        first = start * (2 * n_images - start - 1) // 2
        for row in range(stop - start):
            length = n_images - 1 - start - row
            block[rdm, row, row + 1 :] = vector[first : first + length]
            if shifts is not None:
                block[rdm, row, row + 1 :] -= shifts[rdm]
            first += length
        if scales is not None:
            block[rdm] *= scales[rdm]
    return block


def equal_parts(n: int, most: int) -> Iterator[slice]:
    """Yield slices of 0 to n, as few as can be and none longer than `most`, of about one length."""
    n_parts = max(1, -(-n // most))
    size = max(1, -(-n // n_parts))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
