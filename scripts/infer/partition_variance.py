"""Share out the variance that models explain of each ROI: what each alone, what in common."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.config.inference import PARTIAL_COMPARATORS
from workflow.lib.errors import InputError
from workflow.lib.inference.bootstrap import bootstrap_similarities
from workflow.lib.inference.jackknife import image_influence, linearised_draws
from workflow.lib.inference.study_resamples import (
    n_drawn,
    n_exact_resamples,
    stretched,
    study_counts,
)
from workflow.lib.inference.variance import interval, one_factor_variance
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rsa.comparators import COMPARATORS, compare
from workflow.lib.rsa.partial import (
    VariancePartition,
    correlation_shares,
    partition_variance,
)
from workflow.lib.tables import write_table


def partition_subject(
    brain: RDMStore,
    models: Sequence[RDMStore],
    counts: np.ndarray,
    *,
    partition: Sequence[str],
    comparators: Sequence[str],
    resample: str,
    n_exact_ranks: int | None,
) -> pd.DataFrame:
    """Return how the variance of a subject's RDMs is shared out among models.

    Parameters
    ----------
    brain : the subject's RDMs
    models : RDMs of the models over the same images
    counts : int array (n_resamples, n_images), from `study_counts`
    partition : two to four models, or model/layer
    comparators : names of comparators, of which those of PARTIAL_COMPARATORS are used
    resample : what the counts draw, a key of `workflow.lib.inference.study_resamples.RESAMPLING`
    n_exact_ranks : resamples for which ranks are computed anew, as in `n_exact_resamples`

    Returns
    -------
    DataFrame, a row per comparator, ROI and set of models: r_squared of the regression on the set,
    and share, what just the models of the set have in common (of one model: what it explains
    alone), each with standard error and 95 % interval over images. Shares of all sets sum to
    r_squared of the largest, and may be negative.

    Raises
    ------
    InputError
        Models that explain one another.

    Notes
    -----
    Intervals are symmetric, estimate -+ t se. A resample has noise of its own, which raises shares
    near zero, so their intervals are wide rather than narrow.
    """
    check_same_images([brain, *models])
    rois, rows = map(list, zip(*brain.mean_session_rows().items(), strict=True))
    brains, tables = brain.vectors(rows), []
    for name in [name for name in PARTIAL_COMPARATORS if name in comparators]:
        rdms = np.stack([layer_rdm(models, entry, name) for entry in partition])
        try:
            found = partition_variance(rdms, brains, name, model_names=partition)
        except InputError as error:
            raise InputError(f"rsa.{brain.descriptors['study']}.partition: {error}") from None
        n_exact = n_exact_resamples(name, brain.n_images, len(counts), n_exact_ranks)
        draws = [
            stretched(part, brain, resample)
            for part in share_draws(rdms, brains, name, counts, exact=n_exact == len(counts))
        ]
        tables.append(
            partition_rows(found, draws, rois, n_drawn(brain, resample)).assign(
                comparator=name, n_resamples=len(counts)
            )
        )
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "study", brain.descriptors["study"])
    table.insert(1, "subject", brain.descriptors["subject"])
    table.insert(2, "comparator", table.pop("comparator"))
    return table.assign(n_images=brain.n_images, n_pairs=brain.n_pairs)


def layer_rdm(models: Sequence[RDMStore], entry: str, comparator: str) -> np.ndarray:
    """Return the RDM of a model with one layer, or of model/layer, (n_pairs,).

    That of several seeds is their sum in the units in which the comparator pools RDMs.
    """
    name, _, layer = entry.partition("/")
    store = next(store for store in models if store.descriptors["model"] == name)
    labels = store.labels["layer"]
    members = store.vectors([i for i, found in enumerate(labels) if layer in ("", found)])
    if len(members) == 1:
        return members[0]
    return np.sum([COMPARATORS[comparator].pool(member) for member in members], axis=0)


def share_draws(
    models: np.ndarray, brains: np.ndarray, comparator: str, counts: np.ndarray, *, exact: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return R^2 and shares on resampled images, each (n_resamples, n_sets, n_brains).

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    brains : float array (n_brains, n_pairs)
    comparator : one of PARTIAL_COMPARATORS
    counts : int array (n_resamples, n_images)
    exact : whether correlations are computed anew for each resample, not by the jackknife
    """
    n_models, n_images = len(models), counts.shape[1]
    others = np.concatenate([models, brains])
    if exact:
        draws = bootstrap_similarities(models, others, comparator, counts, n_images=n_images)
    else:
        influence = image_influence(models, others, comparator, n_images=n_images)
        draws = linearised_draws(compare(models, others, comparator), influence, counts)
    return correlation_shares(draws[..., :n_models], draws[..., n_models:])


def partition_rows(
    found: VariancePartition,
    draws: Sequence[np.ndarray],
    rois: Sequence[str],
    n: int,
) -> pd.DataFrame:
    """Return a row per ROI and set of models.

    Parameters
    ----------
    found : the partition over all images
    draws : R^2 and shares on resampled images, each (n_resamples, n_sets, n_rois)
    rois : names of the ROIs
    n : see `workflow.lib.inference.study_resamples.n_drawn`
    """
    names = [" + ".join(models) for models in found.sets]
    table = pd.MultiIndex.from_product([rois, names], names=["roi", "models"]).to_frame(index=False)
    table["n_models"] = np.tile([len(models) for models in found.sets], len(rois))
    estimates = {"r_squared": found.r_squared, "share": found.components}
    for (name, estimate), resampled in zip(estimates.items(), draws, strict=True):
        variance = one_factor_variance(resampled, n)
        low, high = interval(estimate, variance, n - 1)
        columns = {"": estimate, "_se": np.sqrt(variance), "_low": low, "_high": high}
        for ending, values in columns.items():
            table[name + ending] = values.T.ravel()
    return table


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        brains = [RDMStore(path) for path in snakemake.input.brains]
        models = [RDMStore(path) for path in snakemake.input.models]
        counts = study_counts(
            brains[0], n_resamples=params.n_resamples, resample=params.resample, seed=params.seed
        )
        tables = [
            partition_subject(
                brain,
                models,
                counts,
                partition=params.partition,
                comparators=params.comparators,
                resample=params.resample,
                n_exact_ranks=params.n_exact_ranks,
            )
            for brain in brains
        ]
        write_table(pd.concat(tables, ignore_index=True), snakemake.output[0])
