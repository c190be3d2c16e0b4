"""Reading RDMs from the file formats in which labs publish them.

Every format becomes an `RDMFile`: an array of RDMs with zero or more axes (subjects, sessions,
ROIs, ...), of which one RDM at a time is read and checked. To add a format, write a subclass and
add its suffix to `FORMATS`.

Formats: rsatoolbox HDF5 (0.0.4 to 0.3.2), plain HDF5, MATLAB .mat (v5 to v7.3; arrays, cell arrays
and struct arrays), .npy, .npz, .csv and .tsv (one square matrix with names).
"""

import contextlib
import csv
import itertools
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import scipy.io

from workflow.lib.errors import InputError
from workflow.lib.rdms.vectors import as_floats, check_dissimilarities, n_conditions, to_condensed

# What errors about the shape of RDMs end with.
IF_NO_RDMS = (
    "; activations (images x units) are given by `features`, responses by `brain: {data: patterns}`"
)


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
        # A struct whose field holds several RDMs has fewer labels than RDMs: they name no RDM.
        n_rdms = math.prod(self.shape)
        self.descriptors = {
            name: values for name, values in self.descriptors.items() if len(values) == n_rdms
        }

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
            raise _not_numbers(where, values)
        values = as_floats(values)
        if values.ndim == 2 and values.shape[0] != values.shape[1]:
            raise InputError(
                f"{where}: found shape {values.shape}, expected a square RDM; give one row and one "
                f"column per condition{IF_NO_RDMS}"
            )
        if values.ndim == 2:
            values = to_condensed(values, where)
        elif values.ndim != 1:
            raise InputError(
                f"{where}: found shape {raw.shape}, expected one RDM, square or condensed; "
                f"describe the other axes as subjects, sessions, rois or layers{IF_NO_RDMS}"
            )
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


class ArrayRDMFile(RDMFile):
    """RDMs in a numeric array, square or condensed, with axes over RDMs before or after them."""

    array: np.ndarray | h5py.Dataset

    def _set_array(
        self, array: np.ndarray | h5py.Dataset, rdm_axes: tuple[int, ...] | None = None
    ) -> None:
        if array.dtype.kind not in "fiub" or array.shape is None:
            raise _not_numbers(self.what, array)
        self.array = array
        self._rdm_axes = rdm_axes or _find_rdm_axes(array, self.what)
        # MATLAB and careless np.save calls leave axes of length one; the config need not say so.
        self._kept = tuple(
            axis
            for axis, length in enumerate(array.shape)
            if length != 1 and axis not in self._rdm_axes
        )
        self.shape = tuple(array.shape[axis] for axis in self._kept)

    def _raw(self, index: tuple[int, ...]) -> np.ndarray:
        try:
            return _one_rdm(self.array, self._rdm_axes, dict(zip(self._kept, index, strict=True)))
        except OSError as error:
            raise _damaged(self.what, error) from error

    def _n_conditions(self) -> int:
        length = int(self.array.shape[self._rdm_axes[-1]])
        return length if len(self._rdm_axes) == 2 else n_conditions(length)


def _one_rdm(
    array: np.ndarray | h5py.Dataset,
    rdm_axes: tuple[int, ...],
    position: Mapping[int, int] | None = None,
) -> np.ndarray:
    """Return one RDM: everything along `rdm_axes`, one position (0 if not given) elsewhere."""
    place = [
        slice(None) if axis in rdm_axes else (position or {}).get(axis, 0)
        for axis in range(array.ndim)
    ]
    return np.asarray(array[tuple(place)])


