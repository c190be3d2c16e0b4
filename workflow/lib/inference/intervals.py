"""Estimates with their uncertainty, judged by draws of them: intervals and p-values.

Draws are what `workflow.lib.inference.bootstrap` and `workflow.lib.inference.jackknife` make of
resampled images; draws of one resample belong together, and one in which an estimate is undefined
is left out of all. `n_drawn` is how many independent images a resample draws, or groups of images
where whole groups are drawn, see `workflow.lib.inference.study_resamples.n_drawn`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtr

from workflow.lib.errors import InputError
from workflow.lib.inference.variance import interval, one_factor_variance

# Statistics, or similarities, that differ by less than this are the same up to rounding.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Intervals:
    """Estimates with their uncertainty; arrays of one shape.

    Attributes
    ----------
    estimate, se, lower, upper : float64 arrays
        `se` is that of new images: the standard deviation of the draws, times sqrt(n / (n - 1)).
    """

    estimate: np.ndarray
    se: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def t_intervals(
    estimate: np.ndarray, se: np.ndarray, *, dof: float, level: float = 0.95
) -> Intervals:
    """Return estimate +- t * se.

    Parameters
    ----------
    estimate, se : float arrays of one shape
    dof : degrees of freedom; n_drawn - 1 for a variance over images
    level : coverage

    References
    ----------
    Schütt et al. 2023, eLife 12:e82566.
    """
    return Intervals(estimate, se, *interval(estimate, se**2, dof, level))


def _t_from_draws(
    estimate: np.ndarray, draws: np.ndarray, *, n_drawn: int, level: float
) -> Intervals:
    return t_intervals(estimate, _standard_error(draws, n_drawn), dof=n_drawn - 1, level=level)


def _percentiles_of_draws(
    estimate: np.ndarray, draws: np.ndarray, *, n_drawn: int, level: float
) -> Intervals:
    lower, upper = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Intervals(estimate, _standard_error(draws, n_drawn), lower, upper)


def _standard_error(draws: np.ndarray, n_drawn: int) -> np.ndarray:
    return np.sqrt(one_factor_variance(draws, n_drawn))


INTERVALS: dict[str, Callable[..., Intervals]] = {
    "t": _t_from_draws,
    "percentile": _percentiles_of_draws,
}


def draw_intervals(
    estimate: np.ndarray,
    draws: np.ndarray,
    *,
    n_drawn: int,
    level: float = 0.95,
    kind: str = "t",
) -> Intervals:
    """Return an interval of each estimate from its draws.

    Parameters
    ----------
    estimate : float array (...)
    draws : float array (n_draws, ...)
    n_drawn : int
    level : coverage
    kind : a key of `INTERVALS`
        "t": estimate +- t(n_drawn - 1) times the standard deviation of the draws; "percentile":
        quantiles of the draws, which inherit the bias of draws that repeat images.

    Raises
    ------
    InputError
        As `defined_draws`.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 12-13; Schütt et al. 2023,
    eLife 12:e82566.
    """
    draws = defined_draws(estimate, draws)
    return INTERVALS[kind](estimate, draws, n_drawn=n_drawn, level=level)


def defined_draws(estimate: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return the draws (n_draws, ...) in which nothing is undefined.

    Raises
    ------
    InputError
        Draws of another table, or fewer than two left.
    """
    if draws.shape[1:] != estimate.shape:
        raise InputError(
            f"found draws of shape {draws.shape} for estimates of shape {estimate.shape}, "
            "expected draws of the same table; resample the same layers and ROIs"
        )
    defined = np.isfinite(draws).reshape(len(draws), -1).all(axis=1)
    if defined.sum() < 2:
        raise InputError(
            f"found {defined.sum()} of {len(draws)} resamples in which every similarity is "
            "defined, expected at least two; more images are needed, or an RDM with few distinct "
            "values left out"
        )
    return draws if defined.all() else draws[defined]


def two_sided_p(intervals: Intervals, *, dof: float) -> np.ndarray:
    """Return the p-values of estimates against zero by the t distribution."""
    return 2 * stdtr(dof, -np.abs(ratio(intervals.estimate, intervals.se)))


def ratio(estimate: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Return estimate / se; 0 where both vanish up to rounding (a layer given twice)."""
    vanishing = (se < TOLERANCE) & (np.abs(estimate) < TOLERANCE)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(vanishing, 0.0, estimate / se)


def max_statistic_p(statistic: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Return p-values that hold family-wise over the last axis.

    Parameters
    ----------
    statistic : float array (..., n_tests)
        Large values speak against the null.
    null : float array (n_draws, ..., n_tests)
        The statistics in draws from the null.

    Returns
    -------
    float64 array (..., n_tests)
        p = (k + 1) / (n_draws + 1), k draws of which the largest statistic reaches this one.

    References
    ----------
    Nichols & Holmes 2002, Hum Brain Mapp 15:1; Westfall & Young 1993, Resampling-Based Multiple
    Testing.
    """
    largest = np.sort(null.max(axis=-1), axis=0)
    flat = largest.reshape(len(null), -1)
    cells = statistic.reshape(flat.shape[1], -1)
    reached = np.stack(
        [
            len(null) - np.searchsorted(ordered, values - TOLERANCE)
            for ordered, values in zip(flat.T, cells, strict=True)
        ]
    )
    return ((reached + 1) / (len(null) + 1)).reshape(statistic.shape)


def as_normal(t: np.ndarray, dof: float) -> np.ndarray:
    """Return |t| as the standard normal value of the same p.

    Statistics of draws about their own mean are about normal, however few images were drawn, while
    that of the estimate is heavy-tailed like Student's t: held to them as it is, the largest of 12
    cells goes beyond the level of 0.05 in 28 % of null data sets of 8 images.
    """
    return -ndtri(stdtr(dof, -np.abs(t)))


def studentised(
    estimate: np.ndarray, draws: np.ndarray, n_drawn: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return standard errors, |t|, and |t| of the draws about their mean.

    The draws' own mean is taken off, not the estimate: resamples that repeat images are biased,
    which must not count as variance of the null.
    """
    se = _standard_error(draws, n_drawn)
    null = ratio(draws - draws.mean(axis=0), draws.std(axis=0, ddof=1))
    return se, np.abs(ratio(estimate, se)), np.abs(null)
