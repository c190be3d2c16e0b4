"""Set the correlations of the published figures beside ours, cell by cell."""

import pandas as pd

from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.rsa.tables import mean_session_rows
from workflow.lib.tables import read_table, write_table

CELL = ["subject", "roi", "layer"]


def compare_published(published: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """Return the published cells with our values.

    Parameters
    ----------
    published : DataFrame, columns roi, subject, layer, r
    ours : rows of all `rsa_<subject>.csv` of a study, Pearson

    Returns
    -------
    DataFrame, columns subject, roi, layer, published, ours, difference, n_images

    Raises
    ------
    InputError
        Not one cell in common.
    """
    ours = ours.rename(columns={"similarity": "ours"})[[*CELL, "ours", "n_images"]]
    table = published.rename(columns={"r": "published"}).merge(ours, on=CELL)
    if table.empty:
        raise InputError(
            "found no cell in common with the published table (subjects "
            f"{', '.join(sorted(set(ours['subject'])))}), expected its names of subjects, ROIs "
            "and layers"
        )
    return table.assign(difference=table["ours"] - table["published"])


if __name__ == "__main__":
    with script_job(snakemake) as log:
        tables = [mean_session_rows(read_table(path), "pearson") for path in snakemake.input.tables]
        ours = pd.concat(tables)
        compared = compare_published(
            read_table(snakemake.input.published),
            ours[ours["model"] == snakemake.params.model],
        )
        log.info("largest difference %.4f", compared["difference"].abs().max())
        write_table(compared, snakemake.output[0])
