"""Draw which clusters of images are decoded as which, summed over subjects.

snakemake --cores 1 results/demo/pictures/figures/semantic_confusion_natural.png
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.reconstruction.figures.reconstruction_labels import generator_label
from workflow.lib.figures.cells import draw_cells
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, SEQUENTIAL, titled, use_style, write_figure
from workflow.lib.tables import read_table

# Inches that the colours take beside the matrices.
COLOURS_WIDTH = 1.2
# Beyond, numbers in cells could not be read.
MOST_NUMBERED = 10


def plot_semantic_confusion(
    confusion: pd.DataFrame, *, decoders: Sequence[str], title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw a matrix per decoder, and return the figure and its caption.

    Parameters
    ----------
    confusion : DataFrame
        Of one part: decoder, subject, label, predicted, n.
    decoders : sequence of str
        In the order in which they are drawn.
    title : str
        Name of the study.
    simulated : bool
    """
    use_style()
    figure, axes = plt.subplots(
        1,
        len(decoders),
        figsize=(PAGE_WIDTH, 0.8 + (PAGE_WIDTH - COLOURS_WIDTH) / max(len(decoders), 3)),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    norm = plt.Normalize(0, 1)
    told = []
    for axis, name in zip(axes[0], decoders, strict=True):
        counts = _counts(confusion[confusion["decoder"] == name])
        _draw(axis, counts, norm)
        accuracy = np.diagonal(counts).sum() / counts.sum()
        axis.set_title(f"{generator_label(name)} ({100 * accuracy:.0f} %)")
        axis.set_xlabel("decoded cluster")
        told.append(f"{generator_label(name)} {100 * accuracy:.1f} %")
    axes[0, 0].set_ylabel("cluster of the image")
    colours = plt.cm.ScalarMappable(norm, SEQUENTIAL)
    figure.colorbar(colours, ax=axes, label="share of the cluster's images", shrink=0.8)
    figure.suptitle(f"{titled(title, simulated=simulated)}: confusion of categories")
    first = confusion[confusion["decoder"] == decoders[0]]
    n_subjects = first["subject"].nunique()
    n_images = int(first["n"].sum()) // n_subjects
    return figure, (
        f"n = {n_images:,} images ({confusion['part'].iloc[0]}), n = {n_subjects} "
        f"subject{'s' * (n_subjects > 1)}, whose counts are added up. Share of the images of each "
        "cluster (rows) that are decoded as each (columns), in percent; rows add up to 100, and a "
        f"row is empty where no image is of the cluster. Right: {'; '.join(told)}."
    )


def _counts(confusion: pd.DataFrame) -> np.ndarray:
    table = confusion.pivot_table(index="label", columns="predicted", values="n", aggfunc="sum")
    return table.to_numpy()


def _draw(axis: plt.Axes, counts: np.ndarray, norm: plt.Normalize) -> None:
    sizes = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, sizes, out=np.full(counts.shape, np.nan), where=sizes > 0)
    names = [str(number + 1) for number in range(len(counts))]
    texts = np.where(np.isfinite(shares), np.char.mod("%.0f", 100 * shares), "")
    if len(counts) > MOST_NUMBERED:
        texts = np.full(counts.shape, "")
    draw_cells(axis, shares, rows=names, columns=names, norm=norm, texts=texts, fontsize=6)
    axis.set_aspect("equal")


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        confusion = read_table(snakemake.input.confusion)
        figure, caption = plot_semantic_confusion(
            confusion[confusion["part"] == snakemake.wildcards.part],
            decoders=params.decoders,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
