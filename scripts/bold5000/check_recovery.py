"""Compare the layers found for each ROI with the layers planted in the simulation."""

from collections.abc import Sequence

import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.rsa.tables import mean_session_rows, model_rows
from workflow.lib.tables import read_table, write_html, write_table

NO_LAYER = "none"


def check_recovery(
    truth: pd.DataFrame, tables: Sequence[pd.DataFrame], alpha: float
) -> pd.DataFrame:
    """Return the planted and the found layer of every ROI and subject.

    The found layer is the most similar one among those that pass the test, or "none".

    Parameters
    ----------
    truth : DataFrame, columns roi and planted_layer
    tables : rows of `rsa_<subject>.csv` of one comparator, per subject
    alpha : false discovery rate at which a layer counts

    Returns
    -------
    DataFrame, columns subject, roi, planted_layer, found_layer, similarity, q, recovered
    """
    rows = pd.concat(tables, ignore_index=True)
    best = rows.loc[rows.groupby(["subject", "roi"], sort=False)["similarity"].idxmax().to_numpy()]
    best = best.assign(found_layer=best["layer"].where(best["q"] < alpha, NO_LAYER))
    table = best.merge(truth, on="roi")
    table["recovered"] = table["found_layer"] == table["planted_layer"]
    return table[["subject", "roi", "planted_layer", "found_layer", "similarity", "q", "recovered"]]


if __name__ == "__main__":
    with script_job(snakemake) as log:
        tables = [
            model_rows(
                mean_session_rows(read_table(path), snakemake.params.comparator),
                snakemake.params.model,
            )
            for path in snakemake.input.tables
        ]
        table = check_recovery(
            pd.read_csv(snakemake.input.truth, keep_default_na=False),
            tables,
            snakemake.params.alpha,
        )
        log.info("%d of %d planted layers recovered", table["recovered"].sum(), len(table))
        write_table(table, snakemake.output.table)
        write_html(
            table.round(4),
            snakemake.output.html,
            title=f"Planted layers: {table['recovered'].sum()} of {len(table)} recovered",
            simulated=True,
        )
