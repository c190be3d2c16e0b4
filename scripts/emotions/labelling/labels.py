"""Labels of volumes: what is shown at the time of each volume of each run, on one timeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.lib.errors import InputError

COLUMNS = ("run", "volume", "time", "shown", "used", "label", "agreement", "episode", "sampled")
# Before the name of an emotion: the column with the number of observers that saw it.
COUNT = "n_"
UNLABELLED = ""
NO_EPISODE = -1
# Bounds what rounding does to times such as 1752.08 s, in volumes.
TOLERANCE = 1e-6
# What a shift leaves where it is: the volumes themselves.
PLACES = ("run", "volume", "time", "shown", "used")


@dataclass(frozen=True)
class Labels:
    """The timeline of a movie in volumes, which all subjects share.

    Attributes
    ----------
    table : DataFrame, a row for each volume of each run, in order
        run (str), volume (int, from 0 in its run), time (s of the movie at which the labels of the
        volume begin), shown (s of the movie at which it was measured), used (bool: False for what
        two runs show both, and where the run did not yet show the movie), label (str, "" for none),
        agreement (int, observers that saw the emotion that most saw), episode (int, volumes of one
        label in a row, -1 for none), sampled (bool: False where only some volumes of each class are
        taken and not this one), and a column `n_<EMOTION>` for each emotion: observers that saw it.
    classes : tuple of str
        Labels that models tell apart; their order is that of `codes`.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """Number of volumes over all runs."""
        return len(self.table)

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the runs, in order."""
        return tuple(self.table["run"].unique())

    @property
    def used(self) -> np.ndarray:
        """Bool array (n_rows,): volumes that take part, with a label or without."""
        return self.table["used"].to_numpy(bool)

    @property
    def labelled(self) -> np.ndarray:
        """Bool array (n_rows,): volumes that are used, sampled, and of one of the classes."""
        return self.codes >= 0

    @property
    def codes(self) -> np.ndarray:
        """Int array (n_rows,): place of the label among the classes, -1 where not `labelled`."""
        place = {name: number for number, name in enumerate(self.classes)}
        codes = np.array([place.get(name, -1) for name in self.table["label"]], dtype=int)
        return np.where(self.used & self.table["sampled"].to_numpy(bool), codes, -1)

    @property
    def episodes(self) -> np.ndarray:
        """Int array (n_rows,): number of the episode, -1 where there is none."""
        return self.table["episode"].to_numpy(int)

    @property
    def emotions(self) -> tuple[str, ...]:
        """Emotions of which observers were counted."""
        columns = (name for name in self.table if name.startswith(COUNT))
        return tuple(name.removeprefix(COUNT) for name in columns)

    @property
    def moments(self) -> np.ndarray:
        """Int array (n_rows,): number of the moment of the movie at which a volume was measured.

        Volumes of two runs that show the same for most of their time share it.
        """
        shown = self.table["shown"].to_numpy(float)
        step = np.diff(shown[self.of_run(self.runs[0])]).min()
        # Halves are rounded up, so that moments a volume apart have different numbers.
        return np.floor(shown / step + 0.5 + TOLERANCE).astype(int)

    def of_run(self, run: str) -> np.ndarray:
        """Return the rows of a run, int array (n_volumes,)."""
        return np.flatnonzero(self.table["run"].to_numpy() == run)


def read_labels(path: str | Path, classes: Sequence[str]) -> Labels:
    """Return the labels in a table `labels.csv`.

    Raises
    ------
    InputError
        A column is missing, or a class has no volume.
    """
    table = pd.read_csv(path, dtype={"run": str, "label": str}, keep_default_na=False)
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise InputError(
            f"{path}: found no column {', '.join(missing)}, expected {', '.join(COLUMNS)}; "
            "make the table of labels again"
        )
    labels = Labels(table, tuple(classes))
    empty = [name for place, name in enumerate(classes) if not (labels.codes == place).any()]
    if empty:
        raise InputError(
            f"{path}: found no volume labelled {', '.join(empty)}, expected some of each of "
            "`labels.classes`; leave the class out or lower `labels.min_observers`"
        )
    return labels


def shifted(labels: Labels, shifts: Mapping[str, int]) -> Labels:
    """Return labels moved in a circle within each run, before any class is selected.

    Volumes that are not used keep their place and take no part, so that every run has as many
    volumes of each label as before.

    Parameters
    ----------
    labels : Labels
    shifts : run -> volumes by which labels come later

    Raises
    ------
    InputError
        A run without a shift.

    References
    ----------
    Theiler & Prichard 1996, Constrained-realization Monte-Carlo method for hypothesis testing,
    Physica D 94:221: surrogates that keep the autocorrelation of a series.
    """
    without = [run for run in labels.runs if run not in shifts]
    if without:
        raise InputError(f"found no shift of run {', '.join(without)}, expected one for each run")
    order = np.arange(labels.n_rows)
    for run in labels.runs:
        rows = labels.of_run(run)
        rows = rows[labels.used[rows]]
        order[rows] = np.roll(rows, shifts[run])
    moved = labels.table.iloc[order].reset_index(drop=True)
    moved[list(PLACES)] = labels.table[list(PLACES)]
    return replace(labels, table=moved)
