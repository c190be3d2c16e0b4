"""What a table of layer x ROI similarities says about layers, judged by resampled images.

Everything here works on one subject's `estimate` (n_rois, n_layers) and on `draws` of it
(n_draws, n_rois, n_layers): the same table for resampled images, exact or linearised, see
`workflow.lib.inference.bootstrap` and `workflow.lib.inference.jackknife`. Draws of one resample
belong together, so that differences between cells, layers and ceilings are differences draw by
draw; a resample in which one similarity is undefined (too few distinct images) is left out of all.
`n_drawn` is how many independent images a resample draws, or groups of images where whole groups
are drawn, see `workflow.lib.inference.study_resamples.n_drawn`.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from workflow.lib.errors import InputError
from workflow.lib.inference.intervals import (
    TOLERANCE,
    Intervals,
    as_normal,
    defined_draws,
    draw_intervals,
    max_statistic_p,
    ratio,
    studentised,
    two_sided_p,
)
from workflow.lib.inference.multiple_tests import false_discovery_rate


@dataclass(frozen=True)
class Interaction:
    """Which cells depart from a table in which every ROI prefers layers alike.

    Attributes
    ----------
    residual, se, t, p : float64 arrays (n_rois, n_layers)
        Doubly centred similarity, its standard error, their ratio, and p-values that hold
        family-wise over all cells. NaN where there is nothing to centre: one ROI or one layer.
    omnibus_p : float
        Of the null that no cell departs: the smallest p.
    """

    residual: np.ndarray
    se: np.ndarray
    t: np.ndarray
    p: np.ndarray
    omnibus_p: float


@dataclass(frozen=True)
class LayerDifferences:
    """Similarity of one layer minus that of another, for all pairs of layers.

    Attributes
    ----------
    first, second : int arrays (n_pairs,)
        Layers of each pair; the difference is first minus second.
    intervals : Intervals (n_rois, n_pairs)
    p, q : float64 arrays (n_rois, n_pairs)
        Two-sided; q, Benjamini-Hochberg over the pairs of a ROI.
    """

    first: np.ndarray
    second: np.ndarray
    intervals: Intervals
    p: np.ndarray
    q: np.ndarray


@dataclass(frozen=True)
class CeilingDifferences:
    """How far layers stay below the noise ceiling.

    Attributes
    ----------
    intervals : Intervals (n_rois, n_layers)
        Ceiling minus similarity: positive where there is something left to explain.
    p : float64 array (n_rois, n_layers)
        One-sided, of the null that the layer reaches the ceiling.
    """

    intervals: Intervals
    p: np.ndarray


@dataclass(frozen=True)
class LayerCentres:
    """Where along the layers the similarity of each ROI is concentrated.

    Attributes
    ----------
    centre, lower, upper : float64 arrays (n_rois,)
        In layer numbers, 1 for the first; interval by percentile of the draws. All NaN where no
        layer is above zero.
    n_undefined : int array (n_rois,)
        Draws left out because no layer was above zero.
    """

    centre: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    n_undefined: np.ndarray


def double_centred(table: np.ndarray) -> np.ndarray:
    """Return a table (..., n_rois, n_layers) without the means of its rows and columns."""
    by_row = table - table.mean(axis=-1, keepdims=True)
    return by_row - by_row.mean(axis=-2, keepdims=True)


def interaction_test(estimate: np.ndarray, draws: np.ndarray, *, n_drawn: int) -> Interaction:
    """Test whether ROIs prefer different layers: the layer x ROI interaction.

    Parameters
    ----------
    estimate : float array (n_rois, n_layers)
    draws : float array (n_draws, n_rois, n_layers)
    n_drawn : int

    Notes
    -----
    The doubly centred table is zero if similarities are a sum of an effect of the ROI (its
    signal-to-noise ratio, say) and one of the layer. Each cell is divided by its standard error;
    the null distribution of the largest one comes from the draws about their mean, to which |t| is
    held as the normal value of the same p. The test is approximate: it is as good as the bootstrap
    at the number of images.

    References
    ----------
    Nichols & Holmes 2002, Hum Brain Mapp 15:1; Romano & Wolf 2005, Econometrica 73:1237.
    """
    draws = defined_draws(estimate, draws)
    residual, null = double_centred(estimate), double_centred(draws)
    if min(estimate.shape) < 2:
        undefined = np.full(estimate.shape, np.nan)
        return Interaction(residual, undefined, undefined, undefined, np.nan)
    se, t, null_t = studentised(residual, null, n_drawn)
    z = as_normal(t, n_drawn - 1)
    p = max_statistic_p(z.ravel(), null_t.reshape(len(draws), -1)).reshape(estimate.shape)
    return Interaction(residual, se, np.copysign(t, residual), p, float(p.min()))


def all_pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return first and second member of all n(n-1)/2 pairs, first < second."""
    pairs = np.array(list(itertools.combinations(range(n), 2)), dtype=int).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def layer_differences(
    estimate: np.ndarray,
    draws: np.ndarray,
    *,
    n_drawn: int,
    level: float = 0.95,
) -> LayerDifferences:
    """Compare all pairs of layers within each ROI.

    Parameters
    ----------
    estimate : float array (n_rois, n_layers), at least two layers
    draws : float array (n_draws, n_rois, n_layers)
    n_drawn : int
    level : coverage of each interval, not corrected for their number

    References
    ----------
    Schütt et al. 2023, eLife 12:e82566 (model comparison by t-test with bootstrapped variance);
    Benjamini & Hochberg 1995, J R Stat Soc B 57:289.
    """
    first, second = all_pairs(estimate.shape[-1])
    if not first.size:
        raise InputError("found one layer, expected at least two to compare; leave this out")
    difference = estimate[..., first] - estimate[..., second]
    draws = defined_draws(estimate, draws)
    of_draws = draws[..., first] - draws[..., second]
    intervals = draw_intervals(difference, of_draws, n_drawn=n_drawn, level=level)
    p = two_sided_p(intervals, dof=n_drawn - 1)
    q = np.stack([false_discovery_rate(roi) for roi in p])
    return LayerDifferences(first, second, intervals, p, q)


