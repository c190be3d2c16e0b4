"""Reading RDMs from the file formats in which labs publish them.

Every format becomes an `RDMFile`: an array of RDMs with zero or more axes (subjects, sessions,
ROIs, ...), of which one RDM at a time is read and checked. To add a format, write a subclass and
add its suffix to `FORMATS`.

Formats: rsatoolbox HDF5 (0.0.4 to 0.3.2), plain HDF5, MATLAB .mat (v5 to v7.3; arrays and struct
arrays), .npy, .npz, .csv and .tsv (one square matrix with names).
"""

import contextlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.io

from workflow.lib.errors import InputError
from workflow.lib.rdm import check_dissimilarities, n_conditions, to_condensed


class RDMFile:
    """RDMs in one variable of one file.

    Attributes
    ----------
    what : str
        The file (and variable) as errors name it.
    shape : tuple of int
        Axes over RDMs; () for a file with a single RDM.
    descriptors : dict, name -> array of str of size prod(shape)
        Labels of the RDMs, where the format has them.
    """

    def __init__(self, path: Path, key: str | None, field: str | None) -> None:
        self.path, self.key, self.field = path, key, field
        self.what = path.name if key is None else f"{path.name}, {key}"
        self.shape: tuple[int, ...] = ()
        self.descriptors: dict[str, np.ndarray] = {}
        self._open()

    def _open(self) -> None:
        raise NotImplementedError

    def _raw(self, index: tuple[int, ...]) -> np.ndarray:
        """Return one RDM as stored: square, or condensed with any singleton axes."""
        raise NotImplementedError

    def stored_names(self, key: str | None) -> list[str]:
        """Return the names of the conditions that the file itself holds.

        Parameters
        ----------
        key : str or None
            Descriptor or variable with the names; None to look for the only candidate.
        """
        raise InputError(
            f"{self.what}: found no names of conditions in this format, expected `conditions: "
            "{from: list, file: ...}` or, if all files share one order, `{from: order}`"
        )

    def close(self) -> None:
        """Release the file."""

    def vector(self, index: Sequence[int]) -> np.ndarray:
        """Return one RDM as a checked condensed vector, (n_pairs,) in its stored dtype."""
        where = f"{self.what}{list(index) if index else ''}"
        raw = self._raw(tuple(index))
        values = np.squeeze(raw) if raw.ndim > 2 or 1 in raw.shape else raw
        if values.dtype.kind not in "fiub":
            raise InputError(f"{where}: found values of type {values.dtype}, expected numbers")
        if values.ndim == 2:
            values = to_condensed(values, where)
        elif values.ndim != 1:
            raise InputError(
                f"{where}: found shape {raw.shape}, expected one RDM, square or condensed; "
                "describe the other axes as subjects, sessions, rois or layers"
            )
        if values.dtype.kind != "f":
            values = values.astype(np.float64)
        with _naming(where):
            n_conditions(values.size)
        return check_dissimilarities(values, where)

    @cached_property
    def n_conditions(self) -> int:
        """Number of conditions of the file's RDMs."""
        with _naming(self.what):
            return self._n_conditions()

    def _n_conditions(self) -> int:
        return n_conditions(self.vector((0,) * len(self.shape)).size)

    def check_index(self, index: Sequence[int]) -> None:
        """Raise InputError unless `index` picks one RDM of the file."""
        if len(index) != len(self.shape):
            raise InputError(
                f"{self.what}: found RDMs along {len(self.shape)} axes of lengths {self.shape}, "
                f"but the config describes {len(index)}; give subjects, sessions, rois or layers "
                "with `from: axis` for each"
            )
        for axis, (position, length) in enumerate(zip(index, self.shape, strict=True)):
            if not 0 <= position < length:
                raise InputError(
                    f"{self.what}: found {length} RDMs along axis {axis}, but the config asks "
                    f"for number {position + 1}"
                )


