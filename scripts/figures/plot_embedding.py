"""Draw the map of every layer: items that are alike in the layer lie together."""

import matplotlib.pyplot as plt
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    PAGE_WIDTH,
    PALETTE,
    legend_below,
    roi_colours,
    titled,
    use_style,
    write_figure,
)
from workflow.lib.tables import read_table

N_COLUMNS = 4
# Beyond ten groups colours repeat, with another marker.
MARKERS = "o^sDvP"
METHOD_NAMES = {"tsne": "t-SNE"}


def plot_embedding(
    places: pd.DataFrame,
    quality: pd.DataFrame,
    *,
    method: str,
    options: dict[str, float],
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw a panel per layer, a mark per item, a colour and marker per group.

    Parameters
    ----------
    places : DataFrame
        layer, name, group, x, y
    quality : DataFrame
        A row per layer, see scripts/embed/embed_layers.py.
    method : a key of `METHOD_NAMES`
    options : mapping
        Of the method, for the caption.
    title : name of the study
    simulated : whether the data is simulated
    """
    use_style()
    layers = list(quality["layer"])
    n_columns = min(N_COLUMNS, len(layers))
    n_rows = -(-len(layers) // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(PAGE_WIDTH, PAGE_WIDTH / n_columns * n_rows + 0.8),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.set_axis_off()
    marks = _marks(list(dict.fromkeys(places["group"])))
    of_layer = dict(iter(places.groupby("layer", sort=False)))
    for row, axis in zip(quality.itertuples(), axes.flat, strict=False):
        for group, mark in marks.items():
            items = of_layer[row.layer].query("group == @group")
            axis.scatter(items["x"], items["y"], s=7, linewidths=0, label=group, **mark)
        axis.set_title(f"{row.layer} ({100 * row.same_group:.0f} %)")
        # A unit along one axis is a unit along the other.
        axis.set_aspect("equal", adjustable="datalim")
    legend_below(figure, axes.flat[0], 8)
    name = METHOD_NAMES[method]
    figure.suptitle(f"{titled(title, simulated=simulated)}: {name} of every layer")
    return figure, _caption(quality, name, options)


def _marks(groups: list[str]) -> dict[str, dict]:
    """Return the colour and the marker of each group."""
    colours = roi_colours(groups)
    return {
        group: {"color": colours[group], "marker": MARKERS[i // len(PALETTE) % len(MARKERS)]}
        for i, group in enumerate(groups)
    }


def _caption(quality: pd.DataFrame, name: str, options: dict[str, float]) -> str:
    first = quality.iloc[0]
    settings = ", ".join(f"{key.removeprefix('n_')} {value:g}" for key, value in options.items())
    chance = f"{100 * first['same_group_chance']:.0f} %"
    low, high = quality["trustworthiness"].min(), quality["trustworthiness"].max()
    return (
        f"{name} ({settings}) of n = {int(first['n_items']):,} validation images in every layer, "
        "from the first principal components. Distances between clusters and their sizes mean "
        "little; what can be read is which images are neighbours. Percentages: share of the "
        f"{int(first['n_neighbours'])} nearest neighbours of an image in the layer itself, not in "
        f"the plane, that are of its category (any neighbours: {chance}). "
        f"Trustworthiness of the planes {low:.2f} to {high:.2f} (1: neighbours there are "
        "neighbours in the layer)."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_embedding(
            read_table(snakemake.input.places),
            read_table(snakemake.input.quality),
            method=snakemake.wildcards.method,
            options=params.options,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
