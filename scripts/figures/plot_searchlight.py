"""Draw searchlight maps: slices of the brain for every layer, the significant part outlined."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import nibabel
import numpy as np
import pandas as pd
from nilearn.plotting import plot_glass_brain

from scripts.figures.brain_slices import (
    blank,
    draw_outlines,
    image_options,
    name_sides,
    value_label,
)
from workflow.lib.jobs import script_job
from workflow.lib.nifti.maps import BrainMaps, check_same_grid, read_maps
from workflow.lib.plotting import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    SEQUENTIAL,
    n_note,
    permuted_note,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.rsa.tables import layer_names
from workflow.lib.searchlight.slices import Oriented, oriented, shown_slices
from workflow.lib.searchlight.statistics import INFERENTIAL
from workflow.lib.searchlight.words import is_group, whose
from workflow.lib.tables import read_table

N_SLICES = 6
# A map of more layers than these would not fit on a page.
MAX_ROWS = 15
# Inches: of a slice, of all rows and of the scale at most; of what stands beside the slices, and
# of the title above them.
SLICE_SIDE = 1.7
PAGE_HEIGHT = 9.0
SCALE_HEIGHT = 2.5
LABELS_WIDTH, SCALE_WIDTH, GLASS_WIDTH = 0.55, 0.75, 1.9
TITLE_HEIGHT, GAP = 0.62, 0.12
# What units of `searchlight.unit` are called in the plural.
UNITS = {"mm": "mm", "voxel": "voxels"}
# Inside the brain, where a map is not above zero.
NOT_SIMILAR = "0.9"


@dataclass(frozen=True)
class Settings:
    """What the config says of the searchlight, for captions.

    Attributes
    ----------
    radius, unit : of the spheres
    controls : models that are taken out of the maps
    tfce : whether what is outlined is significant by TFCE
    across_models : whether p-values are corrected over all maps together
    permuted : what was permuted, a key of `workflow.lib.plotting.PERMUTED`
    called : what the conditions are called, in the plural
    """

    radius: float
    unit: str
    controls: Sequence[str]
    tfce: bool
    across_models: bool
    permuted: str
    called: str


def plot_searchlight(
    values: BrainMaps,
    p: BrainMaps,
    table: pd.DataFrame,
    settings: Settings,
    *,
    title: str,
    simulated: bool,
    standard_space: bool,
) -> tuple[plt.Figure, str]:
    """Draw the maps of one subject, or of the group, and one model; return figure and caption.

    Parameters
    ----------
    values, p : maps on one grid: similarity, or mean z of the group; corrected p-values
    table : DataFrame, the rows of the model in `searchlight_<subject>.csv` or of the group
    settings : Settings
    title : name of the study
    simulated : whether the data is simulated
    standard_space : whether the grid is that of MNI, so that a glass brain of it is true
    """
    check_same_grid([values, p])
    table = table.assign(layer=layer_names(table))
    rows = table.iloc[np.linspace(0, len(table) - 1, min(len(table), MAX_ROWS)).round().astype(int)]
    maps = [oriented(values, volume, values.mask) for volume in rows["volume"]]
    found = [
        oriented(p, volume, values.mask).data <= alpha
        for volume, alpha in zip(rows["volume"], rows["alpha"], strict=True)
    ]
    slices = shown_slices(
        np.any([np.isfinite(one.data) for one in maps], axis=0), np.any(found, 0), N_SLICES
    )
    largest = max(float(np.nanmax([np.nanmax(one.data) for one in maps])), 1e-3)
    use_style()
    # A glass brain shows the significant voxels alone.
    with_glass = standard_space and bool(np.isfinite(p.values).any())
    figure, panels, glass = _frame(maps[0], len(rows), len(slices), glass=with_glass)
    for number, (one, significant) in enumerate(zip(maps, found, strict=True)):
        for panel, z in zip(panels[number], slices, strict=True):
            _draw_slice(panel, one, significant, z, largest)
        panels[number][0].set_ylabel(wrapped([str(rows["layer"].iloc[number])])[0], labelpad=8)
        if with_glass:
            _draw_glass(figure, glass[number], one, significant, largest)
    for panel, z in zip(panels[0], slices, strict=True):
        panel.set_title(f"{round(maps[0].height(z))} mm", fontsize=7, pad=3)
    name_sides(panels[-1][0])
    _draw_scale(figure, largest, value_label(table))
    heading = f"{titled(title, simulated=simulated)}: {table['model'].iloc[0]}"
    figure.suptitle(f"{heading}\n{whose(table)}", y=1 - 0.06 / figure.get_figheight(), va="top")
    note = " Glass brain: the outlined voxels." if with_glass else ""
    return figure, _caption(table, len(rows), settings) + note


# Drawing.


def _frame(
    one: Oriented, n_rows: int, n_slices: int, *, glass: bool
) -> tuple[plt.Figure, np.ndarray, list[plt.Axes]]:
    """Return a figure with a panel per layer and slice, and one for the glass brain of each row."""
    beside = LABELS_WIDTH + SCALE_WIDTH + (GLASS_WIDTH if glass else 0)
    width = min(SLICE_SIDE, (PAGE_WIDTH - beside) / n_slices)
    height = min(width * one.sides[1] / one.sides[0], SLICE_SIDE, PAGE_HEIGHT / n_rows - GAP) + GAP
    width = min(width, (height - GAP) * one.sides[0] / one.sides[1])
    size = (max(beside + width * n_slices, COLUMN_WIDTH), TITLE_HEIGHT + height * n_rows + 0.15)
    figure = plt.figure(figsize=size)
    right = 1 - (beside - LABELS_WIDTH) / size[0]
    panels = figure.subplots(
        n_rows,
        n_slices,
        squeeze=False,
        gridspec_kw={
            **{"left": LABELS_WIDTH / size[0], "right": right, "wspace": 0.04, "hspace": 0.06},
            **{"top": 1 - TITLE_HEIGHT / size[1], "bottom": 0.15 / size[1]},
        },
    )
    blank(panels.flat)
    glasses = []
    for row in panels if glass else ():
        place = row[-1].get_position()
        glasses.append(
            figure.add_axes((right, place.y0, GLASS_WIDTH / size[0], place.height), frameon=False)
        )
    return figure, panels, glasses


def _draw_slice(
    panel: plt.Axes, one: Oriented, significant: np.ndarray, z: int, largest: float
) -> None:
    values = one.data[:, :, z]
    inside = np.isfinite(values)
    options = image_options(one)
    grey = np.where(inside, 0.0, np.nan)
    panel.imshow(grey.T, cmap=plt.matplotlib.colors.ListedColormap([NOT_SIMILAR]), **options)
    shown = np.where(inside & (values > 0), values, np.nan)
    panel.imshow(shown.T, cmap=SEQUENTIAL, vmin=0, vmax=largest, **options)
    # Small slices have thin lines.
    fine = min(1.0, panel.get_position().width * panel.figure.get_figwidth())
    draw_outlines(panel, inside, significant[:, :, z], fine)


def _draw_glass(
    figure: plt.Figure, axes: plt.Axes, one: Oriented, significant: np.ndarray, largest: float
) -> None:
    """Draw the significant voxels only: of a whole brain the noise would hide them."""
    shown = np.where(significant, np.nan_to_num(one.data), 0)
    display = plot_glass_brain(
        nibabel.Nifti1Image(shown, one.affine) if significant.any() else None,
        display_mode="xz",
        axes=axes,
        figure=figure,
        **{"cmap": SEQUENTIAL, "vmin": 0, "vmax": largest, "colorbar": False},
        **{"threshold": 1e-6, "annotate": False, "alpha": 0.7},
    )
    display.annotate(positions=False, size=6)


def _draw_scale(figure: plt.Figure, largest: float, label: str) -> None:
    width, height = figure.get_size_inches()
    length = min(SCALE_HEIGHT, height - TITLE_HEIGHT - 0.25)
    bottom = height - TITLE_HEIGHT - 0.05 - length
    place = (1 - 0.62 / width, bottom / height, 0.1 / width, length / height)
    scale = plt.cm.ScalarMappable(plt.Normalize(0, largest), SEQUENTIAL)
    bar = figure.colorbar(scale, cax=figure.add_axes(place), label=label)
    bar.locator = plt.MaxNLocator(4)
    bar.update_ticks()


# Words.


def _caption(table: pd.DataFrame, n_rows: int, settings: Settings) -> str:
    first = table.iloc[0]
    left_out = "" if n_rows == len(table) else f" {n_rows} of {len(table)} layers are shown."
    what = "Mean Fisher z of searchlight similarities" if is_group(table) else "Searchlight"
    partial = f", {', '.join(settings.controls)} partialled out" if settings.controls else ""
    centres = (
        f"{int(first['n_voxels']):,} voxels that all subjects have"
        if is_group(table)
        else f"{int(first['n_computed']):,} of {int(first['n_centres']):,} centres"
    )
    scope = _group_note if is_group(table) else _subject_note
    return (
        f"{what} ({first['comparator']}{partial}) of {first['model']}, {whose(table)}: spheres of "
        f"radius {settings.radius:g} {UNITS[settings.unit]}, {centres}; "
        f"{n_note(table, settings.called)}. {scope(table, settings)} Axial slices, with their z; "
        f"L, R: left and right of the brain. Grey: not above zero.{left_out}"
    )


def _subject_note(table: pd.DataFrame, settings: Settings) -> str:
    n_permutations = int(table["n_permutations"].iloc[0])
    draws = permuted_note(n_permutations, settings.permuted, settings.called)
    tested = _found_note(table, settings, draws, "similarity") if n_permutations else f"{draws}."
    return f"{tested} One subject: nothing is claimed about others."


def _group_note(table: pd.DataFrame, settings: Settings) -> str:
    if table["status"].iloc[0] != INFERENTIAL:
        return "Not tested: a sign-flip test over subjects needs six of them."
    n_flips = int(table["n_flips"].iloc[0])
    return _found_note(table, settings, f"{n_flips:,} sign flips of the subjects", "t")


def _found_note(table: pd.DataFrame, settings: Settings, draws: str, statistic: str) -> str:
    """Return what is outlined, by which test, and how many voxels of each layer it holds."""
    largest = f"largest {statistic}"
    if settings.tfce:
        largest = f"threshold-free cluster enhancement, largest enhanced {statistic}"
    column = "n_p_tfce" if settings.tfce else "n_p_max"
    found = ", ".join(
        f"{layer}: {int(n):,}" for layer, n in zip(table["layer"], table[column], strict=True)
    )
    over = "all maps together" if settings.across_models else "the voxels of each map"
    return (
        f"Outlined: p ≤ {table['alpha'].iloc[0]:g}, one-sided, corrected over {over} "
        f"({largest} of {draws}); voxels found: {found}."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        table = read_table(snakemake.input.table)
        figure, caption = plot_searchlight(
            read_maps(snakemake.input.maps),
            read_maps(snakemake.input.p),
            table[table["model"] == snakemake.wildcards.model],
            Settings(
                radius=params.radius,
                unit=params.unit,
                controls=params.controls,
                tfce=params.tfce,
                across_models=params.across_models,
                permuted=params.permuted,
                called=params.called,
            ),
            title=params.title,
            simulated=params.simulated,
            standard_space=params.standard_space,
        )
        write_figure(snakemake, figure, caption)
