"""What a model predicts of a subject's pairs: what fits leave, and scores are made of.

A group per fit, numbered in the order of the fits, has the labels of the fit as attributes. The
datasets `first`, `second` and `fold` name the tested pairs, fold after fold; `true` and `predicted`
are their dissimilarities, `true` by the labels of the fold; `measured` is the condensed RDM of all
images. What fits have in common is in the file once. A fit that was not applicable has the
attribute `reason`, and no datasets.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.files import PACKED, written_whole
from workflow.lib.pairs.predictions import PairPredictions

# What tells the fits of a file apart, beside the number of training images.
OF_FIT = ("roi", "metric", "embedding", "variant", "split")
OF_PAIRS = ("first", "second", "true", "predicted")


@dataclass(frozen=True)
class SplitPredictions:
    """What fits of a model to an RDM, one in every fold of images, predict of a split's test pairs.

    Attributes
    ----------
    labels : dict with a str for each of `OF_FIT`
    tests : list of PairPredictions, of every fold; none where the model is not applicable
    asked : int or None
        Number of training images asked for, for a learning curve; None for all there are.
    n_training_images, n_training_pairs : int
        The fewest of a fold.
    symmetry_error : float
        The largest of a fold.
    reason : str
        Why the model is not applicable.
    """

    labels: dict[str, str]
    tests: list[PairPredictions]
    asked: int | None = None
    n_training_images: int = 0
    n_training_pairs: int = 0
    symmetry_error: float = np.nan
    reason: str = ""


class PredictionFile:
    """A file that is being written, see `prediction_file`."""

    def __init__(self, file: h5py.File) -> None:
        self.file = file
        self._shared: dict[tuple, h5py.Dataset] = {}

    def add(self, fits: SplitPredictions, measured: np.ndarray | None = None) -> None:
        """Write the predictions of a split.

        Parameters
        ----------
        fits : SplitPredictions
        measured : float array (n_images (n_images - 1) / 2,)
            The RDM of all images; not for fits that were not applicable.
        """
        group = self.file.create_group(f"fits {len(self.file) - 1:06d}")
        group.attrs.update(fits.labels)
        if fits.reason:
            group.attrs["reason"] = fits.reason
            return
        group.attrs["n_training_images"] = fits.n_training_images
        group.attrs["n_training_pairs"] = fits.n_training_pairs
        group.attrs["symmetry_error"] = fits.symmetry_error
        if fits.asked is not None:
            group.attrs["asked"] = fits.asked
        # All models of a subject test the same pairs, and all fits to an RDM the same values.
        rdm = fits.labels["roi"], fits.labels["metric"]
        pairs = fits.labels["split"], fits.asked
        sizes = [test.first.size for test in fits.tests]
        self._share(group, "fold", pairs, np.repeat(np.arange(len(sizes), dtype=np.int16), sizes))
        for name, of in (("first", pairs), ("second", pairs), ("true", (*rdm, *pairs))):
            self._share(group, name, of, _together(fits.tests, name))
        self._share(group, "measured", rdm, measured)
        group.create_dataset("predicted", data=_together(fits.tests, "predicted"), **PACKED)

    def _share(self, group: h5py.Group, name: str, of: tuple, values: np.ndarray) -> None:
        """Write values once, and link them into every group that has them."""
        if (name, *of) not in self._shared:
            made = group.create_dataset(name, data=values, **PACKED)
            self._shared[(name, *of)] = made
        else:
            group[name] = self._shared[(name, *of)]


def _together(tests: Sequence[PairPredictions], name: str) -> np.ndarray:
    return np.concatenate([getattr(test, name) for test in tests])


@contextlib.contextmanager
def prediction_file(
    path: str | Path, names: Sequence[str], **of_file: str
) -> Iterator[PredictionFile]:
    """Give a file to add predictions to; it is there once the block ends well.

    Parameters
    ----------
    path : str or Path
    names : sequence of n_images str
    of_file : study, subject, model and kind
    """
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(of_file)
        # A dataset: thousands of names are too large for an attribute.
        file["names"] = np.array([name.encode() for name in names])
        yield PredictionFile(file)


@dataclass(frozen=True)
class ModelPredictions:
    """What a model predicts of a subject's pairs; one split of one fit is read at a time.

    Attributes
    ----------
    path : Path
    labels : dict with study, subject, model and kind
    names : list of n_images str
    """

    path: Path
    labels: dict[str, str]
    names: list[str]

    def __iter__(self) -> Iterator[SplitPredictions]:
        """Yield everything, in the order in which it was written."""
        with h5py.File(self.path, "r") as file:
            for name in _groups(file):
                yield self._read(file[name])

    def find(self, labels: Mapping[str, str]) -> tuple[SplitPredictions, np.ndarray] | None:
        """Return what fits to all training images predict, and the RDM of all images.

        Parameters
        ----------
        labels : mapping with a str for each of `OF_FIT`

        Returns
        -------
        SplitPredictions, and float array (n_images (n_images - 1) / 2,)
            None where the model was not applicable.

        Raises
        ------
        InputError
            Predictions of another number of pairs than there are true dissimilarities.
        """
        with h5py.File(self.path, "r") as file:
            for name in _groups(file):
                given = file[name].attrs
                fitted = not {"asked", "reason"} & set(given)
                if fitted and all(given[key] == labels[key] for key in OF_FIT):
                    return self._read(file[name]), file[name]["measured"][()]
        return None

    def _read(self, group: h5py.Group) -> SplitPredictions:
        given: dict[str, Any] = dict(group.attrs)
        labels = {name: str(given.pop(name)) for name in OF_FIT}
        if "reason" in given:
            return SplitPredictions(labels, [], reason=str(given["reason"]))
        n_predicted, n_true = (group[name].size for name in ("predicted", "true"))
        if n_predicted != n_true:
            raise InputError(
                f"{self.path.name}, {'/'.join(labels.values())}: found {n_predicted} predicted "
                f"pairs for {n_true} true ones, expected as many; delete the file, so that it is "
                "written again"
            )
        starts = np.flatnonzero(np.diff(group["fold"][()])) + 1
        of_folds = (np.split(group[name][()], starts) for name in OF_PAIRS)
        tests = [PairPredictions(*parts) for parts in zip(*of_folds, strict=True)]
        return SplitPredictions(
            labels, tests, **{key: value.item() for key, value in given.items()}
        )


def read_predictions(path: str | Path) -> ModelPredictions:
    """Return what a file holds, see `prediction_file`."""
    with h5py.File(path, "r") as file:
        labels = {name: str(label) for name, label in file.attrs.items()}
        names = [name.decode() for name in file["names"][()]]
        return ModelPredictions(Path(path), labels, names)


def _groups(file: h5py.File) -> list[str]:
    return [name for name in file if name != "names"]
