"""Brain maps in NIfTI images: a volume per map, NaN where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.files import written_whole
from workflow.lib.patterns.images import Volume, check_grid


@dataclass(frozen=True, eq=False)
class BrainMaps:
    """Maps on one grid.

    Attributes
    ----------
    path : Path
    values : float64 array (n_maps, x, y, z), NaN outside the maps
    affine : float array (4, 4)
    """

    path: Path
    values: np.ndarray
    affine: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Voxels in which any map has a value, bool (x, y, z)."""
        return np.isfinite(self.values).any(axis=0)

    def image(self, number: int) -> nibabel.Nifti1Image:
        """Return one map as an image."""
        return nibabel.Nifti1Image(self.values[number].astype(np.float32), self.affine)


def read_mask(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels of a mask, bool (x, y, z), and its affine (4, 4).

    Raises
    ------
    InputError
        No readable image of one volume, or one without voxels.
    """
    maps = read_maps(path)
    if len(maps.values) != 1:
        raise InputError(f"{path}: found {len(maps.values)} volumes, expected one; give a 3D mask")
    mask = np.isfinite(maps.values[0]) & (maps.values[0] != 0)
    if not mask.any():
        raise InputError(f"{path}: found no voxel in the mask, expected some; give another mask")
    return mask, maps.affine


def grid_of(path: str | Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Return the voxels of an image along x, y and z, and its affine (4, 4); reads no values."""
    image = nibabel.load(path)
    return (*image.shape, 1, 1)[:3], image.affine


def read_maps(path: str | Path) -> BrainMaps:
    """Return the maps of an image.

    Raises
    ------
    InputError
        No readable image, or one of more than four axes.
    """
    try:
        image = nibabel.load(path)
        values = np.asarray(image.dataobj, dtype=np.float64)
    except Exception as error:  # nibabel, gzip and zlib raise almost anything on a damaged file
        raise InputError(
            f"{path}: found no readable NIfTI image ({' '.join(str(error).split())}), expected a "
            "whole one; make it again"
        ) from error
    if values.ndim not in (3, 4):
        raise InputError(f"{path}: found {values.ndim} axes, expected x, y, z and maps")
    values = values.reshape(*values.shape[:3], -1)
    return BrainMaps(Path(path), np.moveaxis(values, -1, 0), image.affine)


def write_maps(path: str | Path, maps: np.ndarray, mask: np.ndarray, affine: np.ndarray) -> None:
    """Write maps as a 4D image, float32, NaN outside the mask.

    Parameters
    ----------
    path : str or Path
    maps : float array (n_maps, n_voxels)
    mask : bool array (x, y, z) of n_voxels
    affine : float array (4, 4)
    """
    volumes = np.full((*mask.shape, len(maps)), np.nan, dtype=np.float32)
    volumes[mask] = maps.T
    with written_whole(path) as temporary:
        nibabel.save(nibabel.Nifti1Image(volumes, affine), temporary)


def check_same_grid(maps: Sequence[BrainMaps]) -> None:
    """Raise InputError unless all maps have the same voxels: nothing is ever resampled."""
    first, *others = [
        Volume(str(one.path), one.path, one.values.shape[1:], one.affine, len(one.values))
        for one in maps
    ]
    for other in others:
        check_grid(other, first)
        if other.n_volumes != first.n_volumes:
            raise InputError(
                f"{other.what}: found {other.n_volumes} maps, expected {first.n_volumes} as in "
                f"{first.what}; make both again"
            )
