"""Section `stand_ins`: where its pictures lie, and what the models know that it makes."""

import re
from collections.abc import Mapping

from workflow.lib.acquire.datasets import Dataset
from workflow.lib.config.sections import Section
from workflow.lib.layout import RESOURCES, is_weight_file


def picture_files(entry: Mapping) -> list[str]:
    """Return the files that hold the pictures of an entry: pictures, and archives of some."""
    pictures = [path for paths in entry["pictures"].values() for path in paths]
    # Members of archives are named by archive and member.
    files = [re.sub(r"(\.zip)/.*", r"\1", f"{RESOURCES}/{path}") for path in pictures]
    return list(dict.fromkeys(files))


def raw_paths(entry: Mapping, datasets: Mapping[str, Dataset], run: str) -> list[str]:
    """Return the files with the pictures of an entry, and the network's weights."""
    return picture_files(entry) + [entry["weights"]] * is_weight_file(entry["weights"])


def made_conditions(entry: Mapping) -> dict[str, list[str]]:
    """Return the conditions of which there are pictures."""
    scrambled = [entry["scrambled"]] if entry["scrambled"] else []
    return {"pictures": [*entry["pictures"], *scrambled]}


SECTION = Section("stand_ins", raw_paths=raw_paths, made_conditions=made_conditions)
