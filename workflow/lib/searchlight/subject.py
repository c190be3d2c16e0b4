"""The searchlight of one subject, from stored patterns and the images of grid and mask."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.nifti.files import read_header, read_mask
from workflow.lib.patterns.preparation import means_for, noise_residuals
from workflow.lib.patterns.reading import Patterns
from workflow.lib.patterns.store import PatternStore
from workflow.lib.rdms.alignment import positions
from workflow.lib.rdms.noise import noise_normalised
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rsa.model_layers import ModelLayers
from workflow.lib.searchlight.similarity import control_basis
from workflow.lib.searchlight.sphere_rdms import Searchlight
from workflow.lib.sources import WHOLE_BRAIN


def read_searchlight(
    patterns: str | Path,
    names: Sequence[str],
    *,
    image: str | Path,
    mask: str | Path | None,
    **settings,
) -> Searchlight:
    """Return the searchlight of a subject from files.

    Parameters
    ----------
    patterns : file with the responses of all voxels
    names : matched names of the conditions in the common order
    image : any image of the subject, which gives the grid
    mask : image whose voxels are the centres; None or empty for the voxels that have channels
    settings : match, noise_normalisation, metric, radius, unit, min_voxels of
        `subject_searchlight`
    """
    volume = read_header(image)
    return subject_searchlight(
        PatternStore(patterns),
        names,
        grid=volume.grid,
        affine=volume.affine,
        mask=read_mask(mask, volume) if mask else None,
        **settings,
    )


def subject_searchlight(
    store: PatternStore,
    names: Sequence[str],
    *,
    grid: tuple[int, ...],
    affine: np.ndarray,
    mask: np.ndarray | None,
    match: str,
    noise_normalisation: str,
    metric: str,
    radius: float,
    unit: str,
    min_voxels: int,
) -> Searchlight:
    """Return the searchlight of a subject, conditions in the common order.

    Parameters
    ----------
    store : the subject's patterns, with the voxel indices x, y and z of every channel
    names : matched names of the conditions in the common order
    grid, affine : voxels along x, y and z, and float array (4, 4)
    mask : bool array (x, y, z), or None for the voxels that have channels
    match : "exact" or "normalised"
    noise_normalisation : "none" or "diagonal"
    metric, radius, unit, min_voxels : see `workflow.lib.searchlight.sphere_rdms.Searchlight`

    Raises
    ------
    InputError
        Runs of unequal numbers of observations for crossnobis, or no sphere of enough voxels.
    """
    patterns = store.patterns(WHOLE_BRAIN)
    voxels = np.stack([patterns.channels[axis] for axis in "xyz"], axis=1)
    if mask is None:
        mask = np.zeros(grid, dtype=bool)
        mask[tuple(voxels.T)] = True
    stored = list(dict.fromkeys(store.conditions))
    ordered = [stored[i] for i in positions(names, stored, match=match, what=store.path.name)]
    try:
        return Searchlight(
            sphere_patterns(patterns, ordered, metric, noise_normalisation),
            voxels,
            mask=mask,
            affine=affine,
            radius=radius,
            unit=unit,
            metric=metric,
            min_voxels=min_voxels,
        )
    except InputError as error:
        raise InputError(f"{store.path.name}: {error}") from None


def sphere_patterns(
    patterns: Patterns, names: Sequence[str], metric: str, noise_normalisation: str
) -> np.ndarray:
    """Return the mean pattern of each condition (in each run, for crossnobis)."""
    if noise_normalisation == "shrinkage":
        raise InputError(
            "found noise_normalisation shrinkage, expected none or diagonal for a searchlight: the "
            "covariance of all voxels of a brain has no useful inverse; choose one of these"
        )
    means, counts = means_for(patterns, names, metric)
    if counts is not None and np.ptp(counts, axis=0).any():
        raise InputError(
            "found conditions with more observations in one run than in another, expected as many "
            "in each for a crossnobis searchlight; choose another metric"
        )
    if noise_normalisation == "none":
        return means
    residuals, dof = noise_residuals(patterns)
    return noise_normalised(means, residuals, dof=dof, method=noise_normalisation)


def basis_of_controls(
    models: Sequence[RDMStore], controls: Sequence[str], comparator: str
) -> np.ndarray | None:
    """Return the orthonormal basis of all layers of the control models, None without any."""
    if not controls:
        return None
    chosen = ModelLayers([store for store in models if store.descriptors["model"] in controls])
    names = (chosen.table["model"] + ", " + chosen.table["layer"]).tolist()
    return control_basis(chosen.averaged(chosen.vectors()), comparator, names)
