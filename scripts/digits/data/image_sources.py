"""Images of categories in the forms in which they are published, read one at a time.

Each layout gives candidates: images of a category that belong to one part of the study, because the
publisher split them, or to any.
"""

import gzip
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from PIL import Image

from scripts.digits.data.published import CATEGORIES, IMAGE_VARIABLES
from workflow.lib.acquire.archives import zip_errors
from workflow.lib.arrays.numpy_files import array_of, open_numpy
from workflow.lib.errors import InputError
from workflow.lib.features.image_files import SUFFIXES
from workflow.lib.features.stimuli import open_stimuli
from workflow.lib.words import one_line

ANY = "any"
ZIP = ".zip"
GZIP = b"\x1f\x8b"
# More than the largest collections in this format have; a header that says more is damaged.
MAX_IDX_BYTES = 2_000_000_000
# Of the format of MNIST: how files of unsigned bytes begin, before the number of axes.
IDX_BYTES = b"\0\0\x08"


@dataclass(frozen=True)
class Candidate:
    """One image that may be used.

    Attributes
    ----------
    what : str
        How errors and the log name it.
    read : callable, no arguments -> RGB image
    """

    what: str
    read: Callable[[], Image.Image]


# Part of the study, or ANY -> category -> images in the order of the files.
Candidates = dict[str, dict[str, list[Candidate]]]


def find_images(layout: str, folder: Path, files: Sequence[str], labels: Mapping) -> Candidates:
    """Return the images of some categories in published files.

    Parameters
    ----------
    layout : str
        idx : files as those of MNIST, .gz or not, images and their labels in pairs
        folders : images in a folder per category: a .zip, or a pattern such as images/*/*.jpg
        parts : the .npz files of the published sample, see `scripts.digits.data.published`
    folder : Path
        Folder of the files.
    files : sequence of str
        Relative to it.
    labels : mapping, category -> label or folder that stands for it in the files
        In folders and parts, the category's own name if None; in idx, its number in the mapping.

    Returns
    -------
    dict, part (train, validation) or ANY -> dict, category -> list of Candidate

    Raises
    ------
    InputError
        A file that is missing, damaged, pickled or not of the layout; a label that no image has.
    """
    return LAYOUTS[layout](folder, files, labels)


# MNIST's format.


def _idx(folder: Path, files: Sequence[str], labels: Mapping) -> Candidates:
    arrays = [(file, _read_idx(folder / file)) for file in files]
    images = [(file, array) for file, array in arrays if array.ndim > 1]
    numbers = [(file, array) for file, array in arrays if array.ndim == 1]
    if len(images) != len(numbers):
        raise InputError(
            f"{', '.join(files)}: found {len(images)} files of images and {len(numbers)} of "
            "labels, expected one of labels for each of images, in the same order; correct "
            "images.files"
        )
    found: dict[str, list[Candidate]] = {category: [] for category in labels}
    for (file, pictures), (labels_file, codes) in zip(images, numbers, strict=True):
        if len(pictures) != len(codes):
            raise InputError(
                f"{file}: found {len(pictures)} images, expected {len(codes)} as {labels_file} has "
                "labels; give files of one set"
            )
        for number, (category, label) in enumerate(labels.items()):
            wanted = str(number if label is None else label)
            rows = np.flatnonzero(codes.astype(str) == wanted)
            found[category] += [_array_candidate(pictures, row, file) for row in rows.tolist()]
    return {ANY: _all_found(found, labels, files)}


