"""Find the layer of a model that every voxel of one subject resembles most, and how surely."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.nifti.maps import read_maps, write_maps
from workflow.lib.patterns.store import PatternStore
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rsa.model_layers import ModelLayers
from workflow.lib.searchlight.assignment import (
    VOLUMES,
    assignment_maps,
    condition_draws,
    layer_groups,
)
from workflow.lib.searchlight.regions import layer_histogram, region_masks
from workflow.lib.searchlight.similarity import prepared_models, without_controls
from workflow.lib.searchlight.sphere_rdms import Searchlight
from workflow.lib.searchlight.statistics import SINGLE_CASE
from workflow.lib.searchlight.subject import basis_of_controls, read_searchlight
from workflow.lib.seeds import generator
from workflow.lib.tables import read_table, write_table


def resampled_conditions(
    searchlight: Searchlight,
    models: Sequence[RDMStore],
    model: str,
    *,
    comparator: str,
    controls: Sequence[str],
    n_resamples: int,
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Return the draws of the layers of one model, see `condition_draws`.

    As in the maps, a layer's similarity is the mean over its seeds; with controls, that of the mean
    of its prepared RDMs.
    """
    own = ModelLayers([store for store in models if store.descriptors["model"] == model])
    prepared = prepared_models(own.vectors(), comparator)
    basis = basis_of_controls(models, controls, comparator)
    if basis is None:
        return condition_draws(
            searchlight, prepared, comparator, n_resamples, rng, averaged=own.averaged
        )
    fitted = without_controls(own.averaged(prepared), basis)
    return condition_draws(searchlight, fitted, comparator, n_resamples, rng, basis)


def assign_layers(
    rows: pd.DataFrame,
    maps: np.ndarray,
    p: np.ndarray,
    draws: Iterator[tuple[np.ndarray, np.ndarray]],
    *,
    groups: Mapping[str, Sequence[str]],
    regions: Mapping[str, np.ndarray],
    group_p: np.ndarray | None = None,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the volumes of an assignment, and how many voxels of each region prefer each layer.

    Parameters
    ----------
    rows : DataFrame, the rows of the model in the table of a searchlight, in the order of layers
    maps, p : float arrays (n_layers, n_voxels), similarities and corrected p-values
    draws : see `workflow.lib.searchlight.assignment`
    groups : mapping, group -> its layers; empty if each layer is one
    regions : mapping, region -> bool array (n_voxels,)
    group_p : float array (n_groups, n_voxels), optional
        From `workflow.lib.searchlight.assignment.group_tests`.

    Returns
    -------
    volumes : float64 array (n_volumes, n_voxels), `VOLUMES`
    table : DataFrame, see `layer_histogram`
    """
    layers, alpha = rows["layer"].tolist(), float(rows["alpha"].iloc[0])
    group_of = layer_groups(layers, groups)
    volumes = assignment_maps(maps, p, draws, group_of, alpha, group_p)
    table = layer_histogram(volumes, layers, group_of, regions)
    kept = ("model", "comparator", "status", "n_images", "n_subjects", "alpha")
    first = rows.iloc[0]
    return np.stack([volumes[name] for name in VOLUMES]), table.assign(
        **{name: first[name] for name in kept if name in first},
        tested=bool(np.isfinite(p).any()),
    )


def write_assignment(
    output: Mapping[str, str | Path],
    volumes: np.ndarray,
    table: pd.DataFrame,
    *,
    mask: np.ndarray,
    affine: np.ndarray,
) -> None:
    """Write the image and the table of an assignment."""
    write_maps(output["maps"], volumes, mask, affine)
    write_table(table, output["table"])


if __name__ == "__main__":
    with script_job(snakemake):
        params, wildcards, files = snakemake.params, snakemake.wildcards, snakemake.input
        models = [RDMStore(path) for path in files.models]
        searchlight = read_searchlight(
            files.patterns,
            models[0].names,
            image=files.images,
            mask=files.mask,
            **params.spheres,
        )
        mask = searchlight.spheres.mask
        table = read_table(files.table)
        rows = table[table["model"] == wildcards.model]
        volumes, histogram = assign_layers(
            rows,
            read_maps(files.similarity).values[rows["volume"]][:, mask],
            read_maps(files.p).values[rows["volume"]][:, mask],
            resampled_conditions(
                searchlight,
                models,
                wildcards.model,
                comparator=params.comparator,
                controls=params.controls,
                n_resamples=params.n_resamples,
                rng=generator(params.seed, "assign_layers", wildcards.study),
            ),
            groups=params.layer_groups,
            regions={
                region: voxels[mask]
                for region, voxels in region_masks(
                    [PatternStore(files.regions)], mask.shape
                ).items()
            },
        )
        histogram = histogram.assign(
            **{"study": wildcards.study, "subject": wildcards.subject, "status": SINGLE_CASE},
            **{"resampled": "conditions", "n_resamples": params.n_resamples},
        )
        write_assignment(
            snakemake.output, volumes, histogram, mask=mask, affine=searchlight.spheres.affine
        )
