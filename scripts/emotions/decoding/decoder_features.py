"""What decoders see of volumes: the features of every subject's time series, or confounds alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.emotions.data.timeseries import TimeSeries
from scripts.emotions.labelling.labels import Labels
from workflow.lib.errors import InputError

# What a model may see.
PATTERNS, CONFOUNDS = "patterns", "confounds"
SEEN = (PATTERNS, CONFOUNDS)
# Time series of all subjects that are kept in memory once read; larger ones are read when asked.
KEPT_BYTES = 2 * 2**30
# Powers of the time within a run that the confounds hold.
DEGREES = (1, 2, 3)


class Responses:
    """Features of volumes as measured: voxels or parcels.

    Parameters
    ----------
    series : sequence of TimeSeries, one per subject
    labels : Labels
    """

    def __init__(self, series: Sequence[TimeSeries], labels: Labels) -> None:
        self.series, self.labels = series, labels
        size = 4 * len(series) * labels.n_rows * series[0].n_features
        self._kept: list[np.ndarray | None] = [None] * len(series)
        self._keeps = size <= KEPT_BYTES

    def of(self, subject: int, rows: np.ndarray) -> np.ndarray:
        """Return volumes of a subject, float32 (k, n_features); rows are int, or bool (n_rows,)."""
        if not self._keeps:
            return self.series[subject].all(self.labels.table.loc[rows])
        if self._kept[subject] is None:
            self._kept[subject] = self.series[subject].all(self.labels.table)
        return self._kept[subject][rows]


class Confounds:
    """What is known of volumes without any response.

    Which run it is, powers of the time within the run, motion where the time series has confounds,
    and what is shown (luminance, loudness) where there is a table of it. The mean over features is
    a response, and is not among them.

    Parameters
    ----------
    series : sequence of TimeSeries, one per subject
    labels : Labels
    stimulus : DataFrame, optional
        From `read_stimulus`.
    """

    def __init__(
        self, series: Sequence[TimeSeries], labels: Labels, stimulus: pd.DataFrame | None = None
    ) -> None:
        shared = _of_movie(labels, stimulus)
        own = [_of_subject(one, labels) for one in series]
        self.names = [*shared.columns, *own[0].columns]
        self.values = np.stack(
            [pd.concat([shared, table], axis=1).to_numpy(np.float32) for table in own]
        )

    def of(self, subject: int, rows: np.ndarray) -> np.ndarray:
        """Return volumes of a subject, float32 (k, n_confounds), as `Responses.of` does."""
        return self.values[subject, rows]


def read_stimulus(path: str | Path) -> pd.DataFrame:
    """Return a table of what is shown: time (s of the movie, rising) and other columns of numbers.

    Raises
    ------
    InputError
        No column of that name, times that do not rise, no other column, or what is no number.
    """
    table = pd.read_csv(path)
    numbers = table.apply(pd.to_numeric, errors="coerce")
    if "time" not in table or len(table.columns) < 2 or numbers.isna().any(axis=None):
        raise InputError(
            f"{path}: found columns {', '.join(table.columns)}, expected time and others, all of "
            "numbers; correct the file"
        )
    if not (np.diff(numbers["time"]) > 0).all():
        raise InputError(f"{path}: found times that do not rise, expected seconds of the movie")
    return numbers


def _of_movie(labels: Labels, stimulus: pd.DataFrame | None) -> pd.DataFrame:
    """Return the confounds that all subjects share, a row per row of the labels."""
    columns = {}
    for run in labels.runs:
        rows = labels.of_run(run)
        columns[f"run {run}"] = np.isin(np.arange(labels.n_rows), rows)
    within = np.zeros(labels.n_rows)
    for run in labels.runs:
        rows = labels.of_run(run)
        within[rows] = np.linspace(-1, 1, rows.size)
    columns |= {f"time^{degree}": within**degree for degree in DEGREES}
    if stimulus is not None:
        times = labels.table["time"]
        shown = [name for name in stimulus if name != "time"]
        columns |= {name: np.interp(times, stimulus["time"], stimulus[name]) for name in shown}
    return pd.DataFrame(columns, dtype=float)


def _of_subject(series: TimeSeries, labels: Labels) -> pd.DataFrame:
    """Return a subject's own confounds; what is missing (first derivatives) is the run's mean."""
    tables = []
    for run in labels.runs:
        volumes = labels.table["volume"].to_numpy()[labels.of_run(run)]
        table = pd.DataFrame(index=range(volumes.size))
        motion = series.confounds(run)
        if motion is not None:
            table = pd.DataFrame(motion[volumes], columns=series.confound_names)
        tables.append(table.fillna(table.mean()).fillna(0))
    return pd.concat(tables, ignore_index=True)
