"""Activations that were computed elsewhere: images x units in arrays and tables, with names.

The files are those of response patterns (`workflow.lib.patterns.files`): .npy, .npz, .mat, .h5,
.csv and .tsv, a file or a variable for each layer.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.arrays.text import listed_names
from workflow.lib.errors import InputError
from workflow.lib.patterns.files import PatternFile, open_pattern_file
from workflow.lib.rdms.alignment import positions
from workflow.lib.sources import items_of

# Activations of some images that are held at a time.
CHUNK_BYTES = 1 << 26


@dataclass(frozen=True)
class Activations:
    """Activations of one layer to some images, read a few images at a time.

    Attributes
    ----------
    what : str
        How errors name them.
    array : array (n_stored, ...) or, if `images_last`, (n_units, n_stored)
    images_last : bool
    order : int array (n_images,)
        Where each image is stored.
    names : sequence of n_images str
    """

    what: str
    array: np.ndarray | h5py.Dataset
    images_last: bool
    order: np.ndarray
    names: Sequence[str]

    @property
    def n_units(self) -> int:
        """Units of the layer, all axes but that of the images taken together."""
        n_stored = self.array.shape[-1 if self.images_last else 0]
        return int(np.prod(self.array.shape, dtype=np.int64)) // n_stored

    def rows(self) -> Iterator[np.ndarray]:
        """Yield the activations of some images after others, float32 arrays (n, n_units).

        Raises
        ------
        InputError
            Activations that are not finite, or that cannot be read.
        """
        step = max(1, CHUNK_BYTES // (4 * self.n_units))
        for start in range(0, len(self.order), step):
            chunk = self._read(self.order[start : start + step])
            finite = np.isfinite(chunk).all(axis=1)
            if not finite.all():
                first = self.names[start + int(np.argmin(finite))]
                raise InputError(
                    f"{self.what}: found {int((~np.isfinite(chunk)).sum())} activations that are "
                    f"NaN, infinite or beyond single precision, the first for the image {first!r}, "
                    "expected numbers; compute them again"
                )
            yield chunk

    def _read(self, places: np.ndarray) -> np.ndarray:
        # HDF5 reads rows in their stored order only.
        stored, back = np.unique(places, return_inverse=True)
        try:
            values = self.array[:, stored].T if self.images_last else self.array[stored]
        except OSError as error:
            raise InputError(
                f"{self.what}: found data that cannot be read ({error}), expected a whole file; "
                "download or copy it again"
            ) from error
        with np.errstate(over="ignore"):
            return values.reshape(len(places), -1).astype(np.float32)[back]


def activation_names(source: Mapping, folder: Path) -> dict[str, list[str]]:
    """Return the names of the images of every file of a source, without reading activations.

    Parameters
    ----------
    source : the block of a model, see `workflow.lib.sources.model_source`
    folder : folder of the raw files

    Returns
    -------
    dict, file -> list of str in the file's own order
    """
    first_items = {item.file: item for item in reversed(items_of(source))}
    names = {}
    for file, item in reversed(first_items.items()):
        with open_pattern_file(folder / file, file, key=item.key) as opened:
            names[file], _ = _names(opened, source["conditions"], folder)
    return names


def read_activations(
    source: Mapping, folder: Path, images: Sequence[str], *, match: str
) -> Iterator[tuple[dict[str, str], Activations]]:
    """Yield every layer of a source, over the common images.

    Parameters
    ----------
    source : the block of a model, see `workflow.lib.sources.model_source`
    folder : folder of the raw files
    images : matched names in the common order
    match : "exact" or "normalised"

    Yields
    ------
    labels : dict with layer
    activations : Activations
        Can be read until the next one is asked for.

    Raises
    ------
    InputError
        A file is missing, damaged, or holds no images x units; an image is missing.
    """
    for (file, key), group in itertools.groupby(items_of(source), lambda i: (i.file, i.key)):
        with open_pattern_file(folder / file, file, key=key) as opened:
            names, images_last = _names(opened, source["conditions"], folder)
            order = np.asarray(positions(images, names, match=match, what=opened.what))
            for item in group:
                yield (
                    item.labels,
                    Activations(opened.what, opened.array, images_last, order, images),
                )


def _names(file: PatternFile, conditions: Mapping, folder: Path) -> tuple[list[str], bool]:
    """Return the names of a file's images, and whether these lie along its last axis.

    Python users save images x units (x height x width), MATLAB users units x images as well. Where
    both lengths are the number of names, rows are images.
    """
    shape, origin = file.array.shape, conditions["from"]
    if origin == "order":
        names = [conditions["pattern"].format(i + 1) for i in range(shape[0])]
    elif origin == "list":
        names = listed_names(folder / conditions["file"], conditions.get("column"))
    else:
        names = file.stored_names(conditions.get("key"))
    images_last = len(shape) == 2 and len(names) == shape[1] != shape[0]
    if len(shape) < 2 or not file.array.size or not (images_last or len(names) == shape[0]):
        raise InputError(
            f"{file.what}: found an array of shape {tuple(shape)} and {len(names)} names, expected "
            "activations, a row per image that has a name; correct `conditions`, or name another "
            "variable by `key`"
        )
    return names, images_last
