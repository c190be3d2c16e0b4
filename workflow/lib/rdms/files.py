"""Reading RDMs from the file formats in which labs publish them.

Every format becomes an `RDMFile`: an array of RDMs with zero or more axes (subjects, sessions,
ROIs, ...), of which one RDM at a time is read and checked. To add a format, write a subclass and
add its suffix to `FORMATS`.

Formats: rsatoolbox HDF5 (0.0.4 to 0.3.2), plain HDF5, MATLAB .mat (v5 to v7.3; arrays, cell arrays
and struct arrays), .npy, .npz, .csv and .tsv (one square matrix with names).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.arrays.array_file import one_of
from workflow.lib.arrays.hdf5_files import HDF5File, hdf5_strings
from workflow.lib.arrays.matlab_files import MatlabFile
from workflow.lib.arrays.numpy_files import NumpyFile
from workflow.lib.errors import InputError
from workflow.lib.rdms.rdm_file import IF_NO_RDMS, ArrayRDMFile, RDMFile
from workflow.lib.rdms.table_files import TableRDMFile


class NumpyRDMFile(ArrayRDMFile, NumpyFile):
    """.npy, or one array of an .npz."""


class MatlabRDMFile(ArrayRDMFile, MatlabFile):
    """MATLAB v5 to v7: a numeric array, or a struct array with an RDM in one of its fields."""


class HDF5RDMFile(ArrayRDMFile, HDF5File):
    """Plain HDF5, rsatoolbox HDF5, or MATLAB v7.3."""

    def _open_variable(self) -> None:
        if self._is_rsatoolbox() and self.key in (None, "dissimilarities"):
            self._open_rsatoolbox()
        else:
            super()._open_variable()

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

    def _stored_names(self, key: str | None) -> list[str]:
        """Return an rsatoolbox pattern descriptor, or the strings of another variable."""
        if "pattern_descriptors" in self._file:
            return self._pattern_descriptor(key)
        return super()._stored_names(key)

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
        # Of a compressed file what is compressed says more: .nii.gz.
        suffix = "".join(path.suffixes[-2:]) if path.suffix.lower() == ".gz" else path.suffix
        raise InputError(
            f"{path.name}: found the suffix {suffix!r}, expected one of {', '.join(FORMATS)}; "
            f"export the RDMs in one of these formats{IF_NO_RDMS}"
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
