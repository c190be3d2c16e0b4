"""Cubes of voxels on a grid over the brain: where they lie, and from cubes to voxels and back."""

import numpy as np


def cube_corners(mask: np.ndarray, edge: int, stride: int) -> np.ndarray:
    """Return the lowest corners of the cubes that hold a voxel of a mask.

    Parameters
    ----------
    mask : bool array (x, y, z)
    edge : int
        Of a cube in voxels; cubes are cut off at the border.
    stride : int
        Voxels from one cube to the next.

    Returns
    -------
    int array (n_cubes, 3)
    """
    corners = np.stack(
        np.meshgrid(*(np.arange(0, side, stride) for side in mask.shape), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    held = [mask[cube_at(corner, edge)].any() for corner in corners]
    return corners[held]


def cube_at(corner: np.ndarray, edge: int) -> tuple[slice, slice, slice]:
    """Return the slices of a cube."""
    return tuple(slice(int(start), int(start) + edge) for start in corner)


def over_voxels(values: np.ndarray, corners: np.ndarray, edge: int, mask: np.ndarray) -> np.ndarray:
    """Return values of cubes as a map: of each voxel the mean over cubes that cover it.

    Parameters
    ----------
    values : float array (..., n_cubes)
    corners : int array (n_cubes, 3)
    edge : int
    mask : bool array (x, y, z) of n_voxels

    Returns
    -------
    float64 array (..., n_voxels)
        NaN where no cube comes (strides larger than the edge).
    """
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    sums, counts = np.zeros((*values.shape[:-1], int(mask.sum()))), np.zeros(int(mask.sum()))
    for place, corner in enumerate(corners):
        covered = number[cube_at(corner, edge)]
        covered = covered[covered >= 0]
        sums[..., covered] += values[..., place, np.newaxis]
        counts[covered] += 1
    with np.errstate(invalid="ignore"):
        return np.where(counts > 0, sums / counts, np.nan)


def over_cubes(values: np.ndarray, corners: np.ndarray, edge: int, mask: np.ndarray) -> np.ndarray:
    """Return the sum of a map over the voxels of each cube, float64 (..., n_cubes).

    Parameters
    ----------
    values : float array (..., n_voxels)
    corners, edge, mask : as of `over_voxels`
    """
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    sums = np.zeros((*values.shape[:-1], len(corners)))
    for place, corner in enumerate(corners):
        covered = number[cube_at(corner, edge)]
        sums[..., place] = values[..., covered[covered >= 0]].sum(axis=-1, dtype=np.float64)
    return sums
