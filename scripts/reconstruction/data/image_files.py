"""Image files of named stimuli: found by name whatever their ending, and brought to one size."""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from workflow.lib.arrays.text import is_number
from workflow.lib.errors import InputError
from workflow.lib.features.image_files import SUFFIXES, decoded
from workflow.lib.patterns.bdata import ID_FORMAT
from workflow.lib.patterns.observations import column_of, read_columns
from workflow.lib.words import near

# n01518878_5958 and 1518878.005958 are image 5958 of synset 01518878.
OF_SYNSET = re.compile(r"n?0*(?P<synset>\d+)(?:_|\.0*)(?P<image>\d+)$")
ANY_ENDING = ".*"


def fields(name: str) -> dict[str, str]:
    """Return what a pattern of files may hold of an image: its name, synset and number.

    >>> fields("1518878.005958")
    {'name': '1518878.005958', 'synset': '01518878', 'image': '5958'}
    """
    match = OF_SYNSET.match(name)
    parts = {"synset": f"{int(match['synset']):08d}", "image": match["image"]} if match else {}
    return {"name": name} | parts


def named_ids(path: Path, *, id_column: int, name_column: int) -> dict[str, str]:
    """Return id with six decimals -> name, from a table without a header.

    Parameters
    ----------
    path : Path
        .csv or .tsv.
    id_column, name_column : int
        Counted from 0.

    Raises
    ------
    InputError
        The table is missing, lacks a column, or has an id that is no number or has two names.
    """
    table = read_columns(path, path.name, header=False)
    ids, names = (column_of(table, column, path.name) for column in (id_column, name_column))
    odd = [number for number in ids if not is_number(number)]
    if odd:
        raise InputError(
            f"{path.name}: found {odd[0]!r} in column {id_column}, expected numbers, the ids of "
            "images; correct `stimuli.tables` in the config"
        )
    named: dict[str, str] = {}
    for number, name in zip(ids, names, strict=True):
        known = named.setdefault(ID_FORMAT.format(float(number)), name)
        if known != name:
            raise InputError(
                f"{path.name}: found the id {number} for both {known!r} and {name!r}, expected one "
                "image for each id; correct the table, or `stimuli.tables` in the config, which "
                "says in which columns ids and names stand"
            )
    return named


class ImageFolder:
    """The image files that a pattern names, such as "stimuli/training/{name}.*".

    Parameters
    ----------
    folder : Path
    pattern : str
        Relative to the folder, with {name}, or {synset} and {image} of ids such as 1518878.005958.
        An ending `.*` stands for that of any image format.
    names : mapping, optional
        Id -> name, see `named_ids`; others are names themselves.
    """

    def __init__(self, folder: Path, pattern: str, names: Mapping[str, str] | None = None) -> None:
        self.folder, self.pattern, self.names = folder, pattern, names or {}
        # Folder -> name without ending -> files; a folder is listed once.
        self._listed: dict[Path, dict[str, list[Path]]] = {}

    def find(self, name: str) -> Path | None:
        """Return the file of an image, None if there is none.

        Raises
        ------
        InputError
            There are several, or the pattern does not fit the name.
        """
        known = fields(self.names.get(name, name))
        try:
            path = self.folder / self.pattern.format(**known)
        except KeyError as error:
            raise InputError(
                f"{self.pattern}: found no {error.args[0]} in the name {name!r}, expected one of "
                f"{', '.join(known)} in braces; correct `stimuli` in the config"
            ) from None
        if not self.pattern.endswith(ANY_ENDING):
            return path if path.is_file() else None
        stem = path.name.removesuffix(ANY_ENDING)
        files = self._files(path.parent)
        # A name may have an ending of its own.
        found = files.get(stem) or files.get(_without_ending(stem)) or []
        if len(found) > 1:
            raise InputError(
                f"{path.parent}: found {' and '.join(sorted(file.name for file in found))}, "
                f"expected one file for the image {name!r}; remove the others"
            )
        return found[0] if found else None

    def _files(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._listed:
            listed: dict[str, list[Path]] = {}
            for file in folder.iterdir() if folder.is_dir() else ():
                # macOS puts a hidden ._a.jpg beside every a.jpg on foreign disks.
                if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
                    listed.setdefault(file.stem, []).append(file)
            self._listed[folder] = listed
        return self._listed[folder]

    def find_all(self, names: Sequence[str]) -> list[Path]:
        """Return the file of each image.

        Raises
        ------
        InputError
            Some image has none.
        """
        found = [self.find(name) for name in names]
        missing = [name for name, path in zip(names, found, strict=True) if path is None]
        if missing:
            stems = [stem for listed in self._listed.values() for stem in listed]
            raise InputError(
                f"{self.folder / self.pattern}: found no image for {missing[0]!r} ({len(missing)} "
                f"of {len(names)} ids have none), expected one for each that responses are to"
                f"{near(missing[0], stems)}"
            )
        return [path for path in found if path is not None]


def _without_ending(name: str) -> str:
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in SUFFIXES else name


def read_images(
    paths: Sequence[Path], *, side: int, background: int, n_threads: int = 1
) -> np.ndarray:
    """Return image files of any mode as squares of RGB, uint8 (n, side, side, 3).

    Parameters
    ----------
    paths : sequence of n Path
    side : int
        Pixels. The square in the middle of an image is resized.
    background : int
        Level of the grey, 0 to 255, that shows through transparent pixels.
    n_threads : int
        Images that are decoded at a time.

    Raises
    ------
    InputError
        A file that is no image, or damaged.
    """
    images = np.empty((len(paths), side, side, 3), np.uint8)

    def put(i: int) -> None:
        image = decoded(paths[i], str(paths[i]), background=(background,) * 3)
        images[i] = sized(image, side)

    with ThreadPoolExecutor(n_threads) as pool:
        # Asking for the results raises what went wrong.
        list(pool.map(put, range(len(paths))))
    return images


def sized(image: Image.Image, side: int) -> Image.Image:
    """Return the square in the middle of an image, side x side pixels."""
    return ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC)
