"""RDMs in files of any format: axes over RDMs, and checks of each."""

import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.arrays.array_file import ArrayFile, damaged
from workflow.lib.errors import InputError
from workflow.lib.rdms.vectors import as_floats, check_dissimilarities, n_conditions, to_condensed

# What errors about the shape of RDMs end with.
IF_NO_RDMS = (
    "; activations (images x units) are given by `features`, responses by `brain: {data: patterns}`"
)


class RDMFile(ArrayFile):
    """RDMs in one variable of one file.

    Attributes
    ----------
    shape : tuple of int
        Axes over RDMs; () for a file with a single RDM.
    descriptors : dict, name -> array of str of size prod(shape)
        Labels of the RDMs, where the format has them.
    """

    contents = "RDMs"
    usual_field = "RDM"

    def __init__(self, path: Path, key: str | None, field: str | None) -> None:
        self.shape: tuple[int, ...] = ()
        super().__init__(path, key, field)
        # A struct whose field holds several RDMs has fewer labels than RDMs: they name no RDM.
        n_rdms = math.prod(self.shape)
        self.descriptors = {
            name: values for name, values in self.descriptors.items() if len(values) == n_rdms
        }

    def _raw(self, index: tuple[int, ...]) -> np.ndarray:
        """Return one RDM as stored: square, or condensed with any singleton axes."""
        raise NotImplementedError

    def vector(self, index: Sequence[int], names: Sequence[str] | None = None) -> np.ndarray:
        """Return one RDM as a checked condensed vector, (n_pairs,) in its stored dtype.

        Parameters
        ----------
        index : its place along each axis over RDMs
        names : sequence of n_conditions str, optional
            The conditions, for errors.
        """
        where = self._where(index)
        values = self._floats(index)
        if values.ndim == 2:
            values = to_condensed(values, where, names)
        return check_dissimilarities(values, where, names)

    def _where(self, index: Sequence[int]) -> str:
        return f"{self.what}{list(index) if index else ''}"

    def _floats(self, index: Sequence[int]) -> np.ndarray:
        """Return one RDM as floats, (n, n) or (n_pairs,), of which only the shape is checked."""
        where = self._where(index)
        raw = self._raw(tuple(index))
        values = np.squeeze(raw) if raw.ndim > 2 or 1 in raw.shape else raw
        if values.dtype.kind not in "fiub":
            raise _not_numbers(where, values)
        if values.ndim == 2 and values.shape[0] != values.shape[1]:
            raise InputError(
                f"{where}: found shape {values.shape}, expected a square RDM; give one row and one "
                f"column per condition{IF_NO_RDMS}"
            )
        if values.ndim not in (1, 2):
            raise InputError(
                f"{where}: found shape {raw.shape}, expected one RDM, square or condensed; "
                f"describe the other axes as subjects, sessions, rois or layers{IF_NO_RDMS}"
            )
        with _naming(where):
            n_conditions(values.size if values.ndim == 1 else math.comb(len(values), 2))
        return as_floats(values)

    @cached_property
    def n_conditions(self) -> int:
        """Number of conditions of the file's RDMs."""
        with _naming(self.what):
            return self._n_conditions()

    def _n_conditions(self) -> int:
        values = self._floats((0,) * len(self.shape))
        return len(values) if values.ndim == 2 else n_conditions(values.size)


