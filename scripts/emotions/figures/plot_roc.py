"""Draw ROC curves of every emotion, in the most leaked and in the cleanest split.

snakemake --cores 1 results/demo/movie/figures/roc.png
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from scripts.emotions.decoding.splits import SPLITS
from scripts.emotions.figures.decoding_figures import (
    extremes,
    model_label,
    model_styles,
    models_of,
    number,
    size_note,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, legend_below, titled, use_style, write_figure
from workflow.lib.tables import read_table

PANEL = 1.2


def plot_roc(
    roc: pd.DataFrame,
    auc: pd.DataFrame,
    decoding: pd.DataFrame,
    *,
    published: Mapping[str, float],
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw a row of panels per split, a column per emotion, and return the figure and caption.

    Parameters
    ----------
    roc, auc, decoding : DataFrame
        Tables of `scripts.emotions.evaluation.evaluate_decoding`.
    published : mapping, emotion -> area of the published network, for volumes dealt out at random
        May be empty.
    title : str
        Name of the study.
    simulated : bool
        Whether the data is simulated.
    """
    splits, classes = extremes(roc), list(dict.fromkeys(roc["class"]))
    styles = model_styles(models_of(decoding))
    use_style()
    figure, axes = plt.subplots(
        len(splits),
        len(classes),
        figsize=(PAGE_WIDTH, 0.95 + PANEL * len(splits)),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for row, split in zip(axes, splits, strict=True):
        for axis, emotion in zip(row, classes, strict=True):
            shown, areas = (_of(table, split, emotion) for table in (roc, auc))
            _draw(axis, shown, areas, styles)
        row[0].set_ylabel(f"{SPLITS[split].title}\nheld out\n\ntrue-positive rate")
    for axis, emotion in zip(axes[0], classes, strict=True):
        axis.set_title(emotion)
    for axis in axes[-1]:
        axis.set_xlabel("false-positive rate")
    for model, style in styles.items():
        axes[0, 0].plot([], [], color=style["color"], label=model_label(model))
    legend_below(figure, axes[0, 0], 5)
    figure.suptitle(f"{titled(title, simulated=simulated)}: ROC curves within runs")
    return figure, _caption(auc, decoding, splits, published)


def _of(table: pd.DataFrame, split: str, emotion: str) -> pd.DataFrame:
    return table[(table["split"] == split) & (table["class"] == emotion)]


def _draw(
    axis: plt.Axes,
    curves: pd.DataFrame,
    areas: pd.DataFrame,
    styles: Mapping[str, Mapping[str, str]],
) -> None:
    axis.plot([0, 1], [0, 1], color="black", lw=0.8, ls=":")
    for line, model in enumerate(models_of(curves)):
        own, colour = curves[curves["model"] == model], styles[model]["color"]
        # Of few volumes a first step is high: the line rises from the corner.
        axis.plot([0, *own["fpr"]], [0, *own["tpr"]], color=colour, lw=1.0)
        value = areas.loc[areas["model"] == model, "value"].iloc[0]
        place = 0.97, 0.04 + 0.105 * line
        text = {"transform": axis.transAxes, "ha": "right", "va": "bottom", "fontsize": 6.5}
        axis.text(*place, f"{value:.2f}", color=colour, **text)
    axis.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], aspect="equal")


def _caption(
    auc: pd.DataFrame, decoding: pd.DataFrame, splits: list[str], published: Mapping[str, float]
) -> str:
    clean = splits[-1]
    of_clean = auc[auc["split"] == clean]
    model = models_of(of_clean)[0]
    first = of_clean[of_clean["model"] == model]
    areas = "; ".join(
        f"{row.emotion} {number(row.value, row.low, row.high)}, "
        f"{row.n_runs} runs with the emotion and {row.n_runs_skipped} without"
        for row in first.rename(columns={"class": "emotion"}).itertuples()
    )
    star = (
        " The published network, for volumes dealt out at random and pooled over runs: "
        + ", ".join(f"{emotion} {value:.2f}" for emotion, value in published.items())
        + "."
        if published
        else ""
    )
    return (
        f"{size_note(decoding)}. Each emotion against all others, by what is held out. Curves of "
        "every subject in every run and fold are averaged with weights positives times negatives; "
        "runs without the emotion are skipped. Numbers: areas, in the order of the legend from "
        f"below. Dotted: chance. Areas of {model_label(model)} with {SPLITS[clean].title} held "
        f"out, with 95 % intervals over episodes: {areas}.{star}"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs = snakemake.params, snakemake.input
        figure, caption = plot_roc(
            read_table(inputs.roc),
            read_table(inputs.auc),
            read_table(inputs.decoding),
            published=params.published,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
