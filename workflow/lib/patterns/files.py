"""Response patterns in arrays and tables: the file formats, and where in them an ROI lies.

Formats: rsatoolbox Dataset HDF5, .npy, .npz, MATLAB .mat and plain HDF5 (a two-dimensional array),
.csv and .tsv (a header, a first column of conditions, a column per channel, and `run` if there is
one). Images have a module of their own, `workflow.lib.patterns.images`.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.arrays.array_file import ArrayFile, one_of
from workflow.lib.arrays.foreign_hdf5 import hdf5_errors
from workflow.lib.arrays.hdf5_files import HDF5File, hdf5_strings
from workflow.lib.arrays.matlab_files import MatlabFile, load_variable, whosmat
from workflow.lib.arrays.numpy_files import NumpyFile
from workflow.lib.arrays.text import as_strings, is_number
from workflow.lib.errors import InputError
from workflow.lib.patterns.observations import SEPARATORS, column_of, read_columns
from workflow.lib.patterns.session import the_same
from workflow.lib.sources import NIFTI_SUFFIXES, Axis, axes_of, axis_of, items_of
from workflow.lib.words import one_line

# What observation descriptors and columns with the run are called, where the config does not say.
RUN_NAMES = ("run", "runs")
# What tables write for a value that is missing, besides nan itself.
MISSING = ("", "NA", "n/a")


class PatternFile(ArrayFile):
    """Response patterns: an array of numbers of any shape, with names and runs if there are any.

    Attributes
    ----------
    channels : dict, name -> array (n_channels,), or None
        Labels of the channels, where the format has them.
    """

    channels: dict[str, np.ndarray] | None = None

    def _set_array(self, array: np.ndarray | h5py.Dataset) -> None:
        if array.dtype.kind not in "fiub" or not array.shape:
            raise InputError(
                f"{self.what}: found values of type {array.dtype} and shape {array.shape}, "
                "expected numbers, observations x channels; name another variable by `key`"
            )
        self.array = array

    def stored_runs(self, key: str | None) -> list[str] | None:
        """Return the runs that the file itself holds, None if it is not said where."""
        return None if key is None else self.stored_names(key)


class NumpyPatternFile(PatternFile, NumpyFile):
    """.npy, or one array of an .npz."""


class MatlabPatternFile(PatternFile, MatlabFile):
    """MATLAB v5 to v7."""

    def stored_names(self, key: str | None) -> list[str]:
        """Return the strings, or the numbers if the config names them, of another variable."""
        if key is None:
            return super().stored_names(key)
        variables = [name for name, _, _ in whosmat(self.path)]
        chosen = one_of(key, variables, self.path.name, "variable", "observations")
        return as_strings(load_variable(self.path, chosen))


class HDF5PatternFile(PatternFile, HDF5File):
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
        self.channels = {name: np.array(v) for name, v in hdf5_strings(group).items()}
        for name in self.channels:
            # Numbers, such as voxel indices, stay numbers.
            if name in group and group[name].dtype.kind in "iuf":
                self.channels[name] = group[name][()]

    def _stored_names(self, key: str | None) -> list[str]:
        """Return an observation descriptor, or the strings of another variable."""
        if not self._is_dataset:
            return super()._stored_names(key)
        found = hdf5_strings(self._file["obs_descriptors"])
        candidates = [name for name in found if name not in ("index", *RUN_NAMES)]
        chosen = one_of(
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
            with hdf5_errors(self.path.name):
                descriptors = self._file["obs_descriptors"]
                key = next((name for name in RUN_NAMES if name in descriptors), None)
        return super().stored_runs(key)


class TablePatternFile(PatternFile):
    """.csv or .tsv: a header, a first column of conditions, other columns of numbers."""

    def _open(self) -> None:
        self._table = read_columns(self.path, self.path.name, header=True)
        self._first, *others = self._table
        self._run = next((name for name in (self.field, *RUN_NAMES) if name in others), None)
        names = [name for name in others if name != self._run]
        if not names:
            first = one_line(str(self._first))
            raise InputError(
                f"{self.path.name}: found no column beside {first!r} and the run, expected a "
                "column of numbers per channel; give the patterns here, and a table of "
                "observations as `observations`"
            )
        numbers = [float(name) for name in names if is_number(name)]
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
            if not is_number(cell):
                raise InputError(
                    f"{self.path.name}: found the cell {cell[:40]!r} in row {row + 2}, column "
                    f"{name!r}, expected a number; keep labels in the first column and in `run`"
                )
        return list(map(float, cells))

    def stored_names(self, key: str | None) -> list[str]:
        """Return the first column, or the one that is named."""
        return column_of(self._table, self._first if key is None else key, self.path.name)

    def stored_runs(self, key: str | None) -> list[str] | None:
        """Return the column with the run, None if there is none."""
        return super().stored_runs(key if key is not None else self._run)


def _open_mat(path: Path, key: str | None, field: str | None) -> PatternFile:
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
) -> Iterator[PatternFile]:
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
            f"{', '.join((*NIFTI_SUFFIXES, *FORMATS))}; export the patterns in one of these formats"
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


class ArraySession:
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
        self._roi_axis = axis_of(block, "roi")
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
        return the_same(names, self.what)

    def stored_runs(self, key: str | int | None) -> list[str] | None:
        """Return the runs that the files hold, None if they hold none."""
        name = None if key is None else str(key)
        runs = {roi: matrix.file.stored_runs(name) for roi, matrix in self._matrices.items()}
        return the_same(runs, self.what)

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

    def n_channels(self) -> dict[str, int]:
        """Return the number of channels of each ROI."""
        return {
            roi: int(self._chosen(roi, matrix.n_channels(self.n_observations)).sum())
            for roi, matrix in self._matrices.items()
        }

    def _chosen(self, roi: str, n_channels: int) -> np.ndarray:
        """Return which channels of its array an ROI has, bool array (n_channels,)."""
        if self._roi_axis.origin == "descriptor":
            return _with_descriptor(self._matrices[roi].file, self._roi_axis, roi)
        return np.ones(n_channels, dtype=bool)

    def read(self) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Return roi -> (measurements, channels); an array that ROIs share is read once."""
        values = {
            id(matrix): matrix.values(self.n_observations) for matrix in self._matrices.values()
        }
        found = {}
        for roi, matrix in self._matrices.items():
            chosen = self._chosen(roi, values[id(matrix)].shape[1])
            channels = matrix.file.channels or {}
            found[roi] = (
                values[id(matrix)][:, chosen],
                {name: labels[chosen] for name, labels in channels.items()},
            )
        return found


@dataclass(frozen=True)
class _Matrix:
    """Observations and channels in an array, at one place along its other axes."""

    file: PatternFile
    place: tuple[int | slice, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the two axes."""
        lengths = zip(self.file.array.shape, self.place, strict=True)
        return tuple(length for length, at in lengths if isinstance(at, slice))

    def n_channels(self, n: int) -> int:
        """Return the number of channels of n observations, see `values`."""
        rows, columns = self.shape
        return columns if rows == n else rows

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
    file: PatternFile, axes: Sequence[Axis], labels: Mapping[str, str]
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


def _with_descriptor(file: PatternFile, axis: Axis, roi: str) -> np.ndarray:
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
