"""Compare every layer with every ROI of one subject, and test each against zero."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.comparators import dot_products, prepare
from workflow.lib.jobs import script_job
from workflow.lib.permutation import false_discovery_rate, permutation_p
from workflow.lib.rdm_store import RDMStore, check_same_images
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table


def compare_rdms(
    brain: RDMStore,
    models: Sequence[RDMStore],
    *,
    comparators: Sequence[str],
    n_permutations: int,
    within_groups: bool,
    seed: int,
) -> pd.DataFrame:
    """Return the similarity of all layers of all models with all ROIs of a subject.

    Parameters
    ----------
    brain : the subject's RDMs
    models : RDMs of each model over the same images
    comparators : names of `workflow.lib.comparators.COMPARATORS`
    n_permutations : permutations of the images; 0 for no test
    within_groups : whether images change places only within their group
    seed : seed of the run

    Returns
    -------
    DataFrame, a row per comparator, session, ROI, model and layer: similarity, one-sided p of the
    Mantel test, q (Benjamini-Hochberg over the subject's cells of one comparator and session),
    n_images, n_pairs, n_permutations.
    """
    check_same_images([brain, *models])
    members = pd.DataFrame(
        [
            {"model": model.descriptors["model"], "layer": labels["layer"]}
            for model in models
            for labels in model.rows()
        ]
    )
    layers = members.drop_duplicates(ignore_index=True)
    rois = pd.DataFrame(brain.rows())
    tables = []
    for name in comparators:
        model_vectors = np.concatenate([prepare(model.vectors(), name) for model in models])
        # The similarity is linear in the prepared RDMs: that of the mean over a layer's members
        # (the seeds of an untrained network) is the mean of the members' similarities.
        model_vectors = mean_of_members(model_vectors, members, layers)
        brain_vectors = prepare(brain.vectors(), name)
        similarity = dot_products(model_vectors, brain_vectors)
        p = np.full(similarity.shape, np.nan)
        if n_permutations:
            p = permutation_p(
                model_vectors,
                brain_vectors,
                n_images=brain.n_images,
                n_permutations=n_permutations,
                # Every comparator and every subject sees the same permutations.
                rng=generator(seed, "mantel", brain.descriptors["study"]),
                groups=brain.groups if within_groups else None,
            )
        cells = rois.merge(layers, how="cross").assign(
            comparator=name, similarity=similarity.T.ravel(), p=p.T.ravel()
        )
        cells["q"] = cells.groupby("session")["p"].transform(
            lambda family: false_discovery_rate(family.to_numpy())
        )
        tables.append(cells)
    table = pd.concat(tables, ignore_index=True).assign(
        n_images=brain.n_images, n_pairs=brain.n_pairs, n_permutations=n_permutations
    )
    table.insert(0, "study", brain.descriptors["study"])
    table.insert(1, "subject", brain.descriptors["subject"])
    return table


def mean_of_members(vectors: np.ndarray, members: pd.DataFrame, layers: pd.DataFrame) -> np.ndarray:
    """Return the mean vector of each layer's members.

    Parameters
    ----------
    vectors : float array (n_members, n_pairs)
    members : DataFrame (n_members) with the model and layer of each vector
    layers : DataFrame (n_layers), the distinct rows of `members`

    Returns
    -------
    float array (n_layers, n_pairs)
    """
    if len(members) == len(layers):
        return vectors
    number = pd.MultiIndex.from_frame(layers).get_indexer(pd.MultiIndex.from_frame(members))
    return np.stack([vectors[number == i].mean(axis=0) for i in range(len(layers))])


if __name__ == "__main__":
    with script_job(snakemake):
        write_table(
            compare_rdms(
                RDMStore(snakemake.input.brain),
                [RDMStore(path) for path in snakemake.input.models],
                comparators=snakemake.params.comparators,
                n_permutations=snakemake.params.n_permutations,
                within_groups=snakemake.params.within_groups,
                seed=snakemake.params.seed,
            ),
            snakemake.output[0],
        )
