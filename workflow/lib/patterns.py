"""Response patterns of one subject: from the files of a config block to observations x channels.

An observation is what the files hold one pattern of: a volume, a trial, a beta, a condition. A
channel is a voxel, an electrode, a column of a table. A block of patterns is a source as in
`workflow.lib.sources` and says besides which observation shows which condition in which run:

    files: "sub-{subject}_bold.nii.gz"
    subjects: {names: ["01", "02"], from: file_name}
    rois: {names: {V1: masks/V1.nii.gz}, from: mask}
    observations: {file: "sub-{subject}_events.tsv", condition: category, run: run, drop: [rest]}

Formats: NIfTI (4D, or a 3D file per condition by {condition} in `files`), rsatoolbox Dataset HDF5,
.npy, .npz, MATLAB .mat and plain HDF5 (a two-dimensional array), .csv and .tsv (a header, a first
column of conditions, a column per channel, and `run` if there is one).
"""

import contextlib
import csv
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import nibabel
import numpy as np
import scipy.io
import scipy.signal
import scipy.sparse

from workflow.lib.errors import InputError
from workflow.lib.rdm_files import (
    HDF5RDMFile,
    MatlabRDMFile,
    NumpyRDMFile,
    RDMFile,
    _as_strings,
    _hdf5_strings,
    _is_number,
    _one_of,
)
from workflow.lib.rdm_source import _listed_names
from workflow.lib.sources import Axis, axes_of, condition_files, filled, items_of

# Images and masks lie on one grid if their affines agree to this, in mm: programs round them
# differently, and no two grids that are meant to differ are as close.
AFFINE_TOLERANCE = 1e-3
# Images are read in blocks of volumes of this size.
BLOCK_BYTES = 2**26
# A channel whose values spread less than this part of their size does not vary but by rounding.
SMALLEST_SPREAD = 1e-10

IMAGE_SUFFIXES = (".nii", ".nii.gz")
SEPARATORS = {".csv": ",", ".tsv": "\t"}
# What observation descriptors and columns with the run are called, where the config does not say.
RUN_NAMES = ("run", "runs")
# What tables write for a value that is missing, besides nan itself.
MISSING = ("", "NA", "n/a")

log = logging.getLogger("workflow")


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


# Reading.


def read_patterns(block: Mapping, folder: Path, subject: str) -> dict[str, Patterns]:
    """Return a subject's patterns in every ROI, all sessions one after the other.

    Channels with NaN or infinite values, and channels that are constant, are dropped with a line
    in the log.

    Parameters
    ----------
    block : a config block of patterns, with the defaults of the schema filled in
    folder : folder of the raw files
    subject : label of the subject

    Raises
    ------
    InputError
        A file that is missing, damaged or at odds with another one; an ROI without channels.
    """
    with _sessions(block, folder, subject) as sessions:
        observations = _observations(block, folder, sessions)
        parts = [session.read() for session in sessions]
    conditions = [name for part in observations for name in part.conditions]
    runs = [part.runs for part in observations]
    joined_runs = None if None in runs else [run for part in runs for run in part]
    found = {}
    for roi in parts[0]:
        what = f"{subject}, {roi}"
        channels = _same_channels([part[roi] for part in parts], what)
        values = _stacked([part[roi][0] for part in parts])
        patterns = Patterns(values, conditions, joined_runs, channels)
        found[roi] = _without_bad_channels(patterns, what)
    return found


def condition_names(block: Mapping, folder: Path, subject: str) -> list[str]:
    """Return the conditions that a subject's patterns will have, without reading any image.

    Returns
    -------
    list of str, each once in order of first appearance, without `observations.drop`
    """
    with _sessions(block, folder, subject) as sessions:
        observations = _observations(block, folder, sessions)
    names = dict.fromkeys(name for part in observations for name in part.conditions)
    dropped = dropped_conditions(block)
    unknown = [name for name in dropped if name not in names]
    if unknown:
        log.warning(
            "%s: found no observation of %s, which observations.drop names",
            observations[0].what,
            ", ".join(map(repr, unknown)),
        )
    return [name for name in names if name not in dropped]


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


def _without_bad_channels(patterns: Patterns, what: str) -> Patterns:
    values = patterns.measurements
    finite = np.isfinite(values).all(axis=0)
    # NaN compares false.
    varying = values.max(axis=0, initial=-np.inf) > values.min(axis=0, initial=np.inf)
    return _kept_channels(
        patterns,
        finite & varying,
        what,
        f"{int((~finite).sum())} with NaN or infinite values, "
        f"{int((finite & ~varying).sum())} constant",
    )


