"""A small study of NIfTI betas in which one region of the brain has the geometry of a model."""

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist, squareform

GRID = (9, 8, 7)
# Voxels of 3 mm; x runs to the left, as scanners have it.
AFFINE = np.diag([-3.0, 3.0, 3.0, 1.0])
AFFINE[:3, 3] = 12, -10, -9
CENTRE, REGION_RADIUS = (5, 3, 3), 2.0
# A sphere of two voxels reaches what lies this far from the centre of the region.
RADIUS_MM, REACH = 6.0, REGION_RADIUS + 2.0
N_CONDITIONS, N_RUNS = 16, 2
CONDITIONS = [f"image_{i:02d}" for i in range(N_CONDITIONS)]
BEYOND_MASK = np.zeros(GRID, dtype=bool)
BEYOND_MASK[0], BEYOND_MASK[:, 0], BEYOND_MASK[:, :, 0] = True, True, True
# Within the mask, without data: a hole, and a voxel alone that it cuts off.
HOLE = (slice(1, 3), slice(5, 8), slice(4, 7))
ALONE = (1, 7, 6)


def distance_from_region() -> np.ndarray:
    """Return how far each voxel lies from the centre of the region, in voxels, of shape GRID."""
    return np.linalg.norm(np.indices(GRID) - np.reshape(CENTRE, (3, 1, 1, 1)), axis=0)


def write_study(folder: Path, subjects: Sequence[str], *, seed: int, effect: float = 1.0) -> None:
    """Write betas, their table, a mask, and the models `planted` and `other`.

    Parameters
    ----------
    folder : where the files go
    subjects : names
    seed : int
    effect : standard deviation of the signal in the region, that of the noise being one; 0 for a
        brain that has nothing to do with the model
    """
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((N_CONDITIONS, 5))
    models = {"planted": features, "other": rng.standard_normal((N_CONDITIONS, 5))}
    for name, values in models.items():
        square = squareform(pdist(values, "correlation"))
        pd.DataFrame(square, columns=CONDITIONS).to_csv(folder / f"{name}.csv", index=False)
    nibabel.save(nibabel.Nifti1Image((~BEYOND_MASK).astype(np.uint8), AFFINE), folder / "mask.nii")
    table = {"image": CONDITIONS * N_RUNS, "run": np.repeat([1, 2], N_CONDITIONS)}
    region = distance_from_region() <= REGION_RADIUS
    for subject in subjects:
        pd.DataFrame(table).to_csv(folder / f"{subject}_betas.tsv", sep="\t", index=False)
        betas = 1 + rng.standard_normal((*GRID, N_RUNS, N_CONDITIONS))
        weights = rng.standard_normal((int(region.sum()), 5)) / np.sqrt(5)
        betas[region] += effect * (weights @ features.T)[:, None]
        alone = betas[ALONE].copy()
        betas[HOLE] = np.nan
        betas[ALONE] = alone
        image = nibabel.Nifti1Image(betas.reshape(*GRID, -1).astype(np.float32), AFFINE)
        nibabel.save(image, folder / f"{subject}_betas.nii.gz")


def study_block(folder: Path, subjects: Sequence[str], **searchlight: object) -> dict:
    """Return the entry of `rsa` for it."""
    return {
        "title": "Simulated volumes",
        "source": "path",
        "path": str(folder),
        "brain": {
            "data": "patterns",
            "files": "{subject}_betas.nii.gz",
            "subjects": {"names": list(subjects), "from": "file_name"},
            "rois": {"names": ["brain"], "from": "constant"},
            "observations": {"file": "{subject}_betas.tsv", "condition": "image", "run": "run"},
        },
        "models": {name: {"files": f"{name}.csv"} for name in ("planted", "other")},
        "searchlight": {"radius": RADIUS_MM, "mask": "mask.nii", **searchlight},
    }