def _find_rdm_axes(array: np.ndarray | h5py.Dataset, what: str) -> tuple[int, ...]:
    """Return the two axes of square RDMs, or the one axis of condensed ones.

    numpy users save (subjects, n, n) and (subjects, n_pairs), MATLAB users (n, n, subjects) and
    (n_pairs, subjects). Neighbouring axes of one length hold square RDMs if what lies there is
    symmetric with a zero diagonal; the last ones need no such look where no others compete.
    Condensed RDMs lie along the first or last axis, the one that can hold n(n-1)/2 pairs; where
    both can, along the longer: there are fewer subjects than pairs.
    """
    axes = [axis for axis, length in enumerate(array.shape) if length > 1]
    if not axes:
        raise InputError(
            f"{what}: found {array.size} number(s) of shape {array.shape}, expected RDMs; name "
            "another variable by `key` in the config"
        )
    equal = [pair for pair in itertools.pairwise(axes) if len({array.shape[i] for i in pair}) == 1]
    if equal == [tuple(axes[-2:])]:
        return equal[0]
    for pair in reversed(equal):
        if _is_square_rdm(_one_rdm(array, pair)):
            return pair
    # None is an RDM as it stands: take the likeliest, whose error then says what is wrong.
    for pair in reversed(equal):
        if pair[1] == axes[-1] or array.shape[pair[0]] == max(array.shape):
            return pair
    possible = [axis for axis in (axes[-1], axes[0]) if _is_triangular(array.shape[axis])]
    return (max(possible or axes[-1:], key=lambda axis: array.shape[axis]),)


def _is_square_rdm(values: np.ndarray) -> bool:
    values = np.squeeze(values)
    try:
        to_condensed(values, "")
    except InputError:
        return False
    return bool(values.any())


def _is_triangular(n_pairs: int) -> bool:
    try:
        n_conditions(n_pairs)
    except InputError:
        return False
    return True


class NumpyRDMFile(ArrayRDMFile):
    """.npy, or one array of an .npz."""

    def _open(self) -> None:
        with _numpy_errors(self.path.name):
            loaded = np.load(self.path, allow_pickle=False, mmap_mode="r")
        if isinstance(loaded, np.ndarray):
            self._set_array(loaded)
            return
        self._archive = loaded
        try:
            key = one_of(self.key, loaded.files, self.path.name, "array", "key")
            self.what = f"{self.path.name}, {key}"
            self._set_array(self._member(key))
        except BaseException:
            loaded.close()
            raise

    def _member(self, key: str) -> np.ndarray:
        with _numpy_errors(f"{self.path.name}, {key}"):
            return self._archive[key]

    def _holds_text(self, key: str) -> bool:
        try:
            return self._member(key).dtype.kind in "SU"
        except InputError:  # pickled metadata beside the RDMs is nobody's business here
            return False

    def stored_names(self, key: str | None) -> list[str]:
        """Return names from another array of the .npz."""
        archive = getattr(self, "_archive", None)
        if archive is None:
            return super().stored_names(key)
        # Numbers can be names too, but only where the config says so.
        candidates = archive.files if key else list(filter(self._holds_text, archive.files))
        chosen = one_of(key, candidates, self.path.name, "array of names", "conditions.key")
        return as_strings(self._member(chosen))

    def close(self) -> None:
        """Close the archive."""
        if hasattr(self, "_archive"):
            self._archive.close()


