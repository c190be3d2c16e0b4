"""Mappings that numpy pickled: read without running anything that is in them."""

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

from numpy.lib import format as npy

from workflow.lib.errors import InputError
from workflow.lib.words import one_line

# The published ones have a few hundred bytes.
MAX_BYTES = 100_000
MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")

# Operations of a pickle that make a tuple or its like, and that leave something else on top.
TUPLES = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET")
DROPPING = ("DUP", "POP", "POP_MARK")


class _Stored:
    """Stands for whatever numpy pickled, and keeps what it said of itself."""

    state: Any = None

    def __init__(self, *args: object) -> None:
        """Take what the thing was to be made of, and make nothing."""

    def __setstate__(self, state: object) -> None:
        self.state = state


# Not even numpy's own three are called: they may be handed anything.
ALLOWED = {
    *((module, "_reconstruct") for module in MULTIARRAY),
    *(("numpy", name) for name in ("ndarray", "dtype")),
}


class _ForbiddenError(Exception):
    """A pickle names what it has no business with."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in ALLOWED:
            raise _ForbiddenError(f"{module}.{name}")
        return _Stored


def read_mapping(path: Path) -> dict[int, str]:
    """Return the dictionary that a file of `numpy.save` holds, here of labels and their names.

    numpy saves a dictionary as an array without axes of one Python object, that is as a pickle. A
    pickle can call any function by its name; here only `numpy.ndarray`, `numpy.dtype` and
    `_reconstruct` of `numpy.core.multiarray` (or of `numpy._core.multiarray`) may be named, and
    even of those nothing runs.

    Parameters
    ----------
    path : .npy file

    Raises
    ------
    InputError
        The file names anything else, or does not hold a dictionary of int and str alone.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: found no such file, expected the names of ROIs; copy it from the published "
            "folder"
        )
    mapping = _content(path)
    is_mapping = isinstance(mapping, dict) and all(
        type(label) is int and type(name) is str for label, name in mapping.items()
    )
    if not is_mapping:
        raise InputError(
            f"{path}: found something other than a dictionary of numbers and names, expected one; "
            "copy the file again"
        )
    return mapping


def _check_memory(pickled: bytes) -> None:
    """Raise ValueError where a few bytes ask for gigabytes or years.

    A place far out in a list takes gigabytes. Tuples that hold another one twice, and that one
    another twice, have as many members as powers of two, all of which count for the hash of a key.
    """
    is_tuple: dict[int, bool] = {}
    made = ""
    for opcode, argument, _ in pickletools.genops(pickled):
        name = opcode.name
        if "PUT" in name and argument > MAX_BYTES:
            raise ValueError(f"{name} {argument}")
        # numpy reads no tuple again, and drops and repeats nothing.
        if name in DROPPING or ("GET" in name and is_tuple.get(argument)):
            raise ValueError(f"{name} of a tuple")
        if "PUT" in name or name == "MEMOIZE":
            is_tuple[len(is_tuple) if argument is None else argument] = made in TUPLES
        else:
            made = name


def _content(path: Path) -> object:
    """Return the object in an array without axes."""
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(
            f"{path}: found more than {MAX_BYTES:,} bytes, expected the names of a few ROIs; copy "
            "the file again"
        )
    stream = io.BytesIO(data)
    try:
        headers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        shape, _, dtype = headers[npy.read_magic(stream)](stream)
        if shape != () or not dtype.hasobject:
            raise ValueError(f"an array of shape {shape} and type {dtype}")
        _check_memory(data[stream.tell() :])
        _, _, _, _, objects = _Unpickler(stream).load().state
        (content,) = objects
    except _ForbiddenError as error:
        raise InputError(
            f"{path}: found a pickle that names {one_line(error)}, which can run code, expected a "
            "dictionary of numbers and names alone; do not open the file elsewhere, and copy it "
            "again from where it was published"
        ) from error
    # A damaged pickle raises almost anything.
    except Exception as error:
        raise InputError(
            f"{path}: found data that cannot be read ({one_line(error)}), expected a dictionary "
            "written by numpy.save; copy the file again"
        ) from error
    return content
