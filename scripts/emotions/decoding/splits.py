"""Which volumes a decoder learns from, and which it is tested on: from leaked to clean.

All subjects see the same movie, slow responses make neighbouring volumes alike, and one scene holds
one emotion for many volumes. Volumes dealt out at random are thus tested with near copies of
themselves in training: those of other subjects at the same time of the movie, and neighbours. Every
split of `SPLITS` says what it holds apart; `scripts.emotions.decoding.audit_volumes` checks it.

Every used volume is tested in one fold, labelled or not, so that labels can be shifted along the
movie against the predictions. All splits have the same number of folds, as far as there are runs
and subjects, but do not learn from as many volumes: validation takes whole runs where there are
few, and subjects who are held out beside runs leave half of the others (`N_SUBJECT_GROUPS`).
`random_matched` deals volumes out at random too, but learns from as many as the cleanest split:
between the two lies what is leakage, and nothing that more volumes bring. `leak_audit.csv` has the
numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scripts.emotions.decoding.split_units import RANDOM, UNITS, Units
from scripts.emotions.labelling.labels import Labels
from workflow.lib.config.movie_splits import matched_split
from workflow.lib.dealing import deal
from workflow.lib.errors import InputError
from workflow.lib.seeds import generator

# Groups of subjects that are held out in turn, beside runs: two are the fewest folds, each of which
# learns from half of the subjects.
N_SUBJECT_GROUPS = 2
# The response to a moment is over, and slow noise mostly too, so many seconds later. One run shows
# what comes next in the movie after another: there, volumes nearer than this are left out.
MIN_GAP = 10.0
# Volumes at random, of which as many are learned from as the cleanest split has.
RANDOM_MATCHED = "random_matched"


@dataclass(frozen=True)
class Split:
    """What a split is called in figures, and what it holds apart.

    Attributes
    ----------
    title : str
    apart : tuple of str
        What tested volumes share with none that are learned from: "movie times" (the same moment,
        in whatever subject), "near movie times" (moments less than `MIN_GAP` apart), "neighbours"
        (volumes of one subject and run less than that apart), "scans" (one subject's run, whose
        volumes are detrended and standardised together), "episodes", "runs", "subjects".
    validation_apart : tuple of str or None
        The same of validation and training; None if it is `apart`.
    clean : bool
        Whether predictions do not depend on the time in the movie or the scene of what they
        predict, so that shifted labels are a null without fitting again.
    """

    title: str
    apart: tuple[str, ...]
    clean: bool
    validation_apart: tuple[str, ...] | None = None


RUNS_APART = ("movie times", "near movie times", "neighbours", "scans", "episodes", "runs")
# From the most leaked to the cleanest.
SPLITS = {
    RANDOM: Split("random volumes", (), clean=False),
    RANDOM_MATCHED: Split("matched random volumes", (), clean=False),
    "subject": Split("subjects", ("neighbours", "scans", "subjects"), clean=False),
    "tr": Split("movie times", ("movie times",), clean=False),
    "episode": Split("episodes", ("movie times", "episodes"), clean=False),
    "run": Split("runs", RUNS_APART, clean=True),
    "run_and_subject": Split(
        "runs and subjects", (*RUNS_APART, "subjects"), clean=True, validation_apart=RUNS_APART
    ),
}


@dataclass(frozen=True)
class Fold:
    """Volumes that are learned from, stopped by, and tested, labelled or not.

    Attributes
    ----------
    name : str
        Key of `SPLITS`.
    number : int
    training, validation, test : bool arrays (n_subjects, n_rows)
        Rows are those of the labels; unused volumes are in no part.
    """

    name: str
    number: int
    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def make_folds(
    labels: Labels,
    subjects: Sequence[str],
    name: str,
    *,
    n_folds: int,
    validation_share: float,
    seed: int,
    study: str,
) -> list[Fold]:
    """Return the folds of a split, which all jobs of a study share.

    Parameters
    ----------
    labels : Labels
    subjects : sequence of n_subjects str
    name : str
        Key of `SPLITS`.
    n_folds : int
        With fewer runs or subjects, each of them is a fold.
    validation_share : float, 0 to less than 1
        Of what is not tested, in units of what is held out: runs where runs are. 0 for none.
    seed : int
        Of the run.
    study : str
        Of one name and seed, folds of a split are the same.

    Returns
    -------
    list of Fold

    Raises
    ------
    InputError
        No such split, fewer than two folds, a share out of range, fewer than two subjects, runs or
        movie times, fewer episodes of a class than folds, or a class that only one fold has.

    Notes
    -----
    random, tr
        Volumes, or moments of the movie in all subjects, each class spread evenly over folds.
    random_matched
        The folds of `random`, with as many labelled volumes of each class to learn from and to stop
        by, drawn from all that are not tested, as folds of the cleanest split have in the mean
        (`matched_split`). As many volumes are then of more runs and subjects.
    episode
        Whole episodes, each class spread evenly; volumes without label go with the nearest.
        Episodes of two runs that show the same moments go together.
    run
        Volumes at the borders of runs that show moments less than `MIN_GAP` from what is tested, or
        from what is held out for validation, are not learned from.
    run_and_subject
        Tested are some subjects in some runs, learned from are the other subjects in other runs.
        Validation holds out runs alone: held out in both ways, it would leave too few to learn.
    """
    _check(name, n_folds, validation_share)

    def dealt(kind: str) -> list[Fold]:
        rng = generator(seed, "emotions", "folds", study, kind)
        if kind == "run_and_subject":
            return _crossed(labels, len(subjects), n_folds, validation_share, rng)
        return _of_units(labels, len(subjects), kind, n_folds, validation_share, rng)

    if name == RANDOM_MATCHED:
        rng = generator(seed, "emotions", "folds", study, name)
        folds = _matched(dealt(RANDOM), dealt(matched_split(len(subjects))), labels, rng)
    else:
        folds = dealt(name)
    for fold in folds:
        _check_classes(fold, labels)
    return folds


def _check(name: str, n_folds: int, validation_share: float) -> None:
    if name not in SPLITS:
        raise InputError(
            f"splits: found {name!r}, expected one of {', '.join(SPLITS)}; change splits.names"
        )
    if n_folds < 2 or not 0 <= validation_share < 1:
        raise InputError(
            f"splits: found n_folds {n_folds} and validation_share {validation_share:g}, expected "
            "at least 2 folds and a share from 0 to less than 1; change them"
        )


def _check_classes(fold: Fold, labels: Labels) -> None:
    """Refuse a fold that has no volume of a class to learn from."""
    codes = labels.codes[fold.training.any(axis=0)]
    for code, emotion in enumerate(labels.classes):
        if not (codes == code).any():
            raise InputError(
                f"split {fold.name}, fold {fold.number}: found no volume of {emotion} in training, "
                "expected some; leave the class out, use fewer folds, or a smaller validation_share"
            )


def _of_units(
    labels: Labels,
    n_subjects: int,
    name: str,
    n_folds: int,
    validation_share: float,
    rng: np.random.Generator,
) -> list[Fold]:
    units = UNITS[name](labels, n_subjects)
    _check_units(name, units, n_folds, labels.classes)
    n_units = units.sizes.size
    fold_of = deal(n_units, min(n_folds, n_units), rng, strata=units.strata, sizes=units.sizes)
    folds = []
    for number in range(fold_of.max() + 1):
        tested = fold_of == number
        validated = _validation(units, ~tested, validation_share, rng)
        parts = (_volumes(units, part) for part in (~(tested | validated), validated, tested))
        folds.append(Fold(name, number, *parts))
    return [_without_near(fold, labels) for fold in folds] if name == "run" else folds


def _matched(
    folds: Sequence[Fold], clean: Sequence[Fold], labels: Labels, rng: np.random.Generator
) -> list[Fold]:
    """Return random folds with as many labelled volumes of a class as clean ones in the mean."""
    n_training, n_validation = (
        np.mean([_per_class(getattr(fold, part), labels) for fold in clean], axis=0)
        for part in ("training", "validation")
    )
    return [_thinned(fold, labels, n_training, n_validation, rng) for fold in folds]


def _per_class(part: np.ndarray, labels: Labels) -> np.ndarray:
    """Return how many volumes of each class a part has, int (n_classes,)."""
    codes = np.broadcast_to(labels.codes, part.shape)[part & labels.labelled]
    return np.bincount(codes, minlength=len(labels.classes))


def _thinned(
    fold: Fold,
    labels: Labels,
    n_training: np.ndarray,
    n_validation: np.ndarray,
    rng: np.random.Generator,
) -> Fold:
    """Return a random fold with so many volumes of each class, or what there is of them.

    Parts are drawn anew from both: validation of whole runs may have more than a share of volumes.
    """
    parts = np.zeros_like(fold.training), np.zeros_like(fold.validation)
    learned = fold.training | fold.validation
    for code, numbers in enumerate(np.rint([n_validation, n_training]).astype(int).T):
        members = rng.permutation(np.flatnonzero(learned & (labels.codes == code)))
        validation, training, _ = np.split(members, np.cumsum(numbers))
        parts[0].flat[training] = True
        parts[1].flat[validation] = True
    return replace(fold, name=RANDOM_MATCHED, training=parts[0], validation=parts[1])


def _without_near(fold: Fold, labels: Labels) -> Fold:
    """Return a fold of runs that learns from no moment next to what it tests, or stops by."""
    validation = fold.validation & ~_near(fold.test, labels)
    training = fold.training & ~_near(fold.test, labels) & ~_near(validation, labels)
    return replace(fold, training=training, validation=validation)


def _near(part: np.ndarray, labels: Labels) -> np.ndarray:
    """Return which rows show moments less than `MIN_GAP` from those of a part."""
    times = labels.table["shown"].to_numpy(float)
    own = np.sort(times[part.any(axis=0)])
    if not own.size:
        return np.zeros(times.size, bool)
    after = np.searchsorted(own, times)
    before, after = own[np.maximum(after - 1, 0)], own[np.minimum(after, own.size - 1)]
    return np.minimum(np.abs(times - before), np.abs(after - times)) < MIN_GAP


def _check_units(name: str, units: Units, n_folds: int, classes: Sequence[str]) -> None:
    if units.sizes.size < 2:
        raise InputError(
            f"split {name}: found {units.sizes.size} to hold out, expected at least 2; leave the "
            "split out of splits.names"
        )
    if name != "episode":
        return
    per_class = np.bincount(units.strata, minlength=len(classes) + 1)[:-1]
    if per_class.min() < n_folds:
        raise InputError(
            f"split {name}: found {per_class.min()} episodes of {classes[per_class.argmin()]}, "
            f"expected at least one for each of the {n_folds} folds; use fewer folds, or leave the "
            "class out"
        )


def _validation(
    units: Units, others: np.ndarray, share: float, rng: np.random.Generator
) -> np.ndarray:
    """Return which units are held out for validation, of those that are not tested."""
    held_out = np.zeros_like(others)
    left = units.counts[others].sum(axis=0)
    for stratum in np.unique(units.strata[others]):
        members = rng.permutation(np.flatnonzero(others & (units.strata == stratum)))
        wanted = max(1, round(share * members.size)) if share and members.size > 1 else 0
        # What is a class's last to learn from stays in training, where there is another choice.
        for unit in members:
            if not wanted:
                break
            if (left - units.counts[unit] > 0)[left > 0].all():
                held_out[unit] = True
                left = left - units.counts[unit]
                wanted -= 1
    return held_out


def _volumes(units: Units, chosen: np.ndarray) -> np.ndarray:
    return np.append(chosen, False)[units.of_volume]


def _crossed(
    labels: Labels,
    n_subjects: int,
    n_folds: int,
    validation_share: float,
    rng: np.random.Generator,
) -> list[Fold]:
    """Return a fold for every fold of runs in every group of subjects."""
    by_run = _of_units(labels, n_subjects, "run", n_folds, validation_share, rng)
    by_subject = _of_units(labels, n_subjects, "subject", N_SUBJECT_GROUPS, 0.0, rng)
    pairs = [(runs, group) for runs in by_run for group in by_subject]
    return [
        Fold(
            "run_and_subject",
            number,
            runs.training & group.training,
            runs.validation & group.training,
            runs.test & group.test,
        )
        for number, (runs, group) in enumerate(pairs)
    ]