def _read_idx(path: Path) -> np.ndarray:
    """Return the array of an idx file, uint8 (n,), (n, height, width) or (n, height, width, 3)."""
    try:
        with _opened(path) as file:
            head = file.read(4)
            n_axes = head[3] if head.startswith(IDX_BYTES) and len(head) == 4 else 0
            shape = tuple(np.frombuffer(file.read(4 * n_axes), dtype=">u4").tolist())
            n_bytes = math.prod(shape)
            is_known = n_axes in (1, 3) or (n_axes == 4 and shape[3:] == (3,))
            if not is_known or len(shape) != n_axes or n_bytes > MAX_IDX_BYTES:
                raise InputError(
                    f"{path.name}: found a file that begins with {head!r} and axes {shape}, "
                    "expected idx, as MNIST has it, of images or labels in bytes; give such files, "
                    "or another layout"
                )
            # A byte more, to see whether there is one.
            content = file.read(n_bytes + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            f"{path.name}: found data that cannot be read ({one_line(error)}), expected a whole "
            "idx file; download or copy it again"
        ) from error
    if len(content) != n_bytes:
        raise InputError(
            f"{path.name}: found {'more' if len(content) > n_bytes else len(content)} bytes after "
            f"the header, expected {n_bytes} for {shape}; download or copy it again"
        )
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _opened(path: Path) -> BinaryIO:
    """Open a file, compressed by gzip or not."""
    with open(_existing(path), "rb") as file:
        is_compressed = file.read(len(GZIP)) == GZIP
    return gzip.open(path, "rb") if is_compressed else open(path, "rb")


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: found no such file, expected images; correct images.files")
    return path


def _array_candidate(images: np.ndarray, row: int, file: str) -> Candidate:
    def read() -> Image.Image:
        return Image.fromarray(np.ascontiguousarray(images[row])).convert("RGB")

    return Candidate(f"{file}, image {row}", read)


# A folder per category.


def _folders(folder: Path, files: Sequence[str], labels: Mapping) -> Candidates:
    found: dict[str, list[Candidate]] = {category: [] for category in labels}
    for pattern in files:
        names = map(PurePosixPath, _file_names(folder, pattern))
        parents = sorted({str(name.parent) for name in names if _is_image(name)})
        for category, label in labels.items():
            wanted = str(category if label is None else label)
            for parent in parents:
                if PurePosixPath(parent).name == wanted:
                    found[category] += _folder_candidates(folder, pattern, parent)
    return {ANY: _all_found(found, labels, files)}


def _is_image(name: PurePosixPath) -> bool:
    is_hidden = name.name.startswith(".") or name.parts[0] == "__MACOSX"
    return name.suffix.lower() in SUFFIXES and not is_hidden


def _file_names(folder: Path, pattern: str) -> list[str]:
    """Return the names in an archive, or of the files in a folder that a pattern stands for."""
    if not pattern.lower().endswith(ZIP):
        return [path.relative_to(folder).as_posix() for path in folder.glob(pattern)]
    path = _existing(folder / pattern)
    with zip_errors(pattern), zipfile.ZipFile(path) as archive:
        return [member.filename for member in archive.infolist() if not member.is_dir()]


def _folder_candidates(folder: Path, pattern: str, parent: str) -> list[Candidate]:
    is_zip = pattern.lower().endswith(ZIP)
    within = f"{escape(parent)}/{'*' if is_zip else PurePosixPath(pattern).name}"
    block = {"files": pattern, "key": within} if is_zip else {"files": within}
    images = open_stimuli(folder, block)

    def candidate(i: int) -> Candidate:
        return Candidate(f"{parent}/{PurePosixPath(images.names[i]).name}", lambda: images.image(i))

    return [candidate(i) for i in range(len(images))]


# The published sample.


def _parts(folder: Path, files: Sequence[str], labels: Mapping) -> Candidates:
    wanted = {
        str(category if label is None else label): category for category, label in labels.items()
    }
    unknown = [label for label in wanted if label not in CATEGORIES]
    if unknown:
        raise InputError(
            f"images.files: found the category {unknown[0]!r}, expected some of "
            f"{', '.join(CATEGORIES)}, which the published sample has; name them in its "
            "`categories`"
        )
    candidates: Candidates = {}
    for file in files:
        path = _existing(folder / file)
        arrays = open_numpy(path, file)
        with arrays:
            for part, images, codes, allowed in _variables(arrays, file):
                of_part = candidates.setdefault(part, {category: [] for category in labels})
                _check_labels(codes, allowed, f"{file}, {part}")
                for row, code in enumerate(codes.tolist()):
                    if CATEGORIES[code] in wanted:
                        one = _array_candidate(images, row, f"{file}, {part}")
                        of_part[wanted[CATEGORIES[code]]].append(one)
    for found in candidates.values():
        _all_found(found, labels, files)
    return candidates


