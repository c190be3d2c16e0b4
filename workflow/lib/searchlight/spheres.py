"""Spheres around the voxels of a mask, and which channels each of them holds."""

import math

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.searchlight.kernels import sphere_sizes

# Affines are stored in single precision: a voxel this close to the surface lies on it.
RADIUS_TOLERANCE = 1e-6
UNITS = ("voxel", "mm")


def sphere_offsets(affine: np.ndarray, radius: float, unit: str = "voxel") -> np.ndarray:
    """Return the voxels of a sphere relative to its centre.

    Parameters
    ----------
    affine : float array (4, 4)
        From voxel indices to mm.
    radius : float
        Voxels whose centres lie at most this far away belong to the sphere.
    unit : "voxel" or "mm"
        "voxel" counts along the axes of the grid, whatever the size of the voxels.

    Returns
    -------
    int64 array (n_offsets, 3), the centre itself included

    Raises
    ------
    InputError
        A negative radius, or an affine that flattens the grid.
    """
    if unit not in UNITS:
        raise InputError(f"found the unit {unit!r} of the radius, expected one of {UNITS}")
    if not (np.isfinite(radius) and radius >= 0):
        raise InputError(f"found a radius of {radius}, expected 0 or more; correct it")
    axes = np.asarray(affine, dtype=np.float64)[:3, :3] if unit == "mm" else np.eye(3)
    if abs(np.linalg.det(axes)) < np.finfo(np.float64).eps:
        raise InputError(
            f"found the affine {axes.tolist()}, expected one that gives voxels a volume; write the "
            "mask again"
        )
    # Along axis k no voxel of the ball lies further than radius times the length of row k of the
    # inverse: its indices are inverse @ (a vector no longer than the radius).
    reach = np.floor(
        radius * (1 + RADIUS_TOLERANCE) * np.linalg.norm(np.linalg.inv(axes), axis=1)
    ).astype(int)
    steps = np.stack(
        np.meshgrid(*(np.arange(-most, most + 1) for most in reach), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    distances = np.linalg.norm(steps @ axes.T, axis=1)
    return steps[distances <= radius * (1 + RADIUS_TOLERANCE)]


class Spheres:
    """A sphere around every voxel of a mask, and which channels lie in each.

    Parameters
    ----------
    mask : bool array (x, y, z)
        Its voxels are the centres, and no sphere reaches beyond it.
    affine : float array (4, 4)
    radius, unit : see `sphere_offsets`
    voxels : int array (n_channels, 3)
        Voxel indices of the channels. A channel outside the mask is in no sphere.
    usable : bool array (n_channels,), optional
        Channels that spheres may hold; all if not given.

    Attributes
    ----------
    centres : int64 array (n_centres, 3), in the order of np.nonzero(mask)
    channel : int64 array (n_centres,)
        Channel at each centre, -1 where there is no usable one.
    sizes : int64 array (n_centres,)
        Usable channels in each sphere.

    Raises
    ------
    InputError
        An empty mask, a channel off the grid, two channels in one voxel.
    """

    def __init__(
        self,
        mask: np.ndarray,
        affine: np.ndarray,
        *,
        radius: float,
        unit: str,
        voxels: np.ndarray,
        usable: np.ndarray | None = None,
    ) -> None:
        self.mask, self.affine = mask.astype(bool), np.asarray(affine, dtype=np.float64)
        self.centres = np.argwhere(self.mask)
        if not len(self.centres):
            raise InputError("found a mask without voxels, expected some; give another mask")
        voxels = np.asarray(voxels, dtype=np.int64)
        _check_voxels(voxels, self.mask.shape)
        offsets = sphere_offsets(affine, radius, unit)
        # A rim of empty voxels: spheres at the border of the grid need no special care.
        rim = np.abs(offsets).max(axis=0)
        padded = tuple(np.add(self.mask.shape, 2 * rim))
        channels = np.arange(len(voxels))
        channels = channels[self.mask[tuple(voxels.T)]]
        if usable is not None:
            channels = channels[usable[channels]]
        self._channel_at = np.full(math.prod(padded), -1, dtype=np.int32)
        self._channel_at[np.ravel_multi_index((voxels[channels] + rim).T, padded)] = channels
        self._places = np.ravel_multi_index((self.centres + rim).T, padded)
        self._steps = offsets @ np.array([padded[1] * padded[2], padded[2], 1])
        self.channel = self._channel_at[self._places].astype(np.int64)
        self.sizes = sphere_sizes(self._channel_at, self._places, self._steps)

    def members(self, centre: int) -> np.ndarray:
        """Return the channels in the sphere around a centre, sorted, (sizes[centre],)."""
        found = self._channel_at[self._places[centre] + self._steps]
        return np.sort(found[found >= 0])

    @property
    def layout(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Channel by place, place of each centre, and steps from a centre to its sphere."""
        return self._channel_at, self._places, self._steps


def _check_voxels(voxels: np.ndarray, grid: tuple[int, ...]) -> None:
    outside = ((voxels < 0) | (voxels >= grid)).any(axis=1)
    if outside.any():
        raise InputError(
            f"found {int(outside.sum())} of {len(voxels)} channels outside the mask's grid {grid} "
            f"(the first at {voxels[outside][0].tolist()}), expected the grid of the patterns; "
            "give the mask on it"
        )
    repeated = len(voxels) - len(np.unique(voxels, axis=0))
    if repeated:
        raise InputError(
            f"found {repeated} voxels that hold several channels, expected one each; give the "
            "patterns of one ROI"
        )
