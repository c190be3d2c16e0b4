"""nilearn: connectivity between conditions is the correlation of an RDM; any score per sphere."""

import h5py
import nibabel as nib
import numpy as np
from nilearn.connectome import ConnectivityMeasure
from nilearn.decoding import SearchLight
from nilearn.masking import unmask
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.covariance import EmpiricalCovariance

from benchmarks.suite.inputs import RADIUS_OPEN, VOLUMES_AT_ONCE

Arrays = dict[str, np.ndarray]


def correlation_rdm(arrays: Arrays, _units: int) -> Arrays:
    patterns = arrays["patterns"]
    measure = ConnectivityMeasure(
        kind="correlation",
        cov_estimator=EmpiricalCovariance(store_precision=False),
        standardize="zscore_sample",
    )
    correlations = measure.fit_transform([patterns.T])[0]
    return {"rdm": 1 - correlations[np.triu_indices(len(patterns), 1)]}


class _Unfitted(ClassifierMixin, BaseEstimator):
    """What nilearn asks for: an estimator. There is nothing to fit."""

    def fit(self, _patterns: np.ndarray, labels: np.ndarray) -> "_Unfitted":
        self.classes_ = np.unique(labels)
        return self


def searchlight(arrays: Arrays, units: int) -> Arrays:
    """Score every sphere, once per model: nilearn keeps one number of a sphere."""
    mask = arrays["mask"]
    centres = np.zeros(mask.shape, np.uint8)
    chosen = tuple(np.argwhere(mask)[:units].T)
    centres[chosen] = 1
    n_conditions = len(arrays["patterns"])
    everything = np.arange(n_conditions)
    maps = []
    for model in arrays["models"]:

        def similarity(_estimator, patterns, _labels, model=model) -> float:
            return spearmanr(pdist(patterns, "correlation"), model).statistic

        spheres = SearchLight(
            nib.Nifti1Image(mask.astype(np.uint8), np.eye(4)),
            nib.Nifti1Image(centres, np.eye(4)),
            radius=RADIUS_OPEN,
            estimator=_Unfitted(),
            scoring=similarity,
            cv=[(everything, everything)],
        )
        images = nib.Nifti1Image(np.moveaxis(arrays["patterns"], 0, -1), np.eye(4))
        maps.append(spheres.fit(images, everything).scores_[chosen])
    return {"map": np.stack(maps, axis=1)}


def movie_batches(arrays: Arrays, units: int) -> Arrays:
    """h5py picks the rows of a batch, nilearn puts them into volumes."""
    mask = nib.Nifti1Image(arrays["mask"].astype(np.uint8), np.eye(4))
    middle = tuple(n // 2 for n in arrays["mask"].shape)
    order, sums, middles = arrays["order"][:units], [], []
    files = [h5py.File(str(file)) for file in arrays["files"]]
    datasets = [file["runs/1"] for file in files]
    for start in range(0, units, VOLUMES_AT_ONCE):
        subjects, rows = np.divmod(order[start : start + VOLUMES_AT_ONCE], len(datasets[0]))
        values = np.empty((len(rows), datasets[0].shape[1]), np.float32)
        for subject, dataset in enumerate(datasets):
            (own,) = np.nonzero(subjects == subject)
            sorted_rows = own[np.argsort(rows[own])]
            values[sorted_rows] = dataset[rows[sorted_rows]]
        volumes = unmask(values, mask).get_fdata()
        sums.append(volumes.sum(axis=(0, 1, 2)))
        middles.append(volumes[middle].copy())
    return {"sums": np.concatenate(sums), "middles": np.concatenate(middles)}
