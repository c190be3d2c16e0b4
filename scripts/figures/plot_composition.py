"""Draw which images the files share and which are lost, by image group."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from workflow.lib.jobs import script_job
from workflow.lib.plotting import COLUMN_WIDTH, titled, use_style, write_figure
from workflow.lib.tables import read_table


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
    common = images["group"].value_counts()
    groups = sorted(set(images["group"]) | set(unmatched["group"]))
    files = list(dict.fromkeys(unmatched["file"]))
    lost = unmatched.groupby(["file", "group"]).size().unstack(fill_value=0)
    use_style()
    rows = ["common to all", *files]
    figure, axes = plt.subplots(
        figsize=(1.6 * COLUMN_WIDTH, 1.2 + 0.3 * len(rows)), layout="constrained"
    )
    colours = dict(zip(groups, sns.color_palette("colorblind", len(groups)), strict=True))
    left_common = 0
    left_lost = np.zeros(len(files))
    for group in groups:
        axes.barh(0, common.get(group, 0), left=left_common, color=colours[group], label=group)
        left_common += common.get(group, 0)
        if files:
            counts = lost.get(group, pd.Series(0, index=lost.index)).loc[files].to_numpy()
            axes.barh(
                np.arange(len(files)) + 1,
                counts,
                left=left_lost,
                color=colours[group],
                hatch="///",
                edgecolor="white",
            )
            left_lost += counts
    for y, total in enumerate([left_common, *left_lost]):
        axes.text(total, y, f" {int(total):,}", va="center", fontsize=7.5)
    axes.set_yticks(
        range(len(rows)), ["common to all", *(f"dropped from\n{file}" for file in files)]
    )
    axes.invert_yaxis()
    axes.set_xlabel(called)
    axes.margins(x=0.12)
    if files:
        axes.bar(0, 0, color="0.7", hatch="///", edgecolor="white", label="dropped")
    if len(groups) > 1 or files:
        axes.legend(title="group", loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_title(f"{titled(title, simulated=simulated)}: names matched as {match}")
    counts = ", ".join(f"{group} {common.get(group, 0):,}" for group in groups)
    dropped = (
        f" Hatched: {called} of each file that another file lacks and that are left out."
        if files
        else f" No file holds {called} that another one lacks."
    )
    caption = (
        f"Common to all files ({match} names): n = {len(images):,} {called} ({counts}).{dropped}"
    )
    return figure, caption


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
