"""Draw how many clusters fit the training images, and images of each cluster.

snakemake --cores 1 results/demo/pictures/figures/image_clusters.png
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from workflow.lib.jobs import script_job
from workflow.lib.plotting import INK, PAGE_WIDTH, PALETTE, titled, use_style, write_figure
from workflow.lib.sources import TRAINING
from workflow.lib.tables import read_table

N_EXAMPLES, MOST_ROWS = 8, 10


def plot_image_clusters(
    choice: pd.DataFrame,
    clusters: pd.DataFrame,
    images: ImageTable,
    *,
    network: str,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw silhouettes beside images near the centroids, and return the figure and its caption.

    Parameters
    ----------
    choice : DataFrame
        n_clusters, silhouette, in_use.
    clusters : DataFrame, see `scripts.reconstruction.decoders.clusters.Clusters`
    images : ImageTable
        Of all parts.
    network : str
        What saw the images.
    title : str
        Name of the study.
    simulated : bool
    """
    use_style()
    training = images.of(TRAINING)
    own = clusters[clusters["part"] == TRAINING]
    numbers = sorted(own["cluster"].unique())[:MOST_ROWS]
    height = max(1.8, 0.36 * len(numbers) + 0.6)
    figure = plt.figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.35])
    _draw_silhouettes(left.subplots(), choice)
    sheet = right.subplots(len(numbers), N_EXAMPLES, squeeze=False)
    for axes, number in zip(sheet, numbers, strict=True):
        nearest = own[own["cluster"] == number].sort_values("distance")["name"].head(N_EXAMPLES)
        for axis in axes:
            axis.set_axis_off()
        for axis, row in zip(axes, training.positions(nearest.tolist()), strict=False):
            axis.imshow(training.images[row], interpolation="nearest")
        n = int((own["cluster"] == number).sum())
        axes[0].text(
            -0.15,
            0.5,
            f"{number + 1} (n = {n})",
            transform=axes[0].transAxes,
            ha="right",
            va="center",
            fontsize=7,
        )
    figure.suptitle(f"{titled(title, simulated=simulated)}: clusters of the training images")
    return figure, _caption(choice, clusters, network, len(numbers))


def _draw_silhouettes(axis: plt.Axes, choice: pd.DataFrame) -> None:
    axis.plot(choice["n_clusters"], choice["silhouette"], "o-", color=PALETTE[0])
    chosen = choice[choice["in_use"]].iloc[0]
    axis.axvline(chosen["n_clusters"], color=INK, ls=":", lw=0.9)
    axis.set(xlabel="clusters", ylabel="silhouette", xticks=choice["n_clusters"])


def _caption(choice: pd.DataFrame, clusters: pd.DataFrame, network: str, n_drawn: int) -> str:
    own, best = clusters[clusters["part"] == TRAINING], choice.loc[choice["silhouette"].idxmax()]
    chosen = choice[choice["in_use"]].iloc[0]
    tests = clusters[clusters["part"] != TRAINING]
    spread = np.ptp(np.bincount(own["cluster"]))
    return (
        f"n = {len(own):,} training images, clustered by K-means on what {network} sees in them. "
        f"Left: mean silhouette by number of clusters; dotted, the number in use "
        f"({int(chosen['n_clusters'])}, silhouette {chosen['silhouette']:.2f}; the highest is "
        f"{best['silhouette']:.2f} with {int(best['n_clusters'])}). Right: the images that are "
        f"nearest to the centroid of each of {n_drawn} clusters, with the images in it, whose "
        f"numbers differ by up to {spread}. Test images (n = {len(tests):,} images) go to the "
        "nearest centroid and have no part in any of this."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs = snakemake.params, snakemake.input
        figure, caption = plot_image_clusters(
            read_table(inputs.choice),
            read_table(inputs.clusters),
            read_image_table(Path(inputs.images)),
            network=params.network,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
