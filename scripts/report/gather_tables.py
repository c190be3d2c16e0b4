"""Gather the tables of all subjects into pages for the report, a page per kind of table."""

from collections.abc import Sequence

import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.tables import read_table, write_html

TITLES = {
    "layers": "layers of each ROI",
    "differences": "differences between layers",
    "centre": "layer centres",
    "held_out": "layers and mixtures on held-out {called}",
}
# Columns that stand first, those of them that a table has.
FIRST = ("comparator", "model", "subject", "roi")


def gather_tables(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all tables with numbers of four digits, labels first.

    Parameters
    ----------
    tables : a table of each subject, or one of all
    """
    table = pd.concat(tables, ignore_index=True).drop(columns="study")
    first = [name for name in FIRST if name in table]
    table = table[first + [name for name in table if name not in first]]
    numbers = table.select_dtypes("float")
    return table.assign(
        **{name: numbers[name].map("{:.4g}".format, na_action="ignore") for name in numbers}
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        for kind, page in snakemake.output.items():
            paths = snakemake.input[kind]
            write_html(
                gather_tables(
                    [read_table(path) for path in ([paths] if isinstance(paths, str) else paths)]
                ),
                page,
                title=f"{params.title}: {TITLES[kind].format(called=params.called)}",
                simulated=params.simulated,
            )
