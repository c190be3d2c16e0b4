"""Volumes of several subjects, read batch by batch from their time series."""

from collections.abc import Sequence

import numpy as np

from scripts.emotions.data.timeseries import (
    PARCELS,
    TimeSeries,
    bounding_box,
    boxes,
    require_aligned,
)
from scripts.emotions.labelling.labels import Labels
from workflow.lib.errors import InputError


class MovieVolumes:
    """The volumes of all subjects, cut to the box around the mask, zero outside the mask.

    Parameters
    ----------
    series : sequence of TimeSeries
        One per subject.
    labels : Labels
        Whose rows name volumes.
    what : str
        The analysis, as errors name it.
    scaled : bool
        Whether each volume gets mean 0 and standard deviation 1 over the brain.

    Attributes
    ----------
    box : slices of the box
    mask : bool array, of the box
    shape : its voxels along x, y and z

    Raises
    ------
    InputError
        Parcels, or several subjects whose voxels are not the same places.
    """

    def __init__(
        self, series: Sequence[TimeSeries], labels: Labels, what: str, *, scaled: bool = False
    ):
        require_aligned(series, what)
        if series[0].kind == PARCELS:
            raise InputError(
                f"{series[0].path.name}: found parcels, expected volumes for {what}; give "
                "`data: volumes`, or leave models of kind cnn out"
            )
        self.series, self._mask = list(series), series[0].mask
        self.affine, self.scaled = series[0].affine, scaled
        self.box = bounding_box(self._mask)
        self.mask = self._mask[self.box]
        self.shape = self.mask.shape
        self._runs = labels.table["run"].to_numpy()
        self._volumes = labels.table["volume"].to_numpy()

    def read(self, subjects: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return volumes, float32 (k, *shape), of k subjects (their numbers) and rows."""
        values = np.empty((len(rows), self.series[0].n_features), dtype=np.float32)
        for subject in np.unique(subjects):
            for run in np.unique(self._runs[rows[subjects == subject]]):
                own = (subjects == subject) & (self._runs[rows] == run)
                values[own] = self.series[subject].rows(run, self._volumes[rows[own]])
        if self.scaled:
            values -= values.mean(axis=1, keepdims=True)
            # A volume without differences stays zero.
            values /= np.maximum(values.std(axis=1, keepdims=True), 1e-6)
        return boxes(values, self._mask, self.box)
