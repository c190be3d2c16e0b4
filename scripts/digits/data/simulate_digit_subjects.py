"""Simulate subjects who see digits and objects: betas on a small brain with planted regions.

In the regions early, middle and late the response patterns of the categories have the geometry of a
layer of the trained network, in the regions of a code that of the code; the rest of the brain does
not respond. Every subject has voxels, noise and strengths of response of its own; regions lie at
the same place in all, as after normalisation to a template.

The null simulation gives every subject and region a geometry of the same kind, whose categories
have changed places: nothing there has to do with a layer or a code.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.ndimage

from scripts.digits.data.planted import REGIONS, SUBJECTS
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.nifti.files import write_image
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rdms.vectors import n_conditions, to_square
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

NULL = "none"
# Voxels of 3 mm; x runs to the left, as scanners have it.
GRID = (20, 24, 18)
AFFINE = np.diag([-3.0, 3.0, 3.0, 1.0])
AFFINE[:3, 3] = 28.5, -34.5, -25.5
# Half axes of the brain, an ellipsoid around the middle of the grid, and radius of the regions, all
# in voxels.
BRAIN, RADIUS = (9.5, 11.5, 8.5), 3.0
# ASSUME: noise fixed once, against patterns of unit variance; responses of subjects differ in
# strength; a Gaussian of 0.6 voxels is what a scanner's point spread leaves.
N_RUNS = 4
NOISE = 2.5
STRENGTH = (0.75, 1.25)
BLUR = 0.6
# RDMs are stored in single precision.
SMALLEST_EIGENVALUE = 1e-4


def brain_mask() -> np.ndarray:
    """Return the voxels of the brain, bool GRID."""
    middle = (np.array(GRID) - 1) / 2
    scaled = (np.indices(GRID) - middle.reshape(3, 1, 1, 1)) / np.reshape(BRAIN, (3, 1, 1, 1))
    return np.square(scaled).sum(axis=0) <= 1


def region_masks() -> dict[str, np.ndarray]:
    """Return region -> its voxels, bool GRID; regions do not touch."""
    voxels = np.indices(GRID)
    return {
        name: np.linalg.norm(voxels - np.reshape(region.centre, (3, 1, 1, 1)), axis=0) <= RADIUS
        for name, region in REGIONS.items()
    }


def second_moments(rdm: np.ndarray) -> np.ndarray:
    """Return the similarities of patterns of unit variance that lie as an RDM says.

    Parameters
    ----------
    rdm : float array (n_pairs,)
        Dissimilarities of the kind 1 - similarity.

    Returns
    -------
    float64 array (n_conditions, n_conditions)
        Positive semidefinite with a unit diagonal.

    Notes
    -----
    1 - RDM where patterns with these similarities exist, as for layers. There are none for most
    codes, which call equal what differs from different things: what classical scaling (Torgerson
    1952, Psychometrika 17:401) finds of them, with patterns of their own for categories that it
    leaves in the middle. Pairs that a code tells apart are farther apart than all others.
    """
    similarity = 1 - to_square(rdm, n_conditions(rdm.size)).astype(np.float64)
    if np.linalg.eigvalsh(similarity)[0] > -SMALLEST_EIGENVALUE:
        return similarity
    centred = similarity - similarity.mean(axis=0) - similarity.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(centred + similarity.mean())
    scaled = (vectors * values.clip(min=0)) @ vectors.T
    scaled /= np.diagonal(scaled).max()
    return scaled + np.diag(1 - np.diagonal(scaled))


def planted_moments(models: Sequence[RDMStore]) -> dict[str, np.ndarray]:
    """Return region -> second moments of its patterns.

    Raises
    ------
    InputError
        A model without the layer or code that is planted.
    """
    stores = {store.descriptors["model"]: store for store in models}
    moments = {}
    for name, region in REGIONS.items():
        store = stores[region.model]
        rows = store.first_rows("layer")
        if region.layer not in rows:
            raise InputError(
                f"{store.path.name}: found {', '.join(rows)}, expected {region.layer!r} among them "
                f"for the planted region {name!r}; name it in the config"
            )
        moments[name] = second_moments(store.vector(rows[region.layer]))
    return moments


def simulate_betas(
    moments: Mapping[str, np.ndarray], rng: np.random.Generator, *, null_effect: bool
) -> np.ndarray:
    """Return the betas of one subject.

    Parameters
    ----------
    moments : mapping, region -> float array (n_conditions, n_conditions)
    rng : numpy Generator
    null_effect : whether categories change places in every region

    Returns
    -------
    float32 array (*GRID, N_RUNS * n_conditions), run after run, zero outside the brain
    """
    brain, regions = brain_mask(), region_masks()
    n = len(next(iter(moments.values())))
    betas = NOISE * rng.standard_normal((N_RUNS, n, *GRID))
    for name, of_region in moments.items():
        seen = rng.permutation(n) if null_effect else np.arange(n)
        values, vectors = np.linalg.eigh(of_region[np.ix_(seen, seen)])
        mixing = vectors * np.sqrt(values.clip(min=0))
        patterns = mixing @ rng.standard_normal((n, int(regions[name].sum())))
        betas[..., regions[name]] += rng.uniform(*STRENGTH) * patterns
    blurred = scipy.ndimage.gaussian_filter(betas, BLUR, axes=(2, 3, 4)) * brain
    return np.moveaxis(blurred.reshape(-1, *GRID), 0, -1).astype(np.float32)


def truth_table(*, null_effect: bool) -> pd.DataFrame:
    """Return region, its label in the image of regions, what is planted, and its voxels."""
    return pd.DataFrame(
        [
            {
                "region": name,
                "label": label,
                "planted_model": NULL if null_effect else region.model,
                "planted_layer": NULL if null_effect else region.layer,
                "n_voxels": int(mask.sum()),
            }
            for label, ((name, region), mask) in enumerate(
                zip(REGIONS.items(), region_masks().values(), strict=True), 1
            )
        ]
    )


def simulate(
    folder: Path,
    models: Sequence[RDMStore],
    *,
    null_effect: bool,
    seed: int,
    name: str,
) -> pd.DataFrame:
    """Write the betas of all subjects, masks and the image of the truth; return its table.

    Parameters
    ----------
    folder : where the files go
    models : RDMs of the layers and of the codes over the same categories
    null_effect : whether nothing has to do with layers and codes
    seed : seed of the run
    name : of the simulation; others with the same seed are independent of it
    """
    moments = planted_moments(models)
    conditions = models[0].names
    regions = region_masks()
    for file, mask in {"mask": brain_mask(), **_named(regions)}.items():
        write_image(folder / f"{file}.nii.gz", mask.astype(np.uint8), AFFINE)
    labels = sum(label * mask for label, mask in enumerate(regions.values(), 1))
    write_image(folder / "truth.nii.gz", labels.astype(np.uint8), AFFINE)
    table = {
        "condition": conditions * N_RUNS,
        "run": np.repeat(range(1, N_RUNS + 1), len(conditions)),
    }
    write_table(pd.DataFrame(table), folder / "observations.csv")
    for subject in SUBJECTS:
        rng = generator(seed, "simulate_digit_subjects", name, subject)
        betas = simulate_betas(moments, rng, null_effect=null_effect)
        write_image(folder / f"sub-{subject}_betas.nii.gz", betas, AFFINE)
    return truth_table(null_effect=null_effect)


def _named(regions: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"region_{name}": mask for name, mask in regions.items()}


if __name__ == "__main__":
    with script_job(snakemake):
        params, output = snakemake.params, snakemake.output
        truth = simulate(
            Path(output.truth).parent,
            [RDMStore(path) for path in snakemake.input.models],
            null_effect=params.null_effect,
            seed=params.seed,
            name=snakemake.wildcards.folder,
        )
        write_table(truth, output.truth)
