"""What sections ask of the source of an entry's raw files."""

from collections.abc import Mapping

from workflow.lib.errors import InputError

# What each source cannot do without.
SOURCE_KEYS = {
    "simulated": ("simulation", "folder"),
    "path": ("path",),
    "mirror": ("dataset",),
    "download": ("dataset",),
}


def check_source(where: str, entry: Mapping) -> None:
    """Stop at a source without the key that says where its files are.

    Raises
    ------
    InputError
    """
    value: object = entry
    for key in SOURCE_KEYS[entry["source"]]:
        value = value.get(key) if isinstance(value, Mapping) else None
    if not value:
        key = ".".join(SOURCE_KEYS[entry["source"]])
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
