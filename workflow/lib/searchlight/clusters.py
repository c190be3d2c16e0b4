"""Clusters of significant voxels, with their peaks."""

import numpy as np
import pandas as pd
import scipy.ndimage

from workflow.lib.searchlight.tfce import FACES, structure


def cluster_table(
    values: np.ndarray,
    p: np.ndarray,
    mask: np.ndarray,
    affine: np.ndarray,
    *,
    alpha: float = 0.05,
    connectivity: int = FACES,
    min_voxels: int = 1,
) -> pd.DataFrame:
    """Return the clusters of significant voxels of a map, from the largest to the smallest.

    Parameters
    ----------
    values, p : float arrays (n_centres,)
        The statistic and its p-value; NaN is not significant.
    mask : bool array (x, y, z)
        Its voxels are the centres.
    affine : float array (4, 4)
    alpha : float
        A voxel is significant if p <= alpha.
    connectivity : 6, 18 or 26
    min_voxels : int
        Smaller clusters are left out.

    Returns
    -------
    DataFrame, columns cluster (1, 2, ...), n_voxels, volume_mm3; x_mm, y_mm, z_mm, i, j, k, value
    and p of the peak, the voxel with the largest value
    """
    volume = np.zeros(mask.shape, dtype=bool)
    volume[mask] = p <= alpha
    labels, n_clusters = scipy.ndimage.label(volume, structure(connectivity))
    numbers = labels[mask]
    voxels = np.argwhere(mask)
    sizes = np.bincount(numbers, minlength=n_clusters + 1)
    voxel_volume = abs(np.linalg.det(np.asarray(affine)[:3, :3]))
    rows = []
    for number in sorted(range(1, n_clusters + 1), key=lambda number: -sizes[number]):
        if sizes[number] < min_voxels:
            continue
        members = np.flatnonzero(numbers == number)
        peak = members[np.argmax(values[members])]
        x, y, z = affine[:3, :3] @ voxels[peak] + affine[:3, 3]
        i, j, k = voxels[peak].tolist()
        rows.append(
            {
                **{"cluster": len(rows) + 1, "n_voxels": int(sizes[number])},
                **{"volume_mm3": sizes[number] * voxel_volume},
                **{"x_mm": x, "y_mm": y, "z_mm": z, "i": i, "j": j, "k": k},
                **{"value": float(values[peak]), "p": float(p[peak])},
            }
        )
    return pd.DataFrame(rows, columns=list(CLUSTER_COLUMNS))


CLUSTER_COLUMNS = (
    *("cluster", "n_voxels", "volume_mm3"),
    *("x_mm", "y_mm", "z_mm", "i", "j", "k", "value", "p"),
)
