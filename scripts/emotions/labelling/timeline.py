"""When each volume was measured: seconds of the unsegmented movie, as they are and as published."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from workflow.lib.errors import InputError

# Bounds what rounding does to times such as 1752.08 s.
TOLERANCE = 1e-6


class Run(NamedTuple):
    """A run of the movie: where in the movie it starts and ends, in seconds, and its volumes."""

    start: float
    end: float
    n_volumes: int


def runs_of(table: Mapping[str, Mapping[str, float]]) -> dict[str, Run]:
    """Return the runs of a config, in the order in which the movie shows them.

    Parameters
    ----------
    table : run -> {start, end, n_volumes}
    """
    runs = {str(name): Run(**block) for name, block in table.items()}
    return dict(sorted(runs.items(), key=lambda item: item[1].start))


def duration(runs: Mapping[str, Run]) -> float:
    """Return how long the movie is, in seconds: to the end of its last run."""
    return max(run.end for run in runs.values())


def volume_times(
    runs: Mapping[str, Run], *, timing: str, tr: float, lag: int, drop_overlap: int
) -> pd.DataFrame:
    """Return when in the movie each volume's labels begin, and whether the volume takes part.

    Parameters
    ----------
    runs : in the order of the movie, from `runs_of`
    timing : "runs" or "cumulative"
    tr : seconds from one volume to the next
    lag : volumes by which responses come after what is shown; without effect on "cumulative"
    drop_overlap : volumes that are left out at the start of every run but the first and at the end
        of every run but the last; without effect on "cumulative"

    Returns
    -------
    DataFrame, a row for each volume of each run
        run (str), volume (int, from 0), time (s; labels are those of `tr` seconds from there),
        shown (s of the movie at which the volume was measured), used

    Raises
    ------
    InputError
        Nothing is left of a run.

    Notes
    -----
    runs: time = start of the run + volume * tr - lag * tr. Volumes that respond to what was shown
    before their run began are not used. Runs that show 16 s of the movie twice show nothing twice
    if 16 / (2 tr) volumes are dropped at each side, whatever the lag.

    cumulative: time = (volumes of the runs before + volume) * tr, as was published. It is late by
    what runs overlap in, added up, see `published_errors`, and knows no lag.

    shown = start of the run + volume * tr in both: which volumes lie near one another in the movie,
    or show the same of it, does not depend on how they are labelled.
    """
    found = _TIMINGS[timing](runs, tr, lag, drop_overlap)
    parts = []
    for (name, run), (times, used) in zip(runs.items(), found, strict=True):
        if not used.any():
            raise InputError(
                f"labels: nothing is left of the {run.n_volumes} volumes of run {name} with a lag "
                f"of {lag} and {drop_overlap} dropped at each inner side, expected some; lower "
                "`labels.lag` or `labels.drop_overlap`"
            )
        volumes = np.arange(run.n_volumes)
        columns = {"run": name, "volume": volumes, "time": times}
        columns |= {"shown": run.start + volumes * tr, "used": used}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def _by_runs(
    runs: Mapping[str, Run], tr: float, lag: int, drop_overlap: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for place, run in enumerate(runs.values()):
        volumes = np.arange(run.n_volumes)
        times = run.start + (volumes - lag) * tr
        from_start = drop_overlap if place > 0 else 0
        to_end = run.n_volumes - (drop_overlap if place < len(runs) - 1 else 0)
        inner = (volumes >= from_start) & (volumes < to_end)
        found.append((times, inner & (times > run.start - TOLERANCE)))
    return found


def _cumulative(
    runs: Mapping[str, Run], tr: float, lag: int, drop_overlap: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    starts = _published_starts(runs, tr)
    return [
        (start + np.arange(run.n_volumes) * tr, np.ones(run.n_volumes, bool))
        for start, run in zip(starts, runs.values(), strict=True)
    ]


Timing = Callable[[Mapping[str, Run], float, int, int], list[tuple[np.ndarray, np.ndarray]]]
_TIMINGS: dict[str, Timing] = {"runs": _by_runs, "cumulative": _cumulative}
TIMINGS = tuple(_TIMINGS)


def published_errors(runs: Mapping[str, Run], *, tr: float) -> pd.DataFrame:
    """Return by how many seconds the published timing takes volumes to show what comes later.

    Returns
    -------
    DataFrame, a row for each run
        run, n_volumes, start (s of the movie), start_published (s), error (s): what a volume is
        labelled with is shown so long after it. The 4 s of a lag of two volumes come on top.
    """
    starts = _published_starts(runs, tr)
    rows = [
        (name, run.n_volumes, run.start, start, start - run.start)
        for start, (name, run) in zip(starts, runs.items(), strict=True)
    ]
    return pd.DataFrame(rows, columns=["run", "n_volumes", "start", "start_published", "error"])


def _published_starts(runs: Mapping[str, Run], tr: float) -> np.ndarray:
    n_volumes = [run.n_volumes for run in runs.values()]
    return tr * np.concatenate([[0], np.cumsum(n_volumes)[:-1]])