def _kept_channels(patterns: Patterns, good: np.ndarray, what: str, why: str) -> Patterns:
    if good.all() and good.size:
        return patterns
    if not good.any():
        raise InputError(
            f"{what}: found no usable channel among {good.size} ({why}), expected at least one; "
            "check the mask and the data, or leave the ROI out"
        )
    log.info("%s: dropped %d of %d channels: %s", what, (~good).sum(), good.size, why)
    return patterns.of_channels(good)


@contextlib.contextmanager
def _sessions(
    block: Mapping, folder: Path, subject: str
) -> Iterator[list["_ImageSession | _ArraySession"]]:
    """Open the files of a subject's sessions; of images only the headers are read."""
    session_axis = _axis(block, "session")
    names = [None] if session_axis is None else session_axis.names
    is_image = str(block["files"]).lower().endswith(IMAGE_SUFFIXES)
    with contextlib.ExitStack() as stack:
        opened: list[_ImageSession | _ArraySession] = []
        for name in names:
            labels = {"subject": subject} | ({} if name is None else {"session": name})
            if is_image:
                opened.append(_ImageSession(block, folder, labels))
                _check_grid(opened[-1].reference, opened[0].reference)
            else:
                opened.append(_ArraySession(block, folder, labels, stack))
        yield opened


def _axis(block: Mapping, placeholder: str) -> Axis | None:
    return next((axis for axis in axes_of(block) if axis.placeholder == placeholder), None)


# Which observation shows which condition.


@dataclass(frozen=True)
class _Observations:
    """Condition and run of the observations of a session, and the file that says so."""

    what: str
    conditions: list[str]
    runs: list[str] | None


def _observations(
    block: Mapping, folder: Path, sessions: Sequence["_ImageSession | _ArraySession"]
) -> list[_Observations]:
    """Return the observations of every session, as many as the data has.

    A table is read per session if its name holds {session}; otherwise it has the observations of
    all sessions, one session after the other.
    """
    table = (block.get("observations") or {}).get("file")
    if table and "{session}" not in table and len(sessions) > 1:
        whole = _table_observations(block, folder, sessions[0].labels)
        found = _split(whole, sessions)
    elif table:
        found = [_table_observations(block, folder, session.labels) for session in sessions]
    else:
        found = [_own_observations(block, folder, session) for session in sessions]
    for session, part in zip(sessions, found, strict=True):
        session.expect(len(part.conditions), part.what)
        if part.runs is not None and len(part.runs) != len(part.conditions):
            raise InputError(
                f"{part.what}: found {len(part.runs)} runs and {len(part.conditions)} "
                "observations, expected the run of each; correct `observations.run` in the config"
            )
    return [
        replace(part, runs=_unique_runs(part, session.labels.get("session")))
        for session, part in zip(sessions, found, strict=True)
    ]


def _unique_runs(observations: _Observations, session: str | None) -> list[str] | None:
    """Return the runs, told apart from the runs of other sessions; a session is a run itself."""
    if session is None:
        return observations.runs
    if observations.runs is None:
        return [session] * len(observations.conditions)
    return [f"{session}-{run}" for run in observations.runs]


def _split(
    whole: _Observations, sessions: Sequence["_ImageSession | _ArraySession"]
) -> list[_Observations]:
    counts = [session.n_observations for session in sessions]
    if sum(counts) != len(whole.conditions):
        raise InputError(
            f"{whole.what}: found {len(whole.conditions)} rows, expected {sum(counts)}, a row per "
            f"observation of all {len(sessions)} sessions ({' + '.join(map(str, counts))}); "
            "correct the table, or give one per session by {session} in its name"
        )
    stops = np.cumsum(counts)
    return [
        _Observations(
            whole.what,
            whole.conditions[stop - count : stop],
            None if whole.runs is None else whole.runs[stop - count : stop],
        )
        for count, stop in zip(counts, stops, strict=True)
    ]


def _own_observations(
    block: Mapping, folder: Path, session: "_ImageSession | _ArraySession"
) -> _Observations:
    """Return names that come with the data, from a list, or by order."""
    given = block.get("observations") or {}
    conditions = block["conditions"]
    runs = session.stored_runs(given.get("run"))
    if conditions["from"] == "stored" or given.get("condition") is not None:
        key = conditions.get("key") if given.get("condition") is None else str(given["condition"])
        return _Observations(session.what, session.stored_names(key), runs)
    if conditions["from"] == "order":
        numbers = range(1, session.n_observations + 1)
        names = [conditions["pattern"].format(number) for number in numbers]
        return _Observations(session.what, names, runs)
    if session.names_are_listed:
        return _Observations(session.what, session.stored_names(None), runs)
    file = filled(conditions["file"], block, session.labels)
    return _Observations(file, _listed_names(folder / file, conditions.get("column")), runs)


