"""Compare every layer with every ROI of one subject: similarity, interval, test against zero."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.inference.draw_store import Draws, DrawStore
from workflow.lib.inference.multiple_tests import false_discovery_rate
from workflow.lib.inference.orders import EXCHANGED, possible_permutations
from workflow.lib.inference.permutation import permute_images
from workflow.lib.inference.variance import interval
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rsa.model_layers import ModelLayers
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table


def compare_rdms(
    brain: RDMStore,
    models: Sequence[RDMStore],
    draws: DrawStore,
    *,
    n_permutations: int,
    permuted: str,
    seed: int,
) -> pd.DataFrame:
    """Return the similarity of all layers of all models with all ROIs of a subject.

    Parameters
    ----------
    brain : the subject's RDMs
    models : RDMs of each model over the same images
    draws : the subject's similarities and their variation over images
    n_permutations : permutations of the images; 0 for no test
    permuted : what changes places, a key of `workflow.lib.inference.orders.EXCHANGED`
    seed : seed of the run

    Returns
    -------
    DataFrame, a row per comparator, session, ROI, model and layer: similarity; its standard error
    over images se (of which se_bootstrap, from n_bootstrap exact resamples, or se_jackknife),
    and 95 % interval low to high; one-sided p of the Mantel test, q (Benjamini-Hochberg over the
    subject's cells of one comparator and session), p_fwe (by the largest studentised similarity
    over the same cells); n_images, n_pairs, n_permutations. A cell that no permutation can change
    (images of a group all alike to a model, permuted within groups) has no p, nor has any where
    nothing can change places (no two whole groups of one size), with n_permutations of 0.
    """
    check_same_images([brain, *models])
    where = f"{brain.descriptors['study']}, {brain.descriptors['subject']}"
    n_permutations = possible_permutations(n_permutations, permuted, brain.groups, where)
    layers = ModelLayers(models)
    rows = pd.DataFrame(brain.rows())
    tables = []
    for name in draws.comparators:
        cells = rows.merge(layers.table, how="cross").assign(comparator=name)
        cells = cells.assign(**similarity_columns(draws.draws(name), draws.n_drawn))
        p = {"p": np.nan, "p_fwe": np.nan, "n_permutations": 0}
        if n_permutations:
            p = tested(layers, brain, name, n_permutations, permuted=permuted, seed=seed)
        tables.append(cells.assign(**p))
    table = pd.concat(tables, ignore_index=True)
    families = table.groupby(["comparator", "session"])["p"]
    table["q"] = families.transform(lambda family: false_discovery_rate(family.to_numpy()))
    table = table.assign(n_images=brain.n_images, n_pairs=brain.n_pairs)
    table.insert(0, "study", brain.descriptors["study"])
    table.insert(1, "subject", brain.descriptors["subject"])
    return table


def similarity_columns(draws: Draws, n_drawn: int) -> dict[str, np.ndarray]:
    """Return similarity, standard errors and interval of every cell, each (n_cells,)."""
    low, high = interval(draws.estimate, draws.standard_error**2, n_drawn - 1)
    return {
        "similarity": draws.estimate.ravel(),
        "se": draws.standard_error.ravel(),
        "low": low.ravel(),
        "high": high.ravel(),
        "se_bootstrap": draws.bootstrap_error.ravel(),
        "n_bootstrap": len(draws.exact),
        "se_jackknife": draws.jackknife_error.ravel(),
    }


def tested(
    layers: ModelLayers,
    brain: RDMStore,
    comparator: str,
    n_permutations: int,
    *,
    permuted: str,
    seed: int,
) -> dict[str, np.ndarray | int]:
    """Return p and family-wise p_fwe of every cell, each (n_cells,); NaN where none can change."""
    test = permute_images(
        layers.vectors(),
        brain.vectors(),
        comparator,
        n_images=brain.n_images,
        n_permutations=n_permutations,
        # Every comparator and every subject sees the same permutations.
        rng=generator(seed, "mantel", brain.descriptors["study"]),
        **EXCHANGED[permuted](brain.groups),
        members=layers.layer_of_member,
    )
    sessions = [labels["session"] for labels in brain.rows()]
    columns = {"p": test.p, "p_fwe": test.family_wise_p(sessions)}
    return {name: np.where(test.can_change, p, np.nan).T.ravel() for name, p in columns.items()} | {
        "n_permutations": test.n_permutations
    }


if __name__ == "__main__":
    with script_job(snakemake):
        write_table(
            compare_rdms(
                RDMStore(snakemake.input.brain),
                [RDMStore(path) for path in snakemake.input.models],
                DrawStore(snakemake.input.draws),
                n_permutations=snakemake.params.n_permutations,
                permuted=snakemake.params.permuted,
                seed=snakemake.params.seed,
            ),
            snakemake.output[0],
        )
