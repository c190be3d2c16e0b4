"""Draw the learning curves of a network: every measure over epochs, a line per part of the data.

snakemake --cores 1 results/demo/digits/figures/learning_curves_vgg.png
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import MaxNLocator

from workflow.lib.figures.curves import draw_curves, kept_epochs, part_styles
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, titled, use_style, write_figure
from workflow.lib.tables import read_table
from workflow.lib.training.accuracy import chance_note, overall_chance
from workflow.lib.training.history import VALIDATION

HEIGHT = 2.5
ACCURACY = "accuracy"
# Between nothing right and all.
SHARES = (ACCURACY, "balanced accuracy")


def plot_training(
    history: pd.DataFrame,
    *,
    network: str,
    title: str,
    simulated: bool,
    groups: Mapping[str, Sequence[str]] | None = None,
    note: str = "",
) -> tuple[plt.Figure, str]:
    """Draw a panel per measure, and return the figure and its caption.

    Parameters
    ----------
    history : DataFrame
        epoch, part, measure, value; fold, where there is a network for each of several; kept, see
        `workflow.lib.training.history`.
    network : name of what was trained
    title : name of the study
    simulated : whether the data is simulated
    groups : mapping, group -> its categories, if images have categories
        Chance is drawn for them where accuracy is measured; of every category there are as many
        images.
    note : what the caption says of data and of measures that do not explain themselves
    """
    measures = list(dict.fromkeys(history["measure"]))
    styles = part_styles(list(dict.fromkeys(history["part"])))
    use_style()
    figure, panels = plt.subplots(
        1,
        max(1, len(measures)),
        figsize=(min(PAGE_WIDTH, 2.4 * max(1, len(measures)) + 0.4), HEIGHT),
        layout="constrained",
        squeeze=False,
    )
    for axes, measure in zip(panels.flat, measures, strict=False):
        rows = history[history["measure"] == measure]
        draw_curves(axes, rows, styles, kept_epochs(rows), "weights that are kept")
        if measure == ACCURACY and groups:
            axes.axhline(overall_chance(groups), color="black", lw=0.7, ls=":", label="chance")
        if measure in SHARES:
            axes.set_ylim(0, 1.02)
        elif rows["value"].min() >= 0:
            axes.set_ylim(0, 1.05 * rows["value"].max() or 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_title(measure)
    entries = {
        label: handle
        for axes in panels.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    columns = min(len(entries), 2 * len(measures)) or 1
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=columns)
    figure.suptitle(f"{titled(title, simulated=simulated)}: training of {network}")
    return figure, f"{_caption(history, measures, groups)} {note}".strip()


def _caption(
    history: pd.DataFrame, measures: list[str], groups: Mapping[str, Sequence[str]] | None
) -> str:
    if history.empty:
        return "No learning curves: the weights are those of a file, and nothing was trained."
    n_epochs = int(history["epoch"].max())
    guess = (
        f" Dotted: chance, {overall_chance(groups):.3g}, {chance_note(groups)}."
        if groups and ACCURACY in measures
        else ""
    )
    return (
        f"Learning curves over {n_epochs} epochs: {', '.join(measures)}. Dashed: means over the "
        "training steps of an epoch, taken while the network changes, with dropout and changed "
        f"examples; other lines: after the epoch, in evaluation mode.{_folds(history)}"
        f"{_end(history)}{guess}"
    )


def _folds(history: pd.DataFrame) -> str:
    """Return what lines are where there is a network for each of several folds."""
    if "fold" not in history or history["fold"].nunique() == 1:
        return ""
    ends = history.groupby("fold")["epoch"].max()
    early = (
        f"; training ended after {ends.min()} to {ends.max()} epochs, and late means are over "
        "those that went on"
        if ends.nunique() > 1
        else ""
    )
    return f" Thin lines: n = {len(ends)} folds, a network each; thick ones: their means{early}."


def _end(history: pd.DataFrame) -> str:
    """Return what was reached on validation data by the weights that are kept."""
    validated = history[history["part"] == VALIDATION]
    kept = kept_epochs(history)
    circles = " Circles: epochs whose weights are kept." if len(kept) else ""
    when = "with these weights" if len(kept) else "after the last epoch"
    of = kept if len(kept) else validated[validated["epoch"] == validated["epoch"].max()]
    values = ", ".join(
        f"{measure} {value:.3g}"
        for measure, value in of.groupby("measure", sort=False)["value"].mean().items()
    )
    reached = f" On validation data, which is not trained on, {when}: {values}." if values else ""
    return f"{circles}{reached}"


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_training(
            read_table(snakemake.input[0]),
            network=snakemake.params.label or snakemake.wildcards.network,
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            groups=snakemake.params.groups,
            note=snakemake.params.note,
        )
        write_figure(snakemake, figure, caption)
