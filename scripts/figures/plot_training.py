"""Draw the learning curves of a network: every measure over epochs, a line per part of the data."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import MaxNLocator

from workflow.lib.jobs import script_job
from workflow.lib.plotting import MUTED, PAGE_WIDTH, titled, use_style, write_figure
from workflow.lib.tables import read_table
from workflow.lib.training.accuracy import chance_note, overall_chance
from workflow.lib.training.history import TRAINING, VALIDATION

HEIGHT = 2.5
ACCURACY = "accuracy"


def plot_training(
    history: pd.DataFrame,
    *,
    title: str,
    simulated: bool,
    groups: Mapping[str, Sequence[str]] | None = None,
    note: str = "",
) -> tuple[plt.Figure, str]:
    """Draw a panel per measure, and return the figure and its caption.

    Parameters
    ----------
    history : DataFrame, rows of `workflow.lib.training.loop.fit`
        epoch, part, measure, value.
    title : name of the study
    simulated : whether the data is simulated
    groups : mapping, group -> its categories, if images have categories
        Chance is drawn for them where accuracy is measured; of every category there are as many
        images.
    note : what the caption says of measures that do not explain themselves
    """
    measures = list(dict.fromkeys(history["measure"]))
    styles = _styles(list(dict.fromkeys(history["part"])))
    use_style()
    figure, panels = plt.subplots(
        1,
        len(measures),
        figsize=(min(PAGE_WIDTH, 2.4 * len(measures) + 0.4), HEIGHT),
        layout="constrained",
        squeeze=False,
    )
    for axes, measure in zip(panels.flat, measures, strict=True):
        rows = history[history["measure"] == measure]
        for part, of_part in rows.groupby("part", sort=False):
            axes.plot(of_part["epoch"], of_part["value"], label=part, **styles[part])
        if measure == ACCURACY and groups:
            axes.axhline(overall_chance(groups), color="black", lw=0.7, ls=":", label="chance")
        if measure == ACCURACY:
            axes.set_ylim(0, 1.02)
        else:
            axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_title(measure)
    entries = {
        label: handle
        for axes in panels.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=len(entries))
    figure.suptitle(f"{titled(title, simulated=simulated)}: training")
    return figure, f"{_caption(history, measures, groups)} {note}".strip()


def _styles(parts: list[str]) -> dict[str, dict]:
    """Return how the line of each part looks: by dash and marker as well as by colour."""
    fixed = {
        VALIDATION: {"color": "C0", "lw": 1.6, "marker": "o", "ms": 3},
        TRAINING: {"color": MUTED, "lw": 1.2, "ls": "--"},
    }
    others = [part for part in parts if part not in fixed]
    return fixed | {
        part: {"color": f"C{i + 1}", "lw": 1.2, "marker": "s^vD"[i % 4], "ms": 2.5}
        for i, part in enumerate(others)
    }


def _caption(
    history: pd.DataFrame, measures: list[str], groups: Mapping[str, Sequence[str]] | None
) -> str:
    n_epochs = int(history["epoch"].max())
    last = history[(history["epoch"] == n_epochs) & (history["part"] == VALIDATION)]
    values = ", ".join(f"{row.measure} {row.value:.3g}" for row in last.itertuples())
    guess = (
        f" Dotted: chance, {overall_chance(groups):.3g}, {chance_note(groups)}."
        if groups and ACCURACY in measures
        else ""
    )
    return (
        f"Learning curves over {n_epochs} epochs: {', '.join(measures)}. Dashed: means over the "
        "training steps of an epoch, taken while the network changes, with dropout and changed "
        "images; other lines: after the epoch, in evaluation mode. On validation data, which is "
        f"not trained on, after the last epoch: {values}.{guess}"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_training(
            read_table(snakemake.input[0]),
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            groups=snakemake.params.groups,
            note=snakemake.params.note,
        )
        write_figure(snakemake, figure, caption)
