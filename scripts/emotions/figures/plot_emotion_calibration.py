"""Draw whether decoders are right as often as they say, in the most leaked and the cleanest split.

snakemake --cores 1 results/demo/movie/figures/calibration.png
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.emotions.decoding.splits import SPLITS
from scripts.emotions.figures.decoding_figures import (
    extremes,
    model_label,
    model_styles,
    models_of,
    size_note,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, legend_below, titled, use_style, write_figure
from workflow.lib.tables import read_table

# Area of the mark of a bin that holds all volumes, in square points.
LARGEST = 160.0
# Bins with a smaller share of a model's volumes are not drawn.
FEWEST = 0.005


def plot_emotion_calibration(
    calibration: pd.DataFrame, decoding: pd.DataFrame, *, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw a panel per split, and return the figure and its caption.

    Parameters
    ----------
    calibration, decoding : DataFrame
        Tables of `scripts.emotions.evaluation.evaluate_decoding`.
    title : str
        Name of the study.
    simulated : bool
        Whether the data is simulated.
    """
    splits, styles = extremes(calibration), model_styles(models_of(decoding))
    use_style()
    figure, axes = plt.subplots(
        1,
        len(splits),
        figsize=(PAGE_WIDTH * 0.42 * len(splits), 3.75),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for axis, split in zip(axes[0], splits, strict=True):
        _draw(axis, calibration[calibration["split"] == split], styles)
        axis.set_title(f"{SPLITS[split].title} held out")
        axis.set_xlabel("probability of the chosen emotion")
    axes[0, 0].set_ylabel("share of right answers")
    for model, style in styles.items():
        axes[0, 0].plot([], [], lw=1.0, ms=4, label=model_label(model), **style)
    legend_below(figure, axes[0, 0], 3)
    figure.suptitle(f"{titled(title, simulated=simulated)}: calibration")
    return figure, _caption(decoding, splits)


def _draw(axis: plt.Axes, bins: pd.DataFrame, styles: Mapping[str, Mapping[str, str]]) -> None:
    axis.plot([0, 1], [0, 1], color="black", lw=0.8, ls=":", label="calibrated")
    for model in models_of(bins):
        own, style = bins[bins["model"] == model], styles[model]
        shares = own["n"] / own["n"].sum()
        own, shares = own[shares >= FEWEST], shares[shares >= FEWEST]
        axis.plot(own["confidence"], own["accuracy"], color=style["color"], lw=0.9)
        axis.scatter(
            own["confidence"],
            own["accuracy"],
            s=np.maximum(LARGEST * shares, 4),
            color=style["color"],
            marker=style["marker"],
            edgecolor="white",
            linewidth=0.4,
            zorder=3,
        )
    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")


def _caption(decoding: pd.DataFrame, splits: list[str]) -> str:
    values = decoding.set_index(["measure", "split", "model"])["value"]
    spread = " ".join(
        f"{SPLITS[split].title.capitalize()}: "
        + ", ".join(
            f"{model_label(model)} {values['calibration_error', split, model]:.3f} and "
            f"{values['brier', split, model]:.3f}"
            for model in models_of(decoding[decoding["split"] == split])
        )
        + "."
        for split in splits
    )
    return (
        f"{size_note(decoding)}. How often the emotion that a decoder chooses is right, by the "
        "probability that it gives to it, in bins of 0.1; the area of a mark is the share of "
        f"volumes, and bins with less than {FEWEST:.1%} are not drawn. Dotted: calibrated. Least "
        "squares give scores, not probabilities: theirs are a softmax. Expected calibration error "
        "and Brier score (0 to 2), by what is held out. "
        f"{spread}"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs = snakemake.params, snakemake.input
        figure, caption = plot_emotion_calibration(
            read_table(inputs.calibration),
            read_table(inputs.decoding),
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
