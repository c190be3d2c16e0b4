"""What splits deal out to folds: single volumes, moments of the movie, episodes, runs, subjects."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from scripts.emotions.labelling.labels import Labels

RANDOM = "random"


@dataclass(frozen=True)
class Units:
    """What a split deals out to folds: single volumes, movie times, episodes, runs or subjects.

    Attributes
    ----------
    of_volume : int array (n_subjects, n_rows)
        -1 where a volume is not used.
    counts : int array (n_units, n_classes)
        Labelled volumes.
    sizes : int array (n_units,)
        Used volumes.
    strata : int array (n_units,)
        Units of one stratum are spread evenly over folds.
    """

    of_volume: np.ndarray
    counts: np.ndarray
    sizes: np.ndarray
    strata: np.ndarray


def _of_volumes(labels: Labels, n_subjects: int) -> Units:
    used = labels.used
    of_volume = np.full((n_subjects, used.size), -1)
    of_volume[:, used] = np.arange(n_subjects * used.sum()).reshape(n_subjects, -1)
    return _units(labels, of_volume, stratified=True)


def _of_times(labels: Labels, n_subjects: int) -> Units:
    rows = _numbered(np.where(labels.used, labels.moments, -1))
    return _units(labels, np.tile(rows, (n_subjects, 1)), stratified=True)


def _of_episodes(labels: Labels, n_subjects: int) -> Units:
    rows = _joined(nearest_episodes(labels), labels.moments)
    return _units(labels, np.tile(rows, (n_subjects, 1)), stratified=True)


def _of_runs(labels: Labels, n_subjects: int) -> Units:
    runs = np.unique(labels.table["run"], return_inverse=True)[1]
    rows = np.where(labels.used, runs, -1)
    return _units(labels, np.tile(_numbered(rows), (n_subjects, 1)), stratified=False)


def _of_subjects(labels: Labels, n_subjects: int) -> Units:
    subjects = np.tile(np.arange(n_subjects)[:, None], (1, labels.n_rows))
    return _units(labels, np.where(labels.used, subjects, -1), stratified=False)


UNITS: dict[str, Callable[[Labels, int], Units]] = {
    RANDOM: _of_volumes,
    "tr": _of_times,
    "episode": _of_episodes,
    "run": _of_runs,
    "subject": _of_subjects,
}


def nearest_episodes(labels: Labels) -> np.ndarray:
    """Return the number of the episode of each used volume, or of the nearest one in its run.

    Returns
    -------
    int array (n_rows,)
        From 0 without gaps, -1 for volumes that are not used. The earlier of two that are equally
        near; a run without episodes counts as one.
    """
    runs = np.unique(labels.table["run"], return_inverse=True)[1]
    # Episodes may be counted anew in every run.
    own = np.unique(np.stack([runs, labels.episodes]), axis=1, return_inverse=True)[1].ravel()
    nearest = np.full(labels.n_rows, -1)
    for run in labels.runs:
        rows = labels.of_run(run)
        rows = rows[labels.used[rows]]
        known = rows[labels.episodes[rows] >= 0]
        if known.size:
            after = np.searchsorted(known, rows)
            left, right = known[np.maximum(after - 1, 0)], known[np.minimum(after, known.size - 1)]
            closer = np.abs(right - rows) < np.abs(rows - left)
            nearest[rows] = own[np.where(closer, right, left)]
        else:
            nearest[rows] = own[rows]
    return _numbered(nearest)


def _joined(episodes: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return episodes (n_rows,) of which those that show the same moment in two runs are one."""
    used = episodes >= 0
    n_episodes, places = episodes.max(initial=-1) + 1, _numbered(np.where(used, moments, -1))
    shape = n_episodes, places.max(initial=-1) + 1
    shows = csr_array((np.ones(used.sum()), (episodes[used], places[used])), shape=shape)
    of_episode = connected_components(shows @ shows.T, directed=False)[1]
    first = np.unique(of_episode, return_index=True)[1]
    return _numbered(np.where(used, first[of_episode[episodes]], -1))


def _numbered(rows: np.ndarray) -> np.ndarray:
    """Return numbers from 0 without gaps in place of others; -1 stays."""
    numbers = np.full(rows.shape, -1)
    known = rows >= 0
    numbers[known] = np.unique(rows[known], return_inverse=True)[1]
    return numbers


def _units(labels: Labels, of_volume: np.ndarray, *, stratified: bool) -> Units:
    n_units, n_classes = int(of_volume.max(initial=-1)) + 1, len(labels.classes)
    codes = np.broadcast_to(labels.codes, of_volume.shape)
    counts = np.zeros((n_units, n_classes), int)
    labelled = (of_volume >= 0) & (codes >= 0)
    np.add.at(counts, (of_volume[labelled], codes[labelled]), 1)
    sizes = np.bincount(of_volume[of_volume >= 0], minlength=n_units)
    strata = np.zeros(n_units, int)
    if stratified:
        strata = np.where(counts.any(axis=1), counts.argmax(axis=1), n_classes)
    return Units(of_volume, counts, sizes, strata)
