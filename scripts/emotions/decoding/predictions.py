"""What a decoder predicts of every used volume, tested once in every split: one HDF5 file.

A group per split holds `probabilities`, float32 (n_subjects, n_rows, n_classes), and `fold`, int16
(n_subjects, n_rows), -1 and NaN where a volume was not tested. Rows are those of labels.csv.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.files import PACKED, written_whole

UNTESTED = -1


@dataclass(frozen=True)
class Predictions:
    """What a model predicts in one split.

    Attributes
    ----------
    probabilities : float32 array (n_subjects, n_rows, n_classes)
        NaN where a volume was not tested.
    fold : int16 array (n_subjects, n_rows)
        In which it was tested, -1 if in none.
    classes, subjects : tuples of str
    """

    probabilities: np.ndarray
    fold: np.ndarray
    classes: tuple[str, ...]
    subjects: tuple[str, ...]

    @property
    def tested(self) -> np.ndarray:
        """Which volumes were tested, bool (n_subjects, n_rows)."""
        return self.fold != UNTESTED

    @property
    def chosen(self) -> np.ndarray:
        """The most probable class of each volume, int (n_subjects, n_rows); -1 if untested."""
        filled = np.where(self.tested[..., None], self.probabilities, 0)
        return np.where(self.tested, filled.argmax(axis=-1), -1)


def empty_predictions(classes: Sequence[str], subjects: Sequence[str], n_rows: int) -> Predictions:
    """Return predictions of nothing, whose arrays are filled fold by fold."""
    shape = len(subjects), n_rows
    return Predictions(
        np.full((*shape, len(classes)), np.nan, np.float32),
        np.full(shape, UNTESTED, np.int16),
        tuple(classes),
        tuple(subjects),
    )


class PredictionWriter:
    """A file that is being written, see `prediction_file`."""

    def __init__(
        self, file: h5py.File, *, model: str, classes: Sequence[str], subjects: Sequence[str]
    ) -> None:
        self.file, self.classes, self.subjects = file, tuple(classes), tuple(subjects)
        file.attrs.update(model=model, classes=self.classes, subjects=self.subjects)

    def add(self, split: str, probabilities: np.ndarray, fold: np.ndarray) -> None:
        """Write the predictions of a split.

        Parameters
        ----------
        split : str
        probabilities : float array (n_subjects, n_rows, n_classes)
            Not looked at where a volume was not tested.
        fold : int array (n_subjects, n_rows)
            -1 where a volume was not tested.

        Raises
        ------
        ValueError
            Shapes that are not those of the file's subjects and classes, or probabilities of a
            tested volume that are not positive with a sum of one.
        """
        tested = fold != UNTESTED
        if probabilities.shape != (*fold.shape, len(self.classes)) or len(fold) != len(
            self.subjects
        ):
            raise ValueError(f"found shapes {probabilities.shape} and {fold.shape}")
        known = probabilities[tested]
        if not (known >= 0).all() or not np.allclose(known.sum(axis=-1), 1, atol=1e-3):
            raise ValueError(f"split {split}: rows of tested volumes are no probabilities")
        group = self.file.create_group(split)
        filled = np.where(tested[..., None], probabilities, np.nan).astype(np.float32)
        group.create_dataset("probabilities", data=filled, **PACKED)
        group.create_dataset("fold", data=fold.astype(np.int16), **PACKED)


@contextlib.contextmanager
def prediction_file(
    path: str | Path, *, model: str, classes: Sequence[str], subjects: Sequence[str]
) -> Iterator[PredictionWriter]:
    """Give a file to add the predictions of splits to; it is there once the block ends well."""
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        yield PredictionWriter(file, model=model, classes=classes, subjects=subjects)


def read_predictions(path: str | Path) -> dict[str, Predictions]:
    """Return the predictions of every split of a file.

    Raises
    ------
    InputError
        A file without predictions.
    """
    with h5py.File(path, "r") as file:
        if "classes" not in file.attrs:
            raise InputError(
                f"{path}: found no predictions, expected those of a decoder; delete the file and "
                "run again"
            )
        named = (tuple(map(str, file.attrs[key])) for key in ("classes", "subjects"))
        classes, subjects = named
        return {
            split: Predictions(
                group["probabilities"][()], group["fold"][()].astype(int), classes, subjects
            )
            for split, group in file.items()
        }


def model_of(path: str | Path) -> str:
    """Return the name of the model whose predictions a file holds."""
    with h5py.File(path, "r") as file:
        return str(file.attrs["model"])
