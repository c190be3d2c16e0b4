"""Count the vertices of every ROI, and those that are left out since they lack numbers or are flat.

snakemake --cores 1 results/demo/scenes/tables/vertices.csv
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from scripts.dissimilarity.data.algonauts import Algonauts2023
from scripts.dissimilarity.data.pair_images import read_pair_images
from workflow.lib.jobs import script_job
from workflow.lib.layouts.algonauts2023 import HEMISPHERES
from workflow.lib.rdms.wide_patterns import standardise_channels
from workflow.lib.tables import write_table

COUNTS = ("n_labelled", "n_nan", "n_flat", "n_vertices")


def count_vertices(
    challenge: Algonauts2023, rows: np.ndarray, rois: Mapping[str, Sequence[str] | str]
) -> pd.DataFrame:
    """Return how many vertices of a subject each ROI has, and how many of them are taken.

    Parameters
    ----------
    challenge : Algonauts2023
    rows : int array (n_images,)
        Of the images that are taken.
    rois : mapping, ROI -> the challenge's ROIs that make it up, or "all" vertices

    Returns
    -------
    DataFrame, a row per ROI and hemisphere
        subject, roi, hemisphere, n_images; n_labelled, vertices of the ROI; of these n_nan have no
        number for some image, n_flat have the same for all, and n_vertices are left. All 0 where
        the subject has no vertex of the ROI.

    Raises
    ------
    InputError
        Whatever `Algonauts2023` finds wrong.
    """
    found = [
        {"subject": challenge.subject, "roi": roi, "hemisphere": hemisphere}
        | {"n_images": len(rows), **counts}
        for roi, parts in rois.items()
        for hemisphere, counts in _of_roi(challenge, parts, rows).items()
    ]
    return pd.DataFrame(found)


def _of_roi(
    challenge: Algonauts2023, parts: Sequence[str] | str, rows: np.ndarray
) -> dict[str, dict[str, int]]:
    """Return hemisphere -> counts of an ROI."""
    if not challenge.has(parts):
        return {hemisphere: dict.fromkeys(COUNTS, 0) for hemisphere in HEMISPHERES}
    responses, first, counts = challenge.responses(parts, rows), 0, {}
    for hemisphere, vertices in challenge.vertices(parts, rows).items():
        last = first + len(vertices.complete)
        n_vary = standardise_channels(responses[:, first:last]).shape[1]
        n_labelled, n_complete = len(vertices.labelled), len(vertices.complete)
        values = n_labelled, n_labelled - n_complete, n_complete - n_vary, n_vary
        counts[hemisphere] = dict(zip(COUNTS, values, strict=True))
        first = last
    return counts


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        tables = [
            count_vertices(
                Algonauts2023(params.folder, subject), read_pair_images(path).rows, params.rois
            )
            for subject, path in zip(params.subjects, snakemake.input.images, strict=True)
        ]
        table = pd.concat(tables, ignore_index=True)
        table.insert(0, "study", snakemake.wildcards.study)
        write_table(table, snakemake.output.table)
