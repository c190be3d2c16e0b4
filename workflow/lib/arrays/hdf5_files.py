"""Arrays in HDF5 files: plain ones, and MATLAB's from version 7.3 on."""

from collections.abc import Iterator

import h5py
import numpy as np

from workflow.lib.arrays.array_file import ArrayFile, one_of, stacked
from workflow.lib.arrays.foreign_hdf5 import (
    hdf5_errors,
    may_lead_to_references,
    open_hdf5,
    referenced,
)
from workflow.lib.arrays.text import as_strings
from workflow.lib.errors import InputError


class HDF5File(ArrayFile):
    """Plain HDF5, or MATLAB v7.3 (which is HDF5 with its axes reversed)."""

    def _open(self) -> None:
        self._file = open_hdf5(self.path)
        try:
            with hdf5_errors(self.path.name):
                self._open_variable()
        except BaseException:
            self._file.close()
            raise

    def _open_variable(self) -> None:
        variables = [name for name in self._file if not name.startswith("#")]
        # A key may lead into groups: subject1/rdm.
        inside = self._is_inside(self.key)
        key = self.key if inside else one_of(self.key, variables, self.path.name, "variable", "key")
        self.what = f"{self.path.name}, {key}"
        item = self._file[key]
        kind = _matlab_class(item)
        if isinstance(item, h5py.Group) and kind is not None:
            self._open_struct_array(item)
        elif isinstance(item, h5py.Group):
            raise InputError(
                f"{self.what}: found a group of {', '.join(map(repr, item)) or 'nothing'}, "
                f"expected an array of {self.contents}; name it by `key`, for example {key}/<name>"
            )
        elif kind == "cell":
            self._set_array(self._stacked(item))
        else:
            # MATLAB writes the last axis first.
            self._set_array(item[()].T if kind is not None else item)

    def _is_inside(self, key: str | None) -> bool:
        """Return whether a key names something that was checked when the file was opened."""
        return key is not None and key in self._file and not may_lead_to_references(key)

    def _open_struct_array(self, group: h5py.Group) -> None:
        field = self._field_of(list(group))
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
        arrays = []
        for item in self._referenced(references):
            if not isinstance(item, h5py.Dataset):
                raise InputError(
                    f"{self.what}: found structs in it, expected {self.contents}; flatten it"
                )
            arrays.append(item[()].T)
        return stacked(arrays, references.shape[::-1], self.what, self.contents)

    def _referenced(self, references: h5py.Dataset) -> Iterator[h5py.Dataset | h5py.Group]:
        return referenced(self._file, references[()].T, self.path.name)

    def _texts(self, item: h5py.Dataset | h5py.Group) -> list[str] | None:
        """Return the strings of a variable, None if it holds anything else."""
        if not isinstance(item, h5py.Dataset) or not item.shape:
            return None
        if item.dtype.kind == "S" or h5py.check_string_dtype(item.dtype):
            return as_strings(item[()])
        if item.dtype != h5py.ref_dtype:
            return matlab_chars(item)
        cells = [matlab_chars(cell) for cell in self._referenced(item)]
        return None if None in cells else ["".join(cell) for cell in cells]

    def stored_names(self, key: str | None) -> list[str]:
        """Return the strings of another variable."""
        with hdf5_errors(self.path.name):
            return self._stored_names(key)

    def _stored_names(self, key: str | None) -> list[str]:
        texts = {name: self._texts(item) for name, item in self._file.items() if name[0] != "#"}
        if self._is_inside(key) and isinstance(self._file[key], h5py.Dataset):
            # Numbers can be names too, but only where the config says so.
            told = texts.get(key) or self._texts(self._file[key])
            texts[key] = told or as_strings(self._file[key][()])
        found = {name: names for name, names in texts.items() if names is not None}
        chosen = one_of(key, list(found), self.path.name, "variable of names", "conditions.key")
        return found[chosen]

    def close(self) -> None:
        """Close the HDF5 file."""
        self._file.close()


def _matlab_class(item: h5py.Dataset | h5py.Group) -> str | None:
    """Return what MATLAB calls the type of a variable, None where MATLAB did not write it."""
    name = item.attrs.get("MATLAB_class")
    return name.decode() if isinstance(name, bytes) else name


def matlab_chars(item: h5py.Dataset | h5py.Group) -> list[str] | None:
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
