"""Find the pairs of images with the most and the least alike responses, in every ROI."""

from collections.abc import Callable, Collection, Sequence

import numpy as np
import pandas as pd

from scripts.dissimilarity.data.brain_rdms import rdm_rows
from workflow.lib.jobs import script_job
from workflow.lib.pairs.sampling import condensed_pairs
from workflow.lib.rdms.store import RDMStore
from workflow.lib.tables import write_table

SMALLEST, LARGEST, NEAR_ONE = "smallest", "largest", "closest to 1"
# Position of a pair in an RDM (n_pairs,); of several that are equal, the first.
FINDERS: dict[str, Callable[[np.ndarray], np.intp]] = {
    SMALLEST: np.argmin,
    NEAR_ONE: lambda vector: np.argmin(np.abs(vector - 1)),
    LARGEST: np.argmax,
}
# The distance of responses that are not correlated, which other metrics have none of.
ONLY_OF = {NEAR_ONE: "correlation"}


def find_extreme_pairs(subjects: Sequence[RDMStore], rois: Collection[str] = ()) -> pd.DataFrame:
    """Return the extreme pairs of every RDM.

    Parameters
    ----------
    subjects : RDMs of each subject
    rois : ROIs to keep; all if empty

    Returns
    -------
    DataFrame, a row per pair
        study, subject, roi, metric; which, a key of `FINDERS`; first, second, names of the images;
        value; n_images.
    """
    found = []
    for store in subjects:
        for (roi, metric), row in rdm_rows(store, rois).items():
            vector = store.vector(row)
            for which, finder in FINDERS.items():
                if ONLY_OF.get(which, metric) != metric:
                    continue
                place = int(finder(vector))
                first, second = map(int, condensed_pairs(place, store.n_images))
                found.append(
                    {
                        "study": store.descriptors["study"],
                        "subject": store.descriptors["subject"],
                        "roi": roi,
                        "metric": metric,
                        "which": which,
                        "first": store.names[first],
                        "second": store.names[second],
                        "value": vector[place],
                        "n_images": store.n_images,
                    }
                )
    return pd.DataFrame(found)


if __name__ == "__main__":
    with script_job(snakemake):
        table = find_extreme_pairs(
            [RDMStore(path) for path in snakemake.input.rdms], snakemake.params.rois
        )
        write_table(table, snakemake.output.table)
