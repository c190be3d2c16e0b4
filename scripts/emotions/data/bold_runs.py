"""The BIDS images of one subject's runs: their headers, held to the config, and what they hold.

Volumes are read in blocks: a run of the published size is 0.8 GB in double precision.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.nifti.files import read_header, volume_blocks
from workflow.lib.nifti.grids import Volume, check_grid

# Headers hold times in single precision.
TR_TOLERANCE = 1e-3


def open_runs(
    files: Mapping[str, str | Path], *, tr: float, n_volumes: Mapping[str, int]
) -> dict[str, Volume]:
    """Return the headers of a subject's runs; no values are read.

    Parameters
    ----------
    files : mapping, run -> path of a 4D NIfTI image
    tr : float
        Seconds between volumes.
    n_volumes : mapping, run -> int
        As the config has them.

    Raises
    ------
    InputError
        A run that is missing, not readable or not 4D, another TR or number of volumes than in the
        config, or another grid or affine than the first run.
    """
    runs = {run: _header(run, Path(file), tr) for run, file in files.items()}
    first = next(iter(runs.values()))
    for run, volume in runs.items():
        if volume.n_volumes != n_volumes[run]:
            raise InputError(
                f"{volume.path}: found {volume.n_volumes} volumes, expected {n_volumes[run]} in "
                f"run {run}; correct `n_volumes` of the run in the config, or download it again"
            )
        check_grid(volume, first)
    return runs


def _header(run: str, path: Path, tr: float) -> Volume:
    missing = (
        f"the volumes of run {run}; check the folder and `files` in the config, or leave out the "
        "run or the subject"
    )
    volume = read_header(path, missing=missing)
    if volume.tr is None:
        raise InputError(
            f"{path}: found an image of shape {volume.grid}, expected x, y, z and volumes; give "
            "the 4D image of the run"
        )
    if abs(volume.tr - tr) > TR_TOLERANCE:
        raise InputError(
            f"{path}: found a TR of {volume.tr:g} s in the header, expected {tr:g} s; correct `tr` "
            "in the config, or the header"
        )
    return volume


@dataclass(frozen=True, eq=False)
class Summary:
    """What a mask is made from.

    Attributes
    ----------
    mean : float64 array (x, y, z)
        Over all volumes; zero where some value is not a number.
    varies : bool array (x, y, z)
        Voxels that have a number in every volume, and not the same in all of them in every run.
    """

    mean: np.ndarray
    varies: np.ndarray


def summarise(runs: Mapping[str, Volume]) -> Summary:
    """Return mean and varying voxels over the runs of a subject, one block at a time."""
    first = next(iter(runs.values()))
    total, varies = np.zeros(first.grid), np.zeros(first.grid, dtype=bool)
    for volume in runs.values():
        low, high = np.full(volume.grid, np.inf), np.full(volume.grid, -np.inf)
        for _, values in volume_blocks(volume):
            total += values.sum(axis=-1)
            # NaN goes through minimum and maximum.
            low = np.minimum(low, values.min(axis=-1))
            high = np.maximum(high, values.max(axis=-1))
        varies |= high > low
    finite = np.isfinite(total)
    mean = np.where(finite, total, 0.0) / sum(volume.n_volumes for volume in runs.values())
    return Summary(mean, varies & finite)
