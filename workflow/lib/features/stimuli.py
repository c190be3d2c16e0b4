"""Stimuli: images in the forms in which labs keep them, read one at a time, with their names."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
from PIL import Image

from workflow.lib.acquire.archives import check_member, zip_errors
from workflow.lib.arrays.array_file import one_of
from workflow.lib.arrays.foreign_hdf5 import hdf5_errors, open_hdf5, referenced
from workflow.lib.arrays.hdf5_files import matlab_chars
from workflow.lib.arrays.matlab_files import check_full, load_variable, whosmat
from workflow.lib.arrays.numpy_files import array_of, open_numpy
from workflow.lib.arrays.text import as_strings, listed_names
from workflow.lib.errors import InputError
from workflow.lib.features.image_files import (
    MAX_FILE_BYTES,
    SUFFIXES,
    check_file_size,
    check_pixels,
    decoded,
    decoded_member,
)
from workflow.lib.rdms.alignment import positions
from workflow.lib.tables import read_table
from workflow.lib.words import by_numbers


@dataclass(frozen=True)
class Stimuli:
    """Images with names, in a fixed order.

    Attributes
    ----------
    names : list of str
    read : callable, position in the source -> RGB image
    positions : list of int
        Where each image stands in the source.
    """

    names: list[str]
    read: Callable[[int], Image.Image]
    positions: list[int]

    def __len__(self) -> int:
        return len(self.names)

    def image(self, i: int) -> Image.Image:
        """Return image `i`, RGB."""
        return self.read(self.positions[i])

    def select(self, positions: Sequence[int]) -> "Stimuli":
        """Return the stimuli at some positions, in that order."""
        return replace(
            self,
            names=[self.names[i] for i in positions],
            positions=[self.positions[i] for i in positions],
        )


@dataclass(frozen=True)
class _Source:
    """What a file or folder holds: how many images, how to read one, and names if there are any."""

    what: str
    n_images: int
    read: Callable[[int], Image.Image]
    stored_names: Callable[[str | None], list[str]]
    # File names in the order in which they were sorted, where images are files.
    sorted_files: Sequence[str] = ()


def open_stimuli(folder: Path, block: Mapping) -> Stimuli:
    """Return the stimuli that a config block describes.

    Parameters
    ----------
    folder : Path
        Folder of the raw files.
    block : mapping
        ``files``, relative to the folder: a pattern for image files ("images/*.jpg"), or one file:
        .zip of images; .npy or .npz with (n, height, width) or (n, height, width, 3), uint8 or
        floats of 0 to 1; .mat with a cell or struct array of images, or one array of them, along
        its last axis.
        ``key``, the variable of an .npz or .mat, or the pattern of the files in a .zip.
        ``field``, the field of a struct array; image if not given.
        ``conditions``, where the names stand: ``from`` stored (the names of the files, or the
        variable or field `key`), list (`file`, `column`), or order (`pattern`).

    Returns
    -------
    Stimuli
        Image files are in the order of their sorted names.

    Raises
    ------
    InputError
        Nothing is found; a file cannot be read without running code in it; the number of names is
        not that of images. Images themselves are read, and refused, one at a time.
    """
    files = block["files"]
    source = OPENERS.get(PurePosixPath(files).suffix.lower(), _open_folder)(folder, block)
    names = _names(source, block.get("conditions") or {"from": "stored"}, folder)
    if len(names) != source.n_images:
        raise InputError(
            f"{source.what}: found {source.n_images} images and {len(names)} names, expected one "
            "name for each; correct `conditions` or `files` in the config"
        )
    return Stimuli(names, source.read, list(range(source.n_images)))


def common_stimuli(folder: Path, block: Mapping, names: Sequence[str], match: str) -> Stimuli:
    """Return the stimuli of a study in the common order of images.

    Parameters
    ----------
    folder : folder of the raw files
    block : the study's `stimuli` block
    names : matched names in the common order
    match : "exact" or "normalised"
    """
    stimuli = open_stimuli(folder, block)
    return stimuli.select(positions(names, stimuli.names, match=match, what=block["files"]))


def shown_stimuli(folder: Path, block: Mapping, images_file: str | None, match: str) -> Stimuli:
    """Return the stimuli that a model is shown: all of them, or the common ones.

    Parameters
    ----------
    folder : folder of the raw files
    block : the study's `stimuli` block
    images_file : table with the common images (column name); all stimuli where there is none
    match : "exact" or "normalised"
    """
    if not images_file:
        return open_stimuli(folder, block)
    return common_stimuli(folder, block, list(read_table(images_file)["name"]), match)


def _names(source: _Source, conditions: Mapping, folder: Path) -> list[str]:
    origin = conditions["from"]
    if origin == "stored":
        return source.stored_names(conditions.get("key"))
    by_number = sorted(source.sorted_files, key=by_numbers)
    if by_number != list(source.sorted_files):
        i = next(i for i, file in enumerate(by_number) if file != source.sorted_files[i])
        raise InputError(
            f"{source.what}: found files whose order depends on how they are sorted "
            f"({source.sorted_files[i]!r} or {by_number[i]!r} as number {i + 1}), expected one "
            "order for names given by position; fill their numbers up with zeros, or take the "
            "names of the files (conditions: {from: stored})"
        )
    if origin == "order":
        return [conditions["pattern"].format(i + 1) for i in range(source.n_images)]
    return listed_names(folder / conditions["file"], conditions.get("column"))


# Image files, in a folder or in a zip.


def _open_folder(folder: Path, block: Mapping) -> _Source:
    pattern = block["files"]
    what = f"{folder}/{pattern}"
    if PurePosixPath(pattern).is_absolute():
        raise InputError(
            f"{pattern}: found an absolute path, expected a pattern relative to {folder}; set the "
            "folder of the data set instead"
        )
    paths = {
        path.relative_to(folder).as_posix(): path
        for path in folder.glob(pattern)
        if _is_image_file(path.name) and path.is_file()
    }
    if not paths:
        raise InputError(
            f"{what}: found no image file, expected some of {', '.join(sorted(SUFFIXES))}; correct "
            "the pattern, such as images/*.jpg (upper and lower case differ)"
        )
    files = sorted(paths)

    def read(i: int) -> Image.Image:
        path = paths[files[i]]
        check_file_size(files[i], path.stat().st_size)
        return decoded(path, files[i])

    return _Source(what, len(files), read, lambda key: _file_names(files), files)


def _open_zip(folder: Path, block: Mapping) -> _Source:
    path = _existing(folder / block["files"])
    with zip_errors(path.name):
        archive = zipfile.ZipFile(path)
    pattern = block.get("key") or "*"
    members = {
        member.filename: member
        for member in archive.infolist()
        if _is_image_file(PurePosixPath(member.filename).name)
        and "__MACOSX" not in member.filename
        and fnmatchcase(member.filename, pattern)
    }
    if not members:
        raise InputError(
            f"{path.name}: found no image file that matches {pattern!r} among "
            f"{len(archive.namelist())} files, expected some of {', '.join(sorted(SUFFIXES))}; "
            "correct `key` in the config"
        )
    for member in members.values():
        check_member(path.name, member, MAX_FILE_BYTES)
    files = sorted(members)

    def read(i: int) -> Image.Image:
        return decoded_member(archive, members[files[i]], f"{path.name}, {files[i]}")

    return _Source(path.name, len(files), read, lambda key: _file_names(files), files)


def _is_image_file(name: str) -> bool:
    # macOS puts a hidden ._a.jpg beside every a.jpg on foreign disks.
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in SUFFIXES


def _file_names(files: Sequence[str]) -> list[str]:
    """Return the names of files without their folders, unless these tell them apart."""
    bare = [PurePosixPath(file).name for file in files]
    return bare if len(set(bare)) == len(bare) else list(files)


# Images in arrays.


def _open_numpy(folder: Path, block: Mapping) -> _Source:
    path = _existing(folder / block["files"])
    # Of an .npy, a memory map: only the images in use are held.
    loaded = open_numpy(path)
    if isinstance(loaded, np.ndarray):
        return _array_source(loaded, path.name, lambda key: _no_names(path.name))
    key = one_of(block.get("key"), loaded.files, path.name, "variable", "key")
    what = f"{path.name}, {key}"

    def variable(name: str) -> np.ndarray:
        return array_of(loaded, name, f"{path.name}, {name}")

    def stored_names(wanted: str | None) -> list[str]:
        others = [name for name in loaded.files if name != key]
        return as_strings(variable(_names_key(wanted, others, path.name)))

    return _array_source(variable(key), what, stored_names)


def _open_matlab(folder: Path, block: Mapping) -> _Source:
    path = _existing(folder / block["files"])
    variables, read = _open_matlab73(path) if h5py.is_hdf5(path) else _open_matlab5(path)
    key = one_of(block.get("key"), variables, path.name, "variable", "key")
    what = f"{path.name}, {key}"
    value = read(key)
    fields = value if isinstance(value, dict) else {}
    if fields:
        wanted = block.get("field") or ("image" if "image" in fields else None)
        value = fields[one_of(wanted, list(fields), what, "field", "field")]

    def stored_names(wanted: str | None) -> list[str]:
        if wanted in fields:
            return _cell_strings(fields[wanted])
        others = [name for name in variables if name != key]
        names = read(_names_key(wanted, others, path.name))
        return _cell_strings(names) if isinstance(names, list) else as_strings(names)

    if isinstance(value, list):
        check_full(value, what)
    images = value if isinstance(value, list) else _images_first(value)
    return _array_source(images, what, stored_names)


def _open_matlab5(path: Path) -> tuple[list[str], Callable[[str], object]]:
    """Return the variables of a .mat of version 5 to 7, and a function that reads one.

    A cell array is read as a list, a struct array as a dict of lists, both in MATLAB's order.
    """
    variables = [name for name, _, _ in whosmat(path)]

    def read(key: str) -> object:
        value = load_variable(path, key)
        if value.dtype.names:
            return {name: list(value[name].ravel("F")) for name in value.dtype.names}
        return list(value.ravel("F")) if value.dtype == object else value

    return variables, read


def _open_matlab73(path: Path) -> tuple[list[str], Callable[[str], object]]:
    """Return the variables of a .mat of version 7.3, which is HDF5, and a function as above."""
    file = open_hdf5(path)

    def array(item: h5py.Dataset) -> np.ndarray:
        texts = matlab_chars(item)
        return item[()].T if texts is None else np.array(texts)

    def read(key: str) -> object:
        with hdf5_errors(f"{path.name}, {key}"):
            return _dereferenced(file[key], array, path.name, set())

    return [name for name in file if not name.startswith("#")], read


def _dereferenced(
    item: h5py.Dataset | h5py.Group, array: Callable, what: str, seen: set[int]
) -> object:
    if isinstance(item, h5py.Group):
        # Groups that are linked twice, one in another, are as many as powers of two.
        if (address := h5py.h5o.get_info(item.id).addr) in seen:
            raise InputError(
                f"{what}: found a struct in two places, expected each once; save it again by MATLAB"
            )
        seen.add(address)
        fields = {name: _dereferenced(field, array, what, seen) for name, field in item.items()}
        # The fields of a single struct are no references.
        return {n: value if isinstance(value, list) else [value] for n, value in fields.items()}
    if item.dtype == h5py.ref_dtype:
        return [array(cell) for cell in referenced(item.file, item[()], what)]
    return array(item)


def _cell_strings(cells: Sequence[np.ndarray]) -> list[str]:
    return ["".join(as_strings(cell)) for cell in cells]


def _images_first(array: np.ndarray) -> np.ndarray:
    """Return MATLAB's (height, width, [3,] n) as (n, height, width[, 3])."""
    colours_last = array.ndim == 4 and array.shape[3] == 3 and array.shape[2] != 3
    return array if array.ndim < 3 or colours_last else np.moveaxis(array, -1, 0)


