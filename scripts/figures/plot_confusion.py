"""Draw what a trained network takes for what: the confusion matrix, and accuracy per category."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize

from workflow.lib.figures.cells import draw_cells
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    PAGE_WIDTH,
    roi_colours,
    titled,
    use_style,
    write_figure,
)
from workflow.lib.tables import read_table
from workflow.lib.training.accuracy import (
    ALL,
    CATEGORY,
    GROUP,
    accuracy_table,
    chance_note,
    confusion_matrix,
)

# More categories than this are shown without numbers.
MAX_WRITTEN = 25


def plot_confusion(
    predictions: pd.DataFrame,
    *,
    title: str,
    simulated: bool,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> tuple[plt.Figure, str]:
    """Draw the matrix and accuracies of a table of predictions, and return figure and caption.

    Parameters
    ----------
    predictions : DataFrame, a row per validation image, see `workflow.lib.training.accuracy`
    title : name of the study
    simulated : whether the data is simulated
    groups : mapping, group -> its categories, each category in one; all are one group if not given
    """
    counts, table = confusion_matrix(predictions), accuracy_table(predictions, groups)
    groups = groups or {ALL: list(counts.index)}
    order = [category for those in groups.values() for category in those]
    use_style()
    figure, (left, right) = plt.subplots(
        1,
        2,
        figsize=(PAGE_WIDTH, max(2.6, 1.2 + 0.22 * len(counts))),
        width_ratios=[2.2, 1],
        layout="constrained",
        sharey=True,
    )
    _draw_matrix(left, counts.loc[order, order], groups)
    _draw_accuracies(right, table, groups)
    overall = table[table["level"] == ALL].iloc[0]
    figure.suptitle(f"{titled(title, simulated=simulated)}: {overall['n']:,} validation images")
    return figure, _caption(table, groups)


def _draw_matrix(axes: plt.Axes, counts: pd.DataFrame, groups: Mapping[str, Sequence[str]]) -> None:
    """Draw the share of each category's images (rows) taken for each category, numbers written."""
    shares = counts.div(counts.sum(axis=1), axis=0).to_numpy()
    numbers = counts.to_numpy()
    texts = np.where(numbers > 0, np.char.mod("%d", numbers), "")
    mesh = draw_cells(
        axes,
        shares,
        rows=list(counts.index),
        columns=list(counts.columns),
        norm=Normalize(0, 1),
        texts=texts if len(counts) <= MAX_WRITTEN else None,
        coloured=numbers > 0,
        fontsize=5.5,
        turned=True,
    )
    for end in np.cumsum([len(those) for those in groups.values()])[:-1]:
        axes.axhline(end, color="black", lw=0.8)
        axes.axvline(end, color="black", lw=0.8)
    axes.figure.colorbar(mesh, ax=axes, label="share of the category's images", shrink=0.7)
    axes.set(xlabel="taken for", ylabel="category")
    axes.set_aspect("equal")


def _draw_accuracies(
    axes: plt.Axes, table: pd.DataFrame, groups: Mapping[str, Sequence[str]]
) -> None:
    """Draw the accuracy of every category with its interval, and chance."""
    colours = roi_colours(list(groups))
    rows = table[table["level"] == CATEGORY].set_index("name")
    first = 0
    for group, those in groups.items():
        of_group = rows.loc[list(those)]
        places = np.arange(first, first + len(those)) + 0.5
        label = group if len(groups) > 1 else None
        axes.hlines(places, of_group["low"], of_group["high"], color=colours[group], lw=1.2)
        axes.plot(of_group["accuracy"], places, "o", ms=3.5, color=colours[group], label=label)
        ends = (first, first + len(those))
        guess = axes.vlines(of_group["chance"].iloc[0], *ends, color="black", lw=0.8, ls=":")
        first += len(those)
    guess.set_label("chance")
    axes.set(xlim=(0, 1.03), xlabel="accuracy")
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _caption(table: pd.DataFrame, groups: Mapping[str, Sequence[str]]) -> str:
    spread = " ".join(
        f"{'All' if row.level == ALL else row.name_.capitalize()}: {row.accuracy:.3f} "
        f"[{row.low:.3f}, {row.high:.3f}], n = {row.n:,}, chance {row.chance:.3f}."
        for row in table[table["level"].isin([GROUP, ALL])]
        .rename(columns={"name": "name_"})
        .itertuples()
    )
    n = table.loc[table["level"] == ALL, "n"].iloc[0]
    return (
        f"n = {n:,} validation images, which the network was not trained on. Left: how many of "
        "each category (rows) were taken for each (columns); colour: share of the row. Right: "
        "share of right answers, with 95 % intervals over images (Wilson). Dotted: chance, "
        f"{chance_note(groups)}. Accuracy: {spread}"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_confusion(
            read_table(snakemake.input[0]),
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            groups=snakemake.params.groups,
        )
        write_figure(snakemake, figure, caption)
