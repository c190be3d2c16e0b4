"""Set response onsets of areas, from the literature, beside where along the layers they lie."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from workflow.lib.inference.layers import layer_centre_of_mass
from workflow.lib.jobs import script_job
from workflow.lib.rsa.tables import group_means, mean_session_rows, model_rows
from workflow.lib.tables import read_table, write_html, write_table


def tabulate_latency(
    onsets: pd.DataFrame,
    tables: Sequence[pd.DataFrame],
    roi_groups: Mapping[str, Sequence[str]],
) -> pd.DataFrame:
    """Return the table of onsets with the layer centre of mass of each area.

    Parameters
    ----------
    onsets : DataFrame, columns area, roi_group, onset_min_ms, onset_max_ms, notes, references
    tables : rows of `rsa_<subject>.csv` of one comparator, per subject
    roi_groups : ROIs of each group

    Returns
    -------
    DataFrame, the onsets with onset_ms (middle of the range, or its only bound) and a column
    centre_of_mass_<subject> (1 for the first layer) for every subject and the joint RDM.
    """
    middle = onsets[["onset_min_ms", "onset_max_ms"]].mean(axis=1)
    table = onsets.assign(onset_ms=middle)
    for subject_table in tables:
        subject = subject_table["subject"].iloc[0]
        means = group_means(subject_table, roi_groups)
        centres = pd.Series(layer_centre_of_mass(means.to_numpy()), index=means.index)
        table[f"centre_of_mass_{subject}"] = table["roi_group"].map(centres)
    return table


def latency_correlation(table: pd.DataFrame, column: str) -> tuple[float, float, int]:
    """Return Spearman's rho of onset and centre of mass, its exact two-sided p, and n.

    Both are NaN where there is nothing to rank: fewer than three areas, or all alike.

    Areas that share a ROI group share its RDM, so only the first of each group counts.
    """
    areas = table.drop_duplicates("roi_group").dropna(subset=["onset_ms", column])
    onset, centre = areas["onset_ms"].to_numpy(), areas[column].to_numpy()
    if len(areas) < 3 or np.ptp(onset) == 0 or np.ptp(centre) == 0:
        return np.nan, np.nan, len(areas)
    rho = spearmanr(onset, centre).statistic
    every = [
        spearmanr(onset, centre[list(order)]).statistic
        for order in itertools.permutations(range(len(areas)))
    ]
    # The identity is one of the permutations, so p is k/N without further correction.
    return rho, float(np.mean(np.abs(every) >= abs(rho) - 1e-9)), len(areas)


if __name__ == "__main__":
    with script_job(snakemake):
        table = tabulate_latency(
            pd.read_csv(snakemake.input.onsets),
            [
                model_rows(
                    mean_session_rows(read_table(path), snakemake.params.comparator),
                    snakemake.params.model,
                )
                for path in snakemake.input.tables
            ],
            snakemake.params.roi_groups,
        )
        statistics = [
            (column.removeprefix("centre_of_mass_"), *latency_correlation(table, column))
            for column in table.columns
            if column.startswith("centre_of_mass_")
        ]
        write_table(
            pd.DataFrame(statistics, columns=["subject", "spearman_rho", "p_exact", "n_areas"]),
            snakemake.output.statistics,
        )
        write_table(table, snakemake.output.table)
        write_html(
            table.round(2),
            snakemake.output.html,
            title="Response onsets and layer centre of mass",
            simulated=snakemake.params.simulated,
        )
