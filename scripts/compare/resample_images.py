"""Resample the images of one subject: how far would its similarities vary with other images?"""

from collections.abc import Sequence

import numpy as np

from workflow.lib.inference.draw_store import Draws, write_draws
from workflow.lib.inference.engines import ENGINES
from workflow.lib.inference.jackknife import image_influence, linearised_draws
from workflow.lib.inference.study_resamples import (
    jackknife_error,
    n_drawn,
    n_exact_resamples,
    stretched,
    study_counts,
)
from workflow.lib.inference.variance import one_factor_variance
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rsa.model_layers import ModelLayers


def resample_images(
    brain: RDMStore,
    models: Sequence[RDMStore],
    counts: np.ndarray,
    *,
    resample: str,
    comparators: Sequence[str],
    n_exact_ranks: int | None,
    engine: str,
) -> dict[str, Draws]:
    """Return the draws of every comparator.

    Parameters
    ----------
    brain : the subject's RDMs
    models : RDMs of each model over the same images
    counts : int array (n_resamples, n_images), from `study_counts`
    resample : what the counts draw, a key of `workflow.lib.inference.study_resamples.RESAMPLING`
    comparators : names of `workflow.lib.rsa.comparators.COMPARATORS`
    n_exact_ranks : resamples of rank comparators that are recomputed exactly, as a check of the
        infinitesimal jackknife, from which their draws come
    engine : a key of `workflow.lib.inference.engines.ENGINES`
    """
    check_same_images([brain, *models])
    layers = ModelLayers(models)
    model_vectors, brain_vectors = layers.vectors(), brain.vectors()
    results = {}
    for name in comparators:
        influence = image_influence(model_vectors, brain_vectors, name, n_images=brain.n_images)
        influence = layers.averaged(influence, axis=1).swapaxes(1, 2)
        estimate = ENGINES[engine].similarities(model_vectors, brain_vectors, name)
        estimate = layers.averaged(estimate).T
        n_exact = n_exact_resamples(name, brain.n_images, len(counts), n_exact_ranks)
        exact = np.empty((0, *estimate.shape))
        if n_exact:
            exact = ENGINES[engine].bootstrap(
                model_vectors, brain_vectors, name, counts[:n_exact], n_images=brain.n_images
            )
            exact = layers.averaged(exact, axis=1).swapaxes(1, 2)
        draws = exact
        if n_exact < len(counts):
            draws = linearised_draws(estimate, influence, counts)
        exact, draws = (stretched(part, brain, resample) for part in (exact, draws))
        results[name] = Draws(
            estimate=estimate,
            jackknife_error=jackknife_error(influence, brain, resample),
            bootstrap_error=np.sqrt(one_factor_variance(exact, n_drawn(brain, resample))),
            draws=draws,
            exact=exact,
        )
    return results


def descriptors_of(brain: RDMStore, resample: str) -> dict[str, str | int]:
    """Return what holds for all draws of a subject, with what their intervals are made from."""
    return brain.descriptors | {"n_images": brain.n_images, "n_drawn": n_drawn(brain, resample)}


if __name__ == "__main__":
    with script_job(snakemake):
        brain = RDMStore(snakemake.input.brain)
        models = [RDMStore(path) for path in snakemake.input.models]
        counts = study_counts(
            brain,
            n_resamples=snakemake.params.n_resamples,
            resample=snakemake.params.resample,
            seed=snakemake.params.seed,
        )
        write_draws(
            snakemake.output[0],
            resample_images(
                brain,
                models,
                counts,
                resample=snakemake.params.resample,
                comparators=snakemake.params.comparators,
                n_exact_ranks=snakemake.params.n_exact_ranks,
                engine=snakemake.params.engine,
            ),
            rows=brain.rows(),
            layers=ModelLayers(models).table,
            descriptors=descriptors_of(brain, snakemake.params.resample),
        )