def _variables(arrays: Mapping, file: str) -> list[tuple]:
    """Return (part, images, codes of categories, allowed categories) of each pair of variables."""
    found = []
    for part, variables in IMAGE_VARIABLES.items():
        for images, codes, allowed in variables:
            if images in arrays and codes in arrays:
                names = (f"{file}, {images}", f"{file}, {codes}")
                pixels = _pixels(array_of(arrays, images, names[0]), names[0])
                numbers = _codes(array_of(arrays, codes, names[1]), len(pixels), names[1])
                found.append((part, pixels, numbers, allowed))
    if not found:
        expected = [f"{x} and {y}" for pairs in IMAGE_VARIABLES.values() for x, y, _ in pairs]
        raise InputError(
            f"{file}: found the variables {', '.join(arrays) or 'none'}, expected "
            f"{', or '.join(expected)}, as the published sample has; give its files"
        )
    return found


def _pixels(images: np.ndarray, what: str) -> np.ndarray:
    """Return images of values from 0 to 255 in any type as uint8 (n, height, width, 3)."""
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype.kind not in "uif":
        raise InputError(
            f"{what}: found an array of shape {images.shape} and type {images.dtype}, expected "
            "images (n, height, width, 3) of numbers; take the file as it was published"
        )
    low, high = images.min(initial=0), images.max(initial=0)
    # False for NaN, too. What ends at 1 would be black.
    if not (low >= 0 and 1 < high <= 255):
        raise InputError(
            f"{what}: found values of {low:.4g} to {high:.4g}, expected 0 to 255; take the file as "
            "it was published"
        )
    return images if images.dtype == np.uint8 else np.rint(images).astype(np.uint8)


def _codes(labels: np.ndarray, n_images: int, what: str) -> np.ndarray:
    """Return labels, one-hot (n, 16) or numbers (n,), as numbers, int (n,)."""
    n_categories = len(CATEGORIES)
    values = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if values.ndim == 2 and values.shape[1] != n_categories:
        raise InputError(
            f"{what}: found labels of {values.shape[1]} categories, expected {n_categories}, in "
            f"the order {', '.join(CATEGORIES)}; take the file as it was published"
        )
    if values.ndim == 2 and np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all():
        values = values.argmax(axis=1)
    is_code = values.ndim == 1 and np.isin(values, np.arange(n_categories)).all()
    if not is_code or len(values) != n_images:
        raise InputError(
            f"{what}: found labels of shape {labels.shape} for {n_images} images, expected for "
            f"each image a number below {n_categories} or a row with a single 1; take the file as "
            "it was published"
        )
    return values.astype(np.int64)


def _check_labels(codes: np.ndarray, allowed: Sequence[str], what: str) -> None:
    others = sorted({CATEGORIES[code] for code in codes.tolist()} - set(allowed))
    if others:
        raise InputError(
            f"{what}: found images of {others[0]!r} among those of {', '.join(allowed)}, expected "
            "these alone; take the file as it was published"
        )


def _all_found(
    found: dict[str, list[Candidate]], labels: Mapping, files: Sequence[str]
) -> dict[str, list[Candidate]]:
    missing = [category for category, candidates in found.items() if not candidates]
    if missing:
        label = labels[missing[0]]
        raise InputError(
            f"{', '.join(files)}: found no image of {missing[0]!r}"
            f"{'' if label is None else f' (there {label!r})'}, expected some of each category; "
            "correct `categories` of images.files, or leave the category out"
        )
    return found


LAYOUTS: dict[str, Callable[[Path, Sequence[str], Mapping], Candidates]] = {
    "idx": _idx,
    "folders": _folders,
    "parts": _parts,
}
