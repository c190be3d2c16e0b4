"""Draw where responses resemble each model: parcels, or cubes of voxels, in order."""

from itertools import zip_longest

import matplotlib.pyplot as plt
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    MUTED,
    PAGE_WIDTH,
    PALETTE,
    similarity_label,
    titled,
    use_style,
    write_figure,
)
from workflow.lib.tables import read_table

ALPHA = 0.05
# Places that are named in a panel, of those with the largest t.
N_NAMED = 3
MOST_COLUMNS = 3
# What places of the map are, by the kind of data.
PLACES = {
    "parcels": "parcels",
    "volumes": "cubes of {cube} x {cube} x {cube} voxels",
}


def plot_parcel_rsa(
    table: pd.DataFrame, *, data: str, cube: int, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw a panel per model with its places in order, and return the figure and its caption.

    Parameters
    ----------
    table : `parcel_rsa.csv`
    data : "parcels" or "volumes"
    cube : edge of a cube in voxels
    title : name of the study
    simulated : whether the data is simulated
    """
    table = table.fillna({"layer": "", "reason": ""})
    panels = list(table.groupby(["model", "layer"], sort=False))
    use_style()
    n_columns = len(panels) if len(panels) <= MOST_COLUMNS else 2
    n_rows = -(-len(panels) // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(PAGE_WIDTH, 1.9 * n_rows + 0.5),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    called = PLACES[data].format(cube=cube)
    for axis, panel in zip_longest(axes.flat, panels):
        if panel is None:
            axis.set_axis_off()
        else:
            (model, layer), rows = panel
            _draw(axis, rows, f"{model} {layer}".strip())
    for axis in axes.flat[max(0, len(panels) - n_columns) : len(panels)]:
        # What is below in this column is empty.
        axis.set_xlabel(f"{'parcel' if data == 'parcels' else 'cube'}, in order")
        axis.tick_params(labelbottom=True)
    label = similarity_label(table["comparator"].iloc[0])
    for axis in axes[:, 0]:
        axis.set_ylabel(f"mean {label}")
    figure.suptitle(f"{titled(title, simulated=simulated)}: RDMs of {called} with models")
    return figure, _caption(table, called)


def _draw(axis: plt.Axes, rows: pd.DataFrame, name: str) -> None:
    rows = rows.sort_values("mean", kind="stable", ignore_index=True)
    found = rows["p_max"] < ALPHA
    axis.axhline(0, color="black", lw=0.6)
    axis.plot(rows.index[~found], rows["mean"][~found], ".", ms=2.5, color=MUTED)
    axis.plot(rows.index[found], rows["mean"][found], "D", ms=3.2, color=PALETTE[3])
    tested = rows["p_max"].notna().any()
    said = f"{found.sum()} with p < {ALPHA:g}" if tested else "not tested"
    axis.set_title(f"{name}: {said}", loc="left")
    if tested and found.any():
        best = rows[found].nlargest(N_NAMED, "t")
        axis.text(0.03, 0.9, ", ".join(best["name"]), transform=axis.transAxes, fontsize=6.5)


def _caption(table: pd.DataFrame, called: str) -> str:
    first = table.iloc[0]
    n_places, n_orders = table["name"].nunique(), int(first["n_orders"])
    n_subjects = int(first["n_subjects"])
    who = f"n = {n_subjects} subjects" if n_subjects > 1 else "n = 1 subject, a single case"
    if first["reason"]:
        test = f"Over subjects there is no test: {first['reason']}."
    else:
        test = (
            f"Diamonds: p < {ALPHA:g}, one-sided, corrected over the {called} of a panel by the "
            f"largest statistic under {int(first['n_flips']):,} sign-flips of subjects; numbers: "
            "names of the three with the largest t. Sign-flips speak of other subjects, not of "
            "other emotions or other movies."
        )
    least = table["p_orders"].min()
    bound = (
        f"none by itself can pass a correction over {n_places} of them"
        if n_places / n_orders > ALPHA
        else "that bounds what a single one can show"
    )
    return (
        f"How much the RDM over n = {int(first['n_images'])} emotions of each of {n_places} "
        f"{called} resembles each model; means over {who}. {_distance(called)} {test} By "
        f"permutations of the emotion labels, p is at least 1/{n_orders} (smallest found "
        f"{least:.3g}): {bound}."
    )


def _distance(called: str) -> str:
    if called != PLACES["parcels"]:
        return "Distances are squared, over the voxels of a cube, and cross-validated over runs."
    return (
        "A parcel has one number per volume: its distances are squared differences of class means, "
        "cross-validated over runs."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_parcel_rsa(
            read_table(snakemake.input[0]),
            data=params.data,
            cube=params.cube,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
