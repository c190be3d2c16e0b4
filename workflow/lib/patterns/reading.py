"""Response patterns of one subject: from the files of a config block to observations x channels.

An observation is what the files hold one pattern of: a volume, a trial, a beta, a condition. A
channel is a voxel, an electrode, a column of a table. A block of patterns is a source as in
`workflow.lib.sources` and says besides which observation shows which condition in which run:

    files: "sub-{subject}_bold.nii.gz"
    subjects: {names: ["01", "02"], from: file_name}
    rois: {names: {V1: masks/V1.nii.gz}, from: mask}
    observations: {file: "sub-{subject}_events.tsv", condition: category, run: run, drop: [rest]}

Images are read by `workflow.lib.patterns.images`, arrays and tables by
`workflow.lib.patterns.files`; their conditions and runs by `workflow.lib.patterns.observations`.
What is done with patterns once they are read stands in `workflow.lib.patterns.preparation`.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.nifti.grids import check_grid
from workflow.lib.patterns.files import ArraySession
from workflow.lib.patterns.images import ImageSession
from workflow.lib.patterns.observations import Observations, observations_of
from workflow.lib.patterns.session import Session
from workflow.lib.rdms.alignment import merged_repeats
from workflow.lib.sources import NIFTI_SUFFIXES, axis_of

log = logging.getLogger("workflow")

# Above this share of an ROI's channels their loss is told to the user, not to the log alone.
MANY_CHANNELS = 0.1


@dataclass(frozen=True)
class Patterns:
    """Patterns of one ROI.

    Attributes
    ----------
    measurements : float64 array (n_observations, n_channels)
    conditions : list of n_observations str
    runs : list of n_observations str, or None
        Run of each observation, unique over sessions; None if the files do not say.
    channels : dict, name -> array (n_channels,)
        Channel descriptors, for example the voxel indices x, y and z.
    """

    measurements: np.ndarray
    conditions: list[str]
    runs: list[str] | None
    channels: dict[str, np.ndarray]

    def of_channels(self, mask: np.ndarray) -> "Patterns":
        """Return the patterns over the channels of a boolean mask (n_channels,)."""
        return replace(
            self,
            measurements=self.measurements[:, mask],
            channels={name: values[mask] for name, values in self.channels.items()},
        )

    def of_observations(self, rows: Sequence[int]) -> "Patterns":
        """Return the patterns of some observations."""
        return replace(
            self,
            measurements=self.measurements[rows],
            conditions=[self.conditions[row] for row in rows],
            runs=None if self.runs is None else [self.runs[row] for row in rows],
        )


def read_patterns(
    block: Mapping, folder: Path, subject: str, match: str = "exact"
) -> dict[str, Patterns]:
    """Return a subject's patterns in every ROI, all sessions one after the other.

    Channels with NaN or infinite values, and channels that are constant, are dropped with a line
    in the log, a warning if they are many. An observation that lacks values in most channels costs
    none of them: if `observations.drop` leaves its condition out, it keeps its place, NaN.

    Parameters
    ----------
    block : a config block of patterns, with the defaults of the schema filled in
    folder : folder of the raw files
    subject : label of the subject
    match : how names are matched, see `workflow.lib.rdms.alignment.merged_repeats`

    Raises
    ------
    InputError
        A file that is missing, damaged or at odds with another one; an ROI without channels; an
        observation without values in most channels, unless its condition is dropped.
    """
    dropped = dropped_conditions(block)
    with _sessions(block, folder, subject) as sessions:
        observations = observations_of(block, folder, sessions)
        parts = [session.read() for session in sessions]
    conditions = _conditions(observations, dropped, match)
    runs = [part.runs for part in observations]
    joined_runs = None if None in runs else [run for part in runs for run in part]
    found = {}
    for roi in parts[0]:
        what = f"{subject}, {roi}"
        channels = _same_channels([part[roi] for part in parts], what)
        values = _stacked([part[roi][0] for part in parts])
        patterns = Patterns(values, conditions, joined_runs, channels)
        found[roi] = _without_bad_channels(patterns, what, dropped)
    return found


def pattern_conditions(
    block: Mapping, folder: Path, subject: str, match: str = "exact"
) -> list[str]:
    """Return the conditions that a subject's patterns will have, without reading any image.

    Returns
    -------
    list of str, each once in order of first appearance, without `observations.drop`
    """
    with _sessions(block, folder, subject) as sessions:
        observations = observations_of(block, folder, sessions)
    dropped = dropped_conditions(block)
    names = dict.fromkeys(_conditions(observations, dropped, match))
    unknown = [name for name in dropped if name not in names]
    if unknown:
        log.warning(
            "%s: found no observation of %s, which observations.drop names",
            observations[0].what,
            ", ".join(map(repr, unknown)),
        )
    return [name for name in names if name not in dropped]


def pattern_sizes(block: Mapping, folder: Path, subject: str) -> tuple[int, dict[str, int]]:
    """Return how large a subject's patterns are, without reading any response.

    Returns
    -------
    n_observations : int
        Of all sessions, those of dropped conditions included.
    n_channels : dict, ROI -> int
        Those without usable values included.
    """
    with _sessions(block, folder, subject) as sessions:
        observations_of(block, folder, sessions)
        n_observations = sum(session.n_observations for session in sessions)
        return n_observations, sessions[0].n_channels()


def _conditions(
    observations: Sequence[Observations], dropped: Sequence[str], match: str
) -> list[str]:
    """Return the conditions of all sessions, repeats under one name, dropped ones as they are."""
    names = [name for part in observations for name in part.conditions]
    merged = iter(merged_repeats([name for name in names if name not in dropped], match))
    return [name if name in dropped else next(merged) for name in names]


def dropped_conditions(block: Mapping) -> list[str]:
    """Return the conditions that the config leaves out."""
    return [str(name) for name in (block.get("observations") or {}).get("drop") or ()]


def _stacked(parts: Sequence[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _same_channels(
    parts: Sequence[tuple[np.ndarray, dict[str, np.ndarray]]], what: str
) -> dict[str, np.ndarray]:
    (first, channels), *others = parts
    for values, own in others:
        same = all(np.array_equal(own.get(name), labels) for name, labels in channels.items())
        if values.shape[1] != first.shape[1] or not same:
            raise InputError(
                f"{what}: found other channels in one session ({values.shape[1]}) than in the "
                f"first ({first.shape[1]}), expected the same ones; use one mask, and one order "
                "of voxels, for all sessions"
            )
    return channels


def _without_bad_channels(patterns: Patterns, what: str, dropped: Sequence[str]) -> Patterns:
    finite = np.isfinite(patterns.measurements)
    missing = _missing_observations(finite)
    _check_missing(patterns, missing, what, dropped)
    values = patterns.measurements
    if missing.any():
        values, finite = values[~missing], finite[~missing]
    finite = finite.all(axis=0)
    # NaN compares false.
    varying = values.max(axis=0, initial=-np.inf) > values.min(axis=0, initial=np.inf)
    return kept_channels(
        patterns,
        finite & varying,
        what,
        f"{int((~finite).sum())} with NaN or infinite values, "
        f"{int((finite & ~varying).sum())} constant",
    )


def _missing_observations(finite: np.ndarray) -> np.ndarray:
    """Return which observations lack values in most channels, bool array (n_observations,).

    Channels in which none has a value, such as voxels outside the brain, do not count. Where all
    observations lack most of the others, none is called missing: the channels are at fault then.

    Parameters
    ----------
    finite : bool array (n_observations, n_channels)
    """
    n_with_values = np.count_nonzero(finite.any(axis=0))
    missing = np.count_nonzero(finite, axis=1) < n_with_values / 2
    return missing & ~missing.all()


def _check_missing(
    patterns: Patterns, missing: np.ndarray, what: str, dropped: Sequence[str]
) -> None:
    """Raise InputError if an observation is missing whose condition the config does not drop."""
    rows = [int(i) for i in np.flatnonzero(missing) if patterns.conditions[i] not in dropped]
    if rows:
        first = rows[0]
        run = "" if patterns.runs is None else f" in run {patterns.runs[first]!r}"
        raise InputError(
            f"{what}: found {len(rows)} of {missing.size} observations with NaN or infinite values "
            f"in most channels (the first is number {first + 1}, "
            f"{patterns.conditions[first]!r}{run}), expected values in all; repair them, leave "
            "their conditions out by observations.drop, or give a mask that all observations cover"
        )
    if missing.any():
        log.info("%s: passed over %d dropped observations without values", what, missing.sum())


def kept_channels(patterns: Patterns, good: np.ndarray, what: str, why: str) -> Patterns:
    """Return the patterns over the good channels, with a line in the log about the others.

    It is a warning if these are more than `MANY_CHANNELS` of all.

    Parameters
    ----------
    patterns : Patterns
    good : bool array (n_channels,)
    what, why : str
        How errors and the log name the patterns, and what is wrong with the other channels.

    Raises
    ------
    InputError
        No channel is good.
    """
    if good.all() and good.size:
        return patterns
    if not good.any():
        raise InputError(
            f"{what}: found no usable channel among {good.size} ({why}), expected at least one; "
            "check the mask and the data, or leave the ROI out"
        )
    level = logging.WARNING if np.mean(~good) > MANY_CHANNELS else logging.INFO
    log.log(level, "%s: dropped %d of %d channels: %s", what, (~good).sum(), good.size, why)
    return patterns.of_channels(good)


@contextlib.contextmanager
def _sessions(block: Mapping, folder: Path, subject: str) -> Iterator[list[Session]]:
    """Open the files of a subject's sessions; of images only the headers are read."""
    session_axis = axis_of(block, "session")
    names = [None] if session_axis is None else session_axis.names
    is_image = str(block["files"]).lower().endswith(NIFTI_SUFFIXES)
    with contextlib.ExitStack() as stack:
        opened: list[Session] = []
        for name in names:
            labels = {"subject": subject} | ({} if name is None else {"session": name})
            if is_image:
                opened.append(ImageSession(block, folder, labels))
                check_grid(opened[-1].reference, opened[0].reference)
            else:
                opened.append(ArraySession(block, folder, labels, stack))
        yield opened
