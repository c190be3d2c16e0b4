"""Gather a study's layer x ROI table over subjects, for the report."""

from collections.abc import Sequence

import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.tables import read_table, write_html, write_table


def summarise_study(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return all subjects' rows, one below the other, without the columns that never vary.

    Parameters
    ----------
    tables : `rsa_<subject>.csv` of every subject and of the joint RDM
    """
    return pd.concat(tables, ignore_index=True).drop(columns=["study", "n_permutations"])


if __name__ == "__main__":
    with script_job(snakemake):
        summary = summarise_study([read_table(path) for path in snakemake.input])
        write_table(summary, snakemake.output.table)
        write_html(
            summary.round({"similarity": 4, "p": 4, "q": 4}),
            snakemake.output.html,
            title=f"{snakemake.params.title}: similarity of every layer and ROI",
            simulated=snakemake.params.simulated,
        )
