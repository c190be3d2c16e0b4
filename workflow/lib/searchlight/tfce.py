"""Threshold-free cluster enhancement (TFCE) of maps, and which voxels are neighbours."""

import numpy as np
import scipy.ndimage
from numba import njit

from workflow.lib.errors import InputError
from workflow.lib.searchlight.kernels import value_order
from workflow.lib.threads import in_threads

# Steps between voxels that share a face; a face or an edge; a face, an edge or a corner.
CONNECTIVITIES = {6: 1, 18: 2, 26: 3}
FACES = 6
EXTENT, HEIGHT = 0.5, 2.0


def neighbour_table(mask: np.ndarray, connectivity: int = FACES) -> np.ndarray:
    """Return the neighbours of each voxel of a mask.

    Parameters
    ----------
    mask : bool array (x, y, z)
    connectivity : 6, 18 or 26
        Voxels are neighbours if they share a face; or an edge; or a corner.

    Returns
    -------
    int32 array (n_voxels, connectivity)
        Numbers of voxels in the order of np.nonzero(mask), -1 where there is none.
    """
    steps = np.argwhere(structure(connectivity)) - 1
    steps = steps[steps.any(axis=1)]
    numbers = np.full(np.add(mask.shape, 2), -1, dtype=np.int32)
    voxels = np.argwhere(mask)
    numbers[tuple((voxels + 1).T)] = np.arange(len(voxels))
    return np.stack([numbers[tuple((voxels + 1 + step).T)] for step in steps], axis=1)


def structure(connectivity: int) -> np.ndarray:
    if connectivity not in CONNECTIVITIES:
        raise InputError(
            f"found the connectivity {connectivity}, expected one of "
            f"{', '.join(map(str, CONNECTIVITIES))} neighbours; correct it"
        )
    return scipy.ndimage.generate_binary_structure(3, CONNECTIVITIES[connectivity])


def tfce(
    maps: np.ndarray, neighbours: np.ndarray, *, extent: float = EXTENT, height: float = HEIGHT
) -> np.ndarray:
    """Return maps after threshold-free cluster enhancement.

    Parameters
    ----------
    maps : float array (n_maps, n_voxels)
        Statistics; what is not above zero becomes zero.
    neighbours : int array (n_voxels, connectivity)
        From `neighbour_table`.
    extent, height : float
        Exponents E and H.

    Returns
    -------
    float64 array (n_maps, n_voxels)

    Notes
    -----
    TFCE(v) = integral over h from 0 to the value of v of e(h)^E h^H dh, e(h) the number of voxels
    in the cluster above h that holds v. Others add it up over steps of h; here the integral is
    exact. Voxels join from the highest down, and each one is the root of the cluster that it
    completes: between its height and that of the voxel that is joined next, a cluster has one size.

    References
    ----------
    Smith & Nichols 2009, Threshold-free cluster enhancement, NeuroImage 44:83.
    """
    maps = np.ascontiguousarray(np.atleast_2d(maps), dtype=np.float64)
    enhanced = np.zeros_like(maps)
    exponents = _exponents(maps, extent, height)

    def enhance(m: int) -> None:
        _enhance(maps[m], neighbours, *exponents, enhanced[m])

    in_threads(enhance, range(len(maps)))
    return enhanced


def _exponents(
    maps: np.ndarray, extent: float = EXTENT, height: float = HEIGHT
) -> tuple[np.ndarray, float]:
    """Return what each size of a cluster counts, and the exponent of the integral over height."""
    return np.arange(maps.shape[1] + 1, dtype=np.float64) ** extent, height + 1


def largest_enhanced(maps: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Return the largest value of each map (n_maps, n_voxels) after TFCE, without keeping them."""
    exponents = _exponents(maps)

    def largest(values: np.ndarray) -> float:
        enhanced = np.zeros(values.size)
        _enhance(values, neighbours, *exponents, enhanced)
        return enhanced.max()

    return np.array(in_threads(largest, maps))


@njit(cache=True, nogil=True)
def _enhance(values, neighbours, sizes, power, enhanced):
    positive = np.flatnonzero(values > 0)
    if positive.size == 0:
        return
    order = positive[value_order(values[positive])][::-1]
    root = np.full(values.size, -1, np.int32)
    joined_by = np.full(values.size, -1, np.int32)
    size = np.ones(values.size, np.int32)
    for voxel in order:
        root[voxel] = voxel
        for neighbour in neighbours[voxel]:
            if neighbour >= 0 and root[neighbour] >= 0:
                cluster = _root_of(root, neighbour)
                if cluster != voxel:
                    root[cluster] = voxel
                    joined_by[cluster] = voxel
                    size[voxel] += size[cluster]
    integrals = np.power(values[order], power) / power
    below = np.zeros(values.size)
    # The voxel that joins a cluster lies below it, and has been dealt with before.
    for k in range(order.size - 1, -1, -1):
        voxel = order[k]
        below[voxel] = integrals[k]
        base = joined_by[voxel]
        if base < 0:
            enhanced[voxel] = sizes[size[voxel]] * integrals[k]
        else:
            enhanced[voxel] = enhanced[base] + sizes[size[voxel]] * (integrals[k] - below[base])


@njit(cache=True)
def _root_of(root, voxel):
    while root[voxel] != voxel:
        root[voxel] = root[root[voxel]]
        voxel = root[voxel]
    return voxel
