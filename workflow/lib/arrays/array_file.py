"""What all formats of files with arrays share: how they are opened, chosen from, and refused."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.words import one_line

# Of names in a file, which in a damaged one may be anything.
MOST_LISTED, MOST_LETTERS = 40, 80


class ArrayFile:
    """One variable of one file; what may be in it is for subclasses to say, see `_set_array`.

    Attributes
    ----------
    what : str
        The file (and variable) as errors name it.
    array : array
        Once the file is open; an HDF5 dataset is not read before it is asked for.
    descriptors : dict, name -> array of str
        Labels of the members of a struct array.
    contents : str
        What errors call what is looked for.
    usual_field : str or None
        Field of a struct array that is taken where the config names none.
    """

    contents = "numbers"
    usual_field: str | None = None
    array: np.ndarray | h5py.Dataset

    def __init__(self, path: Path, key: str | None, field: str | None) -> None:
        self.path, self.key, self.field = path, key, field
        self.what = path.name if key is None else f"{path.name}, {key}"
        self.descriptors: dict[str, np.ndarray] = {}
        self._open()

    def _open(self) -> None:
        raise NotImplementedError

    def _set_array(self, array: np.ndarray | h5py.Dataset) -> None:
        """Take the array that was found in the file, or refuse it."""
        raise NotImplementedError

    def _field_of(self, available: Sequence[str]) -> str:
        """Return the field of a struct array that holds the arrays."""
        usual = self.usual_field if self.usual_field in available else None
        return one_of(self.field or usual, available, self.what, "struct field", "field")

    def stored_names(self, key: str | None) -> list[str]:
        """Return the names of the conditions that the file itself holds.

        Parameters
        ----------
        key : str or None
            Descriptor or variable with the names; None to look for the only candidate.
        """
        raise InputError(
            f"{self.what}: found no names of conditions in this format, expected `conditions: "
            "{from: list, file: ...}` or, if all files share one order, `{from: order}`"
        )

    def close(self) -> None:
        """Release the file."""


def damaged(what: str, error: Exception) -> InputError:
    """Return the error for a file that another library could not read."""
    return InputError(
        f"{what}: found data that cannot be read ({one_line(error)}), expected a whole file; "
        "download or copy it again"
    )


def stacked(
    arrays: list[np.ndarray], shape: tuple[int, ...], what: str, contents: str
) -> np.ndarray:
    """Return equally shaped arrays as one (*shape, ...); `contents` is what errors call them."""
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        raise InputError(
            f"{what}: found {contents} of {len(shapes)} different shapes {sorted(shapes)}, "
            "expected one shape; keep conditions apart that not all of them have"
        )
    return np.stack(arrays).reshape(*shape, *shapes.pop())


def one_of(
    wanted: str | None, available: Sequence[str], where: str, kind: str, setting: str
) -> str:
    """Return the wanted name, or the only one there is.

    Parameters
    ----------
    wanted : str or None
        What the config names, if it does.
    available : sequence of str
    where, kind, setting : str
        How errors name the file, what the names stand for, and the config key to correct.

    Raises
    ------
    InputError
        There is no such name, or no way to choose.
    """
    if wanted is None and len(available) == 1:
        return available[0]
    if wanted in available:
        return str(wanted)
    told = [repr(name)[:MOST_LETTERS] for name in available[:MOST_LISTED]]
    more = [f"{len(available) - MOST_LISTED} more"] * (len(available) > MOST_LISTED)
    listed = ", ".join(told + more) or "none"
    found = f"several ({listed})" if wanted is None and available else listed
    expected = "one" if wanted is None else repr(wanted)
    raise InputError(
        f"{where}: found {kind}: {found}; expected {expected}; name it by `{setting}` in the config"
    )
