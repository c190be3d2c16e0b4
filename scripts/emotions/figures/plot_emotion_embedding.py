"""Draw maps of occluded volumes, voxels and features of a network, by method."""

import matplotlib.pyplot as plt
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    PAGE_WIDTH,
    legend_below,
    roi_colours,
    titled,
    use_style,
    write_figure,
)
from workflow.lib.tables import read_table

METHOD_NAMES = {"umap": "UMAP", "tsne": "t-SNE", "pca": "principal components"}
MARKERS = "o^sDvP*X"
PANEL_HEIGHT = 2.2


def plot_emotion_embedding(
    places: pd.DataFrame, quality: pd.DataFrame, *, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw a row per kind of points and a column per method; return figure and caption.

    Parameters
    ----------
    places, quality : DataFrame, see scripts/emotions/maps/embed_emotions.py
    title : name of the study
    simulated : whether the data is simulated
    """
    use_style()
    embeddings = list(dict.fromkeys(quality["embedding"]))
    methods = [method for method in METHOD_NAMES if method in set(quality["method"])]
    figure, panels = plt.subplots(
        len(embeddings),
        len(methods),
        figsize=(PAGE_WIDTH, PANEL_HEIGHT * len(embeddings) + 0.7),
        squeeze=False,
        layout="constrained",
    )
    groups = list(dict.fromkeys(places["group"]))
    colours = roi_colours(groups)
    rows = quality.set_index(["embedding", "method"])
    for line, embedding in zip(panels, embeddings, strict=True):
        for panel, method in zip(line, methods, strict=True):
            own = places.query("embedding == @embedding and method == @method")
            for number, group in enumerate(groups):
                dots = own[own["group"] == group]
                panel.scatter(
                    dots["x"],
                    dots["y"],
                    s=9,
                    linewidths=0,
                    color=colours[group],
                    marker=MARKERS[number % len(MARKERS)],
                    label=group,
                )
            kept = rows.loc[(embedding, method), "trustworthiness"]
            panel.set_title(f"{METHOD_NAMES[method]} (trustworthiness {kept:.2f})", fontsize=7.5)
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
            # A unit along one axis is a unit along the other.
            panel.set_aspect("equal", adjustable="datalim")
        n = int(rows.loc[(embedding, methods[0]), "n_items"])
        line[0].set_ylabel(f"{embedding}\nn = {n:,}")
    legend_below(figure, panels[0, 0], len(groups))
    figure.suptitle(f"{titled(title, simulated=simulated)}: what lies near what")
    return figure, _caption(quality, embeddings)


def _caption(quality: pd.DataFrame, embeddings: list[str]) -> str:
    return (
        f"Maps in a plane of {'; '.join(_described(quality, name) for name in embeddings)}. Each "
        "from its principal components. In UMAP and t-SNE distances between clusters, their sizes "
        "and their gaps mean nothing; what can be read is which points are neighbours, as far as "
        "trustworthiness goes (1: neighbours in the plane are neighbours in truth). Principal "
        "components keep distances, as far as two of them can. Volumes that follow each other in "
        "time resemble each other: a cluster need not be an emotion."
    )


def _described(quality: pd.DataFrame, embedding: str) -> str:
    own = quality[quality["embedding"] == embedding]
    first = own.iloc[0]
    parameters = "; ".join(
        f"{METHOD_NAMES[row.method]}: {row.parameters}"
        for row in own.itertuples()
        if isinstance(row.parameters, str) and row.parameters
    )
    return (
        f"{embedding} (n = {int(first['n_items']):,} {first['note']}, "
        f"{int(first['n_dimensions']):,} dimensions; {parameters}; of the "
        f"{int(first['n_neighbours'])} nearest neighbours in all "
        f"dimensions {100 * first['same_group']:.0f} % are of the same emotion, of any neighbours "
        f"{100 * first['same_group_chance']:.0f} %)"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_emotion_embedding(
            read_table(snakemake.input.places),
            read_table(snakemake.input.quality),
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
        )
        write_figure(snakemake, figure, caption)
