"""Draw which layer every voxel resembles most: slices, the margin, and counts over layers."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import BoundaryNorm, ListedColormap

from scripts.figures.brain_slices import (
    blank,
    draw_outlines,
    image_options,
    name_sides,
    value_label,
)
from workflow.lib.jobs import script_job
from workflow.lib.nifti.maps import BrainMaps, read_maps
from workflow.lib.plotting import (
    PAGE_WIDTH,
    SEQUENTIAL,
    layer_colours,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.searchlight.assignment import VOLUMES
from workflow.lib.searchlight.slices import Oriented, oriented, shown_slices
from workflow.lib.searchlight.words import is_group, whose
from workflow.lib.tables import read_table

N_SLICES = 6
# Share of white in the colour of a voxel whose best layer is not reliable.
PALE = 0.72
# Points: of the line around reliable voxels.
LINE = 0.8
# Inches: of a row of slices, of a row of histograms.
SLICE_HEIGHT, HISTOGRAM_HEIGHT = 1.15, 1.15
HISTOGRAMS_IN_ROW = 3


def plot_assignment(
    maps: BrainMaps, table: pd.DataFrame, *, title: str, simulated: bool, called: str
) -> tuple[plt.Figure, str]:
    """Draw the assignment of one subject, or of the group; return figure and caption.

    Parameters
    ----------
    maps : the volumes of an assignment, `workflow.lib.searchlight.assignment.VOLUMES`
    table : DataFrame, `assignment_<subject>_<model>.csv`
    title : name of the study
    simulated : whether the data is simulated
    called : what the conditions are called, in the plural
    """
    shown = {name: oriented(maps, number, maps.mask) for number, name in enumerate(VOLUMES)}
    reliable = shown["reliable"].data == 1
    slices = shown_slices(np.isfinite(shown["layer"].data), reliable, N_SLICES)
    layers, groups = (list(dict.fromkeys(table[name])) for name in ("layer", "group"))
    grouped = groups != layers
    n_maps, regions = 3 if grouped else 2, list(dict.fromkeys(table["region"]))
    n_rows = -(-len(regions) // HISTOGRAMS_IN_ROW)
    use_style()
    height = 0.55 + n_maps * SLICE_HEIGHT + 0.5 + n_rows * HISTOGRAM_HEIGHT + 0.45
    figure = plt.figure(figsize=(PAGE_WIDTH, height))
    upper, lower = figure.add_gridspec(
        2,
        1,
        height_ratios=[n_maps * SLICE_HEIGHT, n_rows * HISTOGRAM_HEIGHT],
        **{"top": 1 - 0.55 / height, "bottom": 0.55 / height, "left": 0.09, "right": 0.99},
        hspace=0.5 / (height - 1.5) * 2,
    )
    panels = upper.subgridspec(n_maps, len(slices) + 1, wspace=0.04, hspace=0.08).subplots()
    kinds = [("layer", layers), ("group", groups)] if grouped else [("layer", layers)]
    for row, (name, labels) in zip(panels, kinds, strict=False):
        _draw_kinds(row, shown[name], reliable, slices, labels)
        row[0].set_ylabel(f"best {name if grouped else 'layer'}")
    _draw_margin(panels[-1], shown["margin"], reliable, slices, value_label(table))
    name_sides(panels[-1][0])
    for panel, z in zip(panels[0], slices, strict=False):
        panel.set_title(f"z = {round(shown['layer'].height(z))} mm", fontsize=7.5, pad=3)
    _draw_histograms(figure, lower.subgridspec(n_rows, HISTOGRAMS_IN_ROW, hspace=0.55), table)
    who = f"{table['model'].iloc[0]}, {whose(table)}"
    figure.suptitle(f"{titled(title, simulated=simulated)}: {who}", y=1 - 0.08 / height, va="top")
    return figure, _caption(table, grouped, called)


# Slices.


def _draw_kinds(
    row: Sequence[plt.Axes],
    one: Oriented,
    reliable: np.ndarray,
    slices: Sequence[int],
    labels: Sequence[str],
) -> None:
    """Draw numbers from 1 in a colour each, pale where they are not reliable."""
    colours = np.array(layer_colours(len(labels)))[:, :3]
    pale = PALE + (1 - PALE) * colours
    numbers = np.nan_to_num(one.data).astype(int)
    coloured = np.where(
        reliable[..., np.newaxis], colours[numbers.clip(1) - 1], pale[numbers.clip(1) - 1]
    )
    rgba = np.concatenate([coloured, np.isfinite(one.data)[..., np.newaxis]], axis=-1)
    for panel, z in zip(row, slices, strict=False):
        panel.imshow(np.swapaxes(rgba[:, :, z], 0, 1), **image_options(one))
        draw_outlines(panel, np.isfinite(one.data[:, :, z]), reliable[:, :, z], LINE)
    blank(row)
    edges = np.arange(len(labels) + 1) + 0.5
    scale = plt.cm.ScalarMappable(BoundaryNorm(edges, len(labels)), ListedColormap(colours))
    bar = row[-1].figure.colorbar(scale, cax=_beside(row[-1]))
    every = -(-len(labels) // 8)
    bar.set_ticks(np.arange(1, len(labels) + 1)[::every], labels=labels[::every])
    bar.minorticks_off()
    bar.ax.tick_params(length=0, labelsize=6.5)


def _draw_margin(
    row: Sequence[plt.Axes],
    one: Oriented,
    reliable: np.ndarray,
    slices: Sequence[int],
    label: str,
) -> None:
    largest = max(float(np.nanmax(one.data)), 1e-6)
    for panel, z in zip(row, slices, strict=False):
        values = one.data[:, :, z].T
        panel.imshow(values, cmap=SEQUENTIAL, vmin=0, vmax=largest, **image_options(one))
        draw_outlines(panel, np.isfinite(values.T), reliable[:, :, z], LINE)
    blank(row)
    row[0].set_ylabel("margin")
    scale = plt.cm.ScalarMappable(plt.Normalize(0, largest), SEQUENTIAL)
    bar = row[-1].figure.colorbar(scale, cax=_beside(row[-1]), label=label)
    bar.locator = plt.MaxNLocator(3)
    bar.update_ticks()


def _beside(panel: plt.Axes) -> plt.Axes:
    """Return narrow axes at the left of a panel, as wide whatever the panel's width."""
    inches = panel.get_position().width * panel.figure.get_figwidth()
    return panel.inset_axes([0.1 / inches, 0.04, 0.09 / inches, 0.92])


