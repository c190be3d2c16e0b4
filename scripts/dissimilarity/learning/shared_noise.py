"""Noise that vertices share in a few patterns, taken out of what an encoding model predicts.

Arousal, breathing or motion move many vertices at once. Such noise is a large part of the products
of responses that weights are learned from, and a few dimensions of many: no penalty of features
tells it from what images do, and a penalty for each vertex neither.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

# Variances below this share of the largest are rounding.
ROUNDING = 1e-10


@dataclass(frozen=True)
class Shrunk:
    """Products of responses Y after M, which shrinks patterns of vertices; M M shrinks them twice.

    Attributes
    ----------
    gram : float64 array (n_images, n_images)
        Y Y'.
    along : float64 array (n_images, n_patterns)
        Y v_k, the responses along orthonormal patterns v_k.
    kept : float64 array (n_patterns,)
        Share of each pattern that M keeps, 0 to 1.
    """

    gram: np.ndarray
    along: np.ndarray
    kept: np.ndarray

    def times(self, values: np.ndarray, power: int) -> np.ndarray:
        """Return Y M^power Y' values, for values (n_images, n)."""
        gone = self.along * (1 - self.kept**power)
        return self.gram @ values - gone @ (self.along.T @ values)

    def trace(self, power: int) -> float:
        """Return the trace of Y M^power Y'."""
        gone = (self.along**2).sum(axis=0) @ (1 - self.kept**power)
        return float(np.trace(self.gram) - gone)


def without_shared_noise(gram: np.ndarray, left: np.ndarray, n_patterns: int) -> Shrunk:
    """Return products of responses with patterns of noise shrunk.

    Parameters
    ----------
    gram : float64 array (n_images, n_images)
        Y Y', the products of responses to images.
    left : float64 array (n_images, n_components)
        Orthonormal, and orthogonal to a constant: what responses are regressed on.
    n_patterns : int
        At most; never more than the degrees of freedom that the regression leaves.

    Notes
    -----
    Patterns v_k are the leading principal components of the residuals of the regression, each of
    variance l_k. A regression coefficient has noise of this variance in the direction of v_k, and
    the square that is found there is t_k on average. M shrinks the direction by the positive-part
    factor of Stein, 1 - l_k / t_k: to nothing where noise explains all that is found, hardly where
    images differ in it, too. Where noise has no such patterns, M is near one. Of two patterns of
    equal strength chance decides which mixtures are taken for patterns, and noise that is mixed
    with what images move stays.

    Residuals are P Y with P a projection, so that Y v_k = Y Y' P u_k / s_k, with u_k and s_k^2 the
    eigenvectors and eigenvalues of P Y Y' P: no vertex is looked at.

    References
    ----------
    Efron & Morris 1973, J Am Stat Assoc 68:117 (positive-part Stein); Breiman & Friedman 1997, J R
    Stat Soc B 59:3 (predicting several responses with correlated noise); Kay et al. 2013, Front
    Neurosci 7:247 (shared noise of fMRI).
    """
    n_images, n_components = left.shape
    freedom = n_images - 1 - n_components
    n_patterns = min(n_patterns, freedom)
    if n_patterns < 1 or not n_components:
        return Shrunk(gram, np.empty((n_images, 0)), np.empty(0))
    along, variances = _patterns(gram, left, n_patterns)
    variances /= freedom
    found = ((left.T @ along) ** 2).mean(axis=0)
    return Shrunk(gram, along, 1 - variances / np.maximum(found, variances))


def _patterns(gram: np.ndarray, left: np.ndarray, n_patterns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the responses along the patterns of residuals, and the residuals' sums of squares.

    Returns
    -------
    along : float64 array (n_images, n)
        Y v_k.
    squares : float64 array (n,)
    """

    def residuals(values: np.ndarray) -> np.ndarray:
        values = values - values.mean(axis=0)
        return values - left @ (left.T @ values)

    n_images = len(gram)
    operator = LinearOperator(
        gram.shape, lambda values: residuals(gram @ residuals(values)), dtype=np.float64
    )
    # Residuals of rounding alone, of which there are no eigenvectors.
    scale = np.trace(gram)
    # Any start that is no eigenvector by itself; drawn by the library, it would differ every time.
    start = residuals(np.cos(np.arange(n_images, dtype=np.float64) ** 2))
    if scale <= 0 or np.linalg.norm(operator.matvec(start)) <= ROUNDING * scale:
        return np.empty((n_images, 0)), np.empty(0)
    squares, vectors = eigsh(operator, k=n_patterns, v0=start)
    kept = squares > ROUNDING * scale
    squares, vectors = squares[kept], vectors[:, kept]
    return gram @ residuals(vectors) / np.sqrt(squares), squares
