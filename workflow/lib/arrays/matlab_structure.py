"""The structure of MATLAB files of version 4 to 7, checked before scipy reads them.

scipy trusts the types and sizes that such a file states of its elements; a file that lies can end
the process without any exception, or keep it busy for ever.

References
----------
MathWorks, MAT-File Format (R2024a), chapters 1 and 2: Level 5 and Level 4 MAT-File Format.
"""

import math
import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import scipy.io.matlab

from workflow.lib.bombs import HARMLESS_BYTES, MOST_TIMES
from workflow.lib.errors import InputError
from workflow.lib.words import one_line

HEADER_BYTES, TAG_BYTES, SMALL_BYTES = 128, 8, 4
MATRIX, COMPRESSED = 14, 15
# Of version 4: code, rows, columns, whether there are imaginary parts, letters of the name; bytes
# of a number by the tens of the code.
HEADER_4, CODES_4, SPARSE_4 = "5i", range(5001), 2
BYTES_4 = {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}
# Types of elements that hold numbers or characters, and those with which an array begins.
NUMBERS = {*range(1, 8), 9, 12, 13, 16, 17, 18}
HEAD = [6, 5, 1]
# Classes of arrays that hold arrays, and how many elements stand before these: cells, structs
# (whose fields have names) and objects (whose class has one, too).
CELL, SPARSE = 1, 5
CONTAINERS = {CELL: 0, 2: 2, 3: 3}
# Other classes, text and numbers. A flag says that imaginary parts follow the real ones.
VALUES = {4, *range(6, 16)}
COMPLEX = 0x800
SAVE_FULL = "save full(...) of it in MATLAB"
# What later versions of MATLAB call objects; these have no dimensions. By these names scipy knows
# them, and variables without a name.
OPAQUE = 17
NAME_OF_OPAQUE, NAME_OF_NAMELESS = "None", "__function_workspace__"
# Of the dimensions of two axes at least, and at most as many as numpy has.
AXES_BYTES = range(8, 4 * 65, 4)
MOST_NESTED = 50
# scipy compares each name of a field to all others.
MOST_FIELDS = 10_000


def check_structure(path: Path, key: str | None = None) -> None:
    """Raise ValueError unless a file of version 4 to 7 is what it says of itself.

    InputError where the variable that is about to be read holds a sparse array.

    Parameters
    ----------
    path : Path
    key : str, optional
        Variable that is about to be read, and is checked throughout; of others, where they begin
        and end. A file may well hold tables and functions beside it, which scipy passes over.
    """
    major, _ = scipy.io.matlab.matfile_version(str(path), appendmat=False)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if major == 0:
            _check_version_4(data)
            return
        order = "<" if data[126:128] == b"IM" else ">"
        with memoryview(data) as whole, whole[HEADER_BYTES:] as elements:
            n_checked = _check_variables(elements, order, key, path, packed=True)
    # scipy has names of its own for what has none, and reads it by them.
    if key is not None and not n_checked:
        raise ValueError(f"no variable {key!r}")


def _check_version_4(data: mmap.mmap) -> None:
    """Raise ValueError unless all variables of a file of version 4 lie in it, one after another."""
    position, size = 0, struct.calcsize(HEADER_4)
    order = "<" if struct.unpack_from("<i", data)[0] in CODES_4 else ">"
    while position < len(data):
        if len(data) - position < size:
            raise ValueError(f"{len(data) - position} bytes where a variable should begin")
        code, *sizes, is_complex, n_letters = struct.unpack_from(order + HEADER_4, data, position)
        of_type, of_class = code // 10 % 10, code % 10
        if code not in CODES_4 or of_type not in BYTES_4 or min(*sizes, n_letters) < 0:
            raise ValueError(f"a variable of code {code}, shape {sizes} and {n_letters} letters")
        n_parts = 2 if is_complex == 1 and of_class != SPARSE_4 else 1
        position += size + n_letters + n_parts * BYTES_4[of_type] * math.prod(sizes)
    if position > len(data):
        raise ValueError(f"{len(data)} bytes of variables that claim {position}")


def _check_variables(
    data: memoryview, order: str, key: str | None, path: Path, *, packed: bool
) -> int:
    """Check the variables of a file; return how many are called `key`.

    `packed` says whether they may be compressed.
    """
    n_checked = 0
    # scipy looks for the next variable where the last one ends, filled up or not.
    for kind, start, size, _ in _tags(data, order, is_filled_up=False):
        with data[start : start + size] as inside:
            if kind == MATRIX:
                n_checked += _check_variable(inside, order, key, path)
            elif kind == COMPRESSED and packed:
                n_checked += _check_variables(
                    memoryview(_unpacked(inside)), order, key, path, packed=False
                )
            else:
                raise ValueError(f"an element of type {kind} where a variable should stand")
    return n_checked


def _check_variable(data: memoryview, order: str, key: str | None, path: Path) -> bool:
    """Check where a variable begins, and all of it if it is called `key`: return whether it is."""
    tags = _tags(data, order)
    kind, start, size, _ = next(tags, (0, 0, 0, 0))
    if (kind, size) != (HEAD[0], TAG_BYTES):
        raise ValueError(f"a variable that begins with an element of type {kind}")
    is_opaque = _flags(data, order, start) & 0xFF == OPAQUE
    head = HEAD[2:] if is_opaque else HEAD[1:]
    found = [next(tags, (0, 0, 0, 0)) for _ in head]
    if [kind for kind, *_ in found] != head:
        raise ValueError("a variable without dimensions or a name")
    _, start, size, _ = found[-1]
    name = bytes(data[start : start + size]).decode("latin-1") or NAME_OF_NAMELESS
    is_wanted = key == name or (is_opaque and key == NAME_OF_OPAQUE)
    if is_wanted:
        _check_array(data, order, 0, f"{path.name}, {one_line(name)}")
    return is_wanted


