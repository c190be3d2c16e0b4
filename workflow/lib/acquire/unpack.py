"""Raw files out of the archives that they are published in: verified, and unpacked whole.

A name in an archive is never used as a path, so that nothing lands outside of its folder; what
leads out of the archive is refused all the same, because nobody packs such a file by accident.
"""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from workflow.lib.acquire.archives import check_member, find_member, zip_errors
from workflow.lib.acquire.datasets import RawFile
from workflow.lib.acquire.verification import defect
from workflow.lib.errors import InputError
from workflow.lib.files import sha256_of, written_whole

# A member of unknown size may have as much; a few kilobytes that claim more are an attack.
LARGEST_MEMBER_BYTES = 4_000_000_000


def unpack_member(archive: Path, raw_file: RawFile, destination: Path) -> str:
    """Unpack one raw file of the registry and verify it.

    Parameters
    ----------
    archive : zip archive that the registry says it comes from
    raw_file : its entry
    destination : where it shall lie

    Returns
    -------
    str
        The sha256 of the file.

    Raises
    ------
    InputError
        The archive is damaged, lacks the file or holds something else under its name. Nothing is
        left at `destination` then.
    """
    what, name = archive.name, PurePosixPath(raw_file.path).name
    max_bytes = raw_file.bytes or 2 * (raw_file.approx_bytes or LARGEST_MEMBER_BYTES // 2)
    with zip_errors(what), zipfile.ZipFile(archive) as opened:
        member = find_member(opened, name, what)
        check_member(what, member, max_bytes)
        with (
            written_whole(destination) as partial,
            # It gives no more bytes than the entry claims, and fails if they are others.
            opened.open(member) as packed,
            open(partial, "wb") as unpacked,
        ):
            shutil.copyfileobj(packed, unpacked)
            unpacked.flush()
            digest = sha256_of(partial)
            if found := defect(partial, digest, raw_file):
                raise InputError(
                    f"{what}, {member.filename} {found}: download or copy the archive again."
                )
    return digest