# Histograms.


def _draw_histograms(
    figure: plt.Figure, grid: plt.matplotlib.gridspec.GridSpecBase, table: pd.DataFrame
) -> None:
    regions = list(dict.fromkeys(table["region"]))
    colours = layer_colours(table["layer"].nunique())
    for number, region in enumerate(regions):
        axes = figure.add_subplot(grid[divmod(number, HISTOGRAMS_IN_ROW)])
        rows = table[table["region"] == region]
        places = np.arange(len(rows))
        axes.bar(places, rows["n_voxels"], color="0.85", label="all")
        axes.bar(places, rows["n_reliable"], color=colours, label="reliable")
        total = int(rows["n_in_region"].iloc[0])
        axes.set_title(f"{region}: {total:,} voxels", fontsize=7.5, pad=3)
        below = number + HISTOGRAMS_IN_ROW >= len(regions)
        axes.set_xticks(places, wrapped(list(rows["layer"]), 9) if below else [], rotation=90)
        axes.tick_params(axis="x", labelsize=6, length=2 if below else 0)
        axes.locator_params(axis="y", nbins=3, integer=True)
        if number % HISTOGRAMS_IN_ROW == 0:
            axes.set_ylabel("voxels")


# Words.


def _caption(table: pd.DataFrame, grouped: bool, called: str) -> str:
    first = table.iloc[0]
    whole = table[table["region"] == first["region"]]
    n_best, n_reliable = int(whole["n_voxels"].sum()), int(whole["n_reliable"].sum())
    n_layers = table["layer"].nunique()
    significant, over = (
        (
            f"the similarity with the best layer has a corrected p ≤ {first['alpha']:g} and ",
            " The corrected p holds for the voxels of one map; for all layers together only where "
            "searchlight.across_models is set.",
        )
        if first["tested"]
        else ("", " Similarities were not tested.")
    )
    single = (
        ""
        if is_group(table)
        else f" One subject: resamples of the {called} say nothing about other subjects."
    )
    return (
        f"The layer of {first['model']}, of {n_layers}, that each voxel resembles most "
        f"({first['comparator']}), {whose(table)}, n = {int(first['n_images'])} {called}. "
        f"Full colours, outlined: reliable, that is, {significant}"
        f"{_ahead(table, grouped, called)}; {n_reliable:,} of {n_best:,} voxels. "
        "Axial slices, with their z; L, R: left and right of the brain. Margin: "
        "similarity with the best layer less that with the next best. Below: how many voxels of "
        f"each region resemble each layer most; coloured, the reliable ones.{over}{single}"
    )


def _ahead(table: pd.DataFrame, grouped: bool, called: str) -> str:
    """Return in which sense the best layer is the best."""
    first = table.iloc[0]
    if is_group(table):
        # The least p is that of the signs as they are, one of all.
        few = "; so few cannot reach it" if first["n_flips"] * first["alpha"] < 1 else ""
        return (
            f"{'its group' if grouped else 'it'} is the best ({int(first['n_flips']):,} sign flips "
            f"of the subjects, p ≤ {first['alpha']:g} per voxel, not corrected over voxels{few})"
        )
    return (
        f"{'a layer of the same group' if grouped else 'the same layer'} is the best in at least "
        f"{1 - first['alpha']:.0%} of {int(first['n_resamples']):,} resamples of the {called} "
        "(per voxel, not corrected over voxels, and a description, not a test; ranks are those of "
        "the whole sample)"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_assignment(
            read_maps(snakemake.input.maps),
            read_table(snakemake.input.table),
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
        )
        write_figure(snakemake, figure, caption)
