"""Draw what a network needs to tell each emotion: slices of the brain, and a look through it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import nibabel
import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap

from scripts.emotions.maps.occlusion_recovery import ALL, NOT_PLANTED, OWN, SHARED
from scripts.figures.brain_slices import blank, draw_outlines, image_options
from workflow.lib.jobs import script_job
from workflow.lib.nifti.maps import BrainMaps, check_same_grid, read_maps
from workflow.lib.plotting import PAGE_WIDTH, SEQUENTIAL, titled, use_style, write_figure
from workflow.lib.searchlight.slices import Oriented, oriented, outline, shown_slices
from workflow.lib.tables import read_table

N_SLICES = 4
# Axis that is looked along, and what the view is called.
VIEWS = {"from above": 2, "from the front": 1, "from the side": 0}
# Inside the brain, where covering costs nothing.
NOTHING = "0.9"
ROW_HEIGHT, TITLE_HEIGHT, SCALE_HEIGHT = 1.02, 0.62, 0.5
LABEL_WIDTH = 1.05
# Points, of the lines around planted voxels.
OUTLINE, DASHED = 0.6, (0, (1.5, 1.2))
# Rows of the table of recovery.
OCCLUSION, SHUFFLED = "occlusion", "shuffled weights"


def plot_occlusion(
    maps: Sequence[BrainMaps],
    checks: pd.DataFrame,
    *,
    planted: Sequence[BrainMaps] = (),
    recovery: pd.DataFrame | None = None,
    cube: int,
    stride: int,
    min_probability: float,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw the maps of all emotions of a network; return figure and caption.

    Parameters
    ----------
    maps : sequence of BrainMaps, one per emotion
    checks : DataFrame, see scripts/emotions/maps/compare_occlusion.py
        A row per emotion, in the same order.
    planted : sequence of BrainMaps, one per emotion, or none
        Where voxels were planted, see `scripts.emotions.maps.occlusion_recovery.Planted.maps`; they
        are outlined.
    recovery : DataFrame or None
        How well they are found.
    cube, stride : int
        Edge of what was covered, and voxels from one place to the next.
    min_probability : float
        That was asked of the volumes.
    title : name of the study
    simulated : whether the data is simulated
    """
    check_same_grid([*maps, *planted])
    mask = maps[0].mask
    drawn = [oriented(one, 0, mask) for one in maps]
    nothing = np.full_like(drawn[0].data, NOT_PLANTED)
    regions = [oriented(one, 0, mask).data for one in planted] or [nothing] * len(drawn)
    inside = np.isfinite(drawn[0].data)
    found = np.any([region > NOT_PLANTED for region in regions], axis=0)
    slices = shown_slices(inside, found, N_SLICES)
    use_style()
    figure, panels = _frame(len(drawn), len(slices))
    for row, one, region, check in zip(panels, drawn, regions, checks.itertuples(), strict=True):
        scaled = replace(one, data=one.data / max(check.largest_drop, 1e-12))
        _draw_row(row, scaled, region, slices)
        row[0].set_ylabel(
            f"{check.emotion}\nn = {check.n}\nlargest {check.largest_drop:.2g}",
            rotation=0,
            ha="right",
            va="center",
            labelpad=6,
        )
    names = [*(f"z = {round(drawn[0].height(z))} mm" for z in slices), *VIEWS]
    for panel, name in zip(panels[0], names, strict=True):
        panel.set_title(name, fontsize=7, pad=3)
    _name_sides(panels[-1][0])
    _draw_scale(figure)
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: what the network needs",
        y=1 - 0.08 / figure.get_figheight(),
        va="top",
    )
    size = f"Cubes of {cube} x {cube} x {cube} voxels, every {stride} voxels"
    return figure, _caption(checks, recovery, size, min_probability)


def _frame(n_rows: int, n_slices: int) -> tuple[plt.Figure, np.ndarray]:
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


def _draw_row(
    panels: Sequence[plt.Axes], one: Oriented, region: np.ndarray, slices: Sequence[int]
) -> None:
    """Draw slices, then views through the brain, with outlines of what was planted."""
    for panel, z in zip(panels, slices, strict=False):
        _draw_slice(panel, one, region, z)
    for panel, axis in zip(panels[len(slices) :], VIEWS.values(), strict=True):
        _draw_through(panel, one, region, axis)


