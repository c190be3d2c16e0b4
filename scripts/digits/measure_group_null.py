"""Measure how often the original's threshold and ours find something where there is nothing.

snakemake --cores 1 results/demo/digits/tables/corrections_null.csv
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.ndimage

from scripts.digits.corrections import Correction, corrections_table
from workflow.lib.inference.sign_flip import MIN_SUBJECTS, t_statistics
from workflow.lib.jobs import script_job
from workflow.lib.searchlight.maps import BrainMaps, check_same_grid, read_maps
from workflow.lib.searchlight.statistics import fisher_z, sign_flips
from workflow.lib.seeds import generator
from workflow.lib.tables import read_table, write_table

# The original's: clusters of at least so many voxels that touch by a face or an edge.
CLUSTER_VOXELS = 20
NEIGHBOURS = scipy.ndimage.generate_binary_structure(3, 2)
# Draws of a voxel per subject, and groups of null subjects in which clusters are looked for.
N_DRAWS, N_GROUPS = 10_000, 100
# Groups of null subjects, at most, among which the largest statistic is ranked.
N_FLIPS = 1000
CORRECTION = "null of the group's maps"


def null_rates(
    maps: np.ndarray, mask: np.ndarray, *, alpha: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the share of groups of null subjects in which something is found.

    Parameters
    ----------
    maps : float array (n_subjects, n_voxels)
        Fisher's z, a map per subject.
    mask : bool array (x, y, z) of n_voxels
    alpha : level of either procedure
    rng : numpy Generator

    Returns
    -------
    original : float
        By the threshold from t over subjects of voxels drawn for each at random, clusters of at
        least `CLUSTER_VOXELS`, of either sign.
    ours : float
        By the largest t; NaN for fewer than `MIN_SUBJECTS`.

    Notes
    -----
    Null subjects have the maps of the study's, each with a random sign: as smooth and as different
    from one another as these, but without a common mean.
    """
    signs, _ = sign_flips(len(maps), N_FLIPS, rng)
    largest = np.array([t_statistics(sign[np.newaxis], maps).max() for sign in signs])
    p = (largest[:, np.newaxis] <= largest + 1e-9).mean(axis=1)
    some = rng.permutation(len(signs))[:N_GROUPS]
    found = [published_clusters(signs[i][:, np.newaxis] * maps, mask, alpha, rng) for i in some]
    ours = float((p <= alpha).mean()) if len(maps) >= MIN_SUBJECTS else np.nan
    return float(np.mean(found)), ours


def published_clusters(
    maps: np.ndarray, mask: np.ndarray, alpha: float, rng: np.random.Generator
) -> bool:
    """Return whether the original's threshold leaves a cluster in maps (n_subjects, n_voxels)."""
    n_subjects, n_voxels = maps.shape
    upright = np.ones((1, n_subjects))
    drawn = rng.integers(n_voxels, size=(n_subjects, N_DRAWS))
    pooled = t_statistics(upright, np.take_along_axis(maps, drawn, axis=1))
    low, high = np.percentile(pooled, [100 * alpha / 2, 100 - 100 * alpha / 2])
    observed = t_statistics(upright, maps)[0]
    volume = np.zeros(mask.shape, dtype=bool)
    for beyond in (observed >= high, observed <= low):
        volume[mask] = beyond
        labels, _ = scipy.ndimage.label(volume, NEIGHBOURS)
        if np.bincount(labels.ravel())[1:].max(initial=0) >= CLUSTER_VOXELS:
            return True
    return False


def null_corrections(
    maps: Sequence[BrainMaps],
    volumes: pd.DataFrame,
    *,
    alpha: float,
    seed: int,
    study: str,
) -> pd.DataFrame:
    """Return a row, the mean over codes; none for a single subject.

    Parameters
    ----------
    maps : of every subject
    volumes : DataFrame, columns layer and volume, of the codes
    alpha : level
    seed, study : of the run
    """
    if len(maps) < 2:
        return corrections_table([])
    check_same_grid(maps)
    rates = []
    for row in volumes.itertuples():
        values = np.stack([one.values[row.volume] for one in maps])
        mask = np.isfinite(values).all(axis=0)
        rng = generator(seed, "corrections", "null", study, row.layer)
        rates.append(null_rates(fisher_z(values[:, mask]), mask, alpha=alpha, rng=rng))
    original, ours = np.mean(rates, axis=0)
    return corrections_table(
        [
            Correction(
                CORRECTION,
                f"share of groups of {len(maps)} null subjects with a finding at {alpha:g}",
                original,
                ours,
                "the original draws another voxel for each subject, and does not correct for the "
                "number of voxels; ours flips the signs of whole subjects and takes the largest "
                f"statistic. Mean over maps of {len(volumes)} codes; null subjects are the study's "
                "own with random signs",
            )
        ]
    )


if __name__ == "__main__":
    with script_job(snakemake):
        table = read_table(snakemake.input.tables[0])
        write_table(
            null_corrections(
                [read_maps(path) for path in snakemake.input.maps],
                table[table["model"] == snakemake.params.model],
                alpha=snakemake.params.alpha,
                seed=snakemake.params.seed,
                study=snakemake.wildcards.study,
            ),
            snakemake.output[0],
        )
