"""Make a mask of the brain from the volumes of all subjects, where the config names none."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel
import numpy as np
from nilearn.masking import compute_epi_mask, intersect_masks

from scripts.emotions.data.bold_runs import Summary, open_runs, summarise
from scripts.emotions.data.timeseries import ALIGN
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.nifti.files import write_image
from workflow.lib.nifti.grids import Volume, check_grid

logger = logging.getLogger("workflow")


def mask_volumes(
    subjects: Sequence[Mapping[str, str | Path]], *, tr: float, n_volumes: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels that are brain and vary in every subject.

    Parameters
    ----------
    subjects : sequence of mappings, run -> path
        The runs of each subject.
    tr : float
        Seconds between volumes.
    n_volumes : mapping, run -> int

    Returns
    -------
    mask : bool array (x, y, z)
    affine : float array (4, 4)

    Raises
    ------
    InputError
        A run that cannot be used, subjects on different grids, or a mask without voxels.

    Notes
    -----
    The brain of a subject is that of nilearn's `compute_epi_mask`: the threshold lies where the
    histogram of mean intensities has its gap, and the largest connected part is kept. Voxels that
    do not vary in any run, or are not a number in some volume, are left out.
    """
    opened = [open_runs(files, tr=tr, n_volumes=n_volumes) for files in subjects]
    references = [next(iter(runs.values())) for runs in opened]
    for reference in references:
        _check_space(reference, references[0])
    masks = [_brain_mask(summarise(runs), next(iter(runs.values()))) for runs in opened]
    affine = references[0].affine
    images = [nibabel.Nifti1Image(mask.astype(np.uint8), affine) for mask in masks]
    # A voxel that only some subjects have has no place in what is compared across subjects.
    common = intersect_masks(images, threshold=1, connected=True).get_fdata() > 0
    _check_any(common, "the masks of all subjects", ALIGN)
    return common, affine


def _check_space(volume: Volume, reference: Volume) -> None:
    try:
        check_grid(volume, reference)
    except InputError as error:
        # Resampling, which is what makes masks fit, does not make subjects fit.
        found = str(error).split(";", maxsplit=1)[0]
        raise InputError(f"{found}; {ALIGN}") from None


def _brain_mask(summary: Summary, reference: Volume) -> np.ndarray:
    """Return the brain of one subject by the mean over all runs, bool (x, y, z)."""
    mean = nibabel.Nifti1Image(summary.mean.astype(np.float32), reference.affine)
    brain = compute_epi_mask(mean).get_fdata() > 0
    mask = brain & summary.varies
    if mask.sum() < brain.sum():
        logger.info(
            "%s: %d voxels without variance are left out of the mask",
            reference.what,
            brain.sum() - mask.sum(),
        )
    _check_any(mask, reference.what, "give a mask in `volumes.mask` of the config")
    return mask


def _check_any(mask: np.ndarray, what: str, advice: str) -> None:
    if not mask.any():
        raise InputError(f"{what}: found no voxel of the brain, expected some; {advice}")


def write_mask(path: str | Path, mask: np.ndarray, affine: np.ndarray) -> None:
    """Write a mask, bool (x, y, z), as NIfTI."""
    write_image(path, mask.astype(np.uint8), affine)


if __name__ == "__main__":
    with script_job(snakemake) as log:
        params, files = snakemake.params, iter(snakemake.input.bold)
        mask, affine = mask_volumes(
            [{run: next(files) for run in params.n_volumes} for _ in params.subjects],
            tr=params.tr,
            n_volumes=params.n_volumes,
        )
        log.info("%d voxels", mask.sum())
        write_mask(snakemake.output[0], mask, affine)
