"""Estimate how similar a perfect model could be to each ROI, given the subjects' agreement."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.noise_ceiling import noise_ceiling
from workflow.lib.rdm_store import RDMStore, check_same_images, check_same_rows
from workflow.lib.sources import MEAN_SESSION
from workflow.lib.tables import write_table


def estimate_noise_ceiling(
    subjects: Sequence[RDMStore], comparators: Sequence[str]
) -> pd.DataFrame:
    """Return the noise ceiling of every ROI, from the subjects' mean RDMs over sessions.

    Returns
    -------
    DataFrame, a row per ROI, comparator and subject: lower (similarity of the subject with the
    mean of the others) and upper (with the mean of all); the ceilings are their means.
    """
    check_same_images(subjects)
    check_same_rows(subjects)
    tables = []
    for row, labels in enumerate(subjects[0].rows()):
        if labels["session"] != MEAN_SESSION:
            continue
        vectors = np.stack([subject.vector(row) for subject in subjects])
        for name in comparators:
            lower, upper = noise_ceiling(vectors, name)
            tables.append(
                pd.DataFrame(
                    {
                        "study": subjects[0].descriptors["study"],
                        "roi": labels["roi"],
                        "comparator": name,
                        "subject": [subject.descriptors["subject"] for subject in subjects],
                        "lower": lower,
                        "upper": upper,
                        "n_subjects": len(subjects),
                        "n_images": subjects[0].n_images,
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


if __name__ == "__main__":
    with script_job(snakemake):
        write_table(
            estimate_noise_ceiling(
                [RDMStore(path) for path in snakemake.input], snakemake.params.comparators
            ),
            snakemake.output[0],
        )
