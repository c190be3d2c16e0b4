"""NIfTI files: headers, volumes in blocks, masks, and writing."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np

from workflow.lib.bombs import check_unpacked_size
from workflow.lib.errors import InputError
from workflow.lib.files import written_whole
from workflow.lib.nifti.grids import Volume, check_grid

# Images are read in blocks of volumes of this size.
BLOCK_BYTES = 2**26
# Before the values: a header, and extensions of some kilobytes.
MOST_HEADER_BYTES = 100_000_000
# Seconds in the units that a header may give its times in; most that give none mean seconds.
SECONDS = {"sec": 1.0, "unknown": 1.0, "msec": 1e-3, "usec": 1e-6}
MISSING = "a NIfTI image; check the folder and the file names in the config"


@contextlib.contextmanager
def image_errors(what: str) -> Iterator[None]:
    """Say of whatever goes wrong in reading an image which file it is, and what to do."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # nibabel, gzip and zlib raise almost anything on a damaged file
        raise InputError(
            f"{what}: found no readable NIfTI image ({' '.join(str(error).split())}), expected a "
            "whole one; download or export it again"
        ) from error


def read_header(path: str | Path, what: str = "", *, missing: str = MISSING) -> Volume:
    """Return the header of an image; no values are read.

    Parameters
    ----------
    path : str or Path
    what : str
        How errors name the image; as its path, if empty.
    missing : str
        What is expected where there is no such file, and what to do.

    Raises
    ------
    InputError
        No such file, no readable image, or one of something else than voxels and volumes.
    """
    path = Path(path)
    what = what or str(path)
    if not path.is_file():
        raise InputError(f"{path}: found no such file, expected {missing}")
    with image_errors(what):
        _check_extensions(path, what)
        image = nibabel.load(path)
        shape = image.shape
        if not isinstance(image, nibabel.spatialimages.SpatialImage) or min(shape, default=0) < 1:
            raise InputError(
                f"{what}: found an image of shape {shape}, expected voxels along x, y, z and "
                "volumes; convert it to a 4D NIfTI"
            )
        # A statistic per volume may lie along the fifth axis.
        if math.prod(shape[3:]) != max(shape[3:], default=1):
            raise InputError(
                f"{what}: found {len(shape)} axes, {shape}, expected x, y, z and volumes; give a "
                "4D image"
            )
        if image.get_data_dtype().kind not in "fiu" or not np.isfinite(image.affine).all():
            raise InputError(
                f"{what}: found values of type {image.get_data_dtype()} on the affine "
                f"{image.affine.tolist()}, expected numbers; write the image again"
            )
        n_bytes = math.prod(map(int, shape)) * image.get_data_dtype().itemsize
        check_unpacked_size(what, n_bytes, Path(image.file_map["image"].filename).stat().st_size)
        grid = (*shape, 1, 1, 1)[:3]
        return Volume(what, path, grid, image.affine, math.prod(shape[3:]), _tr_of(image))


def _check_extensions(path: Path, what: str) -> None:
    """Refuse a header that claims gigabytes: nibabel unpacks and keeps them when it opens a file.

    What is no NIfTI image is for nibabel to say.
    """
    kinds = (nibabel.Nifti1Header, nibabel.Nifti2Header)
    with nibabel.openers.ImageOpener(path) as file:
        head = file.read(max(kind.sizeof_hdr for kind in kinds))
    for kind in kinds:
        if not kind.may_contain_header(head):
            continue
        offset = float(kind(head[: kind.sizeof_hdr], check=False)["vox_offset"])
        if offset > MOST_HEADER_BYTES:
            raise InputError(
                f"{what}: found values that begin at byte {offset:,.0f}, expected at most "
                f"{MOST_HEADER_BYTES:,} bytes of header; write the image again"
            )


def _tr_of(image: nibabel.spatialimages.SpatialImage) -> float | None:
    """Return the seconds between volumes that a header gives."""
    if image.ndim < 4 or not hasattr(image.header, "get_xyzt_units"):
        return None
    _, unit = image.header.get_xyzt_units()
    return float(image.header.get_zooms()[3]) * SECONDS.get(unit, 1.0)


def volume_blocks(volume: Volume) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield which volumes, and their values, float64 arrays (x, y, z, some), in order.

    Raises
    ------
    InputError
        The file is damaged.
    """
    step = max(1, BLOCK_BYTES // (8 * math.prod(volume.grid)))
    with image_errors(volume.what):
        # With the file kept open, a compressed image is unpacked once and not per block.
        image = nibabel.load(volume.path, keep_file_open=True)
        for start in range(0, volume.n_volumes, step):
            some = slice(start, min(start + step, volume.n_volumes))
            values = image.dataobj[..., some] if image.ndim > 3 else image.dataobj
            values = np.asarray(values, dtype=np.float64)
            yield some, values.reshape((*volume.grid, -1), order="F")


def read_volume(volume: Volume, reference: Volume | None = None) -> np.ndarray:
    """Return the values of a mask or an atlas, float64 array (x, y, z).

    Parameters
    ----------
    volume : Volume
    reference : Volume, optional
        On whose grid it has to lie.

    Raises
    ------
    InputError
        Another grid, several volumes, or a damaged file.
    """
    if reference is not None:
        check_grid(volume, reference)
    if volume.n_volumes != 1:
        raise InputError(
            f"{volume.what}: found {volume.n_volumes} volumes, expected one; give a 3D mask or "
            "atlas"
        )
    return next(volume_blocks(volume))[1][..., 0]


def read_mask(
    path: str | Path,
    reference: Volume | None = None,
    *,
    what: str = "",
    needed: str = "some; give another mask",
) -> np.ndarray:
    """Return the voxels of a mask, those that are neither zero nor NaN, bool array (x, y, z).

    Parameters
    ----------
    path, what : see `read_header`
    reference : see `read_volume`
    needed : str
        What is expected of an empty one, and what to do.

    Raises
    ------
    InputError
        No readable image of one volume on the grid, or one without voxels.
    """
    volume = read_header(path, what)
    values = read_volume(volume, reference)
    mask = np.isfinite(values) & (values != 0)
    if not mask.any():
        raise InputError(
            f"{volume.what}: found a mask that holds no voxel, all being zero or NaN, expected "
            f"{needed}"
        )
    return mask


def write_image(
    path: str | Path,
    values: np.ndarray,
    affine: np.ndarray,
    *,
    tr: float | None = None,
    dtype: type | None = None,
) -> None:
    """Write an image in mm.

    Parameters
    ----------
    path : str or Path
    values : array (x, y, z) or (x, y, z, n_volumes)
    affine : float array (4, 4)
    tr : float, optional
        Seconds between volumes.
    dtype : type, optional
        Of whole numbers that stand for values, with a slope, as scanners write them; that of the
        values if None.
    """
    image = nibabel.Nifti1Image(values, affine)
    if dtype is not None:
        image.header.set_data_dtype(dtype)
    image.header.set_xyzt_units("mm", None if tr is None else "sec")
    if tr is not None:
        image.header.set_zooms((*image.header.get_zooms()[:3], tr))
    with written_whole(path) as temporary:
        nibabel.save(image, temporary)