def _table_observations(block: Mapping, folder: Path, labels: Mapping[str, str]) -> _Observations:
    """Read a table with a row per observation."""
    given = block["observations"]
    file = filled(given["file"], block, labels)
    if given.get("condition") is None:
        raise InputError(
            f"{file}: found a table of observations without `observations.condition`, expected "
            "the column with the condition; name it in the config"
        )
    columns = [given["condition"], given.get("run")]
    has_header = any(isinstance(column, str) for column in columns)
    table = _read_table(folder / file, file, header=has_header)
    conditions, runs = (
        None if column is None else _column(table, column, file) for column in columns
    )
    return _Observations(file, conditions, runs)


def _read_table(path: Path, what: str, *, header: bool) -> dict[str | int, list[str]]:
    """Return the columns of a table, numbered where it has no header."""
    if not path.is_file():
        raise InputError(
            f"{path}: found no such file, expected a table with a row per observation; correct "
            "the folder or the file name in the config"
        )
    separator = SEPARATORS.get(path.suffix.lower())
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file, delimiter=separator) if separator else map(str.split, file)
            rows = [[cell.strip() for cell in line] for line in lines if any(line)]
    except (ValueError, csv.Error) as error:
        raise InputError(
            f"{what}: found no readable text ({error}), expected a table; export it again as UTF-8 "
            "text"
        ) from error
    widths = sorted({len(row) for row in rows})
    if len(widths) != 1 or len(rows) <= header:
        raise InputError(
            f"{what}: found {len(rows)} rows of {' and '.join(map(str, widths)) or 'no'} cells, "
            "expected a full table with a row per observation; correct it"
        )
    names = rows.pop(0) if header else list(range(widths[0]))
    if len(set(names)) != len(names):
        raise InputError(
            f"{what}: found columns of one name among {', '.join(names)}, expected each name once; "
            "rename them"
        )
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _column(table: Mapping[str | int, list[str]], column: str | int, what: str) -> list[str]:
    if column not in table:
        raise InputError(
            f"{what}: found the columns {', '.join(map(str, table))}, expected {column!r}; correct "
            "`observations` in the config (names for a table with a header, numbers from 0 for one "
            "without)"
        )
    return table[column]


# Images.


@dataclass(frozen=True, eq=False)
class _Volume:
    """The header of an image."""

    what: str
    path: Path
    grid: tuple[int, ...]
    affine: np.ndarray
    n_volumes: int


