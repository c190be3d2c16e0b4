"""Response patterns between reading and RDMs: preparing them over time, averaging, residuals."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse

from workflow.lib.errors import InputError
from workflow.lib.patterns.reading import Patterns, kept_channels
from workflow.lib.rdms.distances import CROSSNOBIS

# A channel whose values spread less than this part of their size does not vary but by rounding.
SMALLEST_SPREAD = 1e-10


def prepare_patterns(
    patterns: Patterns,
    *,
    detrend: bool = False,
    standardise: str = "none",
    remove_mean_pattern: bool = False,
    drop: Sequence[str] = (),
    what: str = "patterns",
) -> Patterns:
    """Return patterns after the steps that are asked for, in this order.

    Parameters
    ----------
    patterns : Patterns
        Observations in the order of their acquisition, if they are to be detrended. Those to be
        dropped may be NaN, and then tell nothing of trends, means and deviations.
    detrend : bool
        Take the linear trend, and with it the mean, off every channel within each run.
    standardise : "none" or "run"
        "run" gives every channel mean zero and (sample) standard deviation one in each run, over
        all observations, those to be dropped included: rest is the baseline of a volume.
    remove_mean_pattern : bool
        Take the mean over conditions off, within each run.
    drop : sequence of str
        Conditions to leave out, after the steps over time and before the mean pattern is taken.
    what : str
        How errors and the log name the patterns.

    Raises
    ------
    InputError
        A run too short for a trend, no channel that varies in every run, no condition left.

    Notes
    -----
    Without runs all observations count as one run.
    """
    if detrend:
        patterns = _detrended(patterns, what)
    if standardise == "run":
        patterns = _standardised(patterns, what)
    kept = [row for row, name in enumerate(patterns.conditions) if name not in drop]
    if not kept:
        raise InputError(
            f"{what}: found no condition but those in observations.drop, expected some to compare; "
            "correct it"
        )
    if len(kept) < len(patterns.conditions):
        patterns = patterns.of_observations(kept)
    return _without_mean_pattern(patterns) if remove_mean_pattern else patterns


def _runs(patterns: Patterns) -> list[np.ndarray]:
    """Return the rows of each run, in order of first appearance."""
    runs = np.array(patterns.runs or ["all"] * len(patterns.conditions))
    return [np.flatnonzero(runs == run) for run in dict.fromkeys(runs.tolist())]


def _known_observations(patterns: Patterns) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows of each run that have values, and their places in it, which are times."""
    found = []
    for rows in _runs(patterns):
        (times,) = np.nonzero(np.isfinite(patterns.measurements[rows]).all(axis=1))
        if times.size:
            found.append((rows[times], times))
    return found


def _detrended(patterns: Patterns, what: str) -> Patterns:
    values = np.full_like(patterns.measurements, np.nan)
    for rows, times in _known_observations(patterns):
        if len(times) < 3:
            raise InputError(
                f"{what}: found a run of {len(times)} observation(s), expected at least 3 to take "
                "a trend off; set detrend to false, or check the runs"
            )
        measured = patterns.measurements[rows]
        trendless = without_trend(measured, times)
        # What rounding leaves of a straight line must not pass for a signal.
        values[rows] = np.where(_varies(trendless, np.abs(measured).max(axis=0)), trendless, 0)
    return replace(patterns, measurements=values)


