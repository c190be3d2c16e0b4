"""Prepare the volumes of one subject: mask, smoothing, detrending and z-scores within each run.

What is done to the values is nilearn's. A run's voxels of the mask are held at once, and all its
voxels never.
"""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from nilearn.image import smooth_img
from nilearn.signal import clean

from scripts.emotions.data.bold_runs import open_runs
from scripts.emotions.data.timeseries import timeseries_writer
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.nifti.files import read_mask, volume_blocks
from workflow.lib.nifti.grids import Volume
from workflow.lib.words import one_line

# As BIDS names the columns of motion: mm and radians.
MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
# Voxels are cleaned in blocks: nilearn makes several copies, in double precision.
VOXELS_AT_ONCE = 4096
# With fewer of its voxels varying, a mask is that of other images.
LEAST_VARYING = 0.5

logger = logging.getLogger("workflow")


@dataclass(frozen=True)
class Steps:
    """What is done to every run: `volumes` of an entry of the config.

    Attributes
    ----------
    detrend : bool
        Whether each voxel's straight line is taken out.
    high_pass : float or None
        Hz; slower cosines are taken out.
    standardise : bool
        Whether each voxel gets mean 0 and standard deviation 1.
    smoothing : float or None
        Full width at half maximum of a Gaussian, mm.
    """

    detrend: bool = True
    high_pass: float | None = None
    standardise: bool = True
    smoothing: float | None = None


def prepare_volumes(
    path: str | Path,
    files: Mapping[str, str | Path],
    *,
    subject: str,
    tr: float,
    n_volumes: Mapping[str, int],
    steps: Steps,
    aligned: bool,
    mask: str | Path,
    confounds: Mapping[str, str | Path] | None = None,
) -> None:
    """Write the time series of a subject's voxels.

    Parameters
    ----------
    path : str or Path
        Of the file for `scripts.emotions.data.timeseries.TimeSeries`.
    files : mapping, run -> path of a 4D NIfTI image
        In the order of the movie.
    subject : str
    tr : float
        Seconds between volumes.
    n_volumes : mapping, run -> int
    steps : Steps
    aligned : bool
        Whether a voxel is the same place of the brain in all subjects.
    mask : str or Path
        Image on the grid of the volumes.
    confounds : mapping, run -> path of a BIDS table, optional

    Raises
    ------
    InputError
        Images, mask or tables that cannot be used, or do not belong together.

    Notes
    -----
    Voxels of the mask that have the same value in all volumes of a run, or one that is not a
    number, are zero in this run, and counted. Signals are cleaned by `nilearn.signal.clean`, with
    cosines as drift terms (Friston et al. 1994, Human Brain Mapping 2:189).
    """
    runs = open_runs(files, tr=tr, n_volumes=n_volumes)
    first = next(iter(runs.values()))
    inside = read_mask(mask, first)
    tables = {run: read_motion(table, n_volumes[run]) for run, table in (confounds or {}).items()}
    with timeseries_writer(
        path, subject=subject, tr=tr, mask=inside, affine=first.affine, aligned=aligned
    ) as write:
        for run, volume in runs.items():
            values, n_constant = _prepared(volume, inside, steps, tr)
            write(run, values, tables.get(run), n_constant)
            logger.info("run %s: %d voxels, %d constant", run, values.shape[1], n_constant)
            del values  # before the next run is read


def _prepared(volume: Volume, mask: np.ndarray, steps: Steps, tr: float) -> tuple[np.ndarray, int]:
    """Return a run's voxels of the mask, cleaned, and how many of them are constant."""
    values, varies = _masked(volume, mask, steps.smoothing)
    if varies.mean() < LEAST_VARYING:
        raise InputError(
            f"{volume.what}: found {varies.sum()} of {len(varies)} voxels of the mask with other "
            "than one constant value, expected most; give the mask of this brain in "
            "`volumes.mask` of the config"
        )
    _clean(values, varies, steps, tr)
    return values, int((~varies).sum())


def _masked(
    volume: Volume, mask: np.ndarray, smoothing: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return a run's voxels of the mask, float64 (n_volumes, n_voxels), and which of them vary."""
    values = np.empty((volume.n_volumes, int(mask.sum())))
    low, high = np.full(values.shape[1], np.inf), np.full(values.shape[1], -np.inf)
    for some, block in volume_blocks(volume):
        own = block[mask]
        low, high = np.minimum(low, own.min(axis=1)), np.maximum(high, own.max(axis=1))
        if smoothing is not None:
            image = smooth_img(nibabel.Nifti1Image(block, volume.affine), smoothing)
            own = image.get_fdata(caching="unchanged")[mask]
        values[some] = own.T
    # Neither holds of what is not a number.
    return values, (high > low) & np.isfinite(low) & np.isfinite(high)


def _clean(values: np.ndarray, varies: np.ndarray, steps: Steps, tr: float) -> None:
    """Clean a run (n_volumes, n_voxels) in place, some voxels at a time."""
    values[:, ~varies] = 0
    columns = np.flatnonzero(varies)
    with warnings.catch_warnings():
        # nilearn will scale its own cosines otherwise one day, which changes nothing.
        warnings.filterwarnings("ignore", "From release 0.14.0", DeprecationWarning)
        for start in range(0, len(columns), VOXELS_AT_ONCE):
            some = columns[start : start + VOXELS_AT_ONCE]
            values[:, some] = clean(
                values[:, some],
                detrend=steps.detrend,
                standardize="zscore_sample" if steps.standardise else None,
                filter="cosine" if steps.high_pass else False,
                high_pass=steps.high_pass,
                t_r=tr,
            )


def read_motion(path: str | Path, n_volumes: int) -> pd.DataFrame:
    """Return the motion of a run from a BIDS table of confounds.

    Parameters
    ----------
    path : str or Path
    n_volumes : int
        Of the run.

    Returns
    -------
    DataFrame (n_volumes, 6), columns as `MOTION`

    Raises
    ------
    InputError
        The table is missing, or lacks columns, rows or numbers.
    """
    try:
        table = pd.read_csv(path, sep="\t", na_values=["n/a"])
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: found no readable table ({one_line(error)}), expected the confounds of a "
            "run; correct `volumes.confounds` in the config, or leave it out"
        ) from error
    missing = [name for name in MOTION if name not in table]
    if missing:
        raise InputError(
            f"{path}: found the columns {', '.join(map(str, table.columns[:8]))}, expected "
            f"{missing[0]!r} among them; name the columns of motion as BIDS does"
        )
    motion = table[list(MOTION)].apply(pd.to_numeric, errors="coerce")
    if len(motion) != n_volumes:
        raise InputError(
            f"{path}: found {len(motion)} rows, expected {n_volumes}, one per volume of the run; "
            "give the table of this run"
        )
    if motion.isna().to_numpy().any():
        row, column = np.argwhere(motion.isna().to_numpy())[0]
        raise InputError(
            f"{path}: found no number in column {MOTION[column]!r} of volume {row} (counted from "
            "0), expected motion in every volume; correct the table"
        )
    return motion


if __name__ == "__main__":
    with script_job(snakemake):
        params, given = snakemake.params, snakemake.input
        runs = list(params.n_volumes)
        prepare_volumes(
            snakemake.output[0],
            dict(zip(runs, given.bold, strict=True)),
            subject=snakemake.wildcards.subject,
            tr=params.tr,
            n_volumes=params.n_volumes,
            steps=Steps(**params.steps),
            aligned=params.aligned,
            mask=str(given.mask),
            # A study without them gives none.
            confounds=dict(zip(runs, given.confounds, strict=bool(given.confounds))),
        )