class _ImageSession:
    """The images of one session: one or several files, over masks, atlas labels or all voxels."""

    def __init__(self, block: Mapping, folder: Path, labels: dict[str, str]) -> None:
        self.labels = labels
        conditions = block["conditions"]
        self.names_are_listed = conditions["from"] == "list" and "{condition}" in block["files"]
        listed = None
        if self.names_are_listed:
            file = filled(conditions["file"], block, labels)
            listed = _listed_names(folder / file, conditions.get("column"))
        files = {
            item.labels["roi"]: _image_files(item.file, folder, listed)
            for item in items_of(block, labels)
        }
        self._names = {roi: list(found) for roi, found in files.items()}
        headers = {
            file: _header(folder, file) for found in files.values() for file in found.values()
        }
        self._volumes = {
            roi: tuple(headers[file] for file in found.values()) for roi, found in files.items()
        }
        self._block, self._folder = block, folder
        first = next(iter(self._volumes.values()))
        self.reference = first[0]
        self.what = self.reference.what
        for volume in headers.values():
            _check_grid(volume, self.reference)
        self.n_observations = sum(volume.n_volumes for volume in first)

    def stored_names(self, key: str | None) -> list[str]:
        """Return the conditions that {condition} stands for, a name per volume."""
        names = {
            roi: [
                name
                for name, volume in zip(found, self._volumes[roi], strict=True)
                for _ in range(volume.n_volumes)
            ]
            for roi, found in self._names.items()
        }
        if "{condition}" not in self._block["files"]:
            raise InputError(
                f"{self.what}: found no names of conditions in an image, expected a table in "
                "`observations.file`, a list (`conditions: {from: list, file: ...}`) or "
                "{condition} in `files`; give one of them"
            )
        return _the_same(names, self.what)

    def stored_runs(self, key: str | int | None) -> None:
        """Images hold no runs."""
        if key is not None:
            raise InputError(
                f"{self.what}: found no runs in an image, expected none for {key!r} without a "
                "table; give `observations.file`, or a file per run by {session}"
            )

    def expect(self, n: int, source: str) -> None:
        """Raise InputError unless there are n volumes."""
        for volumes in self._volumes.values():
            found = sum(volume.n_volumes for volume in volumes)
            if found != n:
                files = f" in {len(volumes)} files" if len(volumes) > 1 else ""
                raise InputError(
                    f"{volumes[0].what}: found {found} volumes{files}, expected {n} because "
                    f"{source} has that many rows; give one row per volume"
                )

    def read(self) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Return roi -> (measurements, channels); files that ROIs share are read once."""
        found = {}
        masks = _roi_masks(self._block, self._folder, self.labels, self.reference)
        for volumes in dict.fromkeys(self._volumes.values()):
            own = {roi: masks[roi] for roi in masks if self._volumes[roi] == volumes}
            found |= _masked(volumes, own)
        return {roi: found[roi] for roi in masks}


def _image_files(file: str, folder: Path, listed: Sequence[str] | None) -> dict[str, str]:
    """Return condition -> file; a single file has the condition ""."""
    if "{condition}" not in file:
        return {"": file}
    if listed is not None:
        return {name: file.replace("{condition}", name) for name in listed}
    found = condition_files(file, folder)
    if not found:
        raise InputError(
            f"{folder / file}: found no such file for any condition, expected one per condition; "
            "correct the folder or `files` in the config"
        )
    return found


def _header(folder: Path, file: str) -> _Volume:
    with _image_errors(file):
        if not (folder / file).is_file():
            raise InputError(
                f"{folder / file}: found no such file, expected a NIfTI image; check the folder "
                "and the file names in the config"
            )
        image = nibabel.load(folder / file)
        shape = image.shape
        if not isinstance(image, nibabel.spatialimages.SpatialImage) or min(shape, default=0) < 1:
            raise InputError(
                f"{file}: found an image of shape {shape}, expected voxels along x, y, z and "
                "volumes; convert it to a 4D NIfTI"
            )
        grid = (*shape, 1, 1, 1)[:3]
        # A statistic per volume may lie along the fifth axis.
        if math.prod(shape[3:]) != max(shape[3:], default=1):
            raise InputError(
                f"{file}: found {len(shape)} axes, {shape}, expected x, y, z and volumes; give a "
                "4D image"
            )
        if image.get_data_dtype().kind not in "fiu" or not np.isfinite(image.affine).all():
            raise InputError(
                f"{file}: found values of type {image.get_data_dtype()} on the affine "
                f"{image.affine.tolist()}, expected numbers; write the image again"
            )
        return _Volume(file, folder / file, grid, image.affine, math.prod(shape[3:]))


@contextlib.contextmanager
def _image_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # nibabel, gzip and zlib raise almost anything on a damaged file
        raise InputError(
            f"{what}: found no readable NIfTI image ({' '.join(str(error).split())}), expected a "
            "whole one; download or export it again"
        ) from error


def _check_grid(volume: _Volume, reference: _Volume) -> None:
    """Raise InputError unless two images have the same voxels: nothing is ever resampled."""
    if volume.grid != reference.grid:
        found, expected = f"{volume.grid} voxels", f"{reference.grid}"
    elif not np.allclose(volume.affine, reference.affine, rtol=0, atol=AFFINE_TOLERANCE):
        found, expected = (_as_text(image.affine) for image in (volume, reference))
        found = f"the affine {found}"
    else:
        return
    raise InputError(
        f"{volume.what}: found {found}, expected {expected} as in {reference.what}; bring it onto "
        "that grid yourself (masks and atlases by nearest neighbour), for it is not resampled here"
    )


def _as_text(affine: np.ndarray) -> str:
    return str(np.round(affine[:3], 4).tolist())


def _roi_masks(
    block: Mapping, folder: Path, labels: Mapping[str, str], data: _Volume
) -> dict[str, np.ndarray]:
    """Return roi -> bool array (x, y, z) on the grid of the data."""
    axis = _axis(block, "roi")
    grids = {
        "mask": _mask_of_file,
        "atlas": _mask_of_labels,
        "file_name": _mask_of_all,
        "constant": _mask_of_all,
    }
    if axis.origin not in grids:
        raise InputError(
            f"{data.what}: found `from: {axis.origin}` for the ROIs of an image, expected "
            f"one of {', '.join(grids)}; give masks or an atlas"
        )
    return {
        roi: grids[axis.origin](block, folder, {**labels, "roi": roi}, data) for roi in axis.names
    }


def _mask_of_all(
    block: Mapping, folder: Path, labels: Mapping[str, str], data: _Volume
) -> np.ndarray:
    return np.ones(data.grid, dtype=bool)


def _mask_of_file(
    block: Mapping, folder: Path, labels: Mapping[str, str], data: _Volume
) -> np.ndarray:
    values = _one_volume(
        folder, filled(_axis(block, "roi").value(labels["roi"]), block, labels), data
    )
    return np.isfinite(values) & (values != 0)


def _mask_of_labels(
    block: Mapping, folder: Path, labels: Mapping[str, str], data: _Volume
) -> np.ndarray:
    file = filled(block["rois"]["atlas"], block, labels)
    names = block["rois"]["names"]
    by_roi = {str(roi): names[roi] if isinstance(names, Mapping) else roi for roi in names}
    given = by_roi[labels["roi"]]
    try:
        wanted = [int(label) for label in (given if isinstance(given, list | tuple) else [given])]
    except ValueError:
        raise InputError(
            f"rois.names.{labels['roi']}: found {given!r}, expected the whole number (or a list "
            f"of numbers) that {file} gives the ROI; correct it"
        ) from None
    values = _one_volume(folder, file, data)
    missing = [label for label in wanted if not (values == label).any()]
    if missing:
        raise InputError(
            f"{file}: found no voxel of label {missing[0]}, expected some for the ROI "
            f"{labels['roi']!r}; correct `rois.names`, or leave the ROI out"
        )
    return np.isin(values, wanted)


def _one_volume(folder: Path, file: str, data: _Volume) -> np.ndarray:
    """Return a mask or atlas, array (x, y, z), that lies on the grid of the data."""
    volume = _header(folder, file)
    _check_grid(volume, data)
    if volume.n_volumes != 1:
        raise InputError(
            f"{file}: found {volume.n_volumes} volumes, expected one; give a 3D mask or atlas"
        )
    return next(_blocks(volume))[..., 0]


def _blocks(volume: _Volume) -> Iterator[np.ndarray]:
    """Yield the volumes of an image in order, float64 arrays (x, y, z, some)."""
    step = max(1, BLOCK_BYTES // (8 * math.prod(volume.grid)))
    with _image_errors(volume.what):
        # With the file kept open, a compressed image is unpacked once and not per block.
        image = nibabel.load(volume.path, keep_file_open=True)
        for start in range(0, volume.n_volumes, step):
            stop = min(start + step, volume.n_volumes)
            values = image.dataobj[..., start:stop] if image.ndim > 3 else image.dataobj
            yield np.asarray(values, dtype=np.float64).reshape((*volume.grid, -1), order="F")


def _masked(
    volumes: Sequence[_Volume], masks: Mapping[str, np.ndarray]
) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Return roi -> (measurements, channels) of images, holding one block of volumes at a time."""
    n = sum(volume.n_volumes for volume in volumes)
    found = {roi: np.empty((n, np.count_nonzero(mask))) for roi, mask in masks.items()}
    start = 0
    for volume in volumes:
        for block in _blocks(volume):
            stop = start + block.shape[-1]
            for roi, mask in masks.items():
                found[roi][start:stop] = block[mask].T
            start = stop
    return {
        roi: (found[roi], dict(zip("xyz", np.nonzero(mask), strict=True)))
        for roi, mask in masks.items()
    }