class ArrayRDMFile(RDMFile):
    """RDMs in a numeric array: (..., n, n), or condensed (..., n_pairs)."""

    array: np.ndarray | h5py.Dataset

    def _set_array(self, array: np.ndarray | h5py.Dataset) -> None:
        if array.dtype.kind not in "fiub":
            raise InputError(f"{self.what}: found values of type {array.dtype}, expected numbers")
        if array.ndim == 0:
            raise InputError(f"{self.what}: found a single number, expected RDMs")
        self.array = array
        square = array.ndim >= 2 and array.shape[-1] == array.shape[-2]
        self.shape = array.shape[:-2] if square else array.shape[:-1]
        # MATLAB and careless np.save calls leave axes of length one; the config need not say so.
        self._kept = tuple(axis for axis, length in enumerate(self.shape) if length > 1)
        self._full_shape = self.shape
        self.shape = tuple(self.shape[axis] for axis in self._kept)

    def _raw(self, index: tuple[int, ...]) -> np.ndarray:
        full = [0] * len(self._full_shape)
        for axis, position in zip(self._kept, index, strict=True):
            full[axis] = position
        return np.asarray(self.array[tuple(full)])

    def _n_conditions(self) -> int:
        last = self.array.shape[-1]
        if self.array.ndim >= 2 and self.array.shape[-2] == last:
            return int(last)
        return n_conditions(int(last))


class NumpyRDMFile(ArrayRDMFile):
    """.npy, or one array of an .npz."""

    def _open(self) -> None:
        try:
            loaded = np.load(self.path, allow_pickle=False, mmap_mode="r")
        except (ValueError, OSError, EOFError) as error:
            raise InputError(
                f"{self.path.name}: found a file that numpy cannot read without unpickling "
                f"({error}), expected numeric arrays written by np.save or np.savez"
            ) from error
        if isinstance(loaded, np.ndarray):
            self._set_array(loaded)
            return
        self._archive = loaded
        key = _one_of(self.key, loaded.files, self.path.name, "array", "key")
        self.what = f"{self.path.name}, {key}"
        self._set_array(self._member(key))

    def _member(self, key: str) -> np.ndarray:
        try:
            return self._archive[key]
        except ValueError as error:
            raise InputError(
                f"{self.path.name}, {key}: found pickled objects, expected a numeric array; save "
                "it again as numbers or strings"
            ) from error

    def stored_names(self, key: str | None) -> list[str]:
        """Return names from another array of the .npz."""
        archive = getattr(self, "_archive", None)
        if archive is None:
            return super().stored_names(key)
        candidates = [name for name in archive.files if self._member(name).dtype.kind in "SU"]
        chosen = _one_of(key, candidates, self.path.name, "array of names", "conditions.key")
        return _as_strings(self._member(chosen))


class HDF5RDMFile(ArrayRDMFile):
    """Plain HDF5, rsatoolbox HDF5, or MATLAB v7.3 (which is HDF5 with its axes reversed)."""

    def _open(self) -> None:
        self._file = _open_hdf5(self.path)
        try:
            self._open_variable()
        except BaseException:
            self._file.close()
            raise

    def _open_variable(self) -> None:
        if "dissimilarities" in self._file and self.key in (None, "dissimilarities"):
            self._open_rsatoolbox()
            return
        datasets = [name for name, item in self._file.items() if not name.startswith("#")]
        key = _one_of(self.key, datasets, self.path.name, "variable", "key")
        self.what = f"{self.path.name}, {key}"
        item = self._file[key]
        if isinstance(item, h5py.Group) and "MATLAB_class" in item.attrs:
            self._open_struct_array(item)
        elif isinstance(item, h5py.Dataset):
            # MATLAB writes the last axis first; RDMs are symmetric, so only the others turn.
            self._set_array(item[()].T if "MATLAB_class" in item.attrs else item)
        else:
            raise InputError(f"{self.what}: found a group, expected an array of RDMs")

    def _open_rsatoolbox(self) -> None:
        self.what = self.path.name
        self._set_array(self._file["dissimilarities"])
        # rsatoolbox always stores (n_rdm, n_pairs): here a single RDM does keep its axis.
        n_rdm = self.array.shape[0]
        self.shape, self._kept, self._full_shape = (n_rdm,), (0,), (n_rdm,)
        for name, values in _hdf5_strings(self._file.get("rdm_descriptors")).items():
            if len(values) == n_rdm:
                self.descriptors[name] = np.array(values)

    def _open_struct_array(self, group: h5py.Group) -> None:
        fields = list(group)
        field = _one_of(self.field, fields, self.what, "struct field", "field")
        item = group[field]
        if item.dtype != h5py.ref_dtype:
            self._set_array(item[()].T)
            return
        references = item[()].T
        arrays = [self._file[reference][()].T for reference in references.flat]
        self._set_array(_stack(arrays, references.shape, self.what))
        for name in fields:
            other = group[name]
            if name != field and other.shape == item.shape and other.dtype == h5py.ref_dtype:
                texts = [self._matlab_text(reference) for reference in other[()].T.flat]
                if all(text is not None for text in texts):
                    self.descriptors[name] = np.array(texts)

    def _matlab_text(self, reference: h5py.Reference) -> str | None:
        item = self._file[reference]
        if item.attrs.get("MATLAB_class") != b"char":
            return None
        return "".join(map(chr, item[()].T.ravel()))

    def stored_names(self, key: str | None) -> list[str]:
        """Return an rsatoolbox pattern descriptor, or the strings of another variable."""
        if "pattern_descriptors" in self._file:
            found = _hdf5_strings(self._file["pattern_descriptors"])
            # rsatoolbox adds a running index; it names positions, not images.
            candidates = [name for name in found if name != "index"]
            # A label that images share (their category) cannot be what names them.
            unique = [name for name in candidates if len(set(found[name])) == len(found[name])]
            chosen = _one_of(
                key,
                unique if key is None and unique else candidates,
                self.path.name,
                "pattern descriptor",
                "conditions.key",
            )
            return found[chosen]
        found = _hdf5_strings(self._file)
        chosen = _one_of(key, list(found), self.path.name, "variable of names", "conditions.key")
        return found[chosen]

    def close(self) -> None:
        """Close the HDF5 file."""
        self._file.close()


