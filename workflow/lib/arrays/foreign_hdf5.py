"""Opening HDF5 files that somebody else wrote: none that leads to other files, or to gigabytes."""

import contextlib
import math
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.arrays.array_file import damaged
from workflow.lib.bombs import HARMLESS_BYTES, MOST_TIMES, check_unpacked_size
from workflow.lib.errors import InputError
from workflow.lib.words import one_line

# MATLAB keeps the cells of cell arrays there, tens of thousands in one file: each is checked when
# its reference is followed, and nothing else leads there.
REFERENCES = "#refs#"
# Deflate, which h5py calls gzip, makes no more of a byte; LZF 88 times as much.
DEFLATE_TIMES = 1032
# Filters that leave data as large as they are, but for a checksum or a known number of bits.
NOT_PACKING = {
    *(h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32),
    *(h5py.h5z.FILTER_NBIT, h5py.h5z.FILTER_SCALEOFFSET),
}
# More than such filters add to a chunk.
CHECKSUM_BYTES = 1000
# Packed bytes that are unpacked at a time.
BLOCK_BYTES = 2**13


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
            _check_members(file, path.name)
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
    if dataset.chunks and dataset.id.get_num_chunks():
        _check_chunks(dataset, what)
    if dataset.dtype.hasobject and h5py.check_string_dtype(dataset.dtype) and dataset.size:
        _check_strings(dataset, what)


def _check_strings(dataset: h5py.Dataset, what: str) -> None:
    """Refuse texts of any length that are far larger than the file: many may be the same one."""
    if not dataset.shape:
        return
    n_stored, n_bytes = dataset.file.id.get_filesize(), 0
    # None is longer than the file, so that a block stays within what is allowed.
    step = max(MOST_TIMES, HARMLESS_BYTES // (2 * n_stored))
    for block in _blocks(dataset.shape, step):
        n_bytes += sum(map(len, dataset[block].flat))
        check_unpacked_size(what, n_bytes, n_stored)


def _blocks(shape: tuple[int, ...], most: int) -> Iterator[tuple[int | slice, ...]]:
    """Yield which parts of an array, each of at most so many values, make up the whole."""
    n_values = math.prod(shape[1:])
    if n_values > most:
        for row in range(shape[0]):
            yield from ((row, *inner) for inner in _blocks(shape[1:], most))
    else:
        rows = most // n_values
        yield from ((slice(start, start + rows),) for start in range(0, shape[0], rows))


def _check_chunks(dataset: h5py.Dataset, what: str) -> None:
    """Refuse chunks that are gigabytes: each is unpacked whole, however small the dataset is."""
    n_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    check_unpacked_size(what, n_bytes, dataset.id.get_storage_size())
    filters = dataset.id.get_create_plist()
    codes = [filters.get_filter(i)[0] for i in range(filters.get_nfilters())]
    if len([code for code in codes if code not in NOT_PACKING]) > 1:
        raise InputError(
            f"{what}: found data that are packed more than once, expected once; write the file "
            "again with one compression"
        )
    large = []

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        if chunk.size * DEFLATE_TIMES > HARMLESS_BYTES:
            large.append(chunk.chunk_offset)

    dataset.id.chunk_iter(note)
    for offset in large if h5py.h5z.FILTER_DEFLATE in codes else []:
        _, packed = dataset.id.read_direct_chunk(offset)
        if _unpacks_to_more(packed, n_bytes + CHECKSUM_BYTES):
            raise InputError(
                f"{what}: found a chunk of {len(packed):,} bytes that unpacks to more than the "
                f"{n_bytes:,} that it should have; check where the file comes from"
            )


def _unpacks_to_more(packed: bytes, n_bytes: int) -> bool:
    unpacker, n_unpacked = zlib.decompressobj(), 0
    for start in range(0, len(packed), BLOCK_BYTES):
        try:
            n_unpacked += len(unpacker.decompress(packed[start : start + BLOCK_BYTES]))
        except zlib.error:  # HDF5 will say so, having unpacked as much
            break
        if n_unpacked > n_bytes:
            return True
    return False


def _check_members(file: h5py.File, what: str) -> None:
    """Check all datasets of a file, by themselves and together: one may go by many names."""
    n_bytes = 0
    for dataset, name in _members(file, what):
        _check_dataset(dataset, name)
        n_bytes += dataset.nbytes
        check_unpacked_size(what, n_bytes, file.id.get_filesize())


def _members(file: h5py.File, what: str) -> Iterator[tuple[h5py.Dataset, str]]:
    """Yield every dataset with each of its names; what soft links name comes last.

    By then it is known that nothing lies in another file, which a soft link would open.
    """
    soft: list[str] = []
    yield from _members_below(file, what, set(), soft)
    for name in soft:
        member = None
        with contextlib.suppress(KeyError, RuntimeError):  # it may lead to itself
            member = file.get(name)
        if isinstance(member, h5py.Dataset):
            yield member, f"{what}, {name}"


def _members_below(
    group: h5py.Group, what: str, seen: set[int], soft: list[str]
) -> Iterator[tuple[h5py.Dataset, str]]:
    """Yield the datasets below a group, each group once, and note the soft links."""
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
            soft.append(f"{group.name.rstrip('/')}/{name}")
            continue
        member = group[name]
        if isinstance(member, h5py.Dataset):
            yield member, f"{what}, {group.name.rstrip('/')}/{name}"
        elif isinstance(member, h5py.Group) and h5py.h5o.get_info(member.id).addr not in seen:
            yield from _members_below(member, what, seen, soft)


def _elsewhere(what: str) -> InputError:
    return InputError(
        f"{what}: found data that lies in another file, expected one whole file; copy the data "
        "into it (h5repack, or h5copy)"
    )
