"""Opening HDF5 files that somebody else wrote: none that leads to other files, or to gigabytes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.arrays.array_file import damaged
from workflow.lib.bombs import check_unpacked_size
from workflow.lib.errors import InputError
from workflow.lib.words import one_line

# MATLAB keeps the cells of cell arrays there, tens of thousands in one file: each is checked when
# its reference is followed, and nothing else leads there.
REFERENCES = "#refs#"


@contextlib.contextmanager
def hdf5_errors(what: str) -> Iterator[None]:
    """Turn what h5py raises on a damaged file into an InputError that names it."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # h5py raises almost anything on broken contents
        raise damaged(what, error) from error


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file to read it.

    Raises
    ------
    InputError
        It is damaged, or anything in it lies in another file, or claims far more bytes than there
        are.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"{path.name}: found {path.stat().st_size} bytes that are no complete HDF5 file "
            f"({one_line(error)}), expected a whole one; download or copy it again"
        ) from error
    try:
        with hdf5_errors(path.name):
            _check_members(file, path.name, set())
    except BaseException:
        file.close()
        raise
    return file


def referenced(
    file: h5py.File, references: np.ndarray, what: str
) -> Iterator[h5py.Dataset | h5py.Group]:
    """Yield what references lead to, one after another.

    Parameters
    ----------
    file : h5py.File
    references : array of object references, any shape
        In the order in which they are followed, the last axis first.
    what : str
        How errors name the file.

    Raises
    ------
    InputError
        Values lie in another file, or are, by themselves or together, far larger than what is
        stored.
    """
    n_bytes = 0
    for reference in references.flat:
        item = file[reference]
        if isinstance(item, h5py.Dataset):
            # HDF5 looks through the whole file for the name of what a reference leads to.
            _check_dataset(item, f"{what}, {REFERENCES}")
            # Many references may lead to the same dataset.
            n_bytes += item.nbytes
            check_unpacked_size(f"{what}, {REFERENCES}", n_bytes, file.id.get_filesize())
        yield item


def may_lead_to_references(path: str) -> bool:
    """Return whether a path goes through the group whose members are not checked before."""
    return REFERENCES in path.split("/")


def _check_dataset(dataset: h5py.Dataset, what: str) -> None:
    if dataset.external or dataset.is_virtual:
        raise _elsewhere(what)
    check_unpacked_size(what, dataset.nbytes, dataset.id.get_storage_size())


def _check_members(group: h5py.Group, what: str, seen: set[int]) -> None:
    """Check all datasets below a group, each once."""
    seen.add(h5py.h5o.get_info(group.id).addr)
    for name in group:
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise _elsewhere(f"{what}, {group.name.rstrip('/')}/{name}")
        if group.name == "/" and name == REFERENCES:
            continue
        if isinstance(link, h5py.SoftLink):
            # What it names otherwise, if anything, has its place in the file, too.
            if may_lead_to_references(link.path):
                raise InputError(
                    f"{what}, {group.name.rstrip('/')}/{name}: found a link to {link.path}, "
                    "expected an array; save the variable again by MATLAB"
                )
            continue
        member = group[name]
        if isinstance(member, h5py.Dataset):
            _check_dataset(member, f"{what}, {group.name.rstrip('/')}/{name}")
        elif isinstance(member, h5py.Group) and h5py.h5o.get_info(member.id).addr not in seen:
            _check_members(member, what, seen)


def _elsewhere(what: str) -> InputError:
    return InputError(
        f"{what}: found data that lies in another file, expected one whole file; copy the data "
        "into it (h5repack, or h5copy)"
    )
