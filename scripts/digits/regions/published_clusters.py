"""What the original finds in maps of a group, and how layers fare where it finds a code.

The original's threshold is a percentile of t over subjects whose voxels are drawn for each subject
at random; what is beyond it in a cluster of some size is a finding. A code's region are its
clusters of positive t, and layers are averaged there, over positive t alone, from the same maps.

References
----------
Lee, Jung, Lustig, Lee 2023, Hum Brain Mapp, doi:10.1002/hbm.26189.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import scipy.ndimage

from scripts.digits.regions.choices import ALL_RUNS, CIRCULAR, HELD_OUT_RUNS
from workflow.lib.inference.sign_flip import t_statistics

# The original's: clusters of at least so many voxels that touch by a face or an edge.
CLUSTER_VOXELS = 20
NEIGHBOURS = scipy.ndimage.generate_binary_structure(3, 2)
# Draws of a voxel per subject.
N_DRAWS = 10_000
# Parts of the data: all runs, and the odd and the even ones.
WHOLE, FIRST, SECOND = "whole", "first", "second"
# Way of choosing -> the part in which a region is chosen, and that in which it is tested.
WAYS = {
    ALL_RUNS: [(WHOLE, WHOLE)],
    HELD_OUT_RUNS: [(FIRST, SECOND), (SECOND, FIRST)],
    CIRCULAR: [(FIRST, FIRST), (SECOND, SECOND)],
}
REGION = ["code", "chosen_in", "model", "layer"]
COLUMNS = [*REGION, "t", "t_of_positive", "n_voxels"]


def group_t(maps: np.ndarray) -> np.ndarray:
    """Return t over subjects, (n_voxels,), of maps (n_subjects, n_voxels)."""
    return t_statistics(np.ones((1, len(maps))), maps)[0]


def published_clusters(
    maps: np.ndarray, mask: np.ndarray, *, alpha: float, rng: np.random.Generator
) -> np.ndarray:
    """Return where the original's threshold leaves a cluster.

    Parameters
    ----------
    maps : float array (n_subjects, n_voxels)
        Fisher's z, a map per subject; two subjects at least.
    mask : bool array (x, y, z) of n_voxels
    alpha : level of a voxel, for both ends together
    rng : numpy Generator

    Returns
    -------
    int8 array (n_voxels,)
        1 in clusters of large t, -1 in those of small t, else 0.
    """
    n_subjects, n_voxels = maps.shape
    drawn = rng.integers(n_voxels, size=(n_subjects, N_DRAWS))
    pooled = group_t(np.take_along_axis(maps, drawn, axis=1))
    low, high = np.percentile(pooled, [100 * alpha / 2, 100 - 100 * alpha / 2])
    observed = group_t(maps)
    found = np.zeros(n_voxels, dtype=np.int8)
    for sign, beyond in ((1, observed >= high), (-1, observed <= low)):
        volume = np.zeros(mask.shape, dtype=bool)
        volume[mask] = beyond
        labels, _ = scipy.ndimage.label(volume, NEIGHBOURS)
        large = np.bincount(labels.ravel()) >= CLUSTER_VOXELS
        large[0] = False
        found[large[labels[mask]]] = sign
    return found


def group_regions(
    parts: Mapping[str, np.ndarray],
    mask: np.ndarray,
    rows: pd.DataFrame,
    codes: list[str],
    *,
    alpha: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return t over subjects of every layer in the region of every code.

    Parameters
    ----------
    parts : mapping, `WHOLE` and, where there are runs, `FIRST` and `SECOND` -> float array
        (n_subjects, n_layers, n_voxels), Fisher's z; NaN where there is none; two subjects at
        least.
    mask : bool array (x, y, z) of n_voxels
    rows : DataFrame (n_layers), columns model and layer
        What the maps are of, codes among them.
    codes : names of the codes whose regions are looked for
    alpha, rng : see `published_clusters`

    Returns
    -------
    DataFrame, columns `COLUMNS`
        t, mean over the region; t_of_positive, mean over its voxels of positive t; NaN where no
        cluster is found. Means over halves that have a region.
    """
    usable = np.all([np.isfinite(z).all(axis=(0, 1)) for z in parts.values()], axis=0)
    volume = np.zeros_like(mask)
    volume[mask] = usable
    tables = []
    for code in codes:
        # Codes come after layers, one of which may have the same name.
        number = np.flatnonzero(rows["layer"] == code)[-1]
        regions = {
            part: published_clusters(z[:, number, usable], volume, alpha=alpha, rng=rng) > 0
            for part, z in parts.items()
        }
        tables += [
            _fare(parts[tested][:, :, usable], regions[chosen], rows, code, way)
            for way, pairs in WAYS.items()
            for chosen, tested in pairs
            if {chosen, tested} <= parts.keys()
        ]
    table = pd.concat(tables, ignore_index=True)
    return table.groupby(REGION, sort=False, as_index=False).mean()


def _fare(
    maps: np.ndarray, region: np.ndarray, rows: pd.DataFrame, code: str, way: str
) -> pd.DataFrame:
    """Return the rows of a region (n_voxels,) in maps (n_subjects, n_layers, n_voxels)."""
    t = np.array([group_t(layer) for layer in np.moveaxis(maps[:, :, region], 1, 0)])
    return rows.assign(
        code=code,
        chosen_in=way,
        t=_means(t, np.ones_like(t, dtype=bool)),
        t_of_positive=_means(t, t > 0),
        n_voxels=int(region.sum()),
    )


def _means(t: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Return the mean of some values of each row, NaN where there are none."""
    n = some.sum(axis=1)
    return np.where(n > 0, np.where(some, t, 0).sum(axis=1) / np.maximum(n, 1), np.nan)
