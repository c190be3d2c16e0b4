"""Draw as which emotion every decoder predicts which, in the most leaked and the cleanest split.

snakemake --cores 1 results/demo/movie/figures/confusion.png
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.emotions.decoding.splits import SPLITS
from scripts.emotions.figures.decoding_figures import extremes, model_label, models_of, size_note
from workflow.lib.figures.cells import draw_cells
from workflow.lib.jobs import script_job
from workflow.lib.plotting import MUTED, PAGE_WIDTH, SEQUENTIAL, titled, use_style, write_figure
from workflow.lib.tables import read_table


def plot_emotion_confusion(
    confusion: pd.DataFrame, decoding: pd.DataFrame, *, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw a row of matrices per split, a column per model, and return the figure and caption.

    Parameters
    ----------
    confusion, decoding : DataFrame
        Tables of `scripts.emotions.evaluation.evaluate_decoding`.
    title : str
        Name of the study.
    simulated : bool
        Whether the data is simulated.
    """
    splits, models = extremes(confusion), models_of(confusion)
    classes = list(dict.fromkeys(confusion["label"]))
    use_style()
    figure, axes = plt.subplots(
        len(splits),
        len(models),
        figsize=(PAGE_WIDTH, 0.9 + 1.05 * PAGE_WIDTH / max(len(models), 3.5) * len(splits)),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    shares = confusion.assign(share=_shares(confusion))
    shares = shares[shares["split"].isin(splits)]
    norm = plt.Normalize(0, shares["share"].max())
    for row, split in zip(axes, splits, strict=True):
        for axis, model in zip(row, models, strict=True):
            own = shares[(shares["split"] == split) & (shares["model"] == model)]
            _draw(axis, own, classes, norm)
        row[0].set_ylabel(f"{SPLITS[split].title} held out\ntrue emotion")
    for axis, model in zip(axes[0], models, strict=True):
        axis.set_title(model_label(model))
    for axis in axes[-1]:
        axis.set_xlabel("predicted as")
    colours = plt.cm.ScalarMappable(norm, SEQUENTIAL)
    figure.colorbar(colours, ax=axes, label="share of the emotion's volumes", shrink=0.6)
    figure.suptitle(f"{titled(title, simulated=simulated)}: confusion of emotions")
    return figure, (
        f"{size_note(decoding)}. Share of the volumes of each emotion (rows) that decoders predict "
        "as each (columns), in percent, by what is held out; rows add up to 100. Volumes of one "
        "episode are alike, so that single cells rest on few observations."
    )


def _shares(confusion: pd.DataFrame) -> pd.Series:
    """Return the share of each label's volumes; NaN of a label that was not tested."""
    sizes = confusion.groupby(["split", "model", "label"])["n"].transform("sum")
    return confusion["n"] / sizes.where(sizes > 0)


def _draw(axis: plt.Axes, shares: pd.DataFrame, classes: list[str], norm: plt.Normalize) -> None:
    matrix = shares.pivot(index="label", columns="predicted", values="share")
    matrix = matrix.reindex(index=classes, columns=classes).to_numpy(float)
    texts = np.where(np.isfinite(matrix), np.char.mod("%.0f", 100 * matrix), "")
    names = {"rows": classes, "columns": classes, "turned": True}
    draw_cells(axis, matrix, **names, norm=norm, texts=texts, fontsize=6)
    axis.set_aspect("equal")
    if shares.empty:
        middle = len(classes) / 2
        axis.text(middle, middle, "not fitted", ha="center", va="center", color=MUTED)


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs = snakemake.params, snakemake.input
        figure, caption = plot_emotion_confusion(
            read_table(inputs.confusion),
            read_table(inputs.decoding),
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
