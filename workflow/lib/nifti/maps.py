"""Brain maps in NIfTI images: a volume per map, NaN where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.nifti.files import image_errors, read_header, write_image
from workflow.lib.nifti.grids import Volume, check_grid


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
    def volume(self) -> Volume:
        """What there is to compare of two grids."""
        grid, n_maps = self.values.shape[1:], len(self.values)
        return Volume(str(self.path), self.path, grid, self.affine, n_maps)

    @property
    def mask(self) -> np.ndarray:
        """Voxels in which any map has a value, bool (x, y, z)."""
        return np.isfinite(self.values).any(axis=0)

    def image(self, number: int) -> nibabel.Nifti1Image:
        """Return one map as an image."""
        return nibabel.Nifti1Image(self.values[number].astype(np.float32), self.affine)


def read_maps(path: str | Path) -> BrainMaps:
    """Return the maps of an image.

    Raises
    ------
    InputError
        No readable image, or one of more than four axes.
    """
    read_header(path)
    with image_errors(str(path)):
        image = nibabel.load(path)
        values = np.asarray(image.dataobj, dtype=np.float64)
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
    write_image(path, volumes, affine)


def check_same_grid(maps: Sequence[BrainMaps]) -> None:
    """Raise InputError unless all maps have the same voxels: nothing is ever resampled."""
    first, *others = [one.volume for one in maps]
    for other in others:
        check_grid(other, first)
        if other.n_volumes != first.n_volumes:
            raise InputError(
                f"{other.what}: found {other.n_volumes} maps, expected {first.n_volumes} as in "
                f"{first.what}; make both again"
            )
