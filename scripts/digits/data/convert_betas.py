"""Write the published betas of the study as a NIfTI image, with names of volumes and a mask."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.digits.data.published import AFFINE, BETAS, CATEGORIES, GRID
from workflow.lib.arrays.numpy_files import numpy_errors
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.nifti.files import write_image
from workflow.lib.tables import write_table


@dataclass(frozen=True)
class Betas:
    """Responses of one participant to every category.

    Attributes
    ----------
    values : float32 array (x, y, z, n_categories)
        0 outside of the mask.
    mask : bool array (x, y, z)
        Voxels with a value for each category that is neither 0 nor missing, as published.
    """

    values: np.ndarray
    mask: np.ndarray


def read_betas(path: Path) -> Betas:
    """Return the betas of the published sample, an .npz with the variable `beta`.

    Raises
    ------
    InputError
        Another grid or number of categories than published; no voxel with values; a file that is
        damaged, or that would have to be unpickled.
    """
    with numpy_errors(path.name), np.load(path, allow_pickle=False) as arrays:
        if BETAS not in arrays:
            raise InputError(
                f"{path.name}: found the variables {', '.join(arrays) or 'none'}, expected "
                f"{BETAS!r} of shape {(*GRID, len(CATEGORIES))}; take the file as it was published"
            )
        values = arrays[BETAS]
    _check_shape(values, path.name)
    mask = (np.isfinite(values) & (values != 0)).all(axis=3)
    if not mask.any():
        raise InputError(
            f"{path.name}: found no voxel with a value for each of the {len(CATEGORIES)} "
            "categories, expected those of a brain; take the file as it was published"
        )
    return Betas(np.where(mask[..., np.newaxis], values, 0).astype(np.float32), mask)


def _check_shape(values: np.ndarray, what: str) -> None:
    if values.shape[:3] != GRID or values.ndim != 4 or values.dtype.kind not in "iuf":
        raise InputError(
            f"{what}: found an array of shape {values.shape} and type {values.dtype}, expected "
            f"numbers on the grid {GRID} and categories along the fourth axis, for the place of "
            "another grid in the head is not known; give your betas as NIfTI, with `source: path`"
        )
    if values.shape[3] != len(CATEGORIES):
        raise InputError(
            f"{what}: found betas of {values.shape[3]} categories, expected {len(CATEGORIES)}, in "
            f"the order {', '.join(CATEGORIES)}; take the file as it was published"
        )


if __name__ == "__main__":
    with script_job(snakemake) as log:
        betas = read_betas(Path(snakemake.input[0]))
        log.info("%d voxels with values for all categories", betas.mask.sum())
        write_image(snakemake.output.betas, betas.values, AFFINE)
        write_image(snakemake.output.mask, betas.mask.astype(np.uint8), AFFINE)
        write_table(pd.DataFrame({"condition": CATEGORIES}), snakemake.output.conditions)
