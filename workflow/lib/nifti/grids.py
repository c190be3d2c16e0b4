"""The grid of an image, and whether two images lie on one: nothing is ever resampled."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow.lib.errors import InputError

# Images and masks lie on one grid if their affines agree to this, in mm: programs round them
# differently, and no two grids that are meant to differ are as close.
AFFINE_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Volume:
    """The header of an image.

    Attributes
    ----------
    what : str
        How errors name the image.
    path : Path
    grid : tuple of 3 int
        Voxels along x, y and z.
    affine : float array (4, 4)
    n_volumes : int
    tr : float or None
        Seconds between volumes; None where there is no axis of volumes.
    """

    what: str
    path: Path
    grid: tuple[int, ...]
    affine: np.ndarray
    n_volumes: int
    tr: float | None = None


def same_affine(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two affines (4, 4) agree to `AFFINE_TOLERANCE`."""
    return np.allclose(one, other, rtol=0, atol=AFFINE_TOLERANCE)


def check_grid(volume: Volume, reference: Volume) -> None:
    """Raise InputError unless two images have the same voxels."""
    if volume.grid != reference.grid:
        found, expected = f"{volume.grid} voxels", f"{reference.grid}"
    elif not same_affine(volume.affine, reference.affine):
        found, expected = (_as_text(image.affine) for image in (volume, reference))
        found = f"the affine {found}"
    else:
        return
    raise InputError(
        f"{volume.what}: found {found}, expected {expected} as in {reference.what}; bring it onto "
        "that grid yourself (masks and atlases by nearest neighbour), for it is not resampled here"
    )


def _as_text(affine: np.ndarray) -> str:
    return str(np.round(affine[:3], 4).tolist())
