"""What sections ask of the source of an entry's raw files."""

import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from workflow.lib.errors import InputError

# What each source cannot do without: keys of an entry.
SOURCE_KEYS = {
    "simulated": ("simulation.folder",),
    "path": ("path",),
    "mirror": ("dataset",),
    "download": ("dataset",),
}


def check_source(
    where: str, entry: Mapping, keys: Mapping[str, tuple[str, ...]] = SOURCE_KEYS
) -> None:
    """Stop at a source without a key that says where its files are.

    Parameters
    ----------
    where : str
        The entry's place in the config.
    entry : mapping
    keys : mapping, source -> keys of the entry, blocks joined by points

    Raises
    ------
    InputError
    """
    for key in keys[entry["source"]]:
        if not functools.reduce(lambda block, step: (block or {}).get(step), key.split("."), entry):
            raise InputError(
                f"{where}.source: found {entry['source']!r} without `{key}`, expected both; give "
                f"`{key}`"
            )
    if entry["source"] == "path":
        check_folder(f"{where}.path", entry["path"])


def check_folder(where: str, folder: str) -> None:
    """Stop at a folder in the home folder by the short name that only shells know.

    Raises
    ------
    InputError
    """
    if folder.startswith("~"):
        raise InputError(
            f"{where}: found {folder!r}, expected a folder without ~, which is known to shells "
            f"alone; write {os.path.expanduser(folder)}"
        )


def check_relative(where: str, files: Iterable[str | None]) -> None:
    """Stop at a file that is not given relative to the folder of the raw files.

    Parameters
    ----------
    where : str
        The place in the config that names the files.
    files : iterable of str or None
        None are passed over.

    Raises
    ------
    InputError
    """
    for file in files:
        if file and (file.startswith("~") or PurePosixPath(file).is_absolute()):
            raise InputError(
                f"{where}: found the path {file!r}, expected one relative to the folder of the raw "
                "files; let `path` name the folder (source: path), and write the rest here"
            )


def claim_folder(where: str, name: str, entry: Mapping, owners: dict[str, str]) -> None:
    """Note in which folder a simulated entry is written, and stop if another one is, too.

    Parameters
    ----------
    where : str
        The entry's place in the config.
    name : str
        Of the entry.
    entry : mapping
    owners : dict, folder -> entry
        Of the section so far.

    Raises
    ------
    InputError
    """
    folder = entry["simulation"]["folder"]
    if folder in owners:
        raise InputError(
            f"{where}.simulation.folder: found {folder!r}, where {owners[folder]} simulates, "
            "expected a folder of its own; give another"
        )
    owners[folder] = name