class HDF5RDMFile(ArrayRDMFile):
    """Plain HDF5, rsatoolbox HDF5, or MATLAB v7.3 (which is HDF5 with its axes reversed)."""

    def _open(self) -> None:
        self._file = _open_hdf5(self.path)
        try:
            self._open_variable()
        except (OSError, KeyError, RuntimeError) as error:  # what h5py raises on broken contents
            self._file.close()
            raise _damaged(self.path.name, error) from error
        except BaseException:
            self._file.close()
            raise

    def _open_variable(self) -> None:
        if self._is_rsatoolbox() and self.key in (None, "dissimilarities"):
            self._open_rsatoolbox()
            return
        variables = [name for name in self._file if not name.startswith("#")]
        # A key may lead into groups: subject1/rdm.
        inside = self.key is not None and self.key in self._file
        key = self.key if inside else one_of(self.key, variables, self.path.name, "variable", "key")
        self.what = f"{self.path.name}, {key}"
        item = self._file[key]
        kind = _matlab_class(item)
        if isinstance(item, h5py.Group) and kind is not None:
            self._open_struct_array(item)
        elif isinstance(item, h5py.Group):
            raise InputError(
                f"{self.what}: found a group of {', '.join(map(repr, item)) or 'nothing'}, "
                f"expected an array of RDMs; name it by `key`, for example {key}/<name>"
            )
        elif kind == "cell":
            self._set_array(self._stacked(item))
        else:
            # MATLAB writes the last axis first.
            self._set_array(item[()].T if kind is not None else item)

    def _is_rsatoolbox(self) -> bool:
        return (
            "pattern_descriptors" in self._file
            and isinstance(self._file.get("dissimilarities"), h5py.Dataset)
            and self._file["dissimilarities"].ndim == 2
        )

    def _open_rsatoolbox(self) -> None:
        self.what = self.path.name
        # Always (n_rdms, n_pairs), even where both numbers are equal.
        self._set_array(self._file["dissimilarities"], rdm_axes=(1,))
        self.descriptors = {
            name: np.array(values)
            for name, values in hdf5_strings(self._file.get("rdm_descriptors")).items()
        }

    def _open_struct_array(self, group: h5py.Group) -> None:
        field = one_of(self.field, list(group), self.what, "struct field", "field")
        item = group[field]
        if isinstance(item, h5py.Group):
            raise InputError(
                f"{self.what}, {field}: found a struct, expected a numeric field; name another by "
                "`field` in the config"
            )
        self._set_array(self._stacked(item) if item.dtype == h5py.ref_dtype else item[()].T)
        for name in group:
            texts = self._texts(group[name]) if name != field else None
            if texts is not None:
                self.descriptors[name] = np.array(texts)

    def _stacked(self, references: h5py.Dataset) -> np.ndarray:
        """Return what the references of a cell or struct array point to, as one array."""
        items = [self._file[reference] for reference in references[()].T.flat]
        if not all(isinstance(item, h5py.Dataset) for item in items):
            raise InputError(f"{self.what}: found structs in it, expected RDMs; flatten it")
        arrays = [item[()].T for item in items]
        return _stack(arrays, references.shape[::-1], self.what)

    def _texts(self, item: h5py.Dataset | h5py.Group) -> list[str] | None:
        """Return the strings of a variable, None if it holds anything else."""
        if not isinstance(item, h5py.Dataset) or not item.shape:
            return None
        if item.dtype.kind == "S" or h5py.check_string_dtype(item.dtype):
            return as_strings(item[()])
        if item.dtype != h5py.ref_dtype:
            return _matlab_chars(item)
        cells = [_matlab_chars(self._file[reference]) for reference in item[()].T.flat]
        return None if None in cells else ["".join(cell) for cell in cells]

    def stored_names(self, key: str | None) -> list[str]:
        """Return an rsatoolbox pattern descriptor, or the strings of another variable."""
        if "pattern_descriptors" in self._file:
            return self._pattern_descriptor(key)
        texts = {name: self._texts(item) for name, item in self._file.items() if name[0] != "#"}
        if key is not None and isinstance(self._file.get(key), h5py.Dataset):
            # Numbers can be names too, but only where the config says so.
            texts[key] = self._texts(self._file[key]) or as_strings(self._file[key][()])
        found = {name: names for name, names in texts.items() if names is not None}
        chosen = one_of(key, list(found), self.path.name, "variable of names", "conditions.key")
        return found[chosen]

    def _pattern_descriptor(self, key: str | None) -> list[str]:
        found = hdf5_strings(self._file["pattern_descriptors"])
        # rsatoolbox adds a running index; it names positions, not images.
        candidates = [name for name in found if name != "index"]
        # A label that images share (their category) cannot be what names them.
        unique = [name for name in candidates if len(set(found[name])) == len(found[name])]
        chosen = one_of(
            key,
            unique if key is None and unique else candidates,
            self.path.name,
            "pattern descriptor",
            "conditions.key",
        )
        return found[chosen]

    def close(self) -> None:
        """Close the HDF5 file."""
        self._file.close()