# Arrays.


class _PatternArray:
    """Makes a reader of RDM files a reader of patterns: any array of numbers will do."""

    channels: dict[str, np.ndarray] | None = None

    def _set_array(
        self, array: np.ndarray | h5py.Dataset, rdm_axes: tuple[int, ...] | None = None
    ) -> None:
        if array.dtype.kind not in "fiub" or not array.shape:
            raise InputError(
                f"{self.what}: found values of type {array.dtype} and shape {array.shape}, "
                "expected numbers, observations x channels; name another variable by `key`"
            )
        self.array = array

    def stored_runs(self, key: str | None) -> list[str] | None:
        """Return the runs that the file itself holds, None if it is not said where."""
        return None if key is None else self.stored_names(key)


class NumpyPatternFile(_PatternArray, NumpyRDMFile):
    """.npy, or one array of an .npz."""


class MatlabPatternFile(_PatternArray, MatlabRDMFile):
    """MATLAB v5 to v7."""

    def stored_names(self, key: str | None) -> list[str]:
        """Return the strings, or the numbers if the config names them, of another variable."""
        if key is None:
            return super().stored_names(key)
        variables = [name for name, _, _ in scipy.io.whosmat(self.path)]
        chosen = _one_of(key, variables, self.path.name, "variable", "observations")
        return _as_strings(scipy.io.loadmat(self.path, variable_names=[chosen])[chosen])


