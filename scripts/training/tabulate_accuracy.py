"""Tabulate how many images of each category a trained network tells right, with intervals."""

import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.tables import read_table, write_html, write_table
from workflow.lib.training.accuracy import accuracy_table


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of accuracies with numbers of three decimals."""
    shares = ["accuracy", "low", "high", "chance"]
    return table.assign(**{name: table[name].map("{:.3f}".format) for name in shares})


if __name__ == "__main__":
    with script_job(snakemake):
        params, output = snakemake.params, snakemake.output
        table = accuracy_table(read_table(snakemake.input[0]), params.groups)
        write_table(table, output.table)
        write_html(
            readable(table),
            output.html,
            title=f"{params.title}: accuracy on images that were not trained on",
            simulated=params.simulated,
        )
