"""Audit of splits: what training and validation share with what is tested.

A split that says it is clean and is not makes a score of memory look like one of prediction. The
audit counts whatever is shared, and stops a run that claims more than it holds.

References
----------
Kaufman et al. 2012, Leakage in data mining, ACM Trans Knowl Discov Data 6:15; Kapoor & Narayanan
2023, Leakage and the reproducibility crisis in machine-learning-based science, Patterns 4:100804.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from workflow.lib.errors import InputError

COLUMNS = ("of", "seen_in", "check", "n", "n_shared", "share", "allowed", "reason")
# What a scaler is called beside the parts of a split.
SCALER = "scaler"
# Samples whose distances to all others are held at a time: bounds memory.
ROWS = 256


@dataclass(frozen=True)
class Part:
    """What is known of the samples of a part of a split; what is not known is not checked.

    Attributes
    ----------
    items : array (n_items,), optional
        Labels of the samples: positions or names of images, films, subjects.
    pairs : int array (n_pairs, 2) or (n_pairs,), optional
        Pairs of items, in either order; or a number for each, such as its place in a condensed RDM,
        where there are millions.
    groups : array (n,), optional
        What samples come from, where two samples of one source are not independent.
    times : float array (n,), optional
        Seconds (or volumes) at which samples were taken.
    runs : array (n,), optional
        With `times`: the run or film of each; times of different runs are far apart.
    features : float array (n, n_features), optional
        In a space in which near-duplicates lie close to one another.
    contents : array (n,), optional
        Digests of the samples, which are equal for samples that are copies.
    """

    items: np.ndarray | None = None
    pairs: np.ndarray | None = None
    groups: np.ndarray | None = None
    times: np.ndarray | None = None
    runs: np.ndarray | None = None
    features: np.ndarray | None = None
    contents: np.ndarray | None = None


@dataclass(frozen=True)
class Scaler:
    """What values were centred and scaled by, before or after they became parts of a split.

    Attributes
    ----------
    items : array (n_items,), or None where that is not known
        Labels of the samples whose mean and standard deviation were taken. What is not known counts
        as all.
    reason : str
        Why samples of test and validation may be among them in a split that claims to be clean,
        such as what the config says; "" where they may not.
    """

    items: np.ndarray | None
    reason: str = ""


def audit(
    training: Part,
    validation: Part | None,
    test: Part,
    *,
    claims_clean: bool,
    scalers: Mapping[str, Scaler] | None = None,
    where: str = "split",
    min_gap: float = 0.0,
    min_distance: float = 0.0,
) -> pd.DataFrame:
    """Return what the parts of a split share, after refusing what may not be shared.

    Parameters
    ----------
    training, validation, test : Part
        A check is made for every field that two parts have.
    claims_clean : bool
        Whether nothing may be shared. Otherwise only pairs may not: a tested pair must not be one
        that was learned from, in any split.
    scalers : mapping, what is scaled ("features", "labels") -> Scaler, optional
    where : str
        How an error names the split, for example "subj01, clean, fold 2".
    min_gap : float
        Samples of one run that are less than this apart, or at the same time, count as shared: the
        response is as wide, and noise as long, as this.
    min_distance : float
        Samples whose features are at most this far apart count as near-duplicates.

    Returns
    -------
    DataFrame, a row per pair of parts and check
        of, seen_in : parts, or a part and "scaler"; how many samples of the one the other has, too
        check : "items", "pairs", "groups", "times", "near-duplicates" or "copies"; of a scaler,
            what it scaled
        n, n_shared, share : samples (distinct ones of items and groups), those shared, n_shared / n
        allowed : whether sharing is
        reason : why, where that is so in a split that claims to be clean

    Raises
    ------
    InputError
        Something is shared that may not be; the leak is named.
    """
    parts = [("test", test, "training", training)]
    if validation is not None:
        parts += [("test", test, "validation", validation)]
        parts += [("validation", validation, "training", training)]
    rows = []
    for of, part, seen_in, other in parts:
        for check, (fields, count) in CHECKS.items():
            if all(getattr(p, field) is not None for p in (part, other) for field in fields):
                n, n_shared = count(part, other, min_gap, min_distance)
                allowed = not claims_clean and check != "pairs"
                rows.append((of, seen_in, check, n, n_shared, n_shared / max(n, 1), allowed, ""))
    for check, scaler in (scalers or {}).items():
        for of, part in (("test", test), ("validation", validation)):
            if part is not None:
                n, n_shared = _scaled(part, scaler)
                share, allowed = n_shared / max(n, 1), not claims_clean or bool(scaler.reason)
                rows.append((of, SCALER, check, n, n_shared, share, allowed, scaler.reason))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    _refuse(table, where, claims_clean)
    return table


def _refuse(table: pd.DataFrame, where: str, claims_clean: bool) -> None:
    leaks = table[(table["n_shared"] > 0) & ~table["allowed"]]
    if leaks.empty:
        return
    found = "; ".join(f"{leak.n_shared} of {leak.n} {_name(leak)}" for leak in leaks.itertuples())
    claim = "expected none in a split that claims to be clean" if claims_clean else "expected none"
    raise InputError(
        f"{where}: found a leak, {found}; {claim}: hold out whole items with all that is near "
        "them, or leave copies out"
    )


def _name(leak: tuple) -> str:
    text = SCALED if leak.seen_in == SCALER else NAMES[leak.check]
    return text.format(of=leak.of, seen_in=leak.seen_in, check=leak.check)


SCALED = "{of} items by which {check} are scaled"
NAMES = {
    "items": "{of} items that are in {seen_in}, too",
    "pairs": "{of} pairs that are {seen_in} pairs, too",
    "groups": "{of} groups that are in {seen_in}, too",
    "times": "{of} time points that lie at or next to one of {seen_in}",
    "near-duplicates": "{of} samples with a near-duplicate in {seen_in}",
    "copies": "{of} samples with a copy in {seen_in}",
}


def _scaled(part: Part, scaler: Scaler) -> tuple[int, int]:
    items = np.unique(part.items)
    seen = items if scaler.items is None else items[np.isin(items, scaler.items)]
    return items.size, seen.size


def _distinct(field: str) -> Callable[[Part, Part, float, float], tuple[int, int]]:
    def count(part: Part, other: Part, _gap: float, _distance: float) -> tuple[int, int]:
        labels = np.unique(getattr(part, field))
        return labels.size, int(np.isin(labels, getattr(other, field)).sum())

    return count


def _each(field: str) -> Callable[[Part, Part, float, float], tuple[int, int]]:
    def count(part: Part, other: Part, _gap: float, _distance: float) -> tuple[int, int]:
        labels = np.asarray(getattr(part, field))
        return labels.size, int(np.isin(labels, getattr(other, field)).sum())

    return count


def _pairs(part: Part, other: Part, _gap: float, _distance: float) -> tuple[int, int]:
    own, others = (np.asarray(pairs, np.int64) for pairs in (part.pairs, other.pairs))
    if own.ndim == 2:
        most = max(own.max(initial=0), others.max(initial=0)) + 1
        own, others = (pairs.min(axis=1) * most + pairs.max(axis=1) for pairs in (own, others))
    return own.size, int(np.isin(own, others).sum())


def _times(part: Part, other: Part, gap: float, _distance: float) -> tuple[int, int]:
    near = 0
    in_runs = part.runs is not None and other.runs is not None
    others_of = _by_run(other, in_runs)
    for run, times in _by_run(part, in_runs).items():
        others = np.sort(others_of.get(run, np.empty(0)))
        if others.size:
            place = np.searchsorted(others, times)
            before = times - others[np.maximum(place - 1, 0)]
            after = others[np.minimum(place, others.size - 1)] - times
            distance = np.minimum(np.abs(before), np.abs(after))
            near += int(np.count_nonzero((distance < gap) | (distance == 0)))
    return len(part.times), near


def _by_run(part: Part, in_runs: bool) -> dict[object, np.ndarray]:
    times = np.asarray(part.times, np.float64)
    if not in_runs:
        return {None: times}
    runs = np.asarray(part.runs)
    return {run: times[runs == run] for run in np.unique(runs).tolist()}


def _near(part: Part, other: Part, _gap: float, distance: float) -> tuple[int, int]:
    near = sum(
        int(np.count_nonzero(cdist(part.features[k : k + ROWS], other.features).min(1) <= distance))
        for k in range(0, len(part.features), ROWS)
        if len(other.features)
    )
    return len(part.features), near


# Check -> fields that both parts must have, and how the shared ones are counted.
CHECKS: dict[str, tuple[tuple[str, ...], Callable]] = {
    "items": (("items",), _distinct("items")),
    "pairs": (("pairs",), _pairs),
    "groups": (("groups",), _distinct("groups")),
    "times": (("times",), _times),
    "near-duplicates": (("features",), _near),
    "copies": (("contents",), _each("contents")),
}
