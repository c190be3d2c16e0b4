"""Arrays in MATLAB files up to version 7; from 7.3 on they are HDF5."""

import numpy as np
import scipy.io

from workflow.lib.arrays.array_file import ArrayFile, one_of, stacked
from workflow.lib.arrays.text import as_string, as_strings
from workflow.lib.errors import InputError


class MatlabFile(ArrayFile):
    """MATLAB v5 to v7: an array, a cell array, or a struct array with arrays in one field."""

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
            self._set_array(stacked(list(variable.flat), variable.shape, self.what, self.contents))
            return
        if variable.dtype.names is None:
            self._set_array(variable)
            return
        field = self._field_of(variable.dtype.names)
        self._set_array(
            stacked(list(variable[field].flat), variable.shape, self.what, self.contents)
        )
        for name in variable.dtype.names:
            texts = [item for item in variable[name].flat if item.dtype.kind == "U"]
            if len(texts) == variable.size and all(text.size <= 1 for text in texts):
                self.descriptors[name] = np.array([as_string(text) for text in texts])

    def stored_names(self, key: str | None) -> list[str]:
        """Return the strings of another variable (a cell array or a char matrix)."""
        candidates = [
            name for name, _, kind in scipy.io.whosmat(self.path) if kind in ("cell", "char")
        ]
        chosen = one_of(key, candidates, self.path.name, "variable of names", "conditions.key")
        return as_strings(scipy.io.loadmat(self.path, variable_names=[chosen])[chosen])