def _names_key(wanted: str | None, others: Sequence[str], where: str) -> str:
    return one_of(wanted, others, where, "variable of names", "conditions.key")


def _no_names(what: str) -> list[str]:
    raise InputError(
        f"{what}: found no names of images in this format, expected `conditions: {{from: list, "
        "file: ...}` or, if all files share one order, `{from: order}`"
    )


def _array_source(
    images: np.ndarray | list[np.ndarray],
    what: str,
    stored_names: Callable[[str | None], list[str]],
) -> _Source:
    is_stack = isinstance(images, list) or images.ndim in (3, 4)
    if not is_stack or not len(images):
        raise InputError(
            f"{what}: found an array of shape {np.shape(images)}, expected images, (n, height, "
            "width) or (n, height, width, 3); name another variable by `key` in the config"
        )
    for i, image in enumerate(images if isinstance(images, list) else images[:1]):
        _check_image_array(image, f"{what}[{i}]")

    def read(i: int) -> Image.Image:
        return Image.fromarray(_pixels(images[i], f"{what}[{i}]")).convert("RGB")

    return _Source(what, len(images), read, stored_names)


def _pixels(image: np.ndarray, what: str) -> np.ndarray:
    """Return an image as uint8, (height, width) or (height, width, 3)."""
    _check_image_array(image, what)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    values = image.astype(np.float64)
    if not (values.min() >= 0 and values.max() <= 1):  # false for NaN, too
        raise InputError(
            f"{what}: found values of {values.min():.4g} to {values.max():.4g}, expected 0 to 1 "
            "(or uint8); scale them"
        )
    return np.rint(255 * values).astype(np.uint8)


def _check_image_array(image: np.ndarray, what: str) -> None:
    is_grey = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1)
    is_colour = image.ndim == 3 and image.shape[2] == 3
    is_number = image.dtype == np.uint8 or image.dtype.kind in "fb"
    if not image.size or not (is_grey or is_colour) or not is_number:
        raise InputError(
            f"{what}: found an image of shape {image.shape} and type {image.dtype}, expected "
            "(height, width) or (height, width, 3) of uint8 or of floats from 0 to 1; name another "
            "variable by `key`, or save the images so"
        )
    check_pixels(what, image.shape[1], image.shape[0])


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(
            f"{path}: found no such file, expected stimuli; correct `files` in the config"
        )
    return path


OPENERS = {
    ".zip": _open_zip,
    ".npy": _open_numpy,
    ".npz": _open_numpy,
    ".mat": _open_matlab,
}
