"""RDMs over all stimuli, and the part of them over the images that a study compares.

A stimulus may have a pattern that no metric can place, such as a uniform image under a correlation.
It leaves a gap, which stops a study only if the study compares that image.
"""

from collections.abc import Sequence

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.distances import centred_for, distances_from_gram
from workflow.lib.rdms.vectors import condensed_index, take_conditions, to_square

# Metrics of the angle between patterns, which a pattern of length zero has not.
ANGULAR = ("correlation", "cosine")
# A pattern, or a unit, varies if its spread exceeds this share of its size: float32 rounds at 1e-7,
# so that what varies less is noise of the arithmetic.
LEAST_VARIATION = 1e-6


def feature_distances(features: np.ndarray, metric: str) -> np.ndarray:
    """Return the distances between images' features, NaN for the pairs of one without a pattern.

    Parameters
    ----------
    features : float array (n_images, n_features)
    metric : one of `workflow.lib.rdms.distances.METRICS`

    Returns
    -------
    float64 array (n_pairs,), condensed
    """
    patterns = centred_for(features.astype(np.float64), metric)
    if metric == "correlation":
        patterns[np.ptp(features, axis=1) <= LEAST_VARIATION * np.abs(features).max(axis=1)] = 0
    return distances_with_gaps(patterns @ patterns.T, metric)


def distances_with_gaps(gram: np.ndarray, metric: str) -> np.ndarray:
    """Return condensed distances, NaN for the pairs of a pattern that has no angle to any other.

    Parameters
    ----------
    gram : float64 array (n_images, n_images)
        Of patterns as `workflow.lib.rdms.distances.distances_from_gram` takes them; exactly zero on
        the diagonal for those that do not vary.
    metric : one of `workflow.lib.rdms.distances.METRICS`

    Returns
    -------
    float64 array (n_pairs,)
    """
    kept = np.flatnonzero(np.diagonal(gram) > 0) if metric in ANGULAR else np.arange(len(gram))
    if len(kept) == len(gram):
        return distances_from_gram(gram, metric)
    n = len(gram)
    distances = np.full(n * (n - 1) // 2, np.nan)
    first, second = np.triu_indices(len(kept), 1)
    distances[condensed_index(kept[first], kept[second], n)] = distances_from_gram(
        gram[np.ix_(kept, kept)], metric
    )
    return distances


def selected_images(
    vector: np.ndarray, order: np.ndarray, names: Sequence[str], what: str
) -> np.ndarray:
    """Return the RDM over some images, in that order, after checking that it has no gaps.

    Parameters
    ----------
    vector : array (n(n-1)/2,)
    order : int array (m,)
        Distinct positions of the images, 0 to n-1.
    names : sequence of m str
        The same images, for errors.
    what : str
        How errors name the RDM.

    Returns
    -------
    array (m(m-1)/2,), dtype of `vector`

    Raises
    ------
    InputError
        One of the images has no distance to any other.
    """
    taken = take_conditions(vector, order)
    if np.isnan(taken).any():
        missing = np.isnan(to_square(taken, len(order))).sum(axis=1) >= len(order) - 1
        first = names[int(missing.argmax())]
        raise InputError(
            f"{what}: found {int(missing.sum())} image(s) whose pattern does not vary over units "
            f"(for example {first!r}), expected a pattern with an angle to others; replace the "
            "image, or choose the metric euclidean"
        )
    return taken
