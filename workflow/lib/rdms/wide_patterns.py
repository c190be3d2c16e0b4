"""RDMs of patterns of tens of thousands of channels, by several metrics from the same products.

The patterns of 9,841 images and 40,000 vertices are 1.6 GB. They are standardised and centred where
they are, and multiplied a block of rows at a time, so that beside them only the RDMs are held.
"""

from collections.abc import Sequence

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.distances import check_metric, write_rows
from workflow.lib.rdms.stimulus_rdms import LEAST_VARIATION

# Rows of the matrix of products computed at a time.
ROWS = 512
# Channels that one product sums over; sums of more of them round too much in float32.
PRODUCT_CHANNELS = 2048
# Channels that are worked on in float64 at a time: what they take stays in the processor's cache.
TILE_CHANNELS = 256
EVERY_CONDITION = slice(None)


def standardise_channels(
    patterns: np.ndarray, over: np.ndarray | slice = EVERY_CONDITION
) -> np.ndarray:
    """Give every channel mean 0 and standard deviation 1 over conditions, in place.

    Parameters
    ----------
    patterns : float array (n_conditions, n_channels)
        Is written to.
    over : int array (n,) or slice
        The conditions that mean and standard deviation are of; all are shifted and scaled by these.

    Returns
    -------
    float array (n_conditions, n_kept), a part of `patterns`
        Channels that do not vary over these conditions are left out: none may be left.
    """
    n_kept = 0
    for start in range(0, patterns.shape[1], TILE_CHANNELS):
        tile = patterns[:, start : start + TILE_CHANNELS].astype(np.float64)
        means = tile[over].mean(axis=0)
        tile -= means
        known = tile[over]
        deviations = np.sqrt(np.einsum("ij,ij->j", known, known) / len(known))
        varies = deviations > LEAST_VARIATION * np.abs(means)
        width = np.count_nonzero(varies)
        patterns[:, n_kept : n_kept + width] = tile[:, varies] / deviations[varies]
        n_kept += width
    return patterns[:, :n_kept]


def wide_distances(patterns: np.ndarray, metrics: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the distances between all pairs of patterns, by several metrics.

    Parameters
    ----------
    patterns : float array (n_conditions, n_channels)
        Of `standardise_channels`. Is overwritten: each pattern loses its mean over channels.
    metrics : sequence of `workflow.lib.rdms.distances.METRICS`

    Returns
    -------
    dict, metric -> array (n_pairs,), condensed, dtype of `patterns`

    Raises
    ------
    InputError
        An unknown metric, no channel, or a pattern that does not vary over channels, which has no
        correlation.

    Notes
    -----
    With m_i the mean of pattern i over its p channels, and c_i what is left of it,
    x_i . x_j = c_i . c_j + p m_i m_j: the correlation is the cosine of c, other metrics take the
    sum. Only c is multiplied in the type of the patterns, `PRODUCT_CHANNELS` at a time, for nothing
    large cancels in it; sums over these are float64.
    """
    n, n_channels = patterns.shape
    if not n_channels:
        raise InputError(
            f"found no channel that varies over {n} conditions, expected some; look at the patterns"
        )
    levels = patterns.mean(axis=1, dtype=np.float64)
    patterns -= levels.astype(patterns.dtype)[:, np.newaxis]
    centred = np.einsum("ij,ij->i", patterns, patterns, dtype=np.float64)
    added = {metric: 0 if metric == "correlation" else n_channels for metric in metrics}
    squares = {
        metric: (centred + weight * levels**2).astype(patterns.dtype)
        for metric, weight in added.items()
    }
    for metric in metrics:
        check_metric(metric, squares[metric])
    distances = {metric: np.empty(n * (n - 1) // 2, patterns.dtype) for metric in metrics}
    for start in range(0, n, ROWS):
        products = _products(patterns[start : start + ROWS], patterns[start:])
        with_levels = np.outer(levels[start : start + ROWS], levels[start:])
        for metric, weight in added.items():
            rows = (products + weight * with_levels).astype(patterns.dtype)
            write_rows(distances[metric], rows, squares[metric], first=start, metric=metric)
    return distances


def _products(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the products of patterns (k, n_channels), (m, n_channels), float64 (k, m)."""
    products = np.zeros((len(some), len(others)))
    for start in range(0, some.shape[1], PRODUCT_CHANNELS):
        stop = start + PRODUCT_CHANNELS
        products += some[:, start:stop] @ others[:, start:stop].T
    return products
