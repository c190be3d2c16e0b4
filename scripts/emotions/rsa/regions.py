"""Which voxels or parcels make up a region, and into which places a map is divided."""

from collections.abc import Mapping
from pathlib import Path

import nibabel
import numpy as np

from scripts.emotions.data.timeseries import PARCELS, WHOLE, TimeSeries
from workflow.lib.errors import InputError
from workflow.lib.nifti.files import read_header, read_volume
from workflow.lib.nifti.grids import Volume


def regions_of(
    series: TimeSeries, rois: Mapping | None, file: str | Path | None = None
) -> dict[str, np.ndarray]:
    """Return region -> its channels, int array, that of all channels first.

    Parameters
    ----------
    series : of a subject
    rois : of parcels, region -> names of parcels; of volumes, `names`: region -> number
    file : of volumes, the image with these numbers

    Raises
    ------
    InputError
        A parcel that is not there, an image on another grid, or a region without a voxel.
    """
    regions = {WHOLE: np.arange(series.n_features)}
    if not rois:
        return regions
    if series.kind == PARCELS:
        return regions | {
            name: np.array([_place(series, parcel, name) for parcel in parcels])
            for name, parcels in rois.items()
        }
    numbers = _numbers(series, Path(file))
    for name, number in rois["names"].items():
        channels = np.flatnonzero(numbers == number)
        if not channels.size:
            raise InputError(
                f"{file}: found no voxel numbered {number} ({name}) within the mask, expected "
                "some; correct rsa.rois"
            )
        regions[name] = channels
    return regions


def _place(series: TimeSeries, parcel: str, region: str) -> int:
    if parcel not in series.names:
        raise InputError(
            f"config, rsa.rois.{region}: found the parcel {parcel!r}, expected one of the "
            f"{len(series.names)} that all subjects have ({', '.join(series.names[:5])}, ...); "
            "correct it"
        )
    return series.names.index(parcel)


def _numbers(series: TimeSeries, file: Path) -> np.ndarray:
    """Return the number of every voxel of the mask, float (n_voxels,)."""
    what = f"the volumes of {series.path.name}"
    reference = Volume(what, series.path, series.mask.shape, series.affine, 1)
    return read_volume(read_header(file), reference)[series.mask]


def places_of(series: TimeSeries, cube: int) -> tuple[list[str], np.ndarray]:
    """Return the places of a map: parcels, or cubes of voxels.

    Parameters
    ----------
    series : of a subject
    cube : edge of a cube in voxels; cubes at the border of the mask are not whole

    Returns
    -------
    names : list of n_places str
        Parcels, or the centres of cubes as "x y z" in mm.
    place_of : int array (n_features,)
    """
    if series.kind == PARCELS:
        return list(series.names), np.arange(series.n_features)
    corners, place_of = np.unique(np.argwhere(series.mask) // cube, axis=0, return_inverse=True)
    centres = nibabel.affines.apply_affine(series.affine, (corners + 0.5) * cube - 0.5)
    return [" ".join(f"{mm:.6g}" for mm in centre) for centre in centres], place_of.ravel()


def mean_of_places(values: np.ndarray, place_of: np.ndarray, n_places: int) -> np.ndarray:
    """Return means over the channels of every place, NaN where none has a value.

    Parameters
    ----------
    values : float array (n_rows, n_features)
    place_of : int array (n_features,)
    n_places : int

    Returns
    -------
    float64 array (n_rows, n_places)
    """
    known = np.isfinite(values)
    sums = [np.bincount(place_of, row, n_places) for row in np.where(known, values, 0.0)]
    numbers = [np.bincount(place_of, row, n_places) for row in known.astype(float)]
    with np.errstate(invalid="ignore"):
        return np.array(sums) / np.array(numbers)
