"""Try mixtures of layers on subjects and images that did not choose their weights."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.inference.folds import mean_of_defined
from workflow.lib.inference.reweighting import reweighted_similarities
from workflow.lib.inference.study_resamples import study_folds
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images, check_same_rows
from workflow.lib.rsa.model_layers import ModelLayers
from workflow.lib.tables import write_table

COLUMNS = ("roi", "model", "subject", "chosen", "chosen_share", "held_out", "reweighted")


def cross_validate_group(
    brains: Sequence[RDMStore],
    models: Sequence[RDMStore],
    *,
    comparator: str,
    n_folds: int,
    resample: str,
    seed: int,
) -> pd.DataFrame:
    """Return how what other subjects say of other images fares on each subject.

    Parameters
    ----------
    brains : RDMs of two or more subjects
    models : RDMs of each model over the same images
    comparator : name of `workflow.lib.rsa.comparators.COMPARATORS`
    n_folds : folds over images
    resample : a key of `workflow.lib.inference.study_resamples.RESAMPLING`, whether folds part
        the image groups
    seed : seed of the run

    Returns
    -------
    DataFrame, a row per ROI, model of several layers and subject: reweighted, similarity of the
    non-negative mixture of layers fitted to the mean RDM of the other subjects over the training
    images, with the subject's RDM over pairs of test images; held_out, that of the layer that
    correlates best with the others over the training images (by cosine, without a mean taken off,
    for cosines); chosen, the layer chosen most often, in the share chosen_share of the splits.
    Means over n_splits splits, but for those in which the subject's RDM does not vary. The seeds
    of an untrained network enter by their mean RDM.
    """
    check_same_images([*brains, *models])
    check_same_rows(brains)
    # The folds of the single subjects, so that tables can be compared.
    splits = study_folds(brains[0], n_folds=n_folds, resample=resample, seed=seed)
    several = [layers for layers in map(ModelLayers, zip(models)) if len(layers.table) > 1]
    tables = [pd.DataFrame(columns=COLUMNS)]
    for roi, row in brains[0].mean_session_rows().items() if splits else ():
        vectors = np.stack([brain.vector(row) for brain in brains])
        for layers in several:
            labels = {
                "roi": roi,
                "model": layers.table["model"].iloc[0],
                "subject": [brain.descriptors["subject"] for brain in brains],
            }
            columns = columns_over_subjects(
                layers, vectors, comparator, n_images=brains[0].n_images, splits=splits
            )
            tables.append(pd.DataFrame(labels | columns))
    table = pd.concat(tables, ignore_index=True).assign(
        comparator=comparator,
        n_splits=sum(map(len, splits)),
        n_subjects=len(brains),
        n_images=brains[0].n_images,
    )
    table.insert(0, "study", brains[0].descriptors["study"])
    return table


def columns_over_subjects(
    layers: ModelLayers,
    vectors: np.ndarray,
    comparator: str,
    *,
    n_images: int,
    splits: Sequence[Sequence[np.ndarray]],
) -> dict[str, np.ndarray]:
    """Return the columns of one model and ROI, each (n_subjects,)."""
    models = layers.averaged(layers.vectors())
    found = [
        reweighted_similarities(
            *(models, vectors, comparator), n_images=n_images, folds=folds, across_subjects=True
        )
        for folds in splits
    ]
    best = np.concatenate([part.training.argmax(axis=-1) for part in found])
    frequency = (best[..., np.newaxis] == np.arange(len(models))).mean(axis=0)
    return {
        "chosen": layers.table["layer"].to_numpy()[frequency.argmax(axis=-1)],
        "chosen_share": frequency.max(axis=-1),
        "held_out": mean_of_defined(np.concatenate([part.single_best for part in found])),
        "reweighted": mean_of_defined(np.concatenate([part.similarity for part in found])),
    }


if __name__ == "__main__":
    with script_job(snakemake):
        write_table(
            cross_validate_group(
                [RDMStore(path) for path in snakemake.input.brains],
                [RDMStore(path) for path in snakemake.input.models],
                comparator=snakemake.params.comparator,
                n_folds=snakemake.params.n_folds,
                resample=snakemake.params.resample,
                seed=snakemake.params.seed,
            ),
            snakemake.output[0],
        )
