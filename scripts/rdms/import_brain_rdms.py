"""Bring one subject's RDMs into the common order of images, averaging sessions."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.rdms.source import averaged, read_aligned
from workflow.lib.rdms.store import write_rdms
from workflow.lib.sources import MEAN_SESSION
from workflow.lib.tables import read_table


def subject_rdms(
    source: Mapping, folder: Path, images: pd.DataFrame, *, subject: str, match: str
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield a subject's RDMs: every session if kept apart, and per ROI the mean over sessions.

    Parameters
    ----------
    source : the study's `brain` block
    folder : folder of the raw files
    images : DataFrame with the common images (column name)
    subject : label of the subject
    match : how names are matched

    Yields
    ------
    labels : dict with roi and session
    vector : float array (n_pairs,)
    """

    def rdms() -> Iterator[tuple[dict[str, str], np.ndarray]]:
        return read_aligned(
            source, folder, list(images["name"]), match=match, fixed={"subject": subject}
        )

    sessions = source.get("sessions")
    if sessions and sessions["combine"] == "separate":
        for labels, vector in rdms():
            yield {"roi": labels["roi"], "session": labels["session"]}, vector
    n_sessions = len(sessions["names"]) if sessions else 1
    for labels, vector in averaged(rdms(), over="session", n=n_sessions):
        yield {"roi": labels["roi"], "session": MEAN_SESSION}, vector


if __name__ == "__main__":
    with script_job(snakemake):
        images = read_table(snakemake.input.images)
        write_rdms(
            snakemake.output[0],
            subject_rdms(
                snakemake.params.source,
                Path(snakemake.params.folder),
                images,
                subject=snakemake.wildcards.subject,
                match=snakemake.params.match,
            ),
            names=list(images["name"]),
            groups=list(images["group"]),
            measure="as published",
            descriptors={
                "study": snakemake.wildcards.study,
                "subject": snakemake.wildcards.subject,
            },
        )
