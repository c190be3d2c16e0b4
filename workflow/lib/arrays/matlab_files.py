"""Arrays in MATLAB files up to version 7; from 7.3 on they are HDF5."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import scipy.io

from workflow.lib.arrays.array_file import ArrayFile, one_of, stacked
from workflow.lib.arrays.matlab_structure import SAVE_FULL, check_structure
from workflow.lib.arrays.text import as_string, as_strings
from workflow.lib.bombs import check_unpacked_size
from workflow.lib.errors import InputError
from workflow.lib.words import one_line

# Bytes of a number of MATLAB's classes; the least, for what else there is.
BYTES = {"double": 8, "single": 4, "int64": 8, "uint64": 8, "int32": 4, "uint32": 4}


class MatlabFile(ArrayFile):
    """MATLAB v5 to v7: an array, a cell array, or a struct array with arrays in one field."""

    def _open(self) -> None:
        names = [name for name, _, _ in whosmat(self.path)]
        key = one_of(self.key, names, self.path.name, "variable", "key")
        self.what = f"{self.path.name}, {key}"
        variable = load_variable(self.path, key)
        if variable.dtype == object:  # a cell array
            self._set_array(self._stacked(variable))
            return
        if variable.dtype.names is None:
            self._set_array(variable)
            return
        field = self._field_of(variable.dtype.names)
        self._set_array(self._stacked(variable[field]))
        for name in variable.dtype.names:
            texts = [item for item in variable[name].flat if item.dtype.kind == "U"]
            if len(texts) == variable.size and all(text.size <= 1 for text in texts):
                self.descriptors[name] = np.array([as_string(text) for text in texts])

    def _stacked(self, cells: np.ndarray) -> np.ndarray:
        check_full(list(cells.flat), self.what)
        return stacked(list(cells.flat), cells.shape, self.what, self.contents)

    def stored_names(self, key: str | None) -> list[str]:
        """Return the strings of another variable (a cell array or a char matrix)."""
        candidates = [name for name, _, kind in whosmat(self.path) if kind in ("cell", "char")]
        chosen = one_of(key, candidates, self.path.name, "variable of names", "conditions.key")
        return as_strings(load_variable(self.path, chosen))


def whosmat(path: Path) -> list[tuple[str, tuple[int, ...], str]]:
    """Return the name, shape and class of each variable of a file up to version 7.

    Raises
    ------
    InputError
        The file is damaged, or a variable of it would have far more numbers than are stored.
    """
    with _matlab_errors(path.name):
        check_structure(path)
        found = scipy.io.whosmat(path)
        for name, shape, kind in found:
            n_bytes = BYTES.get(kind, 1) * math.prod(map(int, shape))
            check_unpacked_size(f"{path.name}, {name}", n_bytes, path.stat().st_size)
    return found


def load_variable(path: Path, key: str) -> np.ndarray:
    """Return a variable of a file up to version 7.

    Raises
    ------
    InputError
        The file is damaged, or the variable is sparse.
    """
    with _matlab_errors(path.name):
        check_structure(path, key)
        variable = scipy.io.loadmat(path, variable_names=[key])[key]
    check_full([variable], f"{path.name}, {key}")
    return variable


def check_full(arrays: Sequence[object], what: str) -> None:
    """Raise InputError where one is not an array with all its values, as scipy's sparse ones."""
    for array in arrays:
        if not isinstance(array, np.ndarray):
            raise InputError(
                f"{what}: found a sparse array or a struct without fields, expected full ones; "
                f"{SAVE_FULL}"
            )


@contextlib.contextmanager
def _matlab_errors(what: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # scipy raises almost anything on a damaged file
        raise InputError(
            f"{what}: found a file that is no readable MATLAB file ({one_line(error)}), "
            "expected one that MATLAB's save wrote; download or export it again"
        ) from error
