"""From raw files of patterns to prepared patterns, and from these to RDMs."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.patterns.preparation import (
    means_for,
    noise_residuals,
    prepare_patterns,
)
from workflow.lib.patterns.reading import Patterns, dropped_conditions, read_patterns
from workflow.lib.patterns.store import PatternStore
from workflow.lib.rdms.alignment import positions
from workflow.lib.rdms.distances import (
    CROSSNOBIS,
    MAHALANOBIS,
    crossnobis_distances,
    mahalanobis_distances,
    pattern_distances,
)
from workflow.lib.rdms.noise import noise_normalised
from workflow.lib.sources import MEAN_SESSION

log = logging.getLogger("workflow")

# Channels over which patterns lie on one line, as the metric sees them. The correlation takes one
# dimension off with the mean.
LINE_CHANNELS = {"correlation": 2, "cosine": 1}


def extract_patterns(
    source: Mapping,
    folder: Path,
    subject: str,
    *,
    match: str,
    detrend: bool,
    standardise: str,
    remove_mean_pattern: bool,
) -> dict[str, Patterns]:
    """Return ROI -> prepared patterns, over all conditions that the config does not drop.

    Parameters
    ----------
    source : the study's `brain` block
    folder : folder of the raw files
    subject : label of the subject
    match : how names are matched
    detrend, standardise, remove_mean_pattern
        See `workflow.lib.patterns.preparation.prepare_patterns`.
    """
    return {
        roi: prepare_patterns(
            patterns,
            detrend=detrend,
            standardise=standardise,
            remove_mean_pattern=remove_mean_pattern,
            drop=dropped_conditions(source),
            what=f"{subject}, {roi}",
        )
        for roi, patterns in read_patterns(source, folder, subject, match).items()
    }


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
    metric : a metric of `workflow.lib.rdms.distances`
    noise_normalisation : "none", "diagonal" or "shrinkage"
        Noise is estimated from all observations, those of other images included. The Mahalanobis
        distance takes its covariance, shrunk unless this is "diagonal".
    match : "exact" or "normalised"

    Yields
    ------
    labels : dict with roi and session
    vector : float64 array (n_pairs,)
    """
    names = list(dict.fromkeys(store.conditions))
    ordered = [names[i] for i in positions(images, names, match=match, what=store.path.name)]
    for roi in store.rois:
        patterns = store.patterns(roi)
        what = f"{store.descriptors.get('subject', store.path.name)}, {roi}"
        _warn_of_few_channels(patterns.measurements.shape[1], metric, what)
        try:
            vector = roi_rdm(patterns, ordered, metric, noise_normalisation)
        except InputError as error:
            raise InputError(f"{store.path.name}, {roi}: {error}") from None
        yield {"roi": roi, "session": MEAN_SESSION}, vector


def _warn_of_few_channels(n_channels: int, metric: str, what: str) -> None:
    """Warn of angles between patterns that can only be 0 or 180 degrees."""
    if n_channels == LINE_CHANNELS.get(metric):
        log.warning(
            "%s: found %d channel(s), over which every %s distance is 0 or 2, expected more; widen "
            "the ROI, leave it out, or choose the metric euclidean",
            *(what, n_channels, metric),
        )


def roi_rdm(
    patterns: Patterns, names: Sequence[str], metric: str, noise_normalisation: str
) -> np.ndarray:
    """Return the distances between the patterns of some conditions, (n_pairs,)."""
    means, counts = means_for(patterns, names, metric)
    residuals, dof = noise_residuals(patterns)
    if metric == MAHALANOBIS:
        method = "shrinkage" if noise_normalisation == "none" else noise_normalisation
        return mahalanobis_distances(means, residuals, dof=dof, method=method)
    means = noise_normalised(means, residuals, dof=dof, method=noise_normalisation)
    if metric == CROSSNOBIS:
        return crossnobis_distances(means, counts)
    return pattern_distances(means, metric, names=names)
