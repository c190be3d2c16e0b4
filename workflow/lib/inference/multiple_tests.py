"""Correction of p-values for the number of tests."""

import numpy as np


def false_discovery_rate(p: np.ndarray) -> np.ndarray:
    """Return Benjamini-Hochberg q-values of a family of p-values, any shape.

    NaN stands for no test: it stays NaN, and does not count.

    References
    ----------
    Benjamini & Hochberg 1995, J R Stat Soc B 57:289.
    """
    q = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    values = p[tested]
    order = np.argsort(values)[::-1]
    steps = values[order] * values.size / np.arange(values.size, 0, -1)
    adjusted = np.empty(values.size)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps), 1.0)
    q[tested] = adjusted
    return q
