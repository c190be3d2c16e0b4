"""What tells a raw file from a wrong, cut or damaged one, and the checksum kept beside it."""

import hashlib
import re
from pathlib import Path

from workflow.lib.acquire.datasets import RawFile
from workflow.lib.files import written_whole

# How files of a format begin. It tells a log-in page or an error message that came with status
# 200 from the file itself where no checksum does.
SIGNATURES = {
    ".gz": b"\x1f\x8b",
    ".h5": b"\x89HDF\r\n\x1a\n",
    ".npy": b"\x93NUMPY",
    ".npz": b"PK",
    ".zip": b"PK",
}
PAGE_FOUND = "is a web page, a log-in or an error perhaps, and not the file itself"
# Bytes by which a file is judged.
START_BYTES = 512
WEB_PAGES = (".html", ".htm", ".xhtml")
WEB_TYPES = ("text/html", "application/xhtml+xml")
# After a byte order mark, an XML declaration and comments.
PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)


def write_checksum(path: Path, digest: str) -> None:
    """Write the sha256 of a file beside it, in the form of sha256sum."""
    with written_whole(path.with_name(f"{path.name}.sha256")) as partial:
        partial.write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def is_web_page(start: bytes, name: str, content_type: str = "") -> bool:
    """Return whether a file of another kind begins as a web page does, or came as one.

    Parameters
    ----------
    start : its first `START_BYTES`
    name : of the file
    content_type : as the server called it, if it came from one
    """
    if name.endswith(WEB_PAGES):
        return False
    called = content_type.partition(";")[0].strip().lower()
    return called in WEB_TYPES or PAGE.match(start[:START_BYTES]) is not None


def defect(path: Path, digest: str, raw_file: RawFile) -> str | None:
    """Say how a file differs from what the registry knows of it; None if in nothing.

    Parameters
    ----------
    path : where the file lies
    digest : its sha256
    raw_file : its entry in the registry
    """
    size, suffix = path.stat().st_size, Path(raw_file.path).suffix
    with open(path, "rb") as handle:
        start = handle.read(START_BYTES)
        handle.seek(0)
        md5 = hashlib.file_digest(handle, "md5").hexdigest() if raw_file.md5 else None
    if is_web_page(start, raw_file.path):
        return PAGE_FOUND
    if raw_file.bytes is not None and size != raw_file.bytes:
        return f"has {size} bytes, expected {raw_file.bytes}"
    about = raw_file.approx_bytes
    if about is not None and not about / 2 <= size <= about * 2:
        return f"has {size} bytes, expected about {about}"
    if size == 0 and raw_file.bytes is None:
        return "is empty"
    if not start.startswith(SIGNATURES.get(suffix, b"")):
        return f"begins with {start[:8]!r}, not as a {suffix} file does"
    if raw_file.sha256 and digest != raw_file.sha256:
        return f"has the sha256 {digest}, expected {raw_file.sha256}"
    if md5 != raw_file.md5:
        return f"has the md5 {md5}, expected {raw_file.md5}"
    return None
