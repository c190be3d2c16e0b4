"""Measure what the original's threshold finds in maps of the group, and where there is nothing.

snakemake --cores 1 results/demo/digits/tables/corrections_null.csv
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from scripts.digits.regions.published_clusters import CLUSTER_VOXELS, published_clusters
from workflow.lib.corrections import DIGITS_SHOWN, Correction, corrections_table
from workflow.lib.inference.sign_flip import MIN_SUBJECTS
from workflow.lib.jobs import script_job
from workflow.lib.nifti.maps import BrainMaps, check_same_grid, read_maps
from workflow.lib.searchlight.regions import WHOLE_MASK
from workflow.lib.searchlight.statistics import fisher_z, sign_flips
from workflow.lib.seeds import generator
from workflow.lib.tables import read_table, write_table

# Groups of null subjects in which clusters are looked for, and signs from which they are drawn.
N_GROUPS, N_FLIPS = 100, 1000
# Maps of two subjects less their mean are one map and its negative: they differ by nothing else.
MIN_NULL_SUBJECTS = 3


def null_findings(
    maps: np.ndarray, mask: np.ndarray, *, alpha: float, rng: np.random.Generator
) -> np.ndarray:
    """Return in which groups of null subjects the original finds a cluster, bool (n_groups,).

    Parameters
    ----------
    maps : float array (n_subjects, n_voxels)
        Fisher's z, a map per subject; `MIN_NULL_SUBJECTS` at least.
    mask : bool array (x, y, z) of n_voxels
    alpha : level of the original's threshold
    rng : numpy Generator

    Notes
    -----
    Null subjects have the maps of the study's less the mean of the group, each with a random sign:
    as smooth and as different from one another as these, but without a common mean. With the mean
    left in, signs as uneven as seven against one leave a cluster where all subjects have a region.
    Signs that are the same for all give the mean itself, zero, and are left out.
    """
    noise = maps - maps.mean(axis=0)
    signs, _ = sign_flips(len(maps), N_FLIPS, rng)
    signs = signs[np.ptp(signs, axis=1) > 0]
    some = signs[rng.permutation(len(signs))[:N_GROUPS]]
    found = [
        published_clusters(sign[:, np.newaxis] * noise, mask, alpha=alpha, rng=rng).any()
        for sign in some
    ]
    return np.array(found)


def layer_share(
    maps: np.ndarray, mask: np.ndarray, *, alpha: float, rng: np.random.Generator
) -> float:
    """Return the share of voxels to which the original gives a layer.

    Parameters
    ----------
    maps : float array (n_subjects, n_layers, n_voxels)
        Fisher's z.
    mask, alpha, rng : see `null_findings`

    Notes
    -----
    A voxel has a best layer where the map of any layer, thresholded by itself, is above zero.
    """
    found = [
        published_clusters(layer, mask, alpha=alpha, rng=rng) > 0
        for layer in np.moveaxis(maps, 1, 0)
    ]
    return float(np.any(found, axis=0).mean())


def null_corrections(
    maps: Sequence[BrainMaps],
    volumes: pd.DataFrame,
    *,
    alpha: float,
    seed: int,
    study: str,
) -> Iterator[Correction]:
    """Yield the row on the null of the group's maps, a mean over codes; none for one subject.

    Parameters
    ----------
    maps : of every subject
    volumes : DataFrame, columns layer and volume, of the codes
    alpha : level
    seed, study : of the run
    """
    if len(maps) < 2:
        return
    rate, how = np.nan, f"is not measured: null subjects take {MIN_NULL_SUBJECTS} at least"
    if len(maps) >= MIN_NULL_SUBJECTS:
        rate, how = _null_rate(maps, volumes, alpha=alpha, seed=seed, study=study)
    yield Correction(
        "null of the group's maps",
        f"share of groups of {len(maps)} null subjects with a finding at {alpha:g}",
        rate,
        np.nan,
        "the original draws another voxel for each subject, and does not correct for the number of "
        f"voxels; {_flips_note(len(maps), alpha)}. The original's {how}",
    )


def _null_rate(
    maps: Sequence[BrainMaps], volumes: pd.DataFrame, *, alpha: float, seed: int, study: str
) -> tuple[float, str]:
    """Return the share of groups of null subjects with a finding, and how it came about."""
    found = []
    for row in volumes.itertuples():
        z, mask = _group_z(maps, [row.volume])
        rng = generator(seed, "corrections", "null", study, row.layer)
        found.append(null_findings(z[:, 0], mask, alpha=alpha, rng=rng))
    rate, n_groups = float(np.mean(found)), len(found[0])
    # As of the groups of one code: codes share subjects.
    limits = binomtest(round(rate * n_groups), n_groups).proportion_ci(method="wilson")
    low, high = (f"{limit:.{DIGITS_SHOWN}g}" for limit in limits)
    return rate, (
        f"is a mean over maps of {len(volumes)} codes (95 % interval over {n_groups} groups: {low} "
        f"to {high}); null subjects are the study's own less the group's mean, with random signs"
    )


def _flips_note(n_subjects: int, alpha: float) -> str:
    if n_subjects < MIN_SUBJECTS:
        return f"ours does not test fewer than {MIN_SUBJECTS} subjects"
    return (
        f"ours, by construction no more than {alpha:g}: signs of whole subjects are flipped, which "
        "is exact for independent subjects with maps symmetric about zero, and the largest "
        "statistic is taken"
    )


def assignment_corrections(
    maps: Sequence[BrainMaps],
    volumes: pd.DataFrame,
    histogram: pd.DataFrame,
    *,
    alpha: float,
    seed: int,
    study: str,
) -> Iterator[Correction]:
    """Yield the row on the layer that each voxel resembles most.

    Parameters
    ----------
    maps, alpha, seed, study : see `null_corrections`
    volumes : DataFrame, columns layer and volume, of the layers
    histogram : table of `scripts.searchlight.assign_layers`
    """
    whole = histogram[histogram["region"] == WHOLE_MASK]
    original, missing = np.nan, "; one subject has no map of a group"
    if len(maps) > 1:
        rng = generator(seed, "corrections", "layers", study)
        original = layer_share(*_group_z(maps, volumes["volume"]), alpha=alpha, rng=rng)
        missing = ""
    yield Correction(
        "layer of each voxel",
        "share of the voxels of the mask that are given a layer",
        original,
        float(whole["n_reliable"].sum() / whole["n_in_region"].iloc[0]),
        f"the original gives one wherever t of any layer is in a cluster of {CLUSTER_VOXELS} "
        "voxels beyond its threshold, and says nothing of how surely it is the best; ours where "
        f"it is significant and its group of layers surely the best{missing}",
    )


def _group_z(maps: Sequence[BrainMaps], volumes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return Fisher's z, (n_subjects, n_maps, n_voxels), and (x, y, z) where all have a value."""
    check_same_grid(maps)
    values = np.stack([one.values[list(volumes)] for one in maps])
    mask = np.isfinite(values).all(axis=(0, 1))
    return fisher_z(values[:, :, mask]), mask


if __name__ == "__main__":
    with script_job(snakemake):
        input, params = snakemake.input, snakemake.params
        table = read_table(input.tables[0])
        maps = [read_maps(path) for path in input.maps]
        run = {"alpha": params.alpha, "seed": params.seed, "study": snakemake.wildcards.study}
        codes, layers = (table[table["model"] == name] for name in (params.codes, params.layers))
        histogram = read_table(input.assignment)
        rows = [
            *null_corrections(maps, codes, **run),
            *assignment_corrections(maps, layers, histogram, **run),
        ]
        write_table(corrections_table(rows), snakemake.output[0])