class ArrayRDMFile(RDMFile):
    """RDMs in a numeric array, square or condensed, with axes over RDMs before or after them."""

    def _set_array(
        self, array: np.ndarray | h5py.Dataset, rdm_axes: tuple[int, ...] | None = None
    ) -> None:
        if array.dtype.kind not in "fiub" or array.shape is None:
            raise _not_numbers(self.what, array)
        self.array = array
        self._rdm_axes = rdm_axes or _find_rdm_axes(array, self.what)
        # MATLAB and careless np.save calls leave axes of length one; the config need not say so.
        self._kept = tuple(
            axis
            for axis, length in enumerate(array.shape)
            if length != 1 and axis not in self._rdm_axes
        )
        self.shape = tuple(array.shape[axis] for axis in self._kept)

    def _raw(self, index: tuple[int, ...]) -> np.ndarray:
        try:
            return _one_rdm(self.array, self._rdm_axes, dict(zip(self._kept, index, strict=True)))
        except OSError as error:
            raise damaged(self.what, error) from error

    def _n_conditions(self) -> int:
        length = int(self.array.shape[self._rdm_axes[-1]])
        return length if len(self._rdm_axes) == 2 else n_conditions(length)


def _one_rdm(
    array: np.ndarray | h5py.Dataset,
    rdm_axes: tuple[int, ...],
    position: Mapping[int, int] | None = None,
) -> np.ndarray:
    """Return one RDM: everything along `rdm_axes`, one position (0 if not given) elsewhere."""
    place = [
        slice(None) if axis in rdm_axes else (position or {}).get(axis, 0)
        for axis in range(array.ndim)
    ]
    return np.asarray(array[tuple(place)])


def _find_rdm_axes(array: np.ndarray | h5py.Dataset, what: str) -> tuple[int, ...]:
    """Return the two axes of square RDMs, or the one axis of condensed ones.

    numpy users save (subjects, n, n) and (subjects, n_pairs), MATLAB users (n, n, subjects) and
    (n_pairs, subjects). Neighbouring axes of one length hold square RDMs if what lies there is
    symmetric with a zero diagonal; the last ones need no such look where no others compete.
    Condensed RDMs lie along the first or last axis, the one that can hold n(n-1)/2 pairs; where
    both can, along the longer: there are fewer subjects than pairs.
    """
    axes = [axis for axis, length in enumerate(array.shape) if length > 1]
    if not axes or 0 in array.shape:
        raise InputError(
            f"{what}: found {array.size} number(s) of shape {array.shape}, expected RDMs; name "
            "another variable by `key` in the config"
        )
    equal = [pair for pair in itertools.pairwise(axes) if len({array.shape[i] for i in pair}) == 1]
    if equal == [tuple(axes[-2:])]:
        return equal[0]
    for pair in reversed(equal):
        if _is_square_rdm(_one_rdm(array, pair)):
            return pair
    # None is an RDM as it stands: take the likeliest, whose error then says what is wrong.
    for pair in reversed(equal):
        if pair[1] == axes[-1] or array.shape[pair[0]] == max(array.shape):
            return pair
    possible = [axis for axis in (axes[-1], axes[0]) if _is_triangular(array.shape[axis])]
    if len(axes) > 1 and not possible:
        raise InputError(
            f"{what}: found an array of shape {array.shape}, expected two axes of one length "
            "(square RDMs), or one of n(n-1)/2 dissimilarities, such as 3, 6 or 10; give one row "
            f"and one column per condition{IF_NO_RDMS}"
        )
    return (max(possible or axes[-1:], key=lambda axis: array.shape[axis]),)


def _is_square_rdm(values: np.ndarray) -> bool:
    values = np.squeeze(values)
    try:
        to_condensed(values, "")
    except InputError:
        return False
    return bool(values.any())


def _is_triangular(n_pairs: int) -> bool:
    try:
        n_conditions(n_pairs)
    except InputError:
        return False
    return True


def _not_numbers(what: str, values: np.ndarray | h5py.Dataset) -> InputError:
    return InputError(
        f"{what}: found values of type {values.dtype}, expected numbers; name another variable by "
        "`key` in the config, or export the RDMs as numbers"
    )


@contextlib.contextmanager
def _naming(what: str) -> Iterator[None]:
    """Put the file in front of an error about a number of pairs, which does not know it."""
    try:
        yield
    except InputError as error:
        known = str(error).startswith(what)
        raise InputError(str(error) if known else f"{what}: {error}{IF_NO_RDMS}") from None
