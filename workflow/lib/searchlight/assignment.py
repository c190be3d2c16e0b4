"""Which layer every place of the brain resembles most, by how much, and how surely.

A map of the best layer looks the same whether the best is far ahead or a hair's breadth. Beside it
stand here the margin to the next best and the share of resamples in which the same layer, and a
layer of the same group, is the best: resamples of the subjects for a group, and of the conditions
for a single case. Over subjects, flips of their signs test whether the best group is the best.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflow.lib.errors import InputError
from workflow.lib.inference.bootstrap import CONSTANT
from workflow.lib.inference.counts import image_counts, subject_counts
from workflow.lib.inference.sign_flip import t_statistics
from workflow.lib.searchlight.sphere_rdms import Scaling, Searchlight, scaling_of
from workflow.lib.searchlight.statistics import TOLERANCE

# Similarities of all resamples are held for so many places at a time that they are of this size.
DRAWS_BYTES = 1 << 26
NOWHERE = -1
# Volumes of the image of an assignment; layers and groups count from 1.
VOLUMES = (
    *("layer", "group", "margin", "group_margin"),
    *("layer_share", "group_share", "group_p", "reliable"),
)


@dataclass(frozen=True)
class Assignment:
    """The best layer of every centre.

    Attributes
    ----------
    layer, group : int64 arrays (n_centres,)
        Numbers of the most similar layer and of its group; `NOWHERE` where there are no maps.
    margin : float64 array (n_centres,)
        Similarity less that of the next best layer.
    group_margin : float64 array (n_centres,)
        Similarity less that of the best layer of another group; NaN where there is one group.
    """

    layer: np.ndarray
    group: np.ndarray
    margin: np.ndarray
    group_margin: np.ndarray


def assign(maps: np.ndarray, groups: Sequence[str]) -> Assignment:
    """Return which layer is the best at every centre.

    Parameters
    ----------
    maps : float array (n_layers, n_centres)
        Similarities; NaN where there are none. Of equal ones the first is the best.
    groups : sequence of n_layers str
        Group of each layer; groups are numbered in the order in which they appear.

    Raises
    ------
    InputError
        Fewer than two layers.
    """
    if len(maps) < 2:
        raise InputError(
            f"found {len(maps)} layer, expected at least two to find the best of; take a model "
            "with several layers"
        )
    codes = group_codes(groups)
    where = np.isfinite(maps).all(axis=0)
    inside = maps[:, where]
    best = inside.argmax(axis=0)
    highest = inside.max(axis=0)
    others = np.where(np.arange(len(maps))[:, np.newaxis] == best, -np.inf, inside)
    elsewhere = np.where(codes[:, np.newaxis] == codes[best], -np.inf, inside).max(axis=0)
    elsewhere = np.where(np.isinf(elsewhere), np.nan, elsewhere)
    return Assignment(
        layer=_spread(best, where, NOWHERE),
        group=_spread(codes[best], where, NOWHERE),
        margin=_spread(highest - others.max(axis=0), where, np.nan),
        group_margin=_spread(highest - elsewhere, where, np.nan),
    )


def group_codes(groups: Sequence[str]) -> np.ndarray:
    """Return the number of each layer's group, in the order in which groups appear."""
    return pd.factorize(np.asarray(groups, dtype=object))[0]


def _spread(values: np.ndarray, where: np.ndarray, nothing: float) -> np.ndarray:
    spread = np.full(where.size, nothing, dtype=np.result_type(values, type(nothing)))
    spread[where] = values
    return spread


# Resamples.


