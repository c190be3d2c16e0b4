"""Draw what the rules of a run took: seconds and memory, the most expensive ones by name.

snakemake --cores 2 results/demo/figures/cost.png
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import MUTED, PAGE_WIDTH, PALETTE, use_style, write_figure
from workflow.lib.tables import read_table

# Rules that are named; the rest is one row.
N_NAMED = 18
# Inches of a row.
ROW = 0.22
BAR = {"height": 0.7, "edgecolor": "none"}
MIB_PER_GIB = 1024


def plot_costs(table: pd.DataFrame, run: str) -> tuple[plt.Figure, str]:
    """Draw a row per rule, the most expensive first, and return the figure and its caption.

    Parameters
    ----------
    table : rows of `cost.csv`
    run : name of the run
    """
    use_style()
    rows = named_rules(table)
    figure, (time, memory) = plt.subplots(
        1,
        2,
        figsize=(PAGE_WIDTH, 1.2 + ROW * len(rows)),
        width_ratios=(3, 2),
        sharey=True,
        layout="constrained",
    )
    places = np.arange(len(rows))[::-1]
    time.barh(places, rows["seconds"], color=PALETTE[0], label="clock time", **BAR)
    time.plot(rows["cpu_seconds"], places, "D", ms=4, color=PALETTE[1], label="processor time")
    time.set_yticks(places, [_label(row) for row in rows.itertuples()])
    time.set_xlabel("seconds of all jobs together")
    time.legend(loc="center right")
    memory.barh(places, rows["memory_mb_max"] / MIB_PER_GIB, color=MUTED, **BAR)
    memory.set_xlabel("memory of the largest job (GiB)")
    for panel, values, form in (
        (time, rows[["seconds", "cpu_seconds"]].max(axis=1), "{:,.0f}"),
        (memory, rows["memory_mb_max"] / MIB_PER_GIB, "{:.2f}"),
    ):
        shown = rows["seconds"] if panel is time else values
        _write_numbers(panel, places, values, shown, form)
        panel.set_xlim(0, 1.15 * max(values.max(), 1e-9))
        panel.tick_params(axis="y", length=0)
    figure.suptitle(f"What the run {run} cost")
    return figure, cost_caption(table)


def named_rules(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per rule over all studies, those of most seconds first, the last one the rest.

    Rules of which nothing was measured are among the rest.
    """
    rules = _together(table.groupby("rule", as_index=False))
    rules = rules.sort_values(["seconds", "rule"], ascending=[False, True], na_position="last")
    if len(rules) <= N_NAMED + 1:
        return rules
    named, rest = rules.iloc[:N_NAMED], rules.iloc[N_NAMED:]
    rest = _together(rest.assign(rule=f"{len(rest)} other rules").groupby("rule", as_index=False))
    return pd.concat([named, rest], ignore_index=True)


def _together(groups) -> pd.DataFrame:
    return groups.agg(
        n_jobs=("n_jobs", "sum"),
        seconds=("seconds", "sum"),
        cpu_seconds=("cpu_seconds", "sum"),
        memory_mb_max=("memory_mb_max", "max"),
        gpu_max=("gpu_max", "max"),
    )


def _label(row) -> str:
    gpu = ", GPU" if row.gpu_max > 0 else ""
    return f"{row.rule} ({row.n_jobs:,}{gpu})"


def _write_numbers(
    panel: plt.Axes, places: np.ndarray, at: pd.Series, values: pd.Series, form: str
) -> None:
    for place, x, value in zip(places, at, values, strict=True):
        if np.isfinite(value):
            panel.annotate(
                form.format(value),
                (x, place),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=6.5,
            )


def cost_caption(table: pd.DataFrame) -> str:
    """Return the caption: totals, when jobs ran, and how they were measured."""
    n_jobs, n_measured = (int(table[column].sum()) for column in ("n_jobs", "n_measured"))
    seconds, processors = table["seconds"].sum(), table["cpu_seconds"].sum()
    missing = f", of which {n_jobs - n_measured:,} left no measurement" * (n_measured < n_jobs)
    ran = table[["first_started", "last_finished"]].replace("", None).dropna()
    between = (
        f"They ran between {ran['first_started'].min()} and {ran['last_finished'].max()} (UTC), in "
        "one call of Snakemake or in several: each is shown as it last ran. "
        if len(ran)
        else ""
    )
    return (
        f"What rules cost, over all studies: n = {n_jobs:,} jobs (numbers of jobs in brackets; "
        "GPU: jobs that asked for one)"
        f"{missing}, {seconds:,.0f} s on the clock if run one by one and {processors:,.0f} s of "
        f"processors. {between}Memory is resident, of the largest job. Machines, and other work on "
        "them, change these numbers."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_costs(read_table(snakemake.input.table), snakemake.params.run)
        write_figure(snakemake, figure, caption)
