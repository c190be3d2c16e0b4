"""Draw what a network needs to tell each emotion: slices of the brain, and a look through it."""

from collections.abc import Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import nibabel
import numpy as np
import pandas as pd

from scripts.emotions.planted import planted_voxels
from scripts.figures.brain_slices import blank, draw_outlines, image_options
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, SEQUENTIAL, titled, use_style, write_figure
from workflow.lib.searchlight.maps import BrainMaps, check_same_grid, read_maps
from workflow.lib.searchlight.slices import Oriented, oriented, shown_slices
from workflow.lib.tables import read_table

N_SLICES = 4
# Axis that is looked along, and what the view is called.
VIEWS = {"from above": 2, "from the front": 1, "from the side": 0}
# Inside the brain, where covering costs nothing.
NOTHING = "0.9"
ROW_HEIGHT, TITLE_HEIGHT, SCALE_HEIGHT = 1.02, 0.62, 0.5
LABEL_WIDTH = 1.05
# In the table of recovery.
OCCLUSION, SHUFFLED, ALL = "occlusion", "shuffled weights", "all"


def plot_occlusion(
    maps: Sequence[BrainMaps],
    checks: pd.DataFrame,
    recovery: pd.DataFrame | None,
    *,
    cube: int,
    stride: int,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw the maps of all emotions of a network; return figure and caption.

    Parameters
    ----------
    maps : sequence of BrainMaps, one per emotion
    checks : DataFrame, see scripts/emotions/compare_occlusion.py
        A row per emotion, in the same order.
    recovery : DataFrame or None
        How well planted voxels are found, where they are known; they are then outlined.
    cube, stride : int
        Edge of what was covered, and voxels from one place to the next.
    title : name of the study
    simulated : whether the data is simulated
    """
    check_same_grid(list(maps))
    mask = maps[0].mask
    drawn = [oriented(one, 0, mask) for one in maps]
    planted = [
        _planted(one, emotion, mask)
        if recovery is not None
        else np.zeros_like(one_drawn.data, bool)
        for one, one_drawn, emotion in zip(maps, drawn, checks["emotion"], strict=True)
    ]
    inside = np.isfinite(drawn[0].data)
    slices = shown_slices(inside, np.any(planted, axis=0), N_SLICES)
    use_style()
    figure, panels = _frame(drawn[0], len(drawn), len(slices))
    for row, (one, region, check) in enumerate(
        zip(drawn, planted, checks.itertuples(), strict=True)
    ):
        scaled = replace(one, data=one.data / max(check.largest_drop, 1e-12))
        for panel, z in zip(panels[row], slices, strict=False):
            _draw_slice(panel, scaled, region, z)
        for panel, axis in zip(panels[row][len(slices) :], VIEWS.values(), strict=True):
            _draw_through(panel, scaled, region, axis)
        panels[row][0].set_ylabel(
            f"{check.emotion}\nn = {check.n}\nlargest {check.largest_drop:.2g}",
            rotation=0,
            ha="right",
            va="center",
            labelpad=6,
        )
    for panel, z in zip(panels[0], slices, strict=False):
        panel.set_title(f"{round(drawn[0].height(z))} mm", fontsize=7, pad=3)
    for panel, name in zip(panels[0][len(slices) :], VIEWS, strict=True):
        panel.set_title(name, fontsize=7, pad=3)
    _name_sides(panels[-1][0])
    _draw_scale(figure)
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: what the network needs",
        y=1 - 0.08 / figure.get_figheight(),
        va="top",
    )
    return figure, _caption(checks, recovery, cube, stride)


def _planted(one: BrainMaps, emotion: str, mask: np.ndarray) -> np.ndarray:
    """Return the voxels that respond to an emotion, turned and cut as its map is."""
    planted = replace(one, values=planted_voxels(emotion)[None].astype(float))
    return oriented(planted, 0, mask).data > 0


def _frame(one: Oriented, n_rows: int, n_slices: int) -> tuple[plt.Figure, np.ndarray]:
    """Return a figure with a row per emotion: slices, then views through the brain."""
    height = TITLE_HEIGHT + ROW_HEIGHT * n_rows + SCALE_HEIGHT
    figure = plt.figure(figsize=(PAGE_WIDTH, height))
    panels = figure.subplots(
        n_rows,
        n_slices + len(VIEWS),
        squeeze=False,
        gridspec_kw={
            **{"left": LABEL_WIDTH / PAGE_WIDTH, "right": 0.995, "wspace": 0.06, "hspace": 0.06},
            **{"top": 1 - TITLE_HEIGHT / height, "bottom": SCALE_HEIGHT / height},
        },
    )
    blank(panels.flat)
    return figure, panels


def _draw_slice(panel: plt.Axes, one: Oriented, region: np.ndarray, z: int) -> None:
    values = one.data[:, :, z]
    inside, options = np.isfinite(values), image_options(one)
    grey = np.where(inside, 0.0, np.nan)
    panel.imshow(grey.T, cmap=plt.matplotlib.colors.ListedColormap([NOTHING]), **options)
    shown = np.where(inside & (values > 0), values, np.nan)
    panel.imshow(shown.T, cmap=SEQUENTIAL, vmin=0, vmax=1, **options)
    draw_outlines(panel, inside, region[:, :, z], 0.6)
    _show_alike(panel, one, (0, 1))


def _draw_through(panel: plt.Axes, one: Oriented, region: np.ndarray, axis: int) -> None:
    """Draw the largest value along an axis, within the outline of the brain."""
    inside = np.isfinite(one.data).any(axis=axis)
    values = np.nan_to_num(one.data).max(axis=axis)
    left = tuple(number for number in range(3) if number != axis)
    sizes = nibabel.affines.voxel_sizes(one.affine)[list(left)]
    options = {"origin": "lower", "interpolation": "nearest", "aspect": sizes[1] / sizes[0]}
    shown = np.where(inside & (values > 0), values, np.nan)
    panel.imshow(shown.T, cmap=SEQUENTIAL, vmin=0, vmax=1, **options)
    draw_outlines(panel, inside, region.any(axis=axis), 0.6)
    _show_alike(panel, one, left)


def _show_alike(panel: plt.Axes, one: Oriented, axes: tuple[int, int]) -> None:
    """Show as many mm in every panel, with the brain in its middle."""
    sizes, shape = nibabel.affines.voxel_sizes(one.affine), one.data.shape
    widest = float((sizes * shape).max()) + 2 * sizes.max()
    for set_limits, axis in zip((panel.set_xlim, panel.set_ylim), axes, strict=True):
        middle, half = (shape[axis] - 1) / 2, widest / sizes[axis] / 2
        set_limits(middle - half, middle + half)


def _name_sides(panel: plt.Axes) -> None:
    """Write beside the middle of a slice which of its sides is the left one."""
    for side, place in (("L", 0.03), ("R", 0.97)):
        at = {"transform": panel.transAxes, "ha": "center", "va": "center"}
        panel.text(place, 0.12, side, fontsize=7, **at)


def _draw_scale(figure: plt.Figure) -> None:
    height = figure.get_figheight()
    place = (0.35, 0.3 / height, 0.4, 0.09 / height)
    scale = plt.cm.ScalarMappable(plt.Normalize(0, 1), SEQUENTIAL)
    figure.colorbar(
        scale,
        cax=figure.add_axes(place),
        orientation="horizontal",
        label="fall of the probability, as a share of the largest",
    )


# Words.


def _caption(checks: pd.DataFrame, recovery: pd.DataFrame | None, cube: int, stride: int) -> str:
    n, n_other = int(checks["n"].sum()), int(checks[["n_right", "n_wrong"]].sum().sum())
    weak = f", {n_other} of them told with less than the asked probability" if n_other else ""
    side = f"{cube} x {cube} x {cube} voxels"
    return (
        "Fall of the probability of the true emotion when a cube of the volume is set to its mean, "
        f"means over test volumes (n = {n} volumes{weak}), each shown to the network of its fold, "
        f"which has not learned from it. Cubes of {side}, every {stride} voxels, within the brain; "
        "grey: covering costs nothing. Each row has its own scale. Right: largest value along the "
        "line of sight. "
        f"Spearman correlations over cubes, means over emotions: {_agreement(checks)}."
        f"{_found(recovery)}"
    )


def _agreement(checks: pd.DataFrame) -> str:
    means = checks.mean(numeric_only=True)
    parts = [
        f"{means['r_gradients']:.2f} with integrated gradients",
        f"{means['r_shuffled']:.2f} with networks of shuffled weights",
    ]
    if np.isfinite(means["r_subjects"]):
        parts.append(
            f"{means['r_subjects']:.2f} between subjects (of different emotions "
            f"{means['r_subjects_other']:.2f})"
        )
    return ", ".join(parts)


def _found(recovery: pd.DataFrame | None) -> str:
    if recovery is None:
        return ""
    rows = recovery[recovery["emotion"] == ALL].set_index("kind")
    row = rows.loc[OCCLUSION]
    return (
        f" Black: voxels that respond to the emotion. Area under the ROC curve of these "
        f"{row['auc']:.2f} (maps of other emotions {row['auc_other']:.2f}, shuffled weights "
        f"{rows.loc[SHUFFLED, 'auc']:.2f}, a guess 0.50), p = {row['p']:.3g} over all orders of "
        "the emotions."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs = snakemake.params, snakemake.input
        figure, caption = plot_occlusion(
            [read_maps(path) for path in inputs.maps],
            read_table(inputs.checks),
            read_table(inputs.recovery) if params.simulated else None,
            cube=params.cube,
            stride=params.stride,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