class HDF5PatternFile(_PatternArray, HDF5RDMFile):
    """rsatoolbox Dataset, plain HDF5, or MATLAB v7.3."""

    def _open_variable(self) -> None:
        self._is_dataset = "obs_descriptors" in self._file and isinstance(
            self._file.get("measurements"), h5py.Dataset
        )
        if not self._is_dataset:
            super()._open_variable()
            return
        self.what = self.path.name
        self._set_array(self._file["measurements"])
        group = self._file.get("channel_descriptors")
        self.channels = {name: np.array(v) for name, v in _hdf5_strings(group).items()}
        for name in self.channels:
            # Numbers, such as voxel indices, stay numbers.
            if name in group and group[name].dtype.kind in "iuf":
                self.channels[name] = group[name][()]

    def stored_names(self, key: str | None) -> list[str]:
        """Return an observation descriptor, or the strings of another variable."""
        if not self._is_dataset:
            return super().stored_names(key)
        found = _hdf5_strings(self._file["obs_descriptors"])
        candidates = [name for name in found if name not in ("index", *RUN_NAMES)]
        chosen = _one_of(
            key,
            candidates if key is None else list(found),
            self.path.name,
            "observation descriptor",
            "observations",
        )
        return found[chosen]

    def stored_runs(self, key: str | None) -> list[str] | None:
        """Return an observation descriptor: the one named, or `run` if there is one."""
        if key is None and self._is_dataset:
            key = next((name for name in RUN_NAMES if name in self._file["obs_descriptors"]), None)
        return super().stored_runs(key)


class TablePatternFile(_PatternArray, RDMFile):
    """.csv or .tsv: a header, a first column of conditions, other columns of numbers."""

    def _open(self) -> None:
        self._table = _read_table(self.path, self.path.name, header=True)
        self._first, *others = self._table
        self._run = next((name for name in (self.field, *RUN_NAMES) if name in others), None)
        names = [name for name in others if name != self._run]
        numbers = [float(name) for name in names if _is_number(name)]
        # Columns may be numbered. Other numbers are a row of data, which would be lost.
        if len(numbers) == len(names) > 0 and set(np.diff(numbers)) - {1.0}:
            raise InputError(
                f"{self.path.name}: found numbers in its first row, expected the names of the "
                "columns; add a header"
            )
        self.channels = {"name": np.array(names)}
        values = [self._numbers(name) for name in names]
        self._set_array(np.array(values).reshape(len(names), -1).T)

    def _numbers(self, name: str) -> list[float]:
        cells = ["nan" if cell in MISSING else cell for cell in self._table[name]]
        for row, cell in enumerate(cells):
            if not _is_number(cell):
                raise InputError(
                    f"{self.path.name}: found the cell {cell[:40]!r} in row {row + 2}, column "
                    f"{name!r}, expected a number; keep labels in the first column and in `run`"
                )
        return list(map(float, cells))

    def stored_names(self, key: str | None) -> list[str]:
        """Return the first column, or the one that is named."""
        return _column(self._table, self._first if key is None else key, self.path.name)

    def stored_runs(self, key: str | None) -> list[str] | None:
        """Return the column with the run, None if there is none."""
        return super().stored_runs(key if key is not None else self._run)


def _open_mat(path: Path, key: str | None, field: str | None) -> RDMFile:
    reader = HDF5PatternFile if h5py.is_hdf5(path) else MatlabPatternFile
    return reader(path, key, field)


FORMATS = {
    ".h5": HDF5PatternFile,
    ".hdf5": HDF5PatternFile,
    ".mat": _open_mat,
    ".npy": NumpyPatternFile,
    ".npz": NumpyPatternFile,
    ".csv": TablePatternFile,
    ".tsv": TablePatternFile,
}


