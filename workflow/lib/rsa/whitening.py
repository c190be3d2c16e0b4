"""Whitened comparison of RDMs: dissimilarities that share a condition are correlated.

Noise of covariance S between the patterns of the conditions gives the dissimilarities the
covariance V, V_(ij)(kl) proportional to (c_ij' S c_kl)^2, with c_ij the contrast of conditions i
and j. The whitened cosine of two RDMs is x'V^-1 y over its lengths: V has n^4/4 entries, but no
inverse of it is needed (see Notes of `whitened`).
"""

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.vectors import n_conditions, to_square


def whitened(vector: np.ndarray, sigma_k: np.ndarray | None = None) -> np.ndarray:
    """Return a vector of which the dot product with another is x'V^-1 y.

    Parameters
    ----------
    vector : float array (n_pairs,)
        A condensed RDM.
    sigma_k : float array (n_conditions, n_conditions), optional
        Covariance of the noise between conditions; independent and equal if not given, in which
        case permuting the conditions of the RDM permutes the result.

    Returns
    -------
    float64 array (n_pairs + n_conditions,)
        The entries of a symmetric matrix above the diagonal, times sqrt(2), and then those on it.

    Raises
    ------
    InputError
        `sigma_k` of another shape, or no covariance.

    Notes
    -----
    Be D the squared dissimilarities as a matrix, u = S^-1 1, P = I - 1u'/(1'u) and M = -PDP'/2,
    the second moments of patterns of which the mean, weighted by u, is zero. The distances of
    these patterns are D, and M u = 0. Then M S^-1 = S L for a Laplacian L, whose weights x solve
    Vx = d: x'd is the trace of S^-1 M_1 S^-1 M_2, the dot product of R M_1 R' and R M_2 R' with
    R'R = S^-1. For S = I, M is the matrix centred over rows and columns, and the cosine of two of
    them is linear centred kernel alignment. O(n^2) then, O(n^3) with `sigma_k`.

    References
    ----------
    Diedrichsen et al. 2020, Comparing representational geometries using whitened
    unbiased-distance-matrix similarity, arXiv:2007.02789.
    """
    n = n_conditions(vector.size)
    if sigma_k is None:
        return _doubly_centred(vector, n)
    roots = _inverse_root(np.asarray(sigma_k, np.float64), n)
    weights = roots.T @ roots.sum(axis=1)  # S^-1 1
    square = to_square(vector.astype(np.float64), n)
    square -= np.outer(np.ones(n), weights @ square) / weights.sum()
    square -= np.outer(square @ weights, np.ones(n)) / weights.sum()
    moments = roots @ square @ roots.T / -2
    above = moments[np.triu_indices(n, 1)]
    return np.concatenate([np.sqrt(2) * above, np.diagonal(moments)])


def _doubly_centred(vector: np.ndarray, n: int) -> np.ndarray:
    """Return -HDH/2 as `whitened` does, row by row: the square matrix is never held."""
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


def _inverse_root(covariance: np.ndarray, n: int) -> np.ndarray:
    """Return R with R'R the inverse of a covariance (n, n)."""
    if covariance.shape != (n, n):
        raise InputError(
            f"found a covariance of shape {covariance.shape}, expected {(n, n)}, a row and a "
            "column for each condition; give that of the conditions compared, in their order"
        )
    try:
        return np.linalg.inv(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError as error:
        raise InputError(
            "found a covariance of conditions that is not positive definite, expected one with an "
            "inverse; shrink it towards its diagonal"
        ) from error
