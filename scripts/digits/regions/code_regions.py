"""Regions in which a code is found, chosen elsewhere than where layers are compared.

A region is the share of spheres whose RDMs resemble a code the most. Where the same responses say
which spheres these are and how well layers do there, layers that resemble the code do well by
selection alone, whatever the brain. Here a region is chosen in one half of the runs and layers are
compared in the other, or chosen in other subjects; the circular analysis stands beside it.

References
----------
Kriegeskorte, Simmons, Bellgowan, Baker 2009, Nat Neurosci 12:535 (circular analysis);
Lee, Jung, Lustig, Lee 2023, Hum Brain Mapp, doi:10.1002/hbm.26189 (regions of codes).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.digits.regions.choices import CIRCULAR, HELD_OUT_RUNS, OTHER_SUBJECTS
from workflow.lib.errors import InputError
from workflow.lib.patterns.reading import Patterns
from workflow.lib.patterns.store import PatternStore
from workflow.lib.searchlight.similarity import similarity_maps
from workflow.lib.searchlight.sphere_rdms import Searchlight
from workflow.lib.searchlight.statistics import fisher_z
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
