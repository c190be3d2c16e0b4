"""Compute the RDM of a subject's responses in every ROI, by every metric.

Of responses that are standardised by a fold's training images there is one for each fold, whose
dissimilarities of training images know nothing of test images; figures show that of all images.

snakemake --cores 2 results/demo/scenes/rdms/fmri_subj01.h5
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from scripts.dissimilarity.data.algonauts import Algonauts2023
from scripts.dissimilarity.data.brain_rdms import ALL_IMAGES, WITHOUT_VERTICES
from scripts.dissimilarity.data.pair_images import read_pair_images
from scripts.dissimilarity.fits.pair_folds import label_scalers, subject_folds
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import write_rdms
from workflow.lib.rdms.wide_patterns import EVERY_CONDITION, standardise_channels, wide_distances

log = logging.getLogger("workflow")

BY_ALL_IMAGES = {ALL_IMAGES: EVERY_CONDITION}
SKIP = "skip"


def rois_of_subject(
    challenge: Algonauts2023, rois: Mapping[str, Sequence[str] | str], *, rois_missing: str
) -> tuple[dict[str, Sequence[str] | str], list[str]]:
    """Return the ROIs to compute RDMs of, and the names of those that the subject has not.

    Parameters
    ----------
    challenge : Algonauts2023
    rois : mapping, ROI -> the challenge's ROIs that make it up, or "all" vertices
    rois_missing : "refuse" or "skip"
        What becomes of ROIs without a vertex; `Algonauts2023` refuses to read their responses.

    Raises
    ------
    InputError
        Every ROI would be skipped.
    """
    if rois_missing != SKIP:
        return dict(rois), []
    found = {roi: parts for roi, parts in rois.items() if challenge.has(parts)}
    missing = [roi for roi in rois if roi not in found]
    if not found:
        raise InputError(
            f"{challenge.subject}: found no vertex of {', '.join(missing)}, expected some of one "
            "of them at least; leave the subject out of `subjects`"
        )
    if missing:
        log.warning("%s: left out, without a vertex: %s", challenge.subject, ", ".join(missing))
    return found, missing


def roi_rdms(
    folder: Path,
    subject: str,
    rows: np.ndarray,
    *,
    rois: Mapping[str, Sequence[str] | str],
    metrics: Sequence[str],
    scalers: Mapping[str, np.ndarray | slice | None] = BY_ALL_IMAGES,
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield the RDM of every ROI by every metric, for everything that responses are scaled by.

    Parameters
    ----------
    folder : Path
        Of the challenge, with a folder for each subject.
    subject : str
    rows : int array (n_images,)
        Of the images in the files of responses.
    rois : mapping, ROI -> the challenge's ROIs that make it up, or "all" vertices
    metrics : sequence of `workflow.lib.rdms.distances.METRICS`
    scalers : mapping, fold -> images by whose mean and standard deviation vertices are standardised
        As of `scripts.dissimilarity.fits.pair_folds.label_scalers`.

    Yields
    ------
    labels : dict with roi, metric and fold
    vector : float32 array (n_pairs,), condensed
        Of the responses of both hemispheres together.

    Raises
    ------
    InputError
        Whatever `Algonauts2023` finds wrong, or an ROI in which nothing varies.

    Notes
    -----
    Responses are read again for every scaler: held at a time are those of one ROI, and one RDM for
    each metric.
    """
    for roi, parts in rois.items():
        for fold, scaler in scalers.items():
            what = f"{subject}, {roi}"
            try:
                patterns = _standardised(folder, subject, parts, rows, scaler, what)
                distances = wide_distances(patterns, metrics)
            except InputError as error:
                raise InputError(f"{what}: {error}") from None
            # Before those of the next scaler are read.
            del patterns
            for metric in metrics:
                yield {"roi": roi, "metric": metric, "fold": fold}, distances.pop(metric)


def _standardised(
    folder: Path,
    subject: str,
    parts: Sequence[str] | str,
    rows: np.ndarray,
    scaler: np.ndarray | slice | None,
    what: str,
) -> np.ndarray:
    """Return the responses of an ROI, standardised, float32 (n_images, n_vertices)."""
    # The maps of the files go with the reader: their pages count as memory of the job.
    responses = Algonauts2023(folder, subject).responses(parts, rows)
    patterns = responses if scaler is None else standardise_channels(responses, scaler)
    log.info(
        "%s: %d images, %d vertices, of which %d are taken",
        *(what, *responses.shape, patterns.shape[1]),
    )
    return patterns


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        study, subject = snakemake.wildcards.study, snakemake.wildcards.subject
        images = read_pair_images(Path(snakemake.input.images))
        rois, missing = rois_of_subject(
            Algonauts2023(params.folder, subject), params.rois, rois_missing=params.rois_missing
        )
        folds = params.splits and subject_folds(
            images, params.splits, study=study, subject=subject, seed=params.seed
        )
        write_rdms(
            snakemake.output.rdms,
            roi_rdms(
                Path(params.folder),
                subject,
                images.rows,
                rois=rois,
                metrics=params.metrics,
                scalers=label_scalers(params.labels, folds),
            ),
            names=images.names,
            measure=", ".join(params.metrics),
            descriptors={"study": study, "subject": subject}
            | ({WITHOUT_VERTICES: "\n".join(missing)} if missing else {}),
        )