class MatlabRDMFile(ArrayRDMFile):
    """MATLAB v5 to v7: a numeric array, or a struct array with an RDM in one of its fields."""

    def _open(self) -> None:
        try:
            names = [name for name, _, _ in scipy.io.whosmat(self.path)]
            key = _one_of(self.key, names, self.path.name, "variable", "key")
            self.what = f"{self.path.name}, {key}"
            variable = scipy.io.loadmat(self.path, variable_names=[key])[key]
        except (ValueError, TypeError, OSError, scipy.io.matlab.MatReadError) as error:
            raise InputError(
                f"{self.path.name}: found a file that is no readable MATLAB file ({error}); "
                "download or export it again"
            ) from error
        if variable.dtype.names is None:
            self._set_array(variable)
            return
        field = _one_of(self.field, list(variable.dtype.names), self.what, "struct field", "field")
        self._set_array(_stack(list(variable[field].flat), variable.shape, self.what))
        for name in variable.dtype.names:
            texts = [item for item in variable[name].flat if item.dtype.kind == "U"]
            if len(texts) == variable.size and all(text.size == 1 for text in texts):
                self.descriptors[name] = np.array([str(text.item()) for text in texts])

    def stored_names(self, key: str | None) -> list[str]:
        """Return the strings of another variable (a cell array or a char matrix)."""
        candidates = [
            name for name, _, kind in scipy.io.whosmat(self.path) if kind in ("cell", "char")
        ]
        chosen = _one_of(key, candidates, self.path.name, "variable of names", "conditions.key")
        return _as_strings(scipy.io.loadmat(self.path, variable_names=[chosen])[chosen])


class TableRDMFile(RDMFile):
    """One square RDM as .csv or .tsv; names in the first row, the first column, or both."""

    def _open(self) -> None:
        separator = "\t" if self.path.suffix == ".tsv" else ","
        try:
            cells = pd.read_csv(self.path, sep=separator, header=None, dtype=str)
        except (ValueError, OSError) as error:
            raise InputError(
                f"{self.path.name}: found no table ({error}), expected a square matrix of numbers"
            ) from error
        # An empty corner says that both hold names, be they numbers.
        corner_is_empty = cells.shape[0] > 1 and pd.isna(cells.iloc[0, 0])
        has_header = corner_is_empty or not _is_number(cells.iloc[0, -1])
        has_index = corner_is_empty or not _is_number(cells.iloc[-1, 0])
        self._header = list(cells.iloc[0, has_index:]) if has_header else None
        self._index = list(cells.iloc[has_header:, 0]) if has_index else None
        if self._header and self._index and self._header != self._index:
            raise InputError(
                f"{self.path.name}: found other names in the first row than in the first column, "
                "expected the same names in the same order"
            )
        body = cells.iloc[has_header:, has_index:]
        try:
            self._matrix = body.to_numpy(dtype=np.float64)
        except ValueError as error:
            raise InputError(
                f"{self.path.name}: found a cell that is no number ({error}), expected a square "
                "matrix with names in the first row or column only"
            ) from error

    def _raw(self, index: tuple[int, ...]) -> np.ndarray:
        return self._matrix

    def stored_names(self, key: str | None) -> list[str]:
        """Return the names in the first row or column."""
        names = self._index or self._header
        return [str(name) for name in names] if names else super().stored_names(key)


