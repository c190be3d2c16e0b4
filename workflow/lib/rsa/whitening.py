"""Whitened comparison of RDMs: dissimilarities that share a condition are correlated.

Noise that is independent and equal between the patterns of the conditions gives the dissimilarities
the covariance V, V_(ij)(kl) proportional to (c_ij'c_kl)^2, with c_ij the contrast of conditions i
and j. The whitened cosine of two RDMs is x'V^-1 y over its lengths: V has n^4/4 entries, but no
inverse of it is needed (see Notes of `whitened`).
"""

import numpy as np

from workflow.lib.rdms.vectors import n_conditions


def whitened(vector: np.ndarray) -> np.ndarray:
    """Return a vector of which the dot product with another is x'V^-1 y.

    Parameters
    ----------
    vector : float array (n_pairs,)
        A condensed RDM.

    Returns
    -------
    float64 array (n_pairs + n_conditions,)
        The entries of a symmetric matrix above the diagonal, times sqrt(2), and then those on it.
        Permuting the conditions of the RDM permutes the matrix.

    Notes
    -----
    Be D the dissimilarities as a matrix and H = I - 11'/n. M = -HDH/2 holds the second moments of
    patterns without their mean, of which D are the squared distances, and M1 = 0. So M is the
    Laplacian of weights x that solve Vx = d: x'd is the trace of M_1 M_2, the dot product of the
    two matrices, and the cosine of two of them is linear centred kernel alignment. D is centred
    over rows and columns row by row: the square matrix is never held.

    References
    ----------
    Diedrichsen et al. 2020, Comparing representational geometries using whitened
    unbiased-distance-matrix similarity, arXiv:2007.02789.
    """
    n = n_conditions(vector.size)
    means = row_sums(vector, n) / n
    overall = means.mean()
    prepared = np.empty(vector.size + n)
    start = 0
    for i in range(n - 1):
        stop = start + n - 1 - i
        prepared[start:stop] = vector[start:stop]
        prepared[start:stop] -= means[i + 1 :] + (means[i] - overall)
        start = stop
    prepared[: vector.size] *= -np.sqrt(2) / 2
    prepared[vector.size :] = means - overall / 2
    return prepared


def row_sums(vector: np.ndarray, n: int) -> np.ndarray:
    """Return the sum of each row of the square form of a condensed RDM, float64 (n,)."""
    sums = np.zeros(n)
    start = 0
    for i in range(n - 1):
        stop = start + n - 1 - i
        sums[i] += vector[start:stop].sum(dtype=np.float64)
        sums[i + 1 :] += vector[start:stop]
        start = stop
    return sums