def _flags(data: memoryview, order: str, start: int) -> int:
    return struct.unpack_from(f"{order}I", data, start)[0]


def _check_array(data: memoryview, order: str, depth: int, what: str) -> None:
    """Check an array: flags with its class, dimensions, name, and what the class has."""
    if depth > MOST_NESTED:
        raise ValueError(f"more than {MOST_NESTED} cells or structs within one another")
    tags = list(_tags(data, order))
    if not tags:  # an empty cell
        return
    kinds = [kind for kind, *_ in tags]
    if kinds[: len(HEAD)] != HEAD or tags[0][2] != TAG_BYTES:
        raise ValueError(f"an array that begins with elements of type {kinds[:3]}")
    flags = _flags(data, order, tags[0][1])
    of_class, is_complex = flags & 0xFF, bool(flags & COMPLEX)
    if of_class in CONTAINERS:
        n_numbers = CONTAINERS[of_class]
        n_arrays = len(tags) - len(HEAD) - n_numbers
    elif of_class in VALUES:
        n_numbers, n_arrays = 1 + is_complex, 0
    elif of_class == SPARSE:
        # Nothing here reads them, and scipy trusts the places that they state.
        raise InputError(f"{what}: found a sparse array, expected full ones; {SAVE_FULL}")
    else:
        raise ValueError(f"an array of class {of_class}")
    n_before = len(HEAD) + n_numbers
    expected = n_numbers * ["numbers"] + n_arrays * ["array"]
    found = ["array" if kind == MATRIX else "numbers" for kind in kinds[len(HEAD) :]]
    if found != expected or COMPRESSED in kinds:
        raise ValueError(f"an array of class {of_class} with elements of type {kinds[:9]}")
    _check_count(data, order, tags, of_class, n_arrays)
    for _, start, size, _ in tags[n_before:]:
        with data[start : start + size] as inside:
            _check_array(inside, order, depth + 1, what)


def _check_count(
    data: memoryview, order: str, tags: list[tuple], of_class: int, n_arrays: int
) -> None:
    """Raise ValueError where dimensions promise another number of elements than there is."""
    _, start, size, _ = tags[1]
    if size not in AXES_BYTES:
        raise ValueError(f"dimensions in {size} bytes")
    n_elements = math.prod(struct.unpack_from(f"{order}{size // 4}i", data, start))
    if of_class in CONTAINERS:
        n_before = len(tags) - n_arrays
        n_fields = 1 if of_class == CELL else _n_fields(data, order, *tags[n_before - 2 : n_before])
        # Structs without fields take no room; scipy counts them all the same.
        is_right = n_arrays == n_elements * n_fields and n_elements <= len(data)
    else:
        is_right = 0 <= n_elements <= tags[len(HEAD)][2]
    if not is_right:
        raise ValueError(f"an array of class {of_class} that promises {n_elements} elements")


def _n_fields(data: memoryview, order: str, length_tag: tuple, names_tag: tuple) -> int:
    """Return how many names of fields there are, each of a certain length and ended by a zero."""
    if length_tag[2] != 4:
        raise ValueError(f"a length of names in {length_tag[2]} bytes")
    (length,) = struct.unpack_from(f"{order}i", data, length_tag[1])
    _, start, size, _ = names_tag
    if length <= 0 or size // length > MOST_FIELDS:
        raise ValueError(f"names of fields in {size} bytes, of {length} each")
    with data[start : start + size] as names:
        if any(names[length - 1 :: length]):
            raise ValueError(f"names of fields that are longer than {length - 1} letters")
    return size // length


def _tags(
    data: memoryview, order: str, *, is_filled_up: bool = True
) -> Iterator[tuple[int, int, int, int]]:
    position = 0
    while position < len(data):
        yield (tag := _tag(data, position, order))
        _, start, size, following = tag
        position = following if is_filled_up else start + size


def _tag(data: memoryview, position: int, order: str) -> tuple[int, int, int, int]:
    """Return the type of an element, where its data begins, its size, and where the next begins."""
    if len(data) - position < TAG_BYTES:
        raise ValueError(f"{len(data) - position} bytes where an element should begin")
    kind, size = struct.unpack_from(f"{order}II", data, position)
    start, following = position + TAG_BYTES, position + TAG_BYTES
    if kind >> 16:  # the data of a small element stand in its tag
        kind, size, start = kind & 0xFFFF, kind >> 16, position + SMALL_BYTES
        fits = size <= SMALL_BYTES
    else:
        following += -(-size // TAG_BYTES) * TAG_BYTES
        fits = start + size <= len(data)
    if kind not in {*NUMBERS, MATRIX, COMPRESSED} or not fits:
        raise ValueError(f"an element of type {kind} and {size} bytes at byte {position}")
    return kind, start, size, following


def _unpacked(packed: memoryview) -> bytes:
    most = max(HARMLESS_BYTES, MOST_TIMES * len(packed))
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(packed, most)
    if unpacker.unconsumed_tail:
        raise ValueError(f"{len(packed)} bytes that unpack to more than {most}")
    return data