def subject_draws(
    maps: np.ndarray, n_resamples: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the mean maps of resampled subjects, a block of centres at a time.

    Parameters
    ----------
    maps : float array (n_subjects, n_layers, n_centres)
        For correlations, Fisher's z. Centres that are NaN in any subject are left out.
    n_resamples : int
    rng : numpy Generator

    Yields
    ------
    centres : int64 array (n,)
    draws : float64 array (n_resamples, n_layers, n)
    """
    n_subjects, n_layers, _ = maps.shape
    weights = subject_counts(n_subjects, n_resamples, rng) / n_subjects
    centres = np.flatnonzero(np.isfinite(maps).all(axis=(0, 1)))
    step = max(1, DRAWS_BYTES // (8 * n_resamples * n_layers))
    for start in range(0, centres.size, step):
        some = centres[start : start + step]
        draws = weights @ maps[:, :, some].reshape(n_subjects, -1)
        yield some, draws.reshape(n_resamples, n_layers, some.size)


def condition_draws(
    searchlight: Searchlight,
    models: np.ndarray,
    comparator: str,
    n_resamples: int,
    rng: np.random.Generator,
    basis: np.ndarray | None = None,
    averaged: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield similarities over resampled conditions, each centre's up to a positive factor.

    Parameters
    ----------
    searchlight : Searchlight
    models : float64 array (n_models, n_pairs)
        From `workflow.lib.searchlight.similarity.prepared_models`; with controls, without them.
    comparator : str
    n_resamples : int
    rng : numpy Generator
    basis : float64 array (n_controls, n_pairs), optional
        Controls of a partial correlation.
    averaged : callable, array (n_models, n_pairs) -> (n_layers, n_pairs), optional
        The mean over the models of each layer, where one has several:
        `workflow.lib.rsa.model_layers.ModelLayers.averaged`.

    Yields
    ------
    centres : int64 array (n,)
    draws : float64 array (n_resamples, n_layers, n)
        Which layer is the best does not depend on the factor.

    Notes
    -----
    A pair of conditions that were drawn c and d times counts c d times, and pairs of a condition
    with itself not at all. Ranks (and what controls take off) are those of the whole sample. With m
    a model, w the weights and s its weighted deviation, the weighted correlation with an RDM b is
    w (m - mean(m)) / s . b over the weighted deviation of b, which all layers share. Of rho-a s is
    the deviation of ranks without ties, for every layer the same, as in the map: divided by their
    own, models with ties would gain on others. Of a cosine no mean is taken off.
    """
    counts = image_counts(searchlight.n_conditions, n_resamples, rng)
    scaling = scaling_of(comparator)
    weighted = np.concatenate(
        [averaged(_weighted_models(models, count, scaling)) for count in counts]
    )
    step = max(1, DRAWS_BYTES // (8 * len(weighted)))
    for centres, brains in searchlight.prepared_blocks(comparator):
        if basis is not None:
            brains = brains - (brains @ basis.T) @ basis
        for start in range(0, centres.size, step):
            some = slice(start, start + step)
            draws = weighted @ brains[some].T
            yield centres[some], draws.reshape(len(counts), -1, draws.shape[1])


def _weighted_models(models: np.ndarray, count: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Return models as one resample weighs them, (n_models, n_pairs).

    A model that does not vary over a resample resembles nothing there: zero.
    """
    first, second = np.triu_indices(count.size, 1)
    weights = count[first] * count[second].astype(np.float64)
    # One condition drawn every time leaves no pair.
    weights /= max(weights.sum(), 1)
    squares = np.square(models) @ weights
    means = models @ weights if scaling.centred else np.zeros(len(models))
    variances = squares - np.square(means)
    varying = variances > CONSTANT[variances.dtype] * squares
    # Models are of the length that untied ranks would have: one, over all pairs.
    units = np.full(len(models), 1 / models.shape[1]) if scaling.untied else variances
    scale = np.where(varying, 1 / np.sqrt(np.where(varying, units, 1.0)), 0.0)
    return weights * (models - means[:, np.newaxis]) * scale[:, np.newaxis]


def winning_shares(
    draws: Iterable[tuple[np.ndarray, np.ndarray]], assignment: Assignment, groups: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return in which share of resamples the best layer, and a layer of its group, is the best.

    Parameters
    ----------
    draws : iterable of (centres, draws), see `subject_draws` and `condition_draws`
    assignment : Assignment
    groups : sequence of n_layers str

    Returns
    -------
    layer_share, group_share : float64 arrays (n_centres,), NaN where there are no draws

    Notes
    -----
    Layers that tie share the resample. With few conditions all do in many: two conditions drawn
    have one dissimilarity, over which nothing varies, and which speaks for no layer.
    """
    codes = group_codes(groups)
    shares = np.full((2, assignment.layer.size), np.nan)
    for centres, values in draws:
        best = values >= values.max(axis=1, keepdims=True) - TOLERANCE
        n_best = best.sum(axis=1)
        own = assignment.layer[centres] == np.arange(len(codes))[:, np.newaxis]
        of_group = assignment.group[centres] == codes[:, np.newaxis]
        for number, chosen in enumerate((own, of_group)):
            shares[number, centres] = ((best & chosen).sum(axis=1) / n_best).mean(axis=0)
    shares[:, assignment.layer == NOWHERE] = np.nan
    return shares[0], shares[1]


# What is reliable.


def group_tests(maps: np.ndarray, groups: Sequence[str], signs: np.ndarray) -> np.ndarray:
    """Return the p-value of every group of layers holding the best layer, by sign flips.

    Parameters
    ----------
    maps : float array (n_subjects, n_layers, n_centres)
        For correlations, Fisher's z. Centres that are NaN in any subject are not tested.
    groups : sequence of n_layers str
    signs : float array (n_flips, n_subjects)
        None flipped first, see `workflow.lib.searchlight.statistics.sign_flips`.

    Returns
    -------
    float64 array (n_groups, n_centres), NaN where not tested; zero for an only group

    Notes
    -----
    Were the best layer r, of another group, then no layer l of this group would exceed it: the
    differences l - r of subjects, their signs flipped, would reach what was observed. The statistic
    against r is the largest t of l - r over the group's layers, and so is its null distribution:
    the choice of the best of many layers is paid for. As r is unknown, p is the largest over all r
    outside the group. A given group that is not the best has p <= alpha with a probability of at
    most alpha at each centre, if differences lie symmetrically about their means over subjects;
    there is no correction over centres. Nor is there one over wrong groups, as each has to exceed
    the others, too; only if one is high in the samples in which another is low do their chances
    add up, to 2 alpha for two. With fewer than five subjects p cannot reach 0.05.

    References
    ----------
    Berger 1982, Technometrics 24:295 (intersection-union tests); Westfall & Young 1993,
    Resampling-Based Multiple Testing; Nichols & Holmes 2002, Hum Brain Mapp 15:1.
    """
    _, n_layers, n_centres = maps.shape
    codes = group_codes(groups)
    p = np.full((codes.max() + 1, n_centres), np.nan)
    centres = np.flatnonzero(np.isfinite(maps).all(axis=(0, 1)))
    # A statistic takes about four arrays of the size of its null distribution.
    step = max(1, DRAWS_BYTES // (32 * len(signs) * n_layers))
    for start in range(0, centres.size, step):
        some = centres[start : start + step]
        p[:, some] = _tested_groups(maps[:, :, some], codes, signs)
    return p


def _tested_groups(maps: np.ndarray, codes: np.ndarray, signs: np.ndarray) -> np.ndarray:
    p = np.zeros((codes.max() + 1, maps.shape[2]))
    for rival, own in enumerate(codes):
        for group in np.setdiff1d(codes, own):
            differences = maps[:, codes == group] - maps[:, [rival]]
            t = t_statistics(signs, differences.reshape(len(maps), -1))
            largest = t.reshape(len(signs), *differences.shape[1:]).max(axis=1)
            reached = largest[0] - TOLERANCE * np.maximum(1.0, np.abs(largest[0]))
            # One subject has no t: p = 1.
            p[group] = np.maximum(p[group], (~(largest < reached)).mean(axis=0))
    return p


def layer_groups(layers: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the group of each layer; without groups, each layer is one.

    Parameters
    ----------
    layers : names in their order
    groups : mapping, group -> its layers

    Raises
    ------
    InputError
        A layer in no group.
    """
    if not groups:
        return list(layers)
    group_of = {layer: group for group, members in groups.items() for layer in members}
    missing = [layer for layer in layers if layer not in group_of]
    if missing:
        raise InputError(
            f"layer_groups: found no group of the layer {missing[0]!r}, expected one for each of "
            f"{', '.join(layers)}; name it there"
        )
    return [group_of[layer] for layer in layers]


def assignment_maps(
    maps: np.ndarray,
    p: np.ndarray,
    draws: Iterable[tuple[np.ndarray, np.ndarray]],
    groups: Sequence[str],
    alpha: float,
    group_p: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return the best layer of every centre, and how sure it is.

    A centre is reliable where the similarity with its best layer is significant (if that was
    tested) and its group is the best with p <= alpha. Without such a test (one subject), a layer of
    the same group is to be the best in at least 1 - alpha of the resamples, which is a description.

    Parameters
    ----------
    maps : float array (n_layers, n_centres)
    p : float array (n_layers, n_centres)
        Corrected p-values; all NaN without a test.
    draws : iterable of (centres, draws), see `subject_draws` and `condition_draws`
    groups : sequence of n_layers str
    alpha : float
    group_p : float array (n_groups, n_centres), optional
        From `group_tests`: per centre, not corrected over them.

    Returns
    -------
    dict, one of `VOLUMES` -> float64 array (n_centres,), NaN where there are no maps; group_p
    is NaN everywhere without that test
    """
    best = assign(maps, groups)
    inside = best.layer != NOWHERE
    layer_share, group_share = winning_shares(draws, best, groups)
    significant = _of_best(p, best.layer) <= alpha
    own_p = np.full(inside.shape, np.nan) if group_p is None else _of_best(group_p, best.group)
    ahead = group_share >= 1 - alpha if group_p is None else own_p <= alpha
    reliable = (significant | np.isnan(p).all()) & ahead
    volumes = {
        **{"layer": best.layer + 1.0, "group": best.group + 1.0},
        **{"margin": best.margin, "group_margin": best.group_margin},
        **{"layer_share": layer_share, "group_share": group_share, "group_p": own_p},
        "reliable": reliable.astype(np.float64),
    }
    return {name: np.where(inside, volumes[name], np.nan) for name in VOLUMES}


def _of_best(values: np.ndarray, best: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, best[np.newaxis].clip(min=0), axis=0)[0]
