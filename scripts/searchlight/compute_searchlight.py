"""Compare the RDM of a sphere around every voxel of one subject with every layer, and test it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.errors import InputError
from workflow.lib.inference.orders import EXCHANGED, possible_permutations
from workflow.lib.jobs import script_job
from workflow.lib.nifti.maps import write_maps
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rsa.model_layers import ModelLayers
from workflow.lib.searchlight.similarity import prepared_models, similarity_maps, without_controls
from workflow.lib.searchlight.sphere_rdms import Searchlight
from workflow.lib.searchlight.statistics import SINGLE_CASE, MapTest, label_permutation_test
from workflow.lib.searchlight.subject import basis_of_controls, read_searchlight
from workflow.lib.searchlight.tfce import FACES
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

# Statistics of a map, in the order of the output files.
STATISTICS = ("similarity", "p", "p_max", "p_tfce")


def compute_searchlight(
    searchlight: Searchlight,
    models: Sequence[RDMStore],
    *,
    comparator: str,
    controls: Sequence[str],
    n_permutations: int,
    permuted: str,
    connectivity: int | None,
    across_models: bool,
    alpha: float,
    rng: np.random.Generator,
    progress: bool = True,
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Return the maps of every layer of every model that is no control, and a row for each.

    Parameters
    ----------
    searchlight : Searchlight
    models : RDMs of each model over the same conditions
    comparator : one of `workflow.lib.searchlight.sphere_rdms.COMPARATORS`
    controls : names of models whose layers are partialled out of brain and models
    n_permutations : permutations of the conditions; 0 for no test
    permuted : what changes places, a key of `workflow.lib.inference.orders.EXCHANGED`
    connectivity : of clusters in TFCE; None for no TFCE
    across_models : whether corrected p-values hold for all maps together
    alpha : level at which the table counts voxels
    rng : numpy Generator
    progress : whether progress bars are shown

    Returns
    -------
    maps : dict, one of `STATISTICS` -> float64 array (n_layers, n_centres)
    table : DataFrame, a row per layer
    """
    check_same_images(models)
    layers = ModelLayers([store for store in models if store.descriptors["model"] not in controls])
    prepared = layers.averaged(prepared_models(layers.vectors(), comparator))
    basis = basis_of_controls(models, controls, comparator)
    fitted = prepared if basis is None else without_controls(prepared, basis)
    _check_left(fitted, layers.table, controls)
    bar = "spheres" if progress else None
    observed = similarity_maps(searchlight, fitted, comparator, basis=basis, progress=bar)
    test, groups = None, models[0].groups
    n_permutations = possible_permutations(n_permutations, permuted, groups, "searchlight")
    if n_permutations:
        test = label_permutation_test(
            searchlight,
            prepared,
            comparator,
            observed=observed,
            n_permutations=n_permutations,
            rng=rng,
            **EXCHANGED[permuted](groups),
            basis=basis,
            connectivity=connectivity,
            across_models=across_models,
            progress="permutations" if progress else None,
        )
    maps = {"similarity": observed} | {
        name: np.full(observed.shape, np.nan) if test is None else getattr(test, name)
        for name in STATISTICS[1:]
    }
    summary = summary_table(searchlight, maps, test, alpha)
    return maps, pd.concat([layers.table, summary], axis=1).assign(comparator=comparator)


def _check_left(fitted: np.ndarray, layers: pd.DataFrame, controls: Sequence[str]) -> None:
    for vector, model, layer in zip(fitted, layers["model"], layers["layer"], strict=True):
        if not vector.any():
            raise InputError(
                f"found the model {model} ({layer}) made up of the controls "
                f"({', '.join(controls)}), expected one that is not collinear with them; leave it "
                "out"
            )


def summary_table(
    searchlight: Searchlight, maps: dict[str, np.ndarray], test: MapTest | None, alpha: float
) -> pd.DataFrame:
    """Return a row per map: the volume in the images, the peak, and how many voxels are found."""
    similarity = maps["similarity"]
    peaks = np.nanargmax(similarity, axis=1)
    affine = searchlight.spheres.affine
    places = searchlight.spheres.centres[peaks] @ affine[:3, :3].T + affine[:3, 3]
    unusable, too_few = searchlight.excluded.values()
    return pd.DataFrame(
        {
            "volume": np.arange(len(similarity)),
            "status": SINGLE_CASE,
            "mean": np.nanmean(similarity, axis=1),
            "peak": similarity[np.arange(len(similarity)), peaks],
            **{f"peak_{axis}_mm": place for axis, place in zip("xyz", places.T, strict=True)},
            **{f"n_{name}": (maps[name] <= alpha).sum(axis=1) for name in STATISTICS[1:]},
            "n_centres": searchlight.n_centres,
            "n_computed": np.isfinite(similarity).sum(axis=1),
            "n_without_voxel": unusable,
            "n_too_few_voxels": too_few,
            "n_images": searchlight.n_conditions,
            "n_pairs": searchlight.n_pairs,
            "n_permutations": 0 if test is None else test.n_draws - (not test.complete),
            "alpha": alpha,
        }
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params, wildcards = snakemake.params, snakemake.wildcards
        models = [RDMStore(path) for path in snakemake.input.models]
        searchlight = read_searchlight(
            snakemake.input.patterns,
            models[0].names,
            image=snakemake.input.images,
            mask=snakemake.input.mask,
            **params.spheres,
        )
        maps, table = compute_searchlight(
            searchlight,
            models,
            comparator=params.comparator,
            controls=params.controls,
            n_permutations=params.n_permutations,
            permuted=params.permuted,
            connectivity=FACES if params.tfce else None,
            across_models=params.across_models,
            alpha=params.alpha,
            # Every subject sees the same permutations.
            rng=generator(params.seed, "searchlight", wildcards.study),
        )
        spheres = searchlight.spheres
        for name in STATISTICS:
            write_maps(snakemake.output[name], maps[name], spheres.mask, spheres.affine)
        table.insert(0, "study", wildcards.study)
        table.insert(1, "subject", wildcards.subject)
        write_table(table, snakemake.output.table)
