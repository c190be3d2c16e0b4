"""Regions in which a code is found, and how layers fare there, without circularity.

A region is the share of spheres whose RDMs resemble a code the most. Where the same responses say
which spheres these are and how well layers do there, layers that resemble the code do well by
selection alone, whatever the brain. Here a region is chosen in one half of the runs and layers are
compared in the other, or chosen in other subjects; the circular analysis stands beside it.

References
----------
Kriegeskorte, Simmons, Bellgowan, Baker 2009, Nat Neurosci 12:535 (circular analysis);
Lee, Jung, Lustig, Lee 2022, Hum Brain Mapp, doi:10.1002/hbm.26189 (regions of codes).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.digits.choices import (
    ALL_PAIRS,
    CIRCULAR,
    HELD_OUT_RUNS,
    OTHER_SUBJECTS,
    OWN_PAIRS,
    clean_choice,
)
from workflow.lib.errors import InputError
from workflow.lib.inference.sign_flip import MIN_SUBJECTS, sign_flip_test
from workflow.lib.inference.variance import interval
from workflow.lib.patterns.reading import Patterns
from workflow.lib.patterns.store import PatternStore
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rdms.vectors import n_conditions, take_conditions
from workflow.lib.rsa.comparators import prepare
from workflow.lib.rsa.model_layers import ModelLayers
from workflow.lib.searchlight.spheres import Searchlight, similarity_maps
from workflow.lib.searchlight.statistics import (
    DESCRIPTIVE,
    INFERENTIAL,
    SINGLE_CASE,
    fisher_z,
)
from workflow.lib.sources import WHOLE_BRAIN


@dataclass(frozen=True)
class SomeRuns:
    """Some observations of a subject, in place of a `PatternStore` of them all."""

    path: Path
    conditions: list[str]
    all_patterns: Patterns

    def patterns(self, roi: str) -> Patterns:
        """Return the responses, of the one ROI there is."""
        return self.all_patterns


def halves_of_runs(store: PatternStore, least: int = 1) -> list[SomeRuns]:
    """Return the odd and the even runs of a subject, nothing where there are too few.

    Parameters
    ----------
    store : the subject's patterns
    least : int
        Runs that a half needs; two where distances are cross-validated over runs.

    Raises
    ------
    InputError
        A half that lacks a condition.
    """
    runs = list(dict.fromkeys(store.runs or []))
    if len(runs) < 2 * least:
        return []
    patterns = store.patterns(WHOLE_BRAIN)
    return [_of_runs(store, patterns, part) for part in (runs[::2], runs[1::2])]


def _of_runs(store: PatternStore, patterns: Patterns, runs: Sequence[str]) -> SomeRuns:
    chosen = patterns.of_observations(
        [row for row, run in enumerate(patterns.runs) if run in set(runs)]
    )
    missing = sorted(set(store.conditions) - set(chosen.conditions))
    if missing:
        raise InputError(
            f"{store.path.name}: found no observation of {missing[0]!r} in the runs "
            f"{', '.join(runs)}, expected every condition in either half of the runs; drop the "
            "condition, or leave this subject out"
        )
    return SomeRuns(store.path, chosen.conditions, chosen)


@dataclass(frozen=True, eq=False)
class CodeMaps:
    """Spheres of some of a subject's responses, and where among them codes are found.

    Attributes
    ----------
    light : Searchlight
    maps : float64 array (n_codes, n_centres)
        Similarity with each code, NaN where there is none.
    """

    light: Searchlight
    maps: np.ndarray

    @classmethod
    def of(cls, light: Searchlight, codes: np.ndarray, comparator: str) -> "CodeMaps":
        """Return the maps of codes, prepared for a comparator."""
        return cls(light, similarity_maps(light, codes, comparator))


@dataclass(frozen=True)
class Choice:
    """A region: where it was chosen and where it is tested.

    Attributes
    ----------
    chosen_in : `HELD_OUT_RUNS`, `OTHER_SUBJECTS` or `CIRCULAR`
    chooser : float64 array (n_codes, n_centres)
        By which the spheres of each code are chosen.
    tested : CodeMaps
        Whose spheres are compared with layers.
    """

    chosen_in: str
    chooser: np.ndarray
    tested: CodeMaps


def choices_of(
    halves: Sequence[CodeMaps], whole: CodeMaps, others: np.ndarray | None
) -> list[Choice]:
    """Return what can be chosen where, for one subject.

    Parameters
    ----------
    halves : of the odd and the even runs, or nothing
    whole : of all runs
    others : float64 array (n_codes, n_centres), optional
        Mean map of the other subjects.

    Notes
    -----
    The circular region is chosen in the half in which it is tested, so that it differs from the
    other by nothing but that; in all runs where there are no halves.
    """
    choices = []
    if halves:
        first, second = halves
        choices += [
            Choice(HELD_OUT_RUNS, first.maps, second),
            Choice(HELD_OUT_RUNS, second.maps, first),
        ]
    if others is not None:
        choices.append(Choice(OTHER_SUBJECTS, others, whole))
    return choices + [Choice(CIRCULAR, part.maps, part) for part in halves or [whole]]


def mean_of_others(maps: Sequence[np.ndarray], number: int) -> np.ndarray:
    """Return the mean Fisher z over all subjects but one, (n_codes, n_centres).

    NaN where one of them has none, so that every mean is over as many.
    """
    return np.mean([fisher_z(one) for i, one in enumerate(maps) if i != number], axis=0)


def chosen_centres(similarity: np.ndarray, usable: np.ndarray, share: float) -> np.ndarray:
    """Return the share of the usable centres with the largest similarity.

    Parameters
    ----------
    similarity : float array (n_centres,)
    usable : bool array (n_centres,)
    share : above 0 and at most 1

    Returns
    -------
    int64 array (n_chosen,), sorted; at least one

    Raises
    ------
    InputError
        No usable centre.
    """
    candidates = np.flatnonzero(usable)
    if not candidates.size:
        raise InputError(
            "found no sphere that has an RDM in all parts of the data, expected some; check the "
            "mask and the runs"
        )
    n_chosen = max(1, round(share * candidates.size))
    # Stable: of spheres that are alike, the first.
    best = np.argsort(-similarity[candidates], kind="stable")[:n_chosen]
    return np.sort(candidates[best])


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Return Dice's coefficient of two regions, of which each is a set of numbers."""
    return 2 * np.intersect1d(first, second).size / (first.size + second.size)


