"""What sections ask of the source of an entry's raw files."""

import functools
from collections.abc import Mapping

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
