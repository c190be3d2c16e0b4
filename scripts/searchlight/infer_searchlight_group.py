"""Test the searchlight maps of all subjects together by sign flips, and list the clusters."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.nifti.maps import BrainMaps, check_same_grid, read_maps, write_maps
from workflow.lib.searchlight.clusters import CLUSTER_COLUMNS, cluster_table
from workflow.lib.searchlight.statistics import GroupTest, fisher_z, map_sign_flip_test
from workflow.lib.searchlight.tfce import FACES
from workflow.lib.seeds import generator
from workflow.lib.tables import read_table, write_table

# Statistics of a group's map, in the order of the output files.
STATISTICS = ("mean_z", "t", "p", "p_max", "p_tfce")


def infer_searchlight_group(
    subjects: Sequence[BrainMaps],
    *,
    n_flips: int,
    connectivity: int | None,
    across_models: bool,
    rng: np.random.Generator,
    progress: bool = True,
) -> tuple[GroupTest, dict[str, np.ndarray], np.ndarray]:
    """Return the test of the mean over subjects of Fisher's z, against zero.

    Parameters
    ----------
    subjects : similarity maps of each subject, on one grid
    n_flips : sign flips, all of them if there are no more; 0 for no test
    connectivity : of clusters in TFCE; None for no TFCE
    across_models : whether corrected p-values hold for all maps together
    rng : numpy Generator
    progress : whether a progress bar is shown

    Returns
    -------
    test : GroupTest
    maps : dict, one of `STATISTICS` -> float64 array (n_maps, n_voxels)
    mask : bool array (x, y, z), voxels that any subject has

    Raises
    ------
    InputError
        Subjects on different grids, or without a common voxel.
    """
    check_same_grid(subjects)
    mask = np.any([maps.mask for maps in subjects], axis=0)
    z = fisher_z(np.stack([maps.values[:, mask] for maps in subjects]))
    found = map_sign_flip_test(
        z,
        mask,
        n_flips=n_flips,
        rng=rng,
        connectivity=connectivity,
        across_maps=across_models,
        progress="sign flips" if progress else None,
    )
    untested = np.full(found.mean.shape, np.nan)
    maps = {"mean_z": found.mean, "t": found.t} | {
        name: untested if found.test is None else getattr(found.test, name)
        for name in STATISTICS[2:]
    }
    return found, maps, mask


def group_table(
    layers: pd.DataFrame, found: GroupTest, maps: dict[str, np.ndarray], alpha: float
) -> pd.DataFrame:
    """Return a row per map: how many subjects, what they carry, and how many voxels are found."""
    draws, complete = (found.test.n_draws, found.test.complete) if found.test else (0, False)
    return layers.assign(
        status=found.status,
        n_subjects=found.n_subjects,
        n_voxels=np.isfinite(maps["mean_z"]).sum(axis=1),
        peak_mean_z=np.nanmax(maps["mean_z"], axis=1),
        **{f"n_{name}": (maps[name] <= alpha).sum(axis=1) for name in STATISTICS[2:]},
        # As many as were drawn, beside the signs as they are; or all, which hold these.
        n_flips=max(0, draws - (not complete)),
        complete=complete,
        alpha=alpha,
    )


def clusters_of(
    layers: pd.DataFrame,
    maps: dict[str, np.ndarray],
    mask: np.ndarray,
    affine: np.ndarray,
    *,
    alpha: float,
    tfce: bool,
) -> pd.DataFrame:
    """Return the clusters of every map: voxels significant by TFCE, or by the largest t without."""
    p = maps["p_tfce"] if tfce else maps["p_max"]
    tables = [
        cluster_table(
            maps["t"][number],
            p[number],
            mask,
            affine,
            alpha=alpha,
        ).assign(model=layers["model"].iloc[number], layer=layers["layer"].iloc[number])
        for number in range(len(layers))
    ]
    return pd.concat(tables, ignore_index=True)[["model", "layer", *CLUSTER_COLUMNS]]


if __name__ == "__main__":
    with script_job(snakemake) as log:
        params = snakemake.params
        tables = [read_table(path) for path in snakemake.input.tables]
        layers = tables[0][["model", "layer", "volume", "comparator", "n_images", "n_pairs"]]
        subjects = [read_maps(path) for path in snakemake.input.maps]
        found, maps, mask = infer_searchlight_group(
            subjects,
            n_flips=params.n_flips,
            connectivity=FACES if params.tfce else None,
            across_models=params.across_models,
            rng=generator(params.seed, "searchlight group", snakemake.wildcards.study),
        )
        log.info("%d subjects: %s", found.n_subjects, found.status)
        for name in STATISTICS:
            write_maps(snakemake.output[name], maps[name], mask, subjects[0].affine)
        clusters = clusters_of(
            layers,
            maps,
            mask,
            subjects[0].affine,
            alpha=params.alpha,
            tfce=params.tfce,
        )
        write_table(group_table(layers, found, maps, params.alpha), snakemake.output.table)
        write_table(clusters, snakemake.output.clusters)
