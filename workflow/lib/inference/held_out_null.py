"""The null of scores of held-out folds, whose models learned from what the other folds test."""

import math

import numpy as np

from workflow.lib.inference.permutation import TIE_TOLERANCE

# Of the distances of relabelled scores from their mean, see `widened`.
WIDENING = math.sqrt(2)


def widened(null: np.ndarray, centre: float) -> np.ndarray:
    """Return scores under relabellings, drawn out to how far scores without an effect lie.

    Parameters
    ----------
    null : float array (n,)
        Mean scores over folds under relabellings, with models that are not fitted again.
    centre : float
        Where scores lie without an effect.

    Returns
    -------
    float array (n,)
        centre + sqrt(2) (null - mean of null)

    Notes
    -----
    Scores of folds vary together by more than relabellings tell, since what one fold tests the
    models of the others learned. Where the score of fold i has a part a_ij = t_i . A t_j for every
    other fold j, with t the labels of a fold and A how alike their items are, the sum over folds
    holds a_ij + a_ji = 2 a_ij. Models that are not fitted again keep t_j as it was, so that under
    relabellings a_ij and a_ji vary by themselves: the variance of the sum is 4 Var(a_ij) for each
    two folds as it is, and 2 Var(a_ij) under relabellings. Where parts are not equal it is at most
    twice as large (Cauchy-Schwarz), so that p is a bound.
    """
    return centre + WIDENING * (null - null.mean())


def widened_p(value: float, null: np.ndarray, centre: float) -> float:
    """Return the one-sided p of a score against the widened null, its own labelling counted.

    Parameters
    ----------
    value : float
    null, centre : as in `widened`

    References
    ----------
    Phipson & Smyth 2010, Permutation p-values should never be zero, Stat Appl Genet Mol Biol 9:39.
    """
    reached = widened(null, centre) >= value - TIE_TOLERANCE[np.dtype(np.float64)]
    return float((1 + np.count_nonzero(reached)) / (1 + null.size))