class MatlabRDMFile(ArrayRDMFile):
    """MATLAB v5 to v7: a numeric array, or a struct array with an RDM in one of its fields."""

    def _open(self) -> None:
        try:
            names = [name for name, _, _ in scipy.io.whosmat(self.path)]
            key = one_of(self.key, names, self.path.name, "variable", "key")
            self.what = f"{self.path.name}, {key}"
            variable = scipy.io.loadmat(self.path, variable_names=[key])[key]
        except InputError:
            raise
        except Exception as error:  # scipy raises almost anything on a damaged file
            raise InputError(
                f"{self.path.name}: found a file that is no readable MATLAB file ({error}), "
                "expected one that MATLAB's save wrote; download or export it again"
            ) from error
        if variable.dtype == object:  # a cell array
            self._set_array(_stack(list(variable.flat), variable.shape, self.what))
            return
        if variable.dtype.names is None:
            self._set_array(variable)
            return
        field = one_of(self.field, list(variable.dtype.names), self.what, "struct field", "field")
        self._set_array(_stack(list(variable[field].flat), variable.shape, self.what))
        for name in variable.dtype.names:
            texts = [item for item in variable[name].flat if item.dtype.kind == "U"]
            if len(texts) == variable.size and all(text.size <= 1 for text in texts):
                self.descriptors[name] = np.array([_as_string(text) for text in texts])

    def stored_names(self, key: str | None) -> list[str]:
        """Return the strings of another variable (a cell array or a char matrix)."""
        candidates = [
            name for name, _, kind in scipy.io.whosmat(self.path) if kind in ("cell", "char")
        ]
        chosen = one_of(key, candidates, self.path.name, "variable of names", "conditions.key")
        return as_strings(scipy.io.loadmat(self.path, variable_names=[chosen])[chosen])


class TableRDMFile(RDMFile):
    """One square RDM as .csv or .tsv; names in the first row, the first column, or both."""

    def _open(self) -> None:
        cells = self._cells()
        n_rows, n_columns = len(cells), len(cells[0])
        # A blank or a word in the corner says that both hold names, be they numbers.
        both = n_rows > 1 and n_columns > 1 and not is_number(cells[0][0])
        has_header = n_rows == n_columns + 1 or (both and n_columns != n_rows + 1)
        has_index = n_columns == n_rows + 1 or (both and n_rows != n_columns + 1)
        self._header = cells[0][has_index:] if has_header else None
        self._index = [row[0] for row in cells[has_header:]] if has_index else None
        if self._header and self._index and self._header != self._index:
            hint = "" if len(self._header) == len(self._index) else IF_NO_RDMS
            raise InputError(
                f"{self.path.name}: found other names in the first row than in the first column, "
                f"expected the same names in the same order; sort one of them{hint}"
            )
        self._matrix = np.array(
            [
                [self._number(cells, row, column) for column in range(has_index, n_columns)]
                for row in range(has_header, n_rows)
            ]
        )

    def _cells(self) -> list[list[str]]:
        self._separator = "\t" if self.path.suffix.lower() == ".tsv" else ","
        try:
            with open(self.path, newline="", encoding="utf-8-sig") as file:
                lines = [row for row in csv.reader(file, delimiter=self._separator) if any(row)]
        except (ValueError, OSError, csv.Error) as error:
            raise InputError(
                f"{self.path.name}: found no text table ({error}), expected a square matrix of "
                "numbers; export it again as UTF-8 text"
            ) from error
        cells = [[cell.strip() for cell in row] for row in lines]
        if len(cells) > 1 and len(cells[0]) == len(cells[1]) - 1:
            cells[0].insert(0, "")  # R's write.table leaves out the corner
        widths = sorted({len(row) for row in cells})
        if len(widths) != 1:
            raise InputError(
                f"{self.path.name}: found rows of {' and '.join(map(str, widths)) or 'no'} cells, "
                "expected a full square matrix; export it again"
            )
        return cells

    def _number(self, cells: list[list[str]], row: int, column: int) -> float:
        try:
            return float(cells[row][column])
        except ValueError:
            raise InputError(
                f"{self.path.name}: found the cell {cells[row][column][:40]!r} in row {row + 1}, "
                f"column {column + 1}, expected a number; give a full square matrix, with "
                f"{self._separator!r} between cells and names in the first row or column only"
            ) from None

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
            f"{path.name}: found the suffix {path.suffix!r}, expected one of "
            f"{', '.join(FORMATS)}; export the RDMs in one of these formats"
        )
    if not path.is_file():
        raise InputError(
            f"{path}: found no such file, expected RDMs; check the folder and the file pattern"
        )
    rdm_file = FORMATS[path.suffix.lower()](path, key, field)
    try:
        yield rdm_file
    finally:
        rdm_file.close()


