"""Members of zip archives that somebody else packed: found by name, and checked."""

import contextlib
import errno
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from workflow.lib.errors import InputError
from workflow.lib.words import one_line

# What zipfile and its decompressors raise on damaged archives.
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, NotImplementedError, OSError, ValueError),
)


@contextlib.contextmanager
def zip_errors(what: str) -> Iterator[None]:
    """Turn what zipfile raises on a damaged archive into an InputError that names it."""
    try:
        yield
    except DAMAGE as error:
        # A disk that is full, say, is no fault of the archive; a place that cannot be is.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise InputError(
            f"{what}: found data that cannot be read ({one_line(error)}), expected a whole zip "
            "archive; download or copy it again"
        ) from error


def check_member(archive: str, member: zipfile.ZipInfo, max_bytes: int) -> None:
    """Refuse a member that is no plain file below the archive, or is too large.

    Parameters
    ----------
    archive : how errors name the archive
    member : its entry
    max_bytes : most bytes that it may have once unpacked

    Raises
    ------
    InputError
        Its name leads out of the archive; it is a link, or encrypted; it claims more bytes.
    """
    name = member.filename
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or re.match("[A-Za-z]:", name):
        raise InputError(
            f"{archive}: found the file name {name!r}, which leads out of the archive, expected "
            "names below it; make the archive again"
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(
            f"{archive}, {name}: found a link, expected a file; make the archive again with the "
            "file itself"
        )
    if member.flag_bits & 1:
        raise InputError(
            f"{archive}, {name}: found an encrypted file, expected an open one; unpack it, and "
            "make an archive without a password"
        )
    if member.file_size > max_bytes:
        raise InputError(
            f"{archive}, {name}: found a file that unpacks to {member.file_size:,} bytes, expected "
            f"at most {max_bytes:,}; check where the archive comes from"
        )


def find_member(archive: zipfile.ZipFile, name: str, what: str) -> zipfile.ZipInfo:
    """Return the member of this name, in whatever folder and whichever case.

    Raises
    ------
    InputError
        There is none, or several.
    """
    wanted = f"/{name.lower()}"
    found = [
        member
        for member in archive.infolist()
        if not member.is_dir() and f"/{member.filename.lower()}".endswith(wanted)
    ]
    if len(found) != 1:
        listed = ", ".join(member.filename for member in found or archive.infolist()[:20])
        raise InputError(
            f"{what}: found {len(found)} files called {name!r} ({'' if found else 'only '}"
            f"{listed or 'an empty archive'}), expected one; correct `path` in the registry"
        )
    return found[0]