# How layers fare.


@dataclass(frozen=True, eq=False)
class Models:
    """What regions are chosen by and tested with.

    Attributes
    ----------
    codes : dict, code -> float64 array (n_pairs,)
        One where the code tells two categories apart, else zero.
    rows : DataFrame (n_layers), columns model and layer
        What is compared with spheres: layers of the network, and codes as a check.
    vectors : float64 array (n_layers, n_pairs)
    """

    codes: dict[str, np.ndarray]
    rows: pd.DataFrame
    vectors: np.ndarray

    @classmethod
    def of(cls, layers: RDMStore, codes: RDMStore) -> "Models":
        """Return them from RDM files over the same categories."""
        check_same_images([layers, codes])
        both = ModelLayers([layers, codes])
        by_code = dict(zip(codes.labels["layer"], codes.vectors(), strict=True))
        return cls(by_code, both.table, both.vectors())

    def pairs(self, code: str) -> dict[str, np.ndarray]:
        """Return the pairs of categories that are compared in the region of a code."""
        own = np.flatnonzero(self.codes[code])
        return {ALL_PAIRS: np.arange(self.codes[code].size), OWN_PAIRS: own}


def region_table(
    choices: Sequence[Choice],
    models: Models,
    *,
    comparator: str,
    share: float,
    category_errors: bool,
) -> pd.DataFrame:
    """Return how every layer fares in one subject's region of every code.

    Parameters
    ----------
    choices : as `choices_of` returns them
    models : Models
    comparator : a key of `workflow.lib.searchlight.spheres.COMPARATORS`
    share : of the spheres that make up a region
    category_errors : bool
        Whether standard errors over categories are estimated.

    Returns
    -------
    DataFrame, a row per code, `chosen_in`, pairs, model and layer
        similarity, the mean over the spheres of the region; of_positive, that over spheres of
        positive similarity alone, if there are any; se, standard error of similarity over
        categories by the jackknife; n_voxels in the region; n_pairs, and n_categories in them;
        overlap, Dice's coefficient of the regions chosen in the two halves. NaN where the layer
        does not vary over the pairs.
    """
    maps = [maps for choice in choices for maps in (choice.chooser, choice.tested.maps)]
    usable = np.isfinite(maps).all(axis=(0, 1))
    tables = []
    for number, code in enumerate(models.codes):
        for chosen_in in dict.fromkeys(choice.chosen_in for choice in choices):
            own = [choice for choice in choices if choice.chosen_in == chosen_in]
            regions = [chosen_centres(one.chooser[number], usable, share) for one in own]
            spheres = [
                choice.tested.light.rdms(region)
                for choice, region in zip(own, regions, strict=True)
            ]
            for pairs, chosen in models.pairs(code).items():
                columns = _fare(spheres, models.vectors, chosen, comparator, category_errors)
                tables.append(
                    models.rows.assign(
                        code=code,
                        chosen_in=chosen_in,
                        pairs=pairs,
                        **columns,
                        n_voxels=regions[0].size,
                        n_pairs=chosen.size,
                        n_categories=categories_of(chosen, models.vectors.shape[1]).size,
                        overlap=overlap(*regions) if len(regions) == 2 else np.nan,
                    )
                )
    return pd.concat(tables, ignore_index=True)