def ceiling_differences(
    estimate: np.ndarray,
    draws: np.ndarray,
    *,
    ceiling: np.ndarray,
    ceiling_draws: np.ndarray,
    n_drawn: int,
    level: float = 0.95,
) -> CeilingDifferences:
    """Compare each layer with the lower noise ceiling of the ROI.

    Parameters
    ----------
    estimate : float array (n_rois, n_layers)
    draws : float array (n_draws, n_rois, n_layers)
    ceiling : float array (n_rois,)
        Lower ceiling: of this subject, or the mean of subjects if `estimate` is one too.
    ceiling_draws : float array (n_draws, n_rois)
        The ceiling in the same resamples.
    n_drawn : int
    level : coverage

    References
    ----------
    Nili et al. 2014, PLoS Comput Biol 10:e1003553; Schütt et al. 2023, eLife 12:e82566.
    """
    if len(ceiling_draws) != len(draws):
        raise InputError(
            f"found {len(ceiling_draws)} draws of the ceiling and {len(draws)} of the "
            "similarities, expected the same resamples; take the first of the longer ones"
        )
    missing = ceiling[:, np.newaxis] - estimate
    of_draws = ceiling_draws[..., np.newaxis] - draws
    intervals = draw_intervals(missing, of_draws, n_drawn=n_drawn, level=level)
    p = stdtr(n_drawn - 1, -ratio(intervals.estimate, intervals.se))
    return CeilingDifferences(intervals, p)


def layer_centre_of_mass(similarities: np.ndarray) -> np.ndarray:
    """Return where along the layers a ROI's similarity is concentrated.

    The mean layer number, 1 for the first, weighted by the similarity where it is positive.

    Parameters
    ----------
    similarities : float array (..., n_layers)

    Returns
    -------
    float array (...,)
        NaN where no layer is above zero: nothing to take a centre of.
    """
    weights = np.maximum(similarities, 0)
    total = weights.sum(axis=-1)
    numbers = np.arange(1, similarities.shape[-1] + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (weights * numbers).sum(axis=-1) / total, np.nan)


def layer_centres(estimate: np.ndarray, draws: np.ndarray, *, level: float = 0.95) -> LayerCentres:
    """Return the layer centre of mass of each ROI with its interval.

    Parameters
    ----------
    estimate : float array (n_rois, n_layers)
        Layers in their order within one network.
    draws : float array (n_draws, n_rois, n_layers)
    level : coverage

    Notes
    -----
    The centre is a ratio, of which the draws are skewed: intervals are percentiles. Where most
    layers are near zero max(r, 0) pulls the centre towards the middle, draws more than the
    estimate.
    """
    draws = defined_draws(estimate, draws)
    centre = layer_centre_of_mass(estimate)
    lower, upper, n_undefined = _percentiles(layer_centre_of_mass(draws), level)
    lower, upper = (np.where(np.isnan(centre), np.nan, bound) for bound in (lower, upper))
    return LayerCentres(centre, lower, upper, n_undefined)


def _percentiles(draws: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return bounds over the draws that are defined, and how many are not; draws (n_draws, m)."""
    undefined = np.isnan(draws).sum(axis=0)
    bounds = np.full((2, draws.shape[1]), np.nan)
    some = undefined < len(draws)
    quantiles = [(1 - level) / 2, (1 + level) / 2]
    bounds[:, some] = np.nanquantile(draws[:, some], quantiles, axis=0)
    return bounds[0], bounds[1], undefined


def best_layer_probability(draws: np.ndarray) -> np.ndarray:
    """Return in what share of the draws each layer is the ROI's best.

    Parameters
    ----------
    draws : float array (n_draws, n_rois, n_layers)

    Returns
    -------
    float64 array (n_rois, n_layers)
        Rows sum to one; layers that tie share the draw. This is how often the ranking survives
        other images, not a p-value.

    References
    ----------
    Efron & Tibshirani 1998, The problem of regions, Ann Stat 26:1687.
    """
    draws = defined_draws(draws[0], draws)
    best = draws >= draws.max(axis=-1, keepdims=True) - TOLERANCE
    return (best / best.sum(axis=-1, keepdims=True)).mean(axis=0)
