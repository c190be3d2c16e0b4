"""Principal components of many units, from the products between the few points alone."""

import numpy as np
import scipy.linalg


def principal_scores(
    gram: np.ndarray, *, n_components: int | None = None, variance: float | None = None
) -> np.ndarray:
    """Return the scores of points on their first principal components.

    Parameters
    ----------
    gram : float64 array (n, n)
        Products of the points, from which their mean has been taken off.
    n_components : int, optional
        At most; there are no more than points.
    variance : float, optional
        Above 0 and at most 1: only as many components as hold this share of the variance.

    Returns
    -------
    float64 array (n, n_components)
        By falling variance; the largest score of each component, which has no sign of its own, is
        positive.
    """
    n = len(gram)
    first = 0 if n_components is None else max(0, n - n_components)
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=(first, n - 1))
    values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
    if variance is not None:
        # Without the margin, rounding would ask for components of no variance.
        enough = (variance - 1e-12) * np.trace(gram)
        values = values[: np.searchsorted(np.cumsum(values), enough) + 1]
    scores = vectors[:, : len(values)] * np.sqrt(values)
    largest = scores[np.abs(scores).argmax(axis=0), np.arange(scores.shape[1])]
    return scores * np.where(largest < 0, -1, 1)
