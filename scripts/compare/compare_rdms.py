"""Compare every layer with every ROI of one subject, and test each against zero."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.comparators import compare
from workflow.lib.jobs import script_job
from workflow.lib.permutation import false_discovery_rate, mantel_test
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
    layers = pd.DataFrame(
        [
            {"model": model.descriptors["model"], **labels}
            for model in models
            for labels in model.rows()
        ]
    )
    rois = pd.DataFrame(brain.rows())
    model_vectors = np.concatenate([model.vectors() for model in models])
    brain_vectors = brain.vectors()
    tables = []
    for name in comparators:
        similarity = compare(model_vectors, brain_vectors, name)
        p = np.full(similarity.shape, np.nan)
        if n_permutations:
            p = mantel_test(
                model_vectors,
                brain_vectors,
                name,
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
