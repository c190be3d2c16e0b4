"""Predictions of a subject's pairs by all fits of a model: one HDF5 file.

A group roi/metric/embedding/variant/split per fit ("none" where there is no embedding or variant)
holds `predicted`, condensed and NaN where a pair was not tested; `true`, by the labels of the folds
in which a pair was tested and by those of all images elsewhere; and `draws`: its scores in
resamples of the images, the same for all models of a subject, so that fits can be compared.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.files import written_whole
from workflow.lib.pairs.evaluation import MEASURES, Predictions
from workflow.lib.rdms.vectors import condensed_index

GROUP = ("roi", "metric", "embedding", "variant", "split")
NONE = "none"


def group_name(labels: Mapping[str, str]) -> str:
    """Return the group of a fit."""
    return "/".join(labels[name] or NONE for name in GROUP)


class PredictionFile:
    """A file that is being written, see `prediction_file`."""

    def __init__(self, file: h5py.File, names: Sequence[str], *, subject: str, model: str) -> None:
        self.file, self.n_images = file, len(names)
        file.attrs.update(subject=subject, model=model, measures=MEASURES)
        # A dataset: thousands of names are too large for an attribute.
        file["names"] = np.array([name.encode() for name in names])

    def add(
        self,
        labels: Mapping[str, str],
        values: np.ndarray,
        tests: Sequence[Predictions],
        draws: np.ndarray,
    ) -> None:
        """Write the predictions of a fit, float32.

        Parameters
        ----------
        labels : mapping with a str for each of `GROUP`
        values : float array (n_pairs,)
            The RDM of all images.
        tests : sequence of Predictions, of every fold
        draws : float64 array (n_resamples, n_measures)
        """
        # All fits to one ROI and metric share it.
        shared = f"{labels['roi']}/{labels['metric']}/true/{labels['split']}"
        if shared not in self.file:
            true = _condensed(tests, self.n_images, "true")
            self.file[shared] = np.where(np.isnan(true), values, true).astype(np.float32)
        predicted = _condensed(tests, self.n_images, "predicted")
        group = self.file.create_group(group_name(labels))
        group["true"] = self.file[shared]
        group.create_dataset("predicted", data=predicted, compression="lzf")
        group["draws"] = draws


@contextlib.contextmanager
def prediction_file(
    path: str | Path, names: Sequence[str], *, subject: str, model: str
) -> Iterator[PredictionFile]:
    """Give a file to add predictions to; it is there once the block ends well.

    Parameters
    ----------
    path : str or Path
    names : sequence of n_images str
    subject, model : str
    """
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        yield PredictionFile(file, names, subject=subject, model=model)


def read_draws(path: str | Path) -> dict[tuple[str, ...], np.ndarray]:
    """Return the draws of all fits of a file.

    Returns
    -------
    dict, (subject, model, roi, metric, embedding, variant, split) ->
        float64 array (n_resamples, n_measures), measures in the order of
        `workflow.lib.pairs.evaluation.MEASURES`
    """
    draws = {}
    with h5py.File(path, "r") as file:
        of_file = str(file.attrs["subject"]), str(file.attrs["model"])

        def take(name: str, group: h5py.Group | h5py.Dataset) -> None:
            if isinstance(group, h5py.Group) and "draws" in group:
                labels = ("" if label == NONE else label for label in name.split("/"))
                draws[(*of_file, *labels)] = group["draws"][()]

        file.visititems(take)
    return draws


def _condensed(tests: Sequence[Predictions], n_images: int, field: str) -> np.ndarray:
    """Return a field of tests by condensed pairs, the mean of those of a pair of two folds."""
    n_pairs = n_images * (n_images - 1) // 2
    sums, times = np.zeros(n_pairs), np.zeros(n_pairs, np.uint8)
    for test in tests:
        # Within a fold no pair is tested twice.
        index = condensed_index(test.first, test.second, n_images)
        sums[index] += getattr(test, field)
        times[index] += 1
    with np.errstate(invalid="ignore"):
        return (sums / np.where(times, times, np.nan)).astype(np.float32)
