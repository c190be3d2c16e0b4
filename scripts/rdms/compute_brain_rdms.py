"""Compute one subject's RDMs from response patterns, in the common order of images."""

from collections.abc import Iterator, Sequence

import numpy as np

from workflow.lib.alignment import positions
from workflow.lib.distances import (
    CROSSNOBIS,
    crossnobis_distances,
    noise_normalised,
    pattern_distances,
)
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.pattern_preparation import condition_means, noise_residuals, run_means
from workflow.lib.pattern_store import PatternStore
from workflow.lib.patterns import Patterns
from workflow.lib.rdm_store import write_rdms
from workflow.lib.sources import MEAN_SESSION
from workflow.lib.tables import read_table


def brain_rdms(
    store: PatternStore,
    images: Sequence[str],
    *,
    metric: str,
    noise_normalisation: str,
    match: str,
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield the RDM of every ROI.

    Parameters
    ----------
    store : the subject's patterns
    images : matched names in the common order
    metric : a metric of `workflow.lib.distances`
    noise_normalisation : "none", "diagonal" or "shrinkage"
        Noise is estimated from all observations, those of other images included.
    match : "exact" or "normalised"

    Yields
    ------
    labels : dict with roi and session
    vector : float64 array (n_pairs,)
    """
    names = list(dict.fromkeys(store.conditions))
    ordered = [names[i] for i in positions(images, names, match=match, what=store.path.name)]
    for roi in store.rois:
        try:
            vector = roi_rdm(store.patterns(roi), ordered, metric, noise_normalisation)
        except InputError as error:
            raise InputError(f"{store.path.name}, {roi}: {error}") from None
        yield {"roi": roi, "session": MEAN_SESSION}, vector


def roi_rdm(
    patterns: Patterns, names: Sequence[str], metric: str, noise_normalisation: str
) -> np.ndarray:
    """Return the distances between the patterns of some conditions, (n_pairs,)."""
    counts = None
    if metric == CROSSNOBIS:
        means, counts = run_means(patterns, names)
    else:
        stored, means = condition_means(patterns)
        means = means[[stored.index(name) for name in names]]
    residuals, dof = noise_residuals(patterns)
    means = noise_normalised(means, residuals, dof=dof, method=noise_normalisation)
    if metric == CROSSNOBIS:
        return crossnobis_distances(means, counts)
    return pattern_distances(means, metric)


if __name__ == "__main__":
    with script_job(snakemake):
        images = read_table(snakemake.input.images)
        metric = snakemake.params.metric
        write_rdms(
            snakemake.output[0],
            brain_rdms(
                PatternStore(snakemake.input.patterns),
                list(images["name"]),
                metric=metric,
                noise_normalisation=snakemake.params.noise_normalisation,
                match=snakemake.params.match,
            ),
            names=list(images["name"]),
            groups=list(images["group"]),
            measure=metric,
            descriptors={
                "study": snakemake.wildcards.study,
                "subject": snakemake.wildcards.subject,
            },
        )
