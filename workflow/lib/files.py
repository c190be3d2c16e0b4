"""Writing files so that a reader never sees half of one."""

import contextlib
import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

# The process that writes a file, by which it is known whether it still does.
TEMPORARY = ".part-{host}-{pid}-{name}"
HOST = socket.gethostname()
# How HDF5 datasets are packed that are large. Not by LZF, which starts from whatever memory holds:
# once in some hundred thousand pieces the same numbers give other bytes.
PACKED = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


@contextlib.contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it to `path` if the block succeeds.

    A job that fails, or a machine that stops, leaves `path` as it was. The temporary name
    keeps all suffixes (.nii.gz), because many writers choose the format by them.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(TEMPORARY.format(host=HOST, pid=os.getpid(), name=path.name))
    try:
        yield temporary
        move_whole(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def move_whole(temporary: Path, path: Path) -> None:
    """Give a finished file its name, in the place of whatever has it."""
    # Without the fsync a power cut after the rename can leave an empty file in place.
    with open(temporary, "rb+") as handle:
        os.fsync(handle.fileno())
    os.replace(temporary, path)


def sha256_of(path: str | Path) -> str:
    """Return the hexadecimal SHA-256 digest of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