@contextlib.contextmanager
def open_pattern_file(
    path: Path, what: str, *, key: str | None = None, run: str | None = None
) -> Iterator[RDMFile]:
    """Open a file of patterns that is no image.

    Parameters
    ----------
    path : Path
    what : str
        How errors name the file.
    key : str or None
        Variable of an .npz, .mat or plain HDF5 file; None if there is only one.
    run : str or None
        For a table, the column with the run.

    Raises
    ------
    InputError
        The file is missing, of an unknown format, damaged, or lacks the variable.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(
            f"{what}: found the suffix {suffix!r}, expected one of "
            f"{', '.join((*IMAGE_SUFFIXES, *FORMATS))}; export the patterns in one of these formats"
        )
    if not path.is_file():
        raise InputError(
            f"{path}: found no such file, expected patterns; check the folder and `files` in the "
            "config"
        )
    file = FORMATS[suffix](path, key, run if suffix in SEPARATORS else None)
    try:
        yield file
    finally:
        file.close()


class _ArraySession:
    """The arrays of one session: one for all ROIs, or one for each."""

    names_are_listed = False

    def __init__(
        self,
        block: Mapping,
        folder: Path,
        labels: dict[str, str],
        stack: contextlib.ExitStack,
    ) -> None:
        self.labels = labels
        self._roi_axis = _axis(block, "roi")
        if self._roi_axis.origin in ("mask", "atlas", "axis"):
            raise InputError(
                f"{block['files']}: found `from: {self._roi_axis.origin}` for the ROIs of an "
                "array, expected file_name, key, descriptor or constant; masks and atlases are "
                "for images"
            )
        run = (block.get("observations") or {}).get("run")
        opened: dict[tuple[str, str | None], _Matrix] = {}
        self._matrices: dict[str, _Matrix] = {}
        for item in items_of(block, labels):
            place = (item.file, item.key)
            if place not in opened:
                file = stack.enter_context(
                    open_pattern_file(folder / item.file, item.file, key=item.key, run=run)
                )
                opened[place] = _Matrix(file, _place(file, axes_of(block), item.labels))
            self._matrices[item.labels["roi"]] = opened[place]
        first = next(iter(self._matrices.values()))
        self.what = first.file.what
        self.n_observations = first.shape[0]

    def stored_names(self, key: str | None) -> list[str]:
        """Return the names of conditions that the files hold."""
        names = {roi: matrix.file.stored_names(key) for roi, matrix in self._matrices.items()}
        return _the_same(names, self.what)

    def stored_runs(self, key: str | int | None) -> list[str] | None:
        """Return the runs that the files hold, None if they hold none."""
        name = None if key is None else str(key)
        runs = {roi: matrix.file.stored_runs(name) for roi, matrix in self._matrices.items()}
        return _the_same(runs, self.what)

    def expect(self, n: int, source: str) -> None:
        """Raise InputError unless there are n observations, as rows or as columns."""
        for matrix in self._matrices.values():
            if n not in matrix.shape:
                raise InputError(
                    f"{matrix.file.what}: found {matrix.shape[0]} x {matrix.shape[1]} values, "
                    f"expected {n} observations because {source} names that many; give one name "
                    "per observation"
                )
        self.n_observations = n

    def read(self) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Return roi -> (measurements, channels); an array that ROIs share is read once."""
        values = {
            id(matrix): matrix.values(self.n_observations) for matrix in self._matrices.values()
        }
        found = {}
        for roi, matrix in self._matrices.items():
            chosen = np.ones(values[id(matrix)].shape[1], dtype=bool)
            if self._roi_axis.origin == "descriptor":
                chosen = _with_descriptor(matrix.file, self._roi_axis, roi)
            channels = matrix.file.channels or {}
            found[roi] = (
                values[id(matrix)][:, chosen],
                {name: labels[chosen] for name, labels in channels.items()},
            )
        return found


