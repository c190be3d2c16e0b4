"""Compare layers and ROIs of one subject with the RDMs of control models taken out."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow.lib.config.inference import PARTIAL_COMPARATORS
from workflow.lib.errors import InputError
from workflow.lib.inference.multiple_tests import false_discovery_rate
from workflow.lib.inference.orders import EXCHANGED, possible_permutations
from workflow.lib.inference.permutation import permute_prepared
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rsa.comparators import compare, mean_of_members
from workflow.lib.rsa.model_layers import ModelLayers
from workflow.lib.rsa.partial import KINDS, partial_prepare
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table


def control_models(
    brain: RDMStore,
    models: Sequence[RDMStore],
    *,
    controls: Sequence[str],
    comparators: Sequence[str],
    n_permutations: int,
    permuted: str,
    seed: int,
) -> pd.DataFrame:
    """Return the similarities of a subject that are left when the controls are taken out.

    Parameters
    ----------
    brain : the subject's RDMs
    models : RDMs of each model over the same images, controls included
    controls : models of which all RDMs are taken out of all others
    comparators : names of comparators, of which those of PARTIAL_COMPARATORS are used
    n_permutations : permutations of the images; 0 for no test
    permuted : what changes places, a key of `workflow.lib.inference.orders.EXCHANGED`
    seed : seed of the run

    Returns
    -------
    DataFrame, a row per comparator, kind, session, ROI and layer of the models that are no control:
    similarity, as it is; controlled, with the controls taken out of model and brain RDM (kind
    partial) or of the model RDM alone (semi-partial); its one-sided p, by permutation of the
    images, and q (Benjamini-Hochberg over the subject's cells of one comparator, kind and session).

    Raises
    ------
    InputError
        A model that is none, or RDMs that the controls explain.

    Notes
    -----
    The images of the models' residuals are permuted. That is approximate: residuals of another
    order of the images are not quite those of that order. It is exact where no order changes the
    controls, as when image groups are taken out and images are permuted within them.
    """
    check_same_images([brain, *models])
    known = {store.descriptors["model"]: store for store in models}
    unknown = [name for name in controls if name not in known]
    if unknown:
        raise InputError(
            f"controls: found {unknown[0]!r}, expected some of {', '.join(known)}; correct it"
        )
    taken_out = [known[name] for name in controls]
    layers = ModelLayers([store for name, store in known.items() if name not in controls])
    where = f"{brain.descriptors['study']}, {brain.descriptors['subject']}"
    n_permutations = possible_permutations(n_permutations, permuted, brain.groups, where)
    cells = pd.DataFrame(brain.rows()).merge(layers.table, how="cross")
    tables = []
    chosen = [name for name in PARTIAL_COMPARATORS if name in comparators]
    for name, kind in itertools.product(chosen, KINDS):
        columns = controlled_columns(
            layers,
            brain,
            taken_out,
            name,
            kind=kind,
            n_permutations=n_permutations,
            exchanged=EXCHANGED[permuted](brain.groups),
            # The permutations of the comparison without controls.
            rng=generator(seed, "mantel", brain.descriptors["study"]),
        )
        tables.append(cells.assign(comparator=name, kind=kind, **columns))
    table = pd.concat(tables, ignore_index=True)
    families = table.groupby(["comparator", "kind", "session"])["p"]
    table["q"] = families.transform(lambda family: false_discovery_rate(family.to_numpy()))
    table = table.assign(
        controls=" + ".join(controls), n_images=brain.n_images, n_pairs=brain.n_pairs
    )
    table.insert(0, "study", brain.descriptors["study"])
    table.insert(1, "subject", brain.descriptors["subject"])
    return table


def controlled_columns(
    layers: ModelLayers,
    brain: RDMStore,
    controls: Sequence[RDMStore],
    comparator: str,
    *,
    kind: str,
    n_permutations: int,
    exchanged: Mapping[str, Sequence[str]],
    rng: np.random.Generator,
) -> dict[str, np.ndarray | int]:
    """Return the columns of one comparator and kind, those of cells (n_cells,)."""
    vectors, brains = layers.vectors(), brain.vectors()
    members = layers.layer_of_member
    similarity = mean_of_members(compare(vectors, brains, comparator), members)
    try:
        left, right = partial_prepare(
            vectors,
            brains,
            np.concatenate([store.vectors() for store in controls]),
            comparator,
            kind=kind,
            model_names=["/".join(layers.table.iloc[member]) for member in members],
            brain_names=[" ".join(labels.values()) for labels in brain.rows()],
            control_names=[
                "/".join([store.descriptors["model"], *labels.values()])
                for store in controls
                for labels in store.rows()
            ],
        )
    except InputError as error:
        raise InputError(f"rsa.{brain.descriptors['study']}.controls: {error}") from None
    test = permute_prepared(
        mean_of_members(left, members),
        right,
        n_images=brain.n_images,
        n_permutations=n_permutations,
        rng=rng,
        **exchanged,
    )
    return {
        "similarity": similarity.T.ravel(),
        "controlled": test.similarity.T.ravel(),
        "p": np.where(test.can_change, test.p, np.nan).T.ravel(),
        "n_permutations": test.n_permutations if n_permutations else 0,
    }


if __name__ == "__main__":
    with script_job(snakemake):
        write_table(
            control_models(
                RDMStore(snakemake.input.brain),
                [RDMStore(path) for path in snakemake.input.models],
                controls=snakemake.params.controls,
                comparators=snakemake.params.comparators,
                n_permutations=snakemake.params.n_permutations,
                permuted=snakemake.params.permuted,
                seed=snakemake.params.seed,
            ),
            snakemake.output[0],
        )
