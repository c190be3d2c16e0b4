"""Draw where in the brain the voxels lie whose covering costs most, emotion by emotion."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, SEQUENTIAL, titled, use_style, write_figure
from workflow.lib.tables import read_table

N_COLUMNS = 3
PANEL_HEIGHT = 2.35
AXES = ("x", "y", "z")


def plot_top_voxels(
    top: pd.DataFrame, checks: pd.DataFrame, *, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw a panel in three dimensions per emotion; return figure and caption.

    Parameters
    ----------
    top : DataFrame
        emotion, rank, x, y, z (mm), drop; see scripts/emotions/maps/compare_occlusion.py.
    checks : DataFrame, a row per emotion, of the same script
    title : name of the study
    simulated : whether the data is simulated
    """
    use_style()
    emotions = list(checks["emotion"])
    n_rows = -(-len(emotions) // N_COLUMNS)
    figure = plt.figure(figsize=(PAGE_WIDTH, PANEL_HEIGHT * n_rows + 0.4))
    limits = {axis: _limits(top[axis]) for axis in AXES}
    for number, emotion in enumerate(emotions, 1):
        axes = figure.add_subplot(n_rows, N_COLUMNS, number, projection="3d")
        own = top[top["emotion"] == emotion]
        largest = own["drop"].max() if len(own) else 1.0
        dots = axes.scatter(
            *(own[axis] for axis in AXES),
            c=own["drop"] / largest,
            cmap=SEQUENTIAL,
            vmin=0,
            vmax=1,
            s=9,
            linewidths=0,
            depthshade=False,
        )
        # The same dots as shadows on the floor: where they lie is hard to see in a plane.
        axes.scatter(own["x"], own["y"], limits["z"][0], color="0.75", s=4, linewidths=0)
        axes.set_title(f"{emotion} (largest {largest:.2g})", y=0.98)
        _label(axes, limits)
    figure.subplots_adjust(left=0.0, right=0.88, bottom=0.03, top=0.9, wspace=0.02, hspace=0.12)
    bar = figure.add_axes((0.93, 0.3, 0.012, 0.4))
    figure.colorbar(dots, cax=bar, label="fall of the probability,\nas a share of the largest")
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: voxels that the network needs most", y=0.99
    )
    return figure, _caption(top, checks)


def _limits(values: pd.Series) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    margin = 0.05 * max(float(np.ptp(values)), 1.0)
    return float(values.min()) - margin, float(values.max()) + margin


def _label(axes: plt.Axes, limits: dict[str, tuple[float, float]]) -> None:
    names = {"x": "to the right, mm", "y": "to the front, mm", "z": "up, mm"}
    for axis in AXES:
        getattr(axes, f"set_{axis}lim")(*limits[axis])
        getattr(axes, f"set_{axis}label")(names[axis], labelpad=-7, fontsize=7)
        getattr(axes, f"{axis}axis").set_major_locator(plt.MaxNLocator(3))
    axes.tick_params(labelsize=6, pad=-3)
    axes.set_box_aspect([np.ptp(limits[axis]) for axis in AXES], zoom=0.82)
    axes.view_init(elev=24, azim=-58)


def _caption(top: pd.DataFrame, checks: pd.DataFrame) -> str:
    counts = top["emotion"].value_counts()
    numbers = ", ".join(
        f"{emotion} {int(counts.get(emotion, 0)):,}" for emotion in checks["emotion"]
    )
    return (
        "Voxels whose covering lowers the probability of the true emotion most, means over test "
        f"volumes (n = {int(checks['n'].sum())} volumes); voxels drawn: {numbers}. Colour: fall of "
        "the probability, as a share of the emotion's largest. Grey: the same voxels seen from "
        "above. What is drawn are the largest values of a map, with no test of any voxel."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_top_voxels(
            read_table(snakemake.input.top_voxels),
            read_table(snakemake.input.checks),
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
        )
        write_figure(snakemake, figure, caption)
