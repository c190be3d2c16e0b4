"""Draw one subject's layer x ROI similarities: heatmap and grouped bars side by side."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize

from workflow.lib.figures.cells import draw_cells
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    MUTED,
    interval_note,
    n_note,
    roi_colours,
    similarity_label,
    subject_label,
    test_note,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.rsa.tables import column_labels
from workflow.lib.sources import JOINT_SUBJECT, MEAN_SESSION
from workflow.lib.tables import read_table

# More layers than this stand below one another, where their names can be read.
MAX_COLUMNS = 6


def plot_heatmap(
    table: pd.DataFrame,
    *,
    title: str,
    simulated: bool,
    called: str,
    alpha: float,
    permuted: str,
    resample: str,
    roi_groups: Mapping[str, Sequence[str]],
) -> tuple[plt.Figure, str]:
    """Draw the similarities of one subject and comparator, and return the figure and caption.

    Parameters
    ----------
    table : DataFrame, rows of `rsa_<subject>.csv` of one comparator
    title : name of the study
    simulated : whether the data is simulated
    called : what the images are called, in the plural
    alpha : false discovery rate at which a cell counts
    permuted : what was permuted, a key of `workflow.lib.plotting.PERMUTED`
    resample : what resamples draw, a key of `workflow.lib.plotting.DRAWN`
    roi_groups : ROIs whose mean makes one bar; without any, each ROI is a bar
    """
    table = table.assign(column=column_labels(table), row=_row_labels(table))
    columns, rows = (list(dict.fromkeys(table[name])) for name in ("column", "row"))
    cells = table.pivot(index="row", columns="column", values=["similarity", "q"])
    values, q = (cells[name].loc[rows, columns] for name in ("similarity", "q"))
    # Without any test all cells are shown alike; with one, a cell that it cannot change has no q.
    significant = (q < alpha) | q.isna().all(axis=None)
    upright = len(columns) > MAX_COLUMNS
    if upright:
        values, significant = values.T, significant.T
    label = similarity_label(table["comparator"].iloc[0])
    family = table[table["session"] == MEAN_SESSION]

    use_style()
    figure, (left, right) = _panels(*values.shape, upright)
    _draw_cells(left, values, significant, label)
    _draw_bars(right, family, columns, roi_groups, label, upright)
    subject = table["subject"].iloc[0]
    who, is_joint = subject_label(subject), subject == JOINT_SUBJECT
    figure.suptitle(f"{titled(title, simulated=simulated)}: {who}, {n_note(table, called)}")
    if not significant.to_numpy().all():
        untested = " or not testable" if q.isna().any(axis=None) else ""
        left.set_title(f"grey: q ≥ {alpha:g}{untested}", loc="right", fontsize=7, color=MUTED)
    # A model with one layer is the name of its column already.
    if table["model"].nunique() == 1 and len(columns) > 1 and not upright:
        left.set_xlabel(table["model"].iloc[0])
    single = "" if is_joint else ", a single case, which says nothing about other subjects"
    grouped = " Bars are means over single ROIs (dots)." if roi_groups else ""
    lines = f" {interval_note(family, resample, called)}" if family["low"].notna().any() else ""
    test = f"{test_note(family, alpha, permuted, called)}{_grey_note(family['q'])}"
    caption = (
        f"Similarity ({table['comparator'].iloc[0]}) of model and brain RDMs, {who}"
        f"{single}; {n_note(table, called)}. {test}{grouped}{lines}"
    )
    return figure, caption


def _grey_note(q: pd.Series) -> str:
    """Return what grey cells are, given the false discovery rate of each."""
    if q.isna().all():
        return ""
    untested = " So are those that no permutation changes, which have no p."
    return f" Cells that do not reach it are grey.{untested if q.isna().any() else ''}"


def _panels(n_rows: int, n_columns: int, upright: bool) -> tuple[plt.Figure, Sequence[plt.Axes]]:
    """Return axes for cells and bars, side by side; rows are shared where layers are rows."""
    width = 1.6 + (0.75 if upright else 0.62) * n_columns
    return plt.subplots(
        1,
        2,
        figsize=(
            width + max(2.6, 0 if upright else width),
            max(2.4, 0.8 + (0.2 if upright else 0.27) * n_rows),
        ),
        width_ratios=[width, 2.4] if upright else [1.15, 1],
        layout="constrained",
    )


def _row_labels(table: pd.DataFrame) -> pd.Series:
    if table["session"].nunique() == 1:
        return table["roi"]
    session = table["session"].where(
        table["session"] == MEAN_SESSION, "session " + table["session"]
    )
    return table["roi"] + ", " + session


def _draw_cells(
    axes: plt.Axes, values: pd.DataFrame, significant: pd.DataFrame, label: str
) -> None:
    similarity = values.to_numpy()
    mesh = draw_cells(
        axes,
        similarity,
        rows=list(values.index),
        columns=wrapped(list(values.columns)),
        norm=Normalize(min(0.0, similarity.min()), max(similarity.max(), 1e-3)),
        texts=np.char.mod("%.3f", similarity),
        coloured=significant.to_numpy(),
    )
    axes.figure.colorbar(mesh, ax=axes, label=label, shrink=0.8)


def _draw_bars(
    axes: plt.Axes,
    table: pd.DataFrame,
    columns: Sequence[str],
    roi_groups: Mapping[str, Sequence[str]],
    label: str,
    upright: bool,
) -> None:
    groups = roi_groups or {roi: [roi] for roi in dict.fromkeys(table["roi"])}
    colours = roi_colours(list(groups))
    thickness = 0.8 / len(groups)
    draw = axes.barh if upright else axes.bar
    for i, (group, rois) in enumerate(groups.items()):
        members = table[table["roi"].isin(rois)].pivot(
            index="roi", columns="column", values=["similarity", "low", "high"]
        )
        places = np.arange(len(columns)) + (i - (len(groups) - 1) / 2) * thickness
        means = members["similarity"][list(columns)].mean()
        draw(places, means, thickness * 0.92, color=colours[group], label=group)
        for j, (_, member) in enumerate(members.iterrows()):
            # Side by side within the bar, so that intervals of two ROIs can be told apart.
            beside = places + (j - (len(members) - 1) / 2) * thickness / (len(members) + 1)
            values = member["similarity"][list(columns)]
            intervals = (member["low"][list(columns)], member["high"][list(columns)])
            (axes.hlines if upright else axes.vlines)(beside, *intervals, color="black", lw=0.5)
            if len(rois) > 1:
                points = (values, beside) if upright else (beside, values)
                axes.plot(*points, "o", ms=1.8, color="black", mew=0)
    if upright:
        axes.axvline(0, color="black", lw=0.6)
        axes.set_yticks(np.arange(len(columns)), [])
        # The rows of the cells beside it run from -0.5 to n - 0.5 as well, first one on top.
        axes.set_ylim(len(columns) - 0.5, -0.5)
        axes.set_xlabel(label)
    else:
        axes.axhline(0, color="black", lw=0.6)
        axes.set_xticks(np.arange(len(columns)), wrapped(list(columns), 9))
        axes.set_ylabel(label)
    if len(groups) > 1:
        axes.legend(ncols=2 if len(groups) > 5 else 1, loc="upper left", bbox_to_anchor=(1, 1))


if __name__ == "__main__":
    with script_job(snakemake):
        table = read_table(snakemake.input[0])
        figure, caption = plot_heatmap(
            table[table["comparator"] == snakemake.params.comparator],
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
            alpha=snakemake.params.alpha,
            permuted=snakemake.params.permuted,
            resample=snakemake.params.resample,
            roi_groups=snakemake.params.roi_groups,
        )
        write_figure(snakemake, figure, caption)
