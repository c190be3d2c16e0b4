"""Draw which images the files share and which are lost, by image group."""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import COLUMN_WIDTH, PALETTE, titled, use_style, write_figure
from workflow.lib.tables import read_table

DROPPED = "///"


def plot_composition(
    images: pd.DataFrame,
    unmatched: pd.DataFrame,
    *,
    title: str,
    simulated: bool,
    called: str,
    match: str,
) -> tuple[plt.Figure, str]:
    """Draw, per file, the common images and the unmatched ones, stacked by group.

    Parameters
    ----------
    images : `images.csv`, the common images (columns name, label, group)
    unmatched : `unmatched_images.csv` (columns file, label, group)
    title : name of the study
    simulated : whether the data is simulated
    called : what the images are called, in the plural
    match : how names were matched
    """
    groups = sorted(set(images["group"]) | set(unmatched["group"]))
    common = images["group"].value_counts().reindex(groups, fill_value=0)
    files = list(dict.fromkeys(unmatched["file"]))
    lost = pd.crosstab(unmatched["file"], unmatched["group"]).reindex(
        index=files, columns=groups, fill_value=0
    )
    use_style()
    figure, axes = plt.subplots(
        figsize=(1.6 * COLUMN_WIDTH, 1.5 + 0.3 * len(files)), layout="constrained"
    )
    _draw_bars(axes, common, lost)
    axes.set_xlabel(called)
    axes.set_title(f"{titled(title, simulated=simulated)}: names matched as {match}")
    counts = ", ".join(f"{group} {number:,}" for group, number in common.items())
    dropped = (
        f" Hatched: {called} of each file that another file lacks and that are left out."
        if files
        else f" No file holds {called} that another one lacks."
    )
    caption = (
        f"Common to all files ({match} names): n = {len(images):,} {called} ({counts}).{dropped}"
    )
    return figure, caption


def _draw_bars(axes: plt.Axes, common: pd.Series, lost: pd.DataFrame) -> None:
    """Draw a bar of what is common, counted per group, and one of what each file (row) loses."""
    places = np.arange(len(lost)) + 1
    totals = np.zeros(1 + len(lost))
    for (group, number), colour in zip(common.items(), cycle(PALETTE), strict=False):
        axes.barh(0, number, left=totals[0], color=colour, label=group)
        look = {"color": colour, "hatch": DROPPED, "edgecolor": "white"}
        if len(lost):
            axes.barh(places, lost[group], left=totals[1:], **look)
        totals = totals + np.array([number, *lost[group]])
    for y, total in enumerate(totals):
        axes.text(total, y, f" {int(total):,}", va="center", fontsize=7.5)
    names = ["common to all", *(f"dropped from\n{file}" for file in lost.index)]
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    if len(lost):
        axes.bar(0, 0, color="0.7", hatch=DROPPED, edgecolor="white", label="dropped")
    if len(common) > 1 or len(lost):
        axes.legend(title="group", loc="center left", bbox_to_anchor=(1, 0.5))


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_composition(
            read_table(snakemake.input.images),
            read_table(snakemake.input.unmatched),
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
            match=snakemake.params.match,
        )
        write_figure(snakemake, figure, caption)