def _fare(
    spheres: Sequence[np.ndarray],
    layers: np.ndarray,
    pairs: np.ndarray,
    comparator: str,
    category_errors: bool,
) -> dict[str, np.ndarray]:
    """Return the mean similarity of layers over spheres and regions, and what belongs to it."""

    def similarities(some: np.ndarray) -> list[np.ndarray]:
        return [layer_similarities(part[:, some], layers[:, some], comparator) for part in spheres]

    found = similarities(pairs)
    error = np.full(len(layers), np.nan)
    if category_errors:
        kept = pairs_without_each_category(pairs, layers.shape[1])
        left = [_mean(similarities(some)) for some in kept]
        error = jackknife_error(np.stack(left))
    return {
        "similarity": _mean(found),
        "of_positive": _mean([_of_positive(part) for part in found]),
        "se": error,
    }


def _of_positive(part: np.ndarray) -> np.ndarray:
    """Return the positive similarities of each layer, all of a layer that has none; else NaN."""
    positive = part > 0
    return np.where(positive | ~positive.any(axis=1, keepdims=True), part, np.nan)


def _mean(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over regions of the mean over spheres, those without a value left out."""
    means = []
    for part in parts:
        defined = np.isfinite(part)
        with np.errstate(invalid="ignore"):
            means.append(np.where(defined, part, 0).sum(axis=1) / defined.sum(axis=1))
    return np.mean(means, axis=0)


def layer_similarities(spheres: np.ndarray, layers: np.ndarray, comparator: str) -> np.ndarray:
    """Return the similarity of every layer with the RDM of every sphere.

    Parameters
    ----------
    spheres : float array (n_spheres, n_pairs)
    layers : float array (n_layers, n_pairs)
    comparator : a key of `workflow.lib.searchlight.spheres.COMPARATORS`

    Returns
    -------
    float64 array (n_layers, n_spheres)
        NaN where either does not vary over the pairs.
    """
    found = np.full((len(layers), len(spheres)), np.nan)
    varying = np.ix_(_vary(layers), _vary(spheres))
    if found[varying].size:
        chosen = (layers[varying[0].ravel()], spheres[varying[1].ravel()])
        left, right = (prepare(rdms.astype(np.float64), comparator) for rdms in chosen)
        found[varying] = left @ right.T
    return found


def _vary(rdms: np.ndarray) -> np.ndarray:
    """Return which RDMs vary; one of NaN does not, nor does one of no pairs."""
    return rdms.max(axis=1, initial=-np.inf) > rdms.min(axis=1, initial=np.inf)


def categories_of(pairs: np.ndarray, n_pairs: int) -> np.ndarray:
    """Return the categories in some of n_pairs pairs, int64 array, sorted."""
    first, second = np.triu_indices(n_conditions(n_pairs), 1)
    return np.union1d(first[pairs], second[pairs])


def pairs_without_each_category(pairs: np.ndarray, n_pairs: int) -> Iterator[np.ndarray]:
    """Yield what is left of some of n_pairs pairs without each of their categories in turn.

    Categories that are in none of these pairs say nothing of them, and are not left out.
    """
    n = n_conditions(n_pairs)
    for category in categories_of(pairs, n_pairs):
        rest = take_conditions(np.arange(n_pairs), np.delete(np.arange(n), category))
        yield np.intersect1d(pairs, rest)


def jackknife_error(left_out: np.ndarray) -> np.ndarray:
    """Return the standard error of a statistic from its values without each of n observations.

    Parameters
    ----------
    left_out : float array (n, ...)

    Returns
    -------
    float64 array (...)

    References
    ----------
    Tukey 1958, Ann Math Stat 29:614; Efron 1982, The jackknife, the bootstrap and other resampling
    plans.
    """
    n = len(left_out)
    return np.sqrt((n - 1) * left_out.var(axis=0))


# Over subjects.

CELL = ["code", "chosen_in", "pairs", "model", "layer"]


def group_table(
    table: pd.DataFrame, *, zero_is_null: bool, rng: np.random.Generator
) -> pd.DataFrame:
    """Return what the subjects say together about every layer and region.

    Parameters
    ----------
    table : rows of `region_table` of all subjects, with the column subject
    zero_is_null : whether unrelated RDMs have a similarity of zero on average
    rng : numpy Generator

    Returns
    -------
    DataFrame, a row per cell
        similarity and of_positive, means over subjects; low and high, the 95 % interval (Student's
        t over subjects; of a single one, over the categories in the pairs); p and p_max of the
        sign-flip test, p_max over all codes and layers, for regions chosen in other runs and six
        subjects at least; inflation, the circular less the other similarity, with its interval.

    Notes
    -----
    Of n subjects any two regions that were chosen in the others share n - 2 choosers, and each
    subject is tested in one region and chooses the rest: their values are not independent, there
    is no test of them, and their intervals are too narrow.
    """
    subjects = list(dict.fromkeys(table["subject"]))
    cells = table.groupby(CELL, sort=False)[["of_positive", "se", "n_categories"]].mean()
    wide = table.pivot(index=CELL, columns="subject", values="similarity")
    wide = wide.loc[cells.index, subjects].dropna()
    cells, values = cells.loc[wide.index], wide.to_numpy()
    limits = _interval(values, cells["se"].to_numpy(), cells["n_categories"].to_numpy())
    # No similarity lies outside, whatever Student's t says of nine pairs.
    low, high = np.clip(limits, -1, 1)
    group = wide.index.to_frame(index=False).assign(
        similarity=values.mean(axis=1),
        low=low,
        high=high,
        of_positive=cells["of_positive"].to_numpy(),
        n_subjects=len(subjects),
        status=status_of(len(subjects)),
    )
    tested = _tested(group, values, zero_is_null, rng)
    return group.assign(**tested, **_inflation(group, values))


def status_of(n_subjects: int) -> str:
    """Return what so many subjects carry: a claim about others, a description, or a case."""
    if n_subjects == 1:
        return SINGLE_CASE
    return INFERENTIAL if n_subjects >= MIN_SUBJECTS else DESCRIPTIVE


def _interval(
    values: np.ndarray, errors: np.ndarray, n_categories: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval over subjects, (n_cells,) each; over categories for a single one."""
    n_subjects = values.shape[1]
    if n_subjects > 1:
        variance = values.var(axis=1, ddof=1) / n_subjects
        return interval(values.mean(axis=1), variance, n_subjects - 1)
    cells = zip(values[:, 0], errors, n_categories, strict=True)
    low, high = zip(*(interval(value, se**2, int(n) - 1) for value, se, n in cells), strict=True)
    return np.array(low), np.array(high)


def _tested(
    group: pd.DataFrame, values: np.ndarray, zero_is_null: bool, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return p and p_max of every cell whose region was chosen in other runs, else NaN."""
    found = {name: np.full(len(group), np.nan) for name in ("p", "p_max")}
    if not zero_is_null:
        return found
    for (chosen_in, _), rows in group.groupby(["chosen_in", "pairs"], sort=False).indices.items():
        if chosen_in == HELD_OUT_RUNS:
            flips = sign_flip_test(values[rows].T, rng=rng)
            found["p"][rows], found["p_max"][rows] = flips.p, flips.p_max
    return found


def _inflation(group: pd.DataFrame, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return how far circular cells lie above those that are not, NaN for the latter."""
    names = ("inflation", "inflation_low", "inflation_high")
    found = {name: np.full(len(group), np.nan) for name in names}
    clean = clean_choice(group["chosen_in"])
    if clean is None:
        return found
    rest = [name for name in CELL if name != "chosen_in"]
    row_of = {
        (row.chosen_in, *(getattr(row, name) for name in rest)): row.Index
        for row in group.itertuples()
    }
    rows = np.array([row for (chosen_in, *_), row in row_of.items() if chosen_in == CIRCULAR])
    others = [row_of[clean, *group.loc[row, rest]] for row in rows]
    differences = values[rows] - values[others]
    found["inflation"][rows] = differences.mean(axis=1)
    if values.shape[1] > 1:
        unused = np.full(len(rows), np.nan)
        limits = _interval(differences, unused, unused)
        found["inflation_low"][rows], found["inflation_high"][rows] = limits
    return found