def _not_numbers(what: str, values: np.ndarray | h5py.Dataset) -> InputError:
    return InputError(
        f"{what}: found values of type {values.dtype}, expected numbers; name another variable by "
        "`key` in the config, or export the RDMs as numbers"
    )


def _damaged(what: str, error: Exception) -> InputError:
    return InputError(
        f"{what}: found data that cannot be read ({error}), expected a whole file; download or "
        "copy it again"
    )


@contextlib.contextmanager
def _numpy_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "pickle" not in str(error) and "Python objects" not in str(error):
            raise _damaged(what, error) from error
        raise InputError(
            f"{what}: found data that numpy cannot read without unpickling, which can run code, "
            "expected a numeric array written by np.save or np.savez; save it again as numbers "
            "or strings"
        ) from error


def _open_hdf5(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"{path.name}: found {path.stat().st_size} bytes that are no complete HDF5 file "
            f"({error}), expected a whole one; download or copy it again"
        ) from error


def _matlab_class(item: h5py.Dataset | h5py.Group) -> str | None:
    """Return what MATLAB calls the type of a variable, None where MATLAB did not write it."""
    name = item.attrs.get("MATLAB_class")
    return name.decode() if isinstance(name, bytes) else name


def _matlab_chars(item: h5py.Dataset | h5py.Group) -> list[str] | None:
    """Return the rows of a MATLAB char matrix, None if it is something else."""
    if _matlab_class(item) != "char":
        return None
    if "MATLAB_empty" in item.attrs:
        return [""]
    rows = np.atleast_2d(item[()].T).astype("<u2")
    return [row.tobytes().decode("utf-16-le", errors="replace").strip() for row in rows]


def hdf5_strings(group: h5py.Group | None) -> dict[str, list[str]]:
    """Return the one-dimensional members of a group as str, decoded whatever their type.

    h5py gives fixed- and variable-length strings as bytes, which equal no str.
    """
    if group is None:
        return {}
    members = {name: item for name, item in group.items() if isinstance(item, h5py.Dataset)}
    found = {
        name: as_strings(item[()])
        for name, item in members.items()
        if item.shape and item.ndim == 1
    }
    # rsatoolbox writes tuples of str as attributes.
    found.update(
        (name, as_strings(value))
        for name, value in group.attrs.items()
        if isinstance(value, np.ndarray) and value.ndim == 1
    )
    return found


def as_strings(values: np.ndarray) -> list[str]:
    """Return the values of an array of any shape and type, such as a MATLAB cell array, as str."""
    flat = np.asarray(values).ravel()
    return [_as_string(value).strip() for value in flat]


def _as_string(value: object) -> str:
    if isinstance(value, np.ndarray):  # a cell of a MATLAB cell array
        return _as_string(value.item()) if value.size == 1 else "".join(map(str, value.ravel()))
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, np.floating) and value == np.rint(value):
        return str(int(value))  # MATLAB numbers its sessions 1.0 and 2.0
    return str(value)


def _stack(arrays: list[np.ndarray], shape: tuple[int, ...], what: str) -> np.ndarray:
    """Return equally shaped RDMs as one array (*shape, ...)."""
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        raise InputError(
            f"{what}: found RDMs of {len(shapes)} different shapes {sorted(shapes)}, expected one "
            "shape; keep conditions apart that not all of them have"
        )
    return np.stack(arrays).reshape(*shape, *shapes.pop())


def one_of(
    wanted: str | None, available: Sequence[str], where: str, kind: str, setting: str
) -> str:
    """Return the wanted name, or the only one there is.

    Parameters
    ----------
    wanted : str or None
        What the config names, if it does.
    available : sequence of str
    where, kind, setting : str
        How errors name the file, what the names stand for, and the config key to correct.

    Raises
    ------
    InputError
        There is no such name, or no way to choose.
    """
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


def is_number(cell: object) -> bool:
    """Return whether a cell of a table reads as a number."""
    try:
        float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


@contextlib.contextmanager
def _naming(what: str) -> Iterator[None]:
    """Put the file in front of an error about a number of pairs, which does not know it."""
    try:
        yield
    except InputError as error:
        known = str(error).startswith(what)
        raise InputError(str(error) if known else f"{what}: {error}{IF_NO_RDMS}") from None
