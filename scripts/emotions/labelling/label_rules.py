"""From what observers wrote to one label per volume: rules, ties, episodes, and samples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from scripts.emotions.labelling.labels import COUNT, NO_EPISODE, UNLABELLED
from scripts.emotions.labelling.timeline import TOLERANCE
from workflow.lib.errors import InputError


@dataclass(frozen=True)
class Marks:
    """Who saw what when.

    Attributes
    ----------
    seen : bool array (n_observers, n_volumes, n_names)
    observers : tuple of str
    names : tuple of str
        Emotions; for the rule `original` also whole cells such as "LOVE HAPPINESS".
    """

    seen: np.ndarray
    observers: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def n_observers(self) -> int:
        """Number of observers."""
        return len(self.observers)

    @property
    def counts(self) -> np.ndarray:
        """Int array (n_volumes, n_names): observers."""
        return self.seen.sum(axis=0)

    def of_volumes(self, chosen: np.ndarray) -> "Marks":
        """Return those of some volumes."""
        return replace(self, seen=self.seen[:, chosen])

    def of_emotions(self) -> "Marks":
        """Return those of single words."""
        kept = [place for place, name in enumerate(self.names) if " " not in name]
        names = tuple(self.names[place] for place in kept)
        return replace(self, seen=self.seen[:, :, kept], names=names)

    def without(self, observer: str) -> "Marks":
        """Return those of all observers but one."""
        kept = [place for place, name in enumerate(self.observers) if name != observer]
        observers = tuple(self.observers[place] for place in kept)
        return replace(self, seen=self.seen[kept], observers=observers)


def mark_volumes(
    annotations: pd.DataFrame, volumes: pd.DataFrame, *, rule: str, tr: float
) -> Marks:
    """Return which observer saw which emotion in which volume.

    Parameters
    ----------
    annotations : from `scripts.emotions.labelling.annotations.read_observers`
    volumes : from `scripts.emotions.labelling.timeline.volume_times`
    rule : "any_character" or "original"
    tr : seconds from one volume to the next

    Notes
    -----
    A row from `start` to `end` holds for a volume of the seconds [t, t + tr) where the two overlap:
    with t_0 the time of the run's first volume, from floor((start - t_0) / tr) up to but without
    ceil((end - t_0) / tr).

    any_character: an observer sees an emotion where any row holds that names it. Rows may overlap,
    and a cell may name several.

    original: rows without an emotion are dropped, the whole cell is one name, and where rows of
    an observer overlap, the later one in the file stands.
    """
    observers = tuple(annotations["observer"].unique())
    spans = _spans(annotations, volumes, tr)
    return _RULES[rule].mark(annotations, spans, observers, len(volumes))


def _spans(annotations: pd.DataFrame, volumes: pd.DataFrame, tr: float) -> np.ndarray:
    """Return (row of annotations, first volume, last volume + 1) where a row meets a run."""
    start, end = annotations["start"].to_numpy(float), annotations["end"].to_numpy(float)
    spans = []
    for _, run in volumes.groupby("run", sort=False):
        origin, offset = run["time"].iloc[0], run.index[0]
        first = np.floor((start - origin) / tr + TOLERANCE).astype(int)
        stop = np.ceil((end - origin) / tr - TOLERANCE).astype(int)
        first, stop = np.clip(first, 0, len(run)), np.clip(stop, 0, len(run))
        rows = np.flatnonzero(first < stop)
        spans.append(np.column_stack([rows, first[rows] + offset, stop[rows] + offset]))
    found = np.concatenate(spans)
    # In the order of the file, in which rows of an observer overwrite one another.
    return found[np.argsort(found[:, 0], kind="stable")]


def _any_character(
    annotations: pd.DataFrame, spans: np.ndarray, observers: tuple[str, ...], n_volumes: int
) -> Marks:
    names = tuple(sorted(set(annotations["emotions"].explode().dropna())))
    place = {name: number for number, name in enumerate(names)}
    number = {observer: place for place, observer in enumerate(observers)}
    of_row = annotations["observer"].map(number).to_numpy()
    words = [[place[word] for word in words] for words in annotations["emotions"]]
    seen = np.zeros((len(observers), n_volumes, len(names)), bool)
    for row, first, stop in spans:
        seen[of_row[row], first:stop, words[row]] = True
    return Marks(seen, observers, names)


def _original(
    annotations: pd.DataFrame, spans: np.ndarray, observers: tuple[str, ...], n_volumes: int
) -> Marks:
    cells = annotations["emotions"].str.join(" ").to_numpy()
    single = set(annotations["emotions"].explode().dropna())
    names = tuple(sorted(single | set(cells) - {""}))
    place = {name: number for number, name in enumerate(names)}
    number = {observer: place for place, observer in enumerate(observers)}
    of_row = annotations["observer"].map(number).to_numpy()
    last = np.full((len(observers), n_volumes), -1)
    for row, first, stop in spans:
        if cells[row]:
            last[of_row[row], first:stop] = place[cells[row]]
    return Marks(last[:, :, np.newaxis] == np.arange(len(names)), observers, names)


def _without_label(marks: Marks, tied: np.ndarray) -> np.ndarray:
    """Return the place of no name, -1, for each of some volumes, int array (n_tied,)."""
    return np.full(int(tied.sum()), -1)


def _first_observer(marks: Marks, tied: np.ndarray) -> np.ndarray:
    """Return the name of the observer who comes first among those of the tied names."""
    counts = marks.counts[tied]
    first = marks.seen[:, tied].argmax(axis=0)
    most = counts == counts.max(axis=1, keepdims=True)
    return np.where(most, first, marks.n_observers).argmin(axis=1)


@dataclass(frozen=True)
class _Rule:
    mark: Callable[[pd.DataFrame, np.ndarray, tuple[str, ...], int], Marks]
    break_ties: Callable[[Marks, np.ndarray], np.ndarray]


_RULES = {
    "any_character": _Rule(_any_character, _without_label),
    # `Counter.most_common` of the published code takes what was counted first.
    "original": _Rule(_original, _first_observer),
}
RULES = tuple(_RULES)


def modal_labels(marks: Marks, *, rule: str, min_observers: int) -> np.ndarray:
    """Return the label of each volume: what most observers see, where enough do.

    Parameters
    ----------
    marks : Marks
    rule : "any_character", which leaves ties without a label, or "original", which takes what the
        first of the observers in question sees
    min_observers : that must agree

    Returns
    -------
    str array (n_volumes,), "" for none

    Raises
    ------
    InputError
        Fewer observers than must agree.
    """
    if marks.n_observers < min_observers:
        raise InputError(
            f"annotations: found {marks.n_observers} observers, expected at least the "
            f"{min_observers} of `labels.min_observers`; add observers or lower it"
        )
    counts = marks.counts
    top = counts.max(axis=1)
    best = counts.argmax(axis=1)
    tied = (counts == top[:, np.newaxis]).sum(axis=1) > 1
    best[tied] = _RULES[rule].break_ties(marks, tied)
    labelled = (top >= max(min_observers, 1)) & (best >= 0)
    return np.where(labelled, np.array(marks.names, dtype=object)[best], UNLABELLED)


def label_table(volumes: pd.DataFrame, marks: Marks, labels: np.ndarray) -> pd.DataFrame:
    """Return the table `labels.csv` of `scripts.emotions.labelling.labels`, every volume sampled.

    Parameters
    ----------
    volumes : from `scripts.emotions.labelling.timeline.volume_times`
    marks : of the same volumes
    labels : str array (n_volumes,)
    """
    emotions = marks.of_emotions()
    labels = np.where(volumes["used"], labels, UNLABELLED)
    table = volumes.assign(
        label=labels,
        agreement=marks.counts.max(axis=1),
        episode=episodes_of(labels, volumes["run"].to_numpy()),
        sampled=True,
    )
    counts = {COUNT + name: emotions.counts[:, k] for k, name in enumerate(emotions.names)}
    return table.assign(**counts)


def episodes_of(labels: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Return which episode each volume belongs to: volumes of one label in a row, within a run.

    Parameters
    ----------
    labels : str array (n_volumes,), "" for none
    runs : array (n_volumes,)

    Returns
    -------
    int array (n_volumes,), from 0; -1 where there is no label
    """
    named = labels != UNLABELLED
    begins = named.copy()
    begins[1:] &= (labels[1:] != labels[:-1]) | (runs[1:] != runs[:-1])
    return np.where(named, np.cumsum(begins) - 1, NO_EPISODE)


def sample_classes(
    labels: np.ndarray, classes: Sequence[str], per_class: int, rng: np.random.Generator
) -> np.ndarray:
    """Return which volumes to take: as many of each class, drawn at random without order.

    Parameters
    ----------
    labels : str array (n_volumes,)
    classes : labels of which to take
    per_class : number of volumes of each
    rng : random numbers

    Returns
    -------
    bool array (n_volumes,)

    Raises
    ------
    InputError
        A class has fewer volumes.
    """
    sampled = np.zeros(len(labels), bool)
    for name in classes:
        rows = np.flatnonzero(labels == name)
        if len(rows) < per_class:
            raise InputError(
                f"labels.per_class: found {len(rows)} volumes labelled {name}, expected at least "
                f"{per_class}; lower it or leave the class out"
            )
        sampled[rng.choice(rows, per_class, replace=False)] = True
    return sampled
