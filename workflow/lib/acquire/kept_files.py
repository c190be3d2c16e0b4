"""Raw files that are here need not be fetched again.

Snakemake removes a job's outputs before the job runs, and whatever a failed job left. So a run
gives the raw files that it finds a second name (a hard link) below <resources>/.kept/ while it
lasts, and acquiring collects files there until all of a job are whole. Imported while the Snakefile
is parsed: standard library alone.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

KEPT = ".kept"


def kept_path(resources: str | Path, dataset: str, path: str) -> Path:
    """Return the second name of a raw file."""
    return Path(resources, KEPT, dataset, path)


def keep_files(resources: str | Path, files: Iterable[tuple[str, str]]) -> None:
    """Give those of the raw files that are in place a second name.

    Parameters
    ----------
    resources : str or Path
        Folder that holds a folder per dataset.
    files : iterable of (dataset, path)
    """
    for dataset, path in files:
        file = Path(resources, dataset, path)
        if not file.is_file():
            continue
        kept = kept_path(resources, dataset, path)
        # Some disks know no hard links, and some are read-only; there a file may come again.
        with contextlib.suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.unlink(missing_ok=True)
            os.link(file, kept)


def release_files(resources: str | Path) -> None:
    """Take the second name from files that are in place; what an attempt fetched stays."""
    root = Path(resources, KEPT)
    for kept in root.rglob("*"):
        place = Path(resources, kept.relative_to(root))
        if kept.is_file() and place.is_file() and place.samefile(kept):
            kept.unlink()
    for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        _remove_empty(folder)
    _remove_empty(root)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
