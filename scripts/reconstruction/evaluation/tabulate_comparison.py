"""Set scores of reconstructions beside published ones, each with its source.

snakemake --cores 1 results/demo/pictures/tables/comparison.html
"""

from pathlib import Path

import pandas as pd

from scripts.reconstruction.evaluation.measure_names import IDENTIFICATION
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.sources import JOINT_SUBJECT
from workflow.lib.tables import read_table, write_html, write_table

PUBLISHED = ["method", "dataset", "measure", "features", "value", "source"]
COLUMNS = [
    *("measure", "features", "method", "dataset", "value", "low", "high", "source"),
    "network",
]
# Identification is published among two images.
N_WAY = 2
OURS = "this study"
# Rows of the page below those of measures and features.
NETWORKS, SOURCE = ("networks", ""), ("source", "")


def read_published(path: Path) -> pd.DataFrame:
    """Return a table of published numbers.

    Parameters
    ----------
    path : path of a .csv file
        method, dataset, measure (pixel_correlation, ssim, rmse, or identification, among two
        images), features (pixels, or a name of `evaluation.networks`), value, source. A value may
        be empty: it is not known.

    Raises
    ------
    InputError
        No such file, other columns, a value that is no number or has no source, or two of one.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: found no such file, expected published numbers; correct `published` in the "
            "config, or leave it out"
        )
    table = read_table(path)
    if list(table.columns) != PUBLISHED:
        raise InputError(
            f"{path}: found the columns {', '.join(map(str, table.columns))}, expected "
            f"{', '.join(PUBLISHED)}; correct them"
        )
    values = pd.to_numeric(table["value"], errors="coerce")
    odd = table.loc[values.isna() & table["value"].notna(), "value"]
    if len(odd):
        raise InputError(
            f"{path}: found the value {odd.iloc[0]!r}, expected a number, or nothing where none is "
            "known; correct it"
        )
    table = table.assign(value=values)
    unsourced = table[table["value"].notna() & table["source"].isna()]
    if len(unsourced):
        row = unsourced.iloc[0]
        raise InputError(
            f"{path}: found {row['value']:g} of {row['method']} ({row['measure']}) without a "
            "source, expected where it was published; say so, or leave the value empty"
        )
    twice = table[table.duplicated(["method", "dataset", "measure", "features"])]
    if len(twice):
        row = twice.iloc[0]
        raise InputError(
            f"{path}: found {row['measure']} by {row['features']} of {row['method']} twice, "
            "expected one number; delete the other"
        )
    return table


def tabulate_comparison(
    means: pd.DataFrame, published: pd.DataFrame, *, reference: str, title: str
) -> pd.DataFrame:
    """Return our scores and published ones, a row each.

    Parameters
    ----------
    means : DataFrame
        `reconstruction_means.csv`.
    published : DataFrame, see `read_published`
    reference : str
        The generator that is compared.
    title : str
        Of the study, which stands as the data set of our scores.

    Returns
    -------
    DataFrame
        measure, features, method, dataset, value, low, high (95 % interval of ours), source,
        network (by which features of ours are, with its weights).
    """
    comparable = (means["measure"] != IDENTIFICATION) | (means["n_way"] == N_WAY)
    joint = (means["generator"] == reference) & (means["subject"] == JOINT_SUBJECT)
    ours = means[comparable & joint]
    ours = ours.assign(
        method=reference, dataset=[f"{title}, {part}" for part in ours["part"]], source=OURS
    )
    theirs = published.assign(low=float("nan"), high=float("nan"), network=None)
    return pd.concat([ours[COLUMNS], theirs[COLUMNS]], ignore_index=True)


def side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """Return the comparison as a page shows it: a row per measure, a column per method."""
    rows = {}
    for column, own in table.groupby(["method", "dataset"], sort=False):
        shown = own.assign(shown=[_shown(row) for row in own.itertuples()])
        cells = shown.set_index(["measure", "features"])["shown"]
        sources = dict.fromkeys(own.loc[own["value"].notna(), "source"])
        networks = own.loc[own["network"].notna(), ["features", "network"]].drop_duplicates()
        rows["{} ({})".format(*column)] = {
            **{key: cells.get(key, "") for key in _measures(table)},
            NETWORKS: "; ".join(f"{row.features}: {row.network}" for row in networks.itertuples()),
            SOURCE: "; ".join(sources) or "no number found",
        }
    return (
        pd.DataFrame(rows)
        .rename_axis(["measure", "features"])
        .loc[[*_measures(table), NETWORKS, SOURCE]]
        .reset_index()
    )


def _measures(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(table["measure"], table["features"], strict=True)))


def _shown(row) -> str:
    if pd.isna(row.value):
        return ""
    interval = "" if pd.isna(row.low) else f" [{row.low:.3f}, {row.high:.3f}]"
    return f"{row.value:.3f}{interval}"


if __name__ == "__main__":
    with script_job(snakemake):
        params, output = snakemake.params, snakemake.output
        table = tabulate_comparison(
            read_table(Path(snakemake.input.means)),
            read_published(Path(snakemake.input.published)),
            reference=params.reference,
            title=params.title,
        )
        write_table(table, output.table)
        write_html(
            side_by_side(table),
            output.html,
            title=f"{params.title}: beside published scores",
            simulated=params.simulated,
        )
