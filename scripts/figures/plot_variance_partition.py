"""Draw what models explain of each ROI: each alone, and what several have in common."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    MUTED,
    PAGE_WIDTH,
    PALETTE,
    drawn_note,
    n_note,
    subject_label,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.sources import JOINT_SUBJECT
from workflow.lib.tables import read_table

# Panels in one row, and room for the names of the sets, in inches.
MOST_PANELS, NAMES = 3, 1.5
# Intervals lie above the middle of a bar and single subjects below it, so that both are seen.
BESIDE = 0.16
# A shared part is drawn in the colour of no model.
SHARED = "0.72"


def plot_variance_partition(
    table: pd.DataFrame, *, title: str, simulated: bool, called: str, resample: str
) -> tuple[plt.Figure, str]:
    """Draw a panel per ROI with a bar per set of models, and return the figure and caption.

    Parameters
    ----------
    table : DataFrame, rows of `variance_partition.csv` of one comparator, of all subjects
    title : name of the study
    simulated : whether the data is simulated
    called : what the images are called, in the plural
    resample : what resamples draw, a key of `workflow.lib.plotting.DRAWN`
    """
    subjects, rois, sets = (
        list(dict.fromkeys(table[column])) for column in ("subject", "roi", "models")
    )
    # The joint RDM stands for a study, or its only subject.
    shown = JOINT_SUBJECT if JOINT_SUBJECT in subjects else subjects[0]
    use_style()
    n_columns = min(MOST_PANELS, len(rois))
    n_rows = -(-len(rois) // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(
            NAMES + (PAGE_WIDTH - NAMES) * max(n_columns, 2) / MOST_PANELS,
            0.7 + n_rows * (0.65 + 0.2 * len(sets)),
        ),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for panel, roi in zip(axes.flat, rois, strict=False):
        _draw(panel, table[table["roi"] == roi], shown)
    for panel in axes.flat[len(rois) :]:
        panel.set_visible(False)
    for panel in axes[:, 0]:
        panel.set_yticks(np.arange(len(sets)), wrapped(list(map(_set_name, sets)), 30))
    axes[0, 0].set_ylim(len(sets) - 0.5, -0.5)
    figure.supxlabel("share of the variance of the RDM (%)", fontsize=8)
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: {subject_label(shown)}, {n_note(table, called)}"
    )
    return figure, _caption(table, shown, sets, resample, called)


def _set_name(models: str) -> str:
    return models if " + " in models else f"{models} alone"


def _draw(panel: plt.Axes, table: pd.DataFrame, shown: str) -> None:
    rows = table[table["subject"] == shown]
    places, single = np.arange(len(rows)), (rows["n_models"] == 1).to_numpy()
    colours = [PALETTE[i] if alone else SHARED for i, alone in enumerate(single)]
    panel.barh(places, 100 * rows["share"], 0.76, color=colours)
    limits = 100 * rows["share_low"], 100 * rows["share_high"]
    panel.hlines(places - BESIDE, *limits, color="black", lw=1)
    for place, share in zip(places, rows["share"], strict=True):
        where = {"transform": panel.get_yaxis_transform(), "va": "center"}
        # Added zero: rounding must not leave "-0.0".
        panel.text(1.01, place, f"{round(100 * share, 1) + 0:.1f}", fontsize=7, **where)
    others = [subject for subject in dict.fromkeys(table["subject"]) if subject != shown]
    for subject in others:
        share = table.loc[table["subject"] == subject, "share"]
        panel.plot(100 * share, places + BESIDE, "o", ms=3, mfc="white", mec="black", mew=0.7)
    panel.axvline(0, color="black", lw=0.6)
    panel.axhline(single.sum() - 0.5, color=MUTED, lw=0.6, ls=":")
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
    whole = rows.iloc[-1]
    panel.set_title(
        f"{whole['roi']}\n$R^2$ = {100 * whole['r_squared']:.1f} % "
        f"[{100 * whole['r_squared_low']:.1f}, {100 * whole['r_squared_high']:.1f}]"
    )


def _caption(
    table: pd.DataFrame, shown: str, sets: Sequence[str], resample: str, called: str
) -> str:
    n_subjects = table.loc[table["subject"] != JOINT_SUBJECT, "subject"].nunique()
    n_resamples = int(table["n_resamples"].iloc[0])
    dots = (
        f" Circles: single subjects (n = {n_subjects}), whose noisier RDMs leave less to explain."
        if n_subjects > 1
        else ""
    )
    what = {
        "pearson": "of the dissimilarities",
        "spearman": "of the ranks of the dissimilarities",
    }[table["comparator"].iloc[0]]
    return (
        f"Variance of each ROI's RDM that models explain, {subject_label(shown)}, "
        f"{n_note(table, called)}; linear regression {what}. In colour: what a model explains "
        "alone; grey: what just these models have in common, negative where one suppresses noise "
        f"of another. The bars of a panel sum to R² of {sets[-1]}, above it. Lines and brackets: "
        f"95 % intervals {drawn_note(resample, called)} ({n_resamples:,} resamples, ± t times the "
        f"standard error).{dots} Descriptive: chance leaves what a model explains alone a little "
        "above zero. Numbers at the right: the bars."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        table = read_table(snakemake.input[0])
        figure, caption = plot_variance_partition(
            table[table["comparator"] == snakemake.params.comparator],
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
            resample=snakemake.params.resample,
        )
        write_figure(snakemake, figure, caption)
