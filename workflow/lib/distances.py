"""Distances between patterns, from one matrix product."""

import numpy as np

from workflow.lib.errors import InputError

# Names as in scipy.spatial.distance; rsatoolbox calls the mean squared difference "euclidean",
# which is `sq_euclidean` divided by the number of channels.
METRICS = ("correlation", "cosine", "euclidean", "sq_euclidean")


def pattern_distances(patterns: np.ndarray, metric: str) -> np.ndarray:
    """Return the distances between all pairs of patterns.

    Parameters
    ----------
    patterns : float array (n_conditions, n_channels)
    metric : one of `METRICS`

    Returns
    -------
    float64 array (n_pairs,), condensed

    Raises
    ------
    InputError
        A pattern that does not vary has no correlation with any other (or, being zero, no angle).
    """
    centred = centred_for(patterns.astype(np.float64), metric)
    return distances_from_gram(centred @ centred.T, metric)


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
    gram : float64 array (n_conditions, n_conditions)
    metric : one of `METRICS`

    Returns
    -------
    float64 array (n_pairs,)
    """
    first, second = np.triu_indices(len(gram), 1)
    products, squares = gram[first, second], np.diagonal(gram)
    if metric in ("correlation", "cosine"):
        if not (squares > 0).all():
            raise InputError(
                f"found {int((squares <= 0).sum())} of {len(squares)} patterns that do not vary "
                f"over channels, expected none for the {metric} distance; drop those conditions"
            )
        lengths = np.sqrt(squares)
        return 1 - products / (lengths[first] * lengths[second])
    if metric not in METRICS:
        raise InputError(f"found the metric {metric!r}, expected one of {', '.join(METRICS)}")
    squared = np.maximum(squares[first] + squares[second] - 2 * products, 0)
    return squared if metric == "sq_euclidean" else np.sqrt(squared)
