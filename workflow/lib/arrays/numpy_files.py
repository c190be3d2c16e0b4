"""Arrays in files of numpy."""

import contextlib
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from workflow.lib.arrays.array_file import ArrayFile, damaged, one_of
from workflow.lib.arrays.text import as_strings
from workflow.lib.bombs import check_unpacked_size
from workflow.lib.errors import InputError

# Readers of the headers that arrays of numbers have.
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

# Of the arrays within an .npz.
ARRAY_SUFFIX = ".npy"


class NumpyFile(ArrayFile):
    """.npy, or one array of an .npz."""

    def _open(self) -> None:
        loaded = open_numpy(self.path)
        if isinstance(loaded, np.ndarray):
            self._set_array(loaded)
            return
        self._archive = loaded
        try:
            key = one_of(self.key, loaded.files, self.path.name, "array", "key")
            self.what = f"{self.path.name}, {key}"
            self._set_array(self._member(key))
        except BaseException:
            loaded.close()
            raise

    def _member(self, key: str) -> np.ndarray:
        return array_of(self._archive, key, f"{self.path.name}, {key}")

    def _holds_text(self, key: str) -> bool:
        try:
            return self._member(key).dtype.kind in "SU"
        except InputError:  # pickled metadata beside the array is nobody's business here
            return False

    def stored_names(self, key: str | None) -> list[str]:
        """Return names from another array of the .npz."""
        archive = getattr(self, "_archive", None)
        if archive is None:
            return super().stored_names(key)
        # Numbers can be names too, but only where the config says so.
        candidates = archive.files if key else list(filter(self._holds_text, archive.files))
        chosen = one_of(key, candidates, self.path.name, "array of names", "conditions.key")
        return as_strings(self._member(chosen))

    def close(self) -> None:
        """Close the archive."""
        if hasattr(self, "_archive"):
            self._archive.close()


def open_numpy(path: Path, what: str = "") -> np.ndarray | np.lib.npyio.NpzFile:
    """Open somebody else's .npy, as a memory map, or .npz, whose `files` are its arrays.

    Parameters
    ----------
    path : Path
    what : str
        How errors name the file; by its name, if empty.

    Raises
    ------
    InputError
        The file is damaged, would have to be unpickled, or claims far more than it holds.
    """
    what = what or path.name
    with numpy_errors(what):
        loaded = np.load(path, allow_pickle=False, mmap_mode="r")
    if isinstance(loaded, np.lib.npyio.NpzFile):
        try:
            with numpy_errors(what):
                for member in loaded.zip.infolist():
                    check_unpacked_size(
                        f"{what}, {member.filename}", member.file_size, member.compress_size
                    )
                    _check_shape(loaded.zip, member)
            # Others, such as a readme.txt, are no arrays, and nobody has to choose among them.
            members = [name for name in loaded.zip.namelist() if name.endswith(ARRAY_SUFFIX)]
            loaded.files = [name.removesuffix(ARRAY_SUFFIX) for name in members]
        except InputError:
            loaded.close()
            raise
    return loaded


def array_of(archive: np.lib.npyio.NpzFile, key: str, what: str) -> np.ndarray:
    """Return an array of an .npz; errors call it `what`.

    Raises
    ------
    InputError
        It is damaged or pickled, or no array: numpy gives bytes of whatever begins otherwise.
    """
    with numpy_errors(what):
        array = archive[key]
    if not isinstance(array, np.ndarray):
        raise InputError(
            f"{what}: found data that are no array, expected one that np.savez wrote; name another"
        )
    return array


def _check_shape(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raise ValueError where an array claims more numbers than there are, before they are awaited.

    A member that is no array is its reader's business.
    """
    with archive.open(member) as file:
        try:
            header = HEADERS[npy.read_magic(file)](file)
        except (ValueError, KeyError):
            return
    shape, _, dtype = header
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.file_size} bytes for shape {shape} and type {dtype}")


@contextlib.contextmanager
def numpy_errors(what: str) -> Iterator[None]:
    """Turn what numpy raises on a damaged or pickled file into an InputError that names it."""
    try:
        yield
    except InputError:
        raise
    # A damaged header can say anything, absurd shapes included, and numpy then raises anything.
    except Exception as error:
        if "pickle" not in str(error) and "Python objects" not in str(error):
            raise damaged(what, error) from error
        raise InputError(
            f"{what}: found data that numpy cannot read without unpickling, which can run code, "
            "expected a numeric array written by np.save or np.savez; save it again as numbers "
            "or strings"
        ) from error