def _open_mat(path: Path, key: str | None, field: str | None) -> RDMFile:
    """Open a .mat file by what it holds: version 7.3 is HDF5, older versions are not."""
    reader = HDF5RDMFile if h5py.is_hdf5(path) else MatlabRDMFile
    return reader(path, key, field)


FORMATS = {
    ".h5": HDF5RDMFile,
    ".hdf5": HDF5RDMFile,
    ".mat": _open_mat,
    ".npy": NumpyRDMFile,
    ".npz": NumpyRDMFile,
    ".csv": TableRDMFile,
    ".tsv": TableRDMFile,
}


@contextlib.contextmanager
def open_rdm_file(
    path: str | Path, *, key: str | None = None, field: str | None = None
) -> Iterator[RDMFile]:
    """Open a file of RDMs.

    Parameters
    ----------
    path : str or Path
    key : str or None
        Variable of an .npz, .mat or plain HDF5 file; None if there is only one.
    field : str or None
        Field of a MATLAB struct array that holds the RDM; None to take `RDM`.

    Raises
    ------
    InputError
        The file is missing, of an unknown format, damaged, or lacks the variable.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(
            f"{path.name}: found the suffix {path.suffix!r}, expected one of {', '.join(FORMATS)}"
        )
    if not path.is_file():
        raise InputError(f"{path}: found no such file; check the folder and the file pattern")
    rdm_file = FORMATS[path.suffix.lower()](path, key, field)
    try:
        yield rdm_file
    finally:
        rdm_file.close()


def _open_hdf5(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"{path.name}: found {path.stat().st_size} bytes that are no complete HDF5 file "
            f"({error}), expected a whole one; download or copy it again"
        ) from error


def _hdf5_strings(group: h5py.Group | None) -> dict[str, list[str]]:
    """Return the one-dimensional members of a group as str, decoded whatever their type.

    h5py gives fixed- and variable-length strings as bytes, which equal no str.
    """
    if group is None:
        return {}
    members = {name: item for name, item in group.items() if isinstance(item, h5py.Dataset)}
    found = {
        name: _as_strings(item[()])
        for name, item in members.items()
        if item.shape and item.ndim == 1
    }
    # rsatoolbox writes tuples of str as attributes.
    found.update(
        (name, _as_strings(value))
        for name, value in group.attrs.items()
        if isinstance(value, np.ndarray) and value.ndim == 1
    )
    return found


def _as_strings(values: np.ndarray) -> list[str]:
    flat = np.asarray(values).ravel()
    return [_as_string(value).strip() for value in flat]


def _as_string(value: object) -> str:
    if isinstance(value, np.ndarray):  # a cell of a MATLAB cell array
        return _as_string(value.item()) if value.size == 1 else "".join(map(str, value.ravel()))
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


def _stack(arrays: list[np.ndarray], shape: tuple[int, ...], what: str) -> np.ndarray:
    """Return equally shaped RDMs as one array (*shape, ...)."""
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        raise InputError(
            f"{what}: found RDMs of different shapes {sorted(shapes)}, expected one shape"
        )
    return np.stack(arrays).reshape(*shape, *shapes.pop())


def _one_of(
    wanted: str | None, available: Sequence[str], where: str, kind: str, setting: str
) -> str:
    """Return the wanted name, or the only one there is."""
    if wanted is None and kind == "struct field" and "RDM" in available:
        return "RDM"
    if wanted is None and len(available) == 1:
        return available[0]
    if wanted in available:
        return str(wanted)
    listed = ", ".join(map(repr, available)) or "none"
    found = f"several ({listed})" if wanted is None and available else listed
    expected = "one" if wanted is None else repr(wanted)
    raise InputError(
        f"{where}: found {kind}: {found}; expected {expected}; name it by `{setting}` in the config"
    )


def _is_number(cell: object) -> bool:
    try:
        float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


@contextlib.contextmanager
def _naming(what: str) -> Iterator[None]:
    """Put the file in front of an error that does not know it."""
    try:
        yield
    except InputError as error:
        raise InputError(
            f"{what}: {error}" if not str(error).startswith(what) else str(error)
        ) from None
