"""Try the best layer, and a mixture of layers, on images that did not choose them."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.inference.folds import mean_of_defined
from workflow.lib.inference.held_out_layer import held_out_layers
from workflow.lib.inference.reweighting import reweighted_similarities
from workflow.lib.inference.study_resamples import study_folds
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rsa.model_layers import ModelLayers
from workflow.lib.tables import write_table

COLUMNS = ("roi", "model", "chosen", "chosen_share", "held_out", "optimistic", "reweighted")


def cross_validate_layers(
    brain: RDMStore,
    models: Sequence[RDMStore],
    *,
    comparator: str,
    n_folds: int,
    resample: str,
    seed: int,
) -> pd.DataFrame:
    """Return how each model's best layer, and mixture of layers, fare on held-out images.

    Parameters
    ----------
    brain : the subject's RDMs
    models : RDMs of each model over the same images
    comparator : name of `workflow.lib.rsa.comparators.COMPARATORS`
    n_folds : folds over images
    resample : a key of `workflow.lib.inference.study_resamples.RESAMPLING`, whether folds part
        the image groups
    seed : seed of the run

    Returns
    -------
    DataFrame, a row per ROI and model of several layers: held_out, similarity of the layer that
    was best on the training images, over pairs of test images; optimistic, that of the layer that
    is best on these very pairs; chosen, the layer chosen most often, in the share chosen_share of
    the splits; reweighted, similarity of the non-negative mixture of layers fitted to the
    training images, the seeds of an untrained network by their mean RDM. Means over n_splits
    splits, but for those in which a brain RDM does not vary.
    """
    check_same_images([brain, *models])
    rois, rows = map(list, zip(*brain.mean_session_rows().items(), strict=True))
    # All models see the same folds, so that they can be compared.
    splits = study_folds(brain, n_folds=n_folds, resample=resample, seed=seed)
    several = [layers for layers in map(ModelLayers, zip(models)) if len(layers.table) > 1]
    tables = [pd.DataFrame(columns=COLUMNS)]
    for layers in several if splits else ():
        found = held_out_columns(
            layers, brain.vectors(rows), comparator, n_images=brain.n_images, splits=splits
        )
        tables.append(pd.DataFrame({"roi": rois, "model": layers.table["model"].iloc[0]} | found))
    labels = {name: brain.descriptors[name] for name in ("study", "subject")}
    return pd.concat(tables, ignore_index=True).assign(
        **labels,
        comparator=comparator,
        n_splits=sum(map(len, splits)),
        n_images=brain.n_images,
    )


def held_out_columns(
    layers: ModelLayers,
    vectors: np.ndarray,
    comparator: str,
    *,
    n_images: int,
    splits: Sequence[Sequence[np.ndarray]],
) -> dict[str, np.ndarray]:
    """Return the columns of one model, each (n_rois,)."""
    models = layers.vectors()
    best = held_out_layers(
        models,
        vectors,
        comparator,
        n_images=n_images,
        folds=list(itertools.chain.from_iterable(splits)),
        averaged=layers.averaged,
    )
    mixtures = [
        reweighted_similarities(
            layers.averaged(models), vectors, comparator, n_images=n_images, folds=folds
        )
        for folds in splits
    ]
    names = layers.table["layer"].to_numpy()
    chosen = names[best.frequency.argmax(axis=1)]
    return {
        "chosen": np.where(np.isnan(best.frequency).any(axis=1), "", chosen),
        "chosen_share": best.frequency.max(axis=1),
        "held_out": best.similarity,
        "optimistic": best.optimistic,
        "reweighted": mean_of_defined(np.concatenate([found.similarity for found in mixtures])),
    }


if __name__ == "__main__":
    with script_job(snakemake):
        write_table(
            cross_validate_layers(
                RDMStore(snakemake.input.brain),
                [RDMStore(path) for path in snakemake.input.models],
                comparator=snakemake.params.comparator,
                n_folds=snakemake.params.n_folds,
                resample=snakemake.params.resample,
                seed=snakemake.params.seed,
            ),
            snakemake.output[0],
        )
