"""Which files hold the images of an entry of section `digits`. Standard library only.

Read while rules are parsed.
"""

from collections.abc import Mapping
from pathlib import Path

from workflow.lib.acquire.datasets import Dataset, in_any_case
from workflow.lib.layout import matching_files, raw_folder


def image_collections(entry: Mapping) -> list[dict]:
    """Return the collections of images of an entry, none if it simulates them.

    Each is a block of `images.files` that also says where it comes from, as a study does: `source`,
    `dataset`, `path`, `simulation`. Its files in the user's own folder are spelled as they are
    there.
    """
    if entry["source"] == "simulated":
        return []
    place = {key: entry[key] for key in ("source", "dataset", "path", "simulation")}
    collections = []
    for block in entry["images"]["files"]:
        files = block["files"]
        if entry["source"] == "path":
            files = [_as_spelled(Path(entry["path"]), file) for file in files]
        dataset = block["dataset"] or entry["dataset"]
        collections.append(place | block | {"dataset": dataset, "files": files})
    return collections


def _as_spelled(folder: Path, file: str) -> str:
    """Return a file as its folder spells it: published names differ in upper and lower case.

    No file has the name of a pattern, which stays as it is.
    """
    place = in_any_case(folder / file)
    return place.relative_to(folder).as_posix() if place else file


def collection_files(collection: Mapping, datasets: Mapping[str, Dataset], run: str) -> list[str]:
    """Return the files of a collection of images, relative to the folder of its raw files.

    A pattern stands for the files that the registry lists, or that are in the folder.
    """
    found = []
    for pattern in collection["files"]:
        found += matching_files(collection, pattern, datasets, run, "images.files")
    return found


def image_paths(entry: Mapping, datasets: Mapping[str, Dataset], run: str) -> list[str]:
    """Return every file with images of an entry, each once."""
    paths = [
        f"{raw_folder(collection, run)}/{file}"
        for collection in image_collections(entry)
        for file in collection_files(collection, datasets, run)
    ]
    return list(dict.fromkeys(paths))
