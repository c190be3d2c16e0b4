"""Maps as figures show them: turned the usual way, cut to the brain, slice by slice."""

from dataclasses import dataclass

import nibabel
import numpy as np

from workflow.lib.nifti.maps import BrainMaps


@dataclass(frozen=True, eq=False)
class Oriented:
    """A map whose axes run to the right, to the front and upwards.

    Attributes
    ----------
    data : float array (x, y, z)
    affine : float array (4, 4)
    """

    data: np.ndarray
    affine: np.ndarray

    def height(self, z: int) -> float:
        """Return the height of the middle of a slice, in mm."""
        x, y = (np.array(self.data.shape[:2]) - 1) / 2
        return float(nibabel.affines.apply_affine(self.affine, [x, y, z])[2])

    @property
    def sides(self) -> np.ndarray:
        """Length of a slice along x and y, in mm."""
        return nibabel.affines.voxel_sizes(self.affine)[:2] * self.data.shape[:2]


def oriented(maps: BrainMaps, volume: int, mask: np.ndarray) -> Oriented:
    """Return a map in that orientation, cut to the box around a mask of its grid."""
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(maps.values[volume], maps.affine))
    whole = nibabel.Nifti1Image(mask.astype(np.uint8), maps.affine)
    held = np.argwhere(np.asarray(nibabel.as_closest_canonical(whole).dataobj))
    low, high = held.min(axis=0), held.max(axis=0) + 1
    box = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
    affine = image.affine.copy()
    affine[:3, 3] = nibabel.affines.apply_affine(image.affine, low)
    return Oriented(np.asarray(image.dataobj)[box], affine)


def shown_slices(inside: np.ndarray, significant: np.ndarray, n_slices: int) -> list[int]:
    """Return up to so many slices, evenly over those that hold something significant, if any.

    Parameters
    ----------
    inside, significant : bool arrays (x, y, z)
    n_slices : int
    """
    for voxels in (significant, inside):
        heights = np.flatnonzero(voxels.any(axis=(0, 1)))
        if heights.size:
            chosen = np.linspace(0, heights.size - 1, min(heights.size, n_slices)).round()
            return heights[chosen.astype(int)].tolist()
    return []


def outline(voxels: np.ndarray) -> np.ndarray:
    """Return the edges between a set of voxels and the others, (n_edges, 2, 2): ends, x and y.

    Parameters
    ----------
    voxels : bool array (x, y)
        The voxel (i, j) is the square around i, j.
    """
    inside = np.pad(voxels, 1)
    x, y = np.nonzero(inside[1:] != inside[:-1])
    vertical = np.stack([np.stack([x, y - 1], axis=1), np.stack([x, y], axis=1)], axis=1)
    x, y = np.nonzero(inside[:, 1:] != inside[:, :-1])
    horizontal = np.stack([np.stack([x - 1, y], axis=1), np.stack([x, y], axis=1)], axis=1)
    # A padded index of k is the voxel k - 1, whose upper edge lies at k - 1 / 2.
    return np.concatenate([vertical, horizontal]) - 0.5
