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

from workflow.lib.errors import InputError
from workflow.lib.rdms.array_files import NumpyRDMFile, TableRDMFile
from workflow.lib.rdms.hdf5_files import HDF5RDMFile
from workflow.lib.rdms.matlab_files import MatlabRDMFile
from workflow.lib.rdms.rdm_file import RDMFile


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
