"""Draw how much distances of embeddings resemble those of responses before anything is learned."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.dissimilarity.figures.pair_figures import (
    METRICS,
    chosen,
    in_order,
    looks,
    span,
    spread_note,
    subjects_note,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    legend_below,
    similarity_label,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.tables import read_table

DISTANCES = {"correlation": "1 - Pearson $r$", "euclidean": "Euclidean", "cosine": "1 - cosine"}
# Between the marks of two distances of one embedding.
BESIDE = 0.24
ALPHA = 0.05


def plot_raw_distances(
    table: pd.DataFrame, *, title: str, simulated: bool, published: str = ""
) -> tuple[plt.Figure, str]:
    """Draw a panel per ROI and metric of the responses, and return the figure and its caption.

    Parameters
    ----------
    table : DataFrame, `raw_distances.csv`
    title : name of the study
    simulated : whether the data is simulated
    published : published numbers, in sentences that end the caption
    """
    rois, embeddings = (list(dict.fromkeys(table[name])) for name in ("roi", "embedding"))
    metrics = in_order(table["metric"], METRICS)
    use_style()
    width = COLUMN_WIDTH if len(metrics) == 1 and len(embeddings) < 6 else PAGE_WIDTH
    figure, axes = plt.subplots(
        len(rois),
        len(metrics),
        figsize=(width, 1.25 * len(rois) + 1.15),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for row, roi in zip(axes, rois, strict=True):
        for axis, metric in zip(row, metrics, strict=True):
            _draw(axis, chosen(table, roi=roi, metric=metric), embeddings)
            axis.set_title(roi, loc="left", fontweight="bold")
    for axis, metric in zip(axes[0], metrics, strict=True):
        axis.set_title(METRICS.get(metric, metric), loc="right", fontsize=7.5)
    for axis in axes[-1]:
        axis.set_xticks(np.arange(len(embeddings)), wrapped(embeddings))
        axis.set_xlim(-0.5, len(embeddings) - 0.5)
    figure.supylabel(f"{similarity_label('spearman')} with responses", fontsize=8)
    legend_below(figure, axes[0, 0], len(DISTANCES))
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: distances of embeddings,\n{subjects_note(table)}, "
        f"{span(table['n_images'])} images"
    )
    return figure, f"{_caption(table)} {published}".strip()


def _draw(axis: plt.Axes, cells: pd.DataFrame, embeddings: list[str]) -> None:
    axis.axhline(0, color="black", lw=0.6)
    several = cells["subject"].nunique() > 1
    for number, (distance, look) in enumerate(looks(list(DISTANCES)).items()):
        shift = BESIDE * (number - (len(DISTANCES) - 1) / 2)
        rows = chosen(cells, distance=distance)
        x = rows["embedding"].map(embeddings.index).to_numpy(dtype=float) + shift
        significant = (rows["q"] < ALPHA).to_numpy()
        for filled in (False, True):
            axis.plot(
                x[significant == filled],
                rows["spearman"][significant == filled],
                ls="",
                marker=look["marker"],
                mec=look["color"],
                mfc=look["color"] if filled else "white",
                ms=3.4 if several else 5,
                label=DISTANCES[distance] if filled else None,
            )
        # So that the legend knows a distance of which no mark is filled.
        axis.plot([], [], ls="", ms=5, label=DISTANCES[distance], **look)
        if several:
            means = rows.groupby("embedding")["spearman"].mean().reindex(embeddings)
            places = np.arange(len(embeddings)) + shift
            axis.hlines(means, places - 0.1, places + 0.1, color=look["color"], lw=1.6)
        else:
            axis.vlines(x, rows["low"], rows["high"], color=look["color"], lw=1.0, zorder=1)


def _caption(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    best = table.groupby(["roi", "metric", "embedding", "distance"], sort=False)["spearman"].mean()
    roi, metric, embedding, distance = best.idxmax()
    return (
        "Spearman's rho between distances of embeddings, of which nothing was fitted, and "
        f"distances of responses ({subjects_note(table)}; {span(table['n_images'])} images, "
        f"{span(table['n_pairs'])} pairs). Panels: ROI and distance of responses; colours: "
        f"distance of embeddings. {spread_note(table)} Filled: above zero, one-sided "
        f"Mantel test, {int(first['n_permutations']):,} permutations of the images, "
        f"Benjamini-Hochberg q < {ALPHA:g} over a subject's {_n_cells(table)} tests. Largest of "
        f"{best.size}, and so optimistic{', mean' * (table['subject'].nunique() > 1)}: "
        f"{best.max():.3f} ({embedding}, {distance} distance, with {metric} of {roi})."
    )


def _n_cells(table: pd.DataFrame) -> str:
    return span(table.groupby("subject")["q"].count())


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_raw_distances(
            read_table(snakemake.input.table),
            title=params.title,
            simulated=params.simulated,
            published=params.published,
        )
        write_figure(snakemake, figure, caption)