@dataclass(frozen=True)
class _Matrix:
    """Observations and channels in an array, at one place along its other axes."""

    file: RDMFile
    place: tuple[int | slice, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the two axes."""
        lengths = zip(self.file.array.shape, self.place, strict=True)
        return tuple(length for length, at in lengths if isinstance(at, slice))

    def values(self, n: int) -> np.ndarray:
        """Return n observations, float64 array (n, n_channels).

        numpy users save observations x channels, MATLAB users channels x observations. Where both
        lengths are n, rows are observations.
        """
        try:
            values = np.asarray(self.file.array[self.place], dtype=np.float64)
        except OSError as error:
            raise InputError(
                f"{self.file.what}: found data that cannot be read ({error}), expected a whole "
                "file; download or copy it again"
            ) from error
        return values if len(values) == n else values.T


def _place(
    file: RDMFile, axes: Sequence[Axis], labels: Mapping[str, str]
) -> tuple[int | slice, ...]:
    """Return the index of the two-dimensional array of a subject and session."""
    shape = file.array.shape
    # Axes of length one that an array has beyond two hold nothing to choose from.
    longer = [i for i, length in enumerate(shape) if length > 1 or len(shape) == 2]
    place: dict[int, int] = {i: 0 for i in range(len(shape)) if i not in longer}
    for axis in axes:
        # An array of a single subject has lost that axis.
        if axis.origin == "axis" and (len(longer) > 2 or len(axis.names) > 1):
            lengths = [shape[i] for i in longer]
            position = _position(file.what, axis, labels[axis.placeholder], lengths)
            place[longer[axis.axis or 0]] = position
    if len(shape) - len(place) != 2:
        raise InputError(
            f"{file.what}: found an array of shape {shape}, expected observations x channels"
            f"{' and an axis for each `from: axis`' if len(shape) > 2 else ''}; average or "
            "describe the other axes"
        )
    return tuple(place.get(i, slice(None)) for i in range(len(shape)))


def _position(what: str, axis: Axis, label: str, lengths: Sequence[int]) -> int:
    """Return where a label stands along its axis."""
    number = axis.axis or 0
    position = int(axis.value(label)) if axis.mapped else axis.names.index(label)
    length = lengths[number] if number < len(lengths) else 0
    if position >= length or (not axis.mapped and length != len(axis.names)):
        raise InputError(
            f"{what}: found axes of lengths {tuple(lengths)}, expected the {len(axis.names)} "
            f"{axis.placeholder}s along axis {number}; correct `axis` (counted from 0, without "
            "axes of length one), or name all, or map each to its position"
        )
    return position


def _with_descriptor(file: RDMFile, axis: Axis, roi: str) -> np.ndarray:
    """Return the channels of an ROI, bool array (n_channels,)."""
    channels = {name: values.astype(str) for name, values in (file.channels or {}).items()}
    names = [axis.descriptor] if axis.descriptor else list(channels)
    holding = [name for name in names if set(axis.values) <= set(channels.get(name, ()))]
    if len(holding) != 1:
        listed = "; ".join(
            f"{name}: {', '.join(map(repr, dict.fromkeys(values[:1000].tolist())))[:200]}"
            for name, values in channels.items()
        )
        raise InputError(
            f"{file.what}: found the channel descriptors {listed or 'none'}; expected one with the "
            f"ROIs {', '.join(map(repr, axis.values))}; correct the names, or name the descriptor "
            "by `rois.descriptor`"
        )
    return channels[holding[0]] == axis.value(roi)


def _the_same(by_roi: Mapping[str, list[str] | None], what: str) -> list[str] | None:
    """Return what all ROIs agree on."""
    first = next(iter(by_roi))
    for roi, found in by_roi.items():
        if found != by_roi[first]:
            raise InputError(
                f"{what}: found other conditions or runs for the ROI {roi!r} than for {first!r}, "
                "expected the same observations in the same order; sort the files alike"
            )
    return by_roi[first]


# Preparing.


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
        Observations in the order of their acquisition, if they are to be detrended.
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


def _detrended(patterns: Patterns, what: str) -> Patterns:
    values = np.empty_like(patterns.measurements)
    for rows in _runs(patterns):
        if len(rows) < 3:
            raise InputError(
                f"{what}: found a run of {len(rows)} observation(s), expected at least 3 to take a "
                "trend off; set detrend to false, or check the runs"
            )
        measured = patterns.measurements[rows]
        trendless = scipy.signal.detrend(measured, axis=0)
        # What rounding leaves of a straight line must not pass for a signal.
        values[rows] = np.where(_varies(trendless, np.abs(measured).max(axis=0)), trendless, 0)
    return replace(patterns, measurements=values)


def _standardised(patterns: Patterns, what: str) -> Patterns:
    runs = _runs(patterns)
    varying = np.ones(patterns.measurements.shape[1], dtype=bool)
    for rows in runs:
        values = patterns.measurements[rows]
        varying &= _varies(values - values.mean(axis=0), np.abs(values).max(axis=0))
    patterns = _kept_channels(patterns, varying, what, "constant within a run")
    values = np.empty_like(patterns.measurements)
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


def noise_residuals(patterns: Patterns) -> tuple[np.ndarray, int]:
    """Return what is left of the observations without the mean of their condition and run.

    Returns
    -------
    residuals : float64 array (n_observations, n_channels)
    dof : int
        Observations minus means taken off.
    """
    cells = list(zip(patterns.conditions, patterns.runs or patterns.conditions, strict=True))
    distinct = list(dict.fromkeys(cells))
    codes = _codes(cells, distinct)
    sums, counts = _sums(patterns.measurements, codes, len(distinct))
    residuals = patterns.measurements - (sums / counts[:, np.newaxis])[codes]
    return residuals, len(cells) - len(distinct)


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