def _draw_values(
    panel: plt.Axes, values: np.ndarray, inside: np.ndarray, options: Mapping[str, Any]
) -> None:
    """Draw values (x, y) above zero in colour, and grey where there are none within the brain."""
    grey = np.where(inside, 0.0, np.nan)
    panel.imshow(grey.T, cmap=ListedColormap([NOTHING]), **options)
    shown = np.where(inside & (values > 0), values, np.nan)
    panel.imshow(shown.T, cmap=SEQUENTIAL, vmin=0, vmax=1, **options)


def _draw_slice(panel: plt.Axes, one: Oriented, region: np.ndarray, z: int) -> None:
    values = one.data[:, :, z]
    inside = np.isfinite(values)
    _draw_values(panel, values, inside, image_options(one))
    _outline_planted(panel, inside, *(region[:, :, z] == kind for kind in (OWN, SHARED)))
    _show_alike(panel, one, (0, 1))


def _draw_through(panel: plt.Axes, one: Oriented, region: np.ndarray, axis: int) -> None:
    """Draw the largest value along an axis, within the outline of the brain."""
    inside = np.isfinite(one.data).any(axis=axis)
    values = np.nan_to_num(one.data).max(axis=axis)
    left = tuple(number for number in range(3) if number != axis)
    sizes = nibabel.affines.voxel_sizes(one.affine)[list(left)]
    options = {"origin": "lower", "interpolation": "nearest", "aspect": sizes[1] / sizes[0]}
    _draw_values(panel, values, inside, options)
    own, shared = ((region == kind).any(axis=axis) for kind in (OWN, SHARED))
    _outline_planted(panel, inside, own, shared)
    _show_alike(panel, one, left)


def _outline_planted(
    panel: plt.Axes, inside: np.ndarray, own: np.ndarray, shared: np.ndarray
) -> None:
    """Draw the edge of the brain, and of voxels that respond to one emotion, and to several."""
    draw_outlines(panel, inside, own, OUTLINE)
    for colour, style, times in (("white", "-", 2), ("black", DASHED, 1)):
        options = {"colors": colour, "linestyles": [style], "linewidths": times * OUTLINE}
        panel.add_collection(LineCollection(outline(shared & ~own), **options))


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


def _caption(
    checks: pd.DataFrame, recovery: pd.DataFrame | None, size: str, min_probability: float
) -> str:
    n, n_other = int(checks["n"].sum()), int(checks[["n_right", "n_wrong"]].sum().sum())
    weak = f", {n_other} of them told with less than the asked probability" if n_other else ""
    return (
        "Fall of the probability of the true emotion when a cube of the volume is set to its mean, "
        f"means over test volumes (n = {n} volumes{weak}), each shown to the network of its fold, "
        f"which has not learned from it.{_certainty(checks, min_probability)} {size}, within the "
        "brain; grey: covering costs nothing. Each row has its own scale. Right: largest value "
        "along the line of sight. "
        f"Spearman correlations over cubes, means over emotions: {_agreement(checks)}."
        f"{_found(recovery)}"
    )


def _certainty(checks: pd.DataFrame, min_probability: float) -> str:
    """Return how far the network's own certainty, by which volumes are chosen, can be trusted."""
    n = int(checks["n_confident"].sum())
    if not n:
        return f" No test volume is given a probability of {min_probability:g} or more."
    right = (checks["share_right"] * checks["n_confident"]).sum() / n
    return (
        f" Of all test volumes, {n:,} are given an emotion with a probability of "
        f"{min_probability:g} or more, {right:.0%} of them rightly."
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
    planted = (
        "voxels that respond to the emotion alone, dashed: to it and to others, which a network "
        "may do without"
        if row["effect"]
        else "voxels that respond to the emotion alone in the simulation with an effect, dashed: "
        "to it and to others; here none responds"
    )
    return (
        f" Black: {planted}. Area under the ROC curve of the former {row['auc_own']:.2f} (maps of "
        f"other emotions {row['auc_own_other']:.2f}, shuffled weights "
        f"{rows.loc[SHUFFLED, 'auc_own']:.2f}, a guess 0.50), p = {row['p']:.3g} over orders of "
        f"the emotions; of both together {row['auc']:.2f}."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs = snakemake.params, snakemake.input
        figure, caption = plot_occlusion(
            [read_maps(path) for path in inputs.maps],
            read_table(inputs.checks),
            planted=[read_maps(path) for path in inputs.planted],
            recovery=read_table(inputs.recovery) if params.simulated else None,
            cube=params.cube,
            stride=params.stride,
            min_probability=params.min_probability,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
