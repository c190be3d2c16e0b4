"""mne-rsa, through its own documented functions; needs benchmarks/requirements.txt."""

import nibabel as nib
import numpy as np
from mne_rsa import compute_rdm, rsa, rsa_nifti

from benchmarks.suite.inputs import RADIUS_OPEN

Arrays = dict[str, np.ndarray]


def correlation_rdm(arrays: Arrays, _units: int) -> Arrays:
    return {"rdm": compute_rdm(arrays["patterns"], metric="correlation")}


def squared_distances(arrays: Arrays, _units: int) -> Arrays:
    return {"rdm": compute_rdm(arrays["patterns"], metric="sqeuclidean")}


def _table(arrays: Arrays, metric: str, n_brains: int | None = None) -> Arrays:
    return {"table": rsa(list(arrays["brains"][:n_brains]), list(arrays["models"]), metric).T}


def pearson_table(arrays: Arrays, _units: int) -> Arrays:
    return _table(arrays, "pearson")


def spearman_table(arrays: Arrays, _units: int) -> Arrays:
    return _table(arrays, "spearman")


def tau_a_table(arrays: Arrays, units: int) -> Arrays:
    return _table(arrays, "kendall-tau-a", units)


def searchlight(arrays: Arrays, units: int) -> Arrays:
    mask = arrays["mask"]
    centres = np.zeros(mask.shape, bool)
    centres[tuple(np.argwhere(mask)[:units].T)] = True
    maps = rsa_nifti(
        nib.Nifti1Image(np.moveaxis(arrays["patterns"], 0, -1), np.eye(4)),
        list(arrays["models"]),
        spatial_radius=RADIUS_OPEN / 1000,  # in metres, of voxels of one millimetre
        roi_mask=nib.Nifti1Image(centres.astype(np.uint8), np.eye(4)),
        brain_mask=nib.Nifti1Image(mask.astype(np.uint8), np.eye(4)),
    )
    return {"map": np.stack([image.get_fdata()[centres] for image in maps], axis=1)}