def without_trend(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return a series of values, float array (n, ...), less its least-squares line over time."""
    time = times - times.mean()
    slope = np.tensordot(time, values, 1) / (time @ time)
    return values - values.mean(axis=0) - np.multiply.outer(time, slope)


def _standardised(patterns: Patterns, what: str) -> Patterns:
    runs = [rows for rows, _ in _known_observations(patterns)]
    varying = np.ones(patterns.measurements.shape[1], dtype=bool)
    for rows in runs:
        values = patterns.measurements[rows]
        varying &= _varies(values - values.mean(axis=0), np.abs(values).max(axis=0))
    patterns = kept_channels(patterns, varying, what, "constant within a run")
    values = np.full_like(patterns.measurements, np.nan)
    for rows in runs:
        measured = patterns.measurements[rows]
        values[rows] = (measured - measured.mean(axis=0)) / measured.std(axis=0, ddof=1)
    return replace(patterns, measurements=values)


def _varies(deviations: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return which channels deviate from their mean or trend by more than rounding errors."""
    return np.abs(deviations).max(axis=0) > SMALLEST_SPREAD * size


def _without_mean_pattern(patterns: Patterns) -> Patterns:
    values = np.empty_like(patterns.measurements)
    for rows in _runs(patterns):
        _, means = condition_means(patterns.of_observations(rows))
        values[rows] = patterns.measurements[rows] - means.mean(axis=0)
    return replace(patterns, measurements=values)


# Averaging.


def condition_means(patterns: Patterns) -> tuple[list[str], np.ndarray]:
    """Return the mean pattern of each condition over all its observations.

    Returns
    -------
    names : list of n_conditions str, in order of first appearance
    means : float64 array (n_conditions, n_channels)
    """
    names = list(dict.fromkeys(patterns.conditions))
    sums, counts = _sums(patterns.measurements, _codes(patterns.conditions, names), len(names))
    return names, sums / counts[:, np.newaxis]


def run_means(patterns: Patterns, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean pattern of each condition in each run.

    Parameters
    ----------
    patterns : Patterns
    names : sequence of n_conditions str
        Conditions, each once, in the order that is wanted.

    Returns
    -------
    means : float64 array (n_runs, n_conditions, n_channels)
    counts : int array (n_runs, n_conditions)
        Observations behind each mean.

    Raises
    ------
    InputError
        The observations have no runs, or a run lacks one of the conditions.
    """
    if patterns.runs is None:
        raise InputError(
            "found observations without runs, expected the run of each to crossvalidate over; name "
            "it by `observations.run`, or choose another metric"
        )
    wanted = set(names)
    rows = [row for row, name in enumerate(patterns.conditions) if name in wanted]
    chosen = patterns.of_observations(rows)
    runs = list(dict.fromkeys(patterns.runs))
    cells = _codes(chosen.runs, runs) * len(names) + _codes(chosen.conditions, names)
    sums, counts = _sums(chosen.measurements, cells, len(runs) * len(names))
    if not counts.all():
        run, name = divmod(int(np.argmin(counts)), len(names))
        raise InputError(
            f"found no observation of {names[name]!r} in run {runs[run]!r} "
            f"({np.count_nonzero(counts == 0)} such gaps), expected every condition in every run "
            "for crossvalidation; drop the condition, join runs, or choose another metric"
        )
    shape = (len(runs), len(names))
    return (sums / counts[:, np.newaxis]).reshape(*shape, -1), counts.reshape(shape)


def means_for(
    patterns: Patterns, names: Sequence[str], metric: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the mean patterns that a metric compares: of conditions, in each run for crossnobis.

    Parameters
    ----------
    patterns : Patterns
    names : sequence of n_conditions str
        Conditions, each once, in the order that is wanted.
    metric : a metric of `workflow.lib.rdms.distances`

    Returns
    -------
    means : float64 array (n_conditions, n_channels), or (n_runs, n_conditions, n_channels)
    counts : int array (n_runs, n_conditions), or None
        Observations behind each mean of a run.
    """
    if metric == CROSSNOBIS:
        return run_means(patterns, names)
    stored, means = condition_means(patterns)
    return means[[stored.index(name) for name in names]], None


def noise_residuals(patterns: Patterns) -> tuple[np.ndarray, int]:
    """Return the noise of the observations: what their condition and run do not explain.

    Returns
    -------
    residuals : float64 array (n_observations, n_channels)
    dof : int
        Their degrees of freedom: observations minus means taken off.

    Notes
    -----
    Where a run repeats a condition, noise is what is left without the mean of condition and run.
    Where none does (one beta per condition and run), it is what is left of the additive model
    condition + run: of R runs of all C conditions, that is without the mean of the run and then
    without the mean of the condition over runs, with (R - 1)(C - 1) degrees of freedom. A pattern
    that changes from run to run in another way for each condition counts as noise, then.
    """
    cells = list(zip(patterns.conditions, patterns.runs or patterns.conditions, strict=True))
    residuals, n_cells = _without_means(patterns.measurements, cells)
    dof = len(cells) - n_cells
    if not dof and patterns.runs is not None:
        residuals, dof = _additive_residuals(patterns)
    # What rounding leaves of a channel that does not vary must not pass for noise.
    varying = _varies(residuals, np.abs(patterns.measurements).max(axis=0))
    return np.where(varying, residuals, 0), dof


def _additive_residuals(patterns: Patterns) -> tuple[np.ndarray, int]:
    """Return the residuals of the least squares fit of condition + run, and their dof.

    What conditions explain is taken off responses and indicators of runs alike; what the latter
    explain of the former is then all that runs explain besides (Frisch and Waugh 1933,
    Econometrica 1:387). Conditions may be missing in some runs.
    """
    runs = np.array(patterns.runs)
    indicators = (runs[:, np.newaxis] == np.unique(runs)).astype(np.float64)
    responses, n_conditions = _without_means(patterns.measurements, patterns.conditions)
    indicators, _ = _without_means(indicators, patterns.conditions)
    weights, _, rank, _ = np.linalg.lstsq(indicators, responses, rcond=None)
    return responses - indicators @ weights, len(runs) - n_conditions - int(rank)


def _without_means(values: np.ndarray, labels: Sequence) -> tuple[np.ndarray, int]:
    """Return the rows less the mean of the rows with the same label, and the number of labels."""
    distinct = list(dict.fromkeys(labels))
    codes = _codes(labels, distinct)
    sums, counts = _sums(values, codes, len(distinct))
    return values - (sums / counts[:, np.newaxis])[codes], len(distinct)


def _codes(labels: Sequence, distinct: Sequence) -> np.ndarray:
    """Return the position of each label among the distinct ones."""
    position = {label: index for index, label in enumerate(distinct)}
    return np.array([position[label] for label in labels], dtype=np.int64)


def _sums(values: np.ndarray, codes: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum (n, n_channels) and the number (n,) of the rows with each code."""
    members = scipy.sparse.csr_array(
        (np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(n, len(codes))
    )
    return members @ values, np.bincount(codes, minlength=n)
