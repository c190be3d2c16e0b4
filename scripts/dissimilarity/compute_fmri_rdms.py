"""Compute the RDM of a subject's responses in every ROI, by every metric.

snakemake --cores 2 results/demo/scenes/rdms/fmri_subj01.h5
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from scripts.dissimilarity.algonauts import Algonauts2023
from scripts.dissimilarity.pair_images import read_pair_images
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import write_rdms
from workflow.lib.rdms.wide_patterns import standardise_channels, wide_distances

log = logging.getLogger("workflow")


def roi_rdms(
    folder: Path,
    subject: str,
    rows: np.ndarray,
    *,
    rois: Mapping[str, Sequence[str] | str],
    metrics: Sequence[str],
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield the RDM of every ROI by every metric.

    Parameters
    ----------
    folder : Path
        Of the challenge, with a folder for each subject.
    subject : str
    rows : int array (n_images,)
        Of the images in the files of responses.
    rois : mapping, ROI -> the challenge's ROIs that make it up, or "all" vertices
    metrics : sequence of `workflow.lib.rdms.distances.METRICS`

    Yields
    ------
    labels : dict with roi and metric
    vector : float32 array (n_pairs,), condensed
        Of the responses of both hemispheres together, each vertex standardised over the images.

    Raises
    ------
    InputError
        Whatever `Algonauts2023` finds wrong, or an ROI in which nothing varies.
    """
    for roi, parts in rois.items():
        what = f"{subject}, {roi}"
        try:
            distances = wide_distances(_standardised(folder, subject, parts, rows, what), metrics)
        except InputError as error:
            raise InputError(f"{what}: {error}") from None
        for metric, vector in distances.items():
            yield {"roi": roi, "metric": metric}, vector


def _standardised(
    folder: Path, subject: str, parts: Sequence[str] | str, rows: np.ndarray, what: str
) -> np.ndarray:
    """Return the responses of an ROI, standardised, float32 (n_images, n_vertices)."""
    # The maps of the files go with the reader: their pages count as memory of the job.
    responses = Algonauts2023(folder, subject).responses(parts, rows)
    standardised = standardise_channels(responses)
    log.info(
        "%s: %d images, %d vertices, of which %d vary",
        *(what, *responses.shape, standardised.shape[1]),
    )
    return standardised


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        subject = snakemake.wildcards.subject
        images = read_pair_images(Path(snakemake.input.images))
        write_rdms(
            snakemake.output.rdms,
            roi_rdms(
                Path(params.folder), subject, images.rows, rois=params.rois, metrics=params.metrics
            ),
            names=images.names,
            measure=", ".join(params.metrics),
            descriptors={"study": snakemake.wildcards.study, "subject": subject},
        )
