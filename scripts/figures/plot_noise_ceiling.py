"""Draw the noise ceiling of every ROI, with each subject's share in it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    COLUMN_WIDTH,
    legend_below,
    similarity_label,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.tables import read_table


def plot_noise_ceiling(
    ceiling: pd.DataFrame, *, title: str, simulated: bool, called: str
) -> tuple[plt.Figure, str]:
    """Draw lower to upper ceiling as a bar per ROI and the subjects as dots.

    Parameters
    ----------
    ceiling : rows of `noise_ceiling.csv` of one comparator
    title : name of the study
    simulated : whether the data is simulated
    called : what the images are called, in the plural
    """
    rois = list(dict.fromkeys(ceiling["roi"]))
    comparator = ceiling["comparator"].iloc[0]
    n_subjects, n_images = (int(ceiling[column].iloc[0]) for column in ("n_subjects", "n_images"))
    use_style()
    figure, axes = plt.subplots(
        figsize=(max(COLUMN_WIDTH, 0.8 + 0.5 * len(rois)), 2.6), layout="constrained"
    )
    x = np.arange(len(rois))
    means = ceiling.groupby("roi")[["lower", "upper"]].mean().loc[rois]
    axes.bar(
        x,
        means["upper"] - means["lower"],
        bottom=means["lower"],
        width=0.6,
        color="0.8",
        label="lower to upper ceiling",
    )
    for column, marker, label in (
        ("lower", "v", "subject with mean of others"),
        ("upper", "^", "subject with mean of all"),
    ):
        for subject in dict.fromkeys(ceiling["subject"]):
            values = ceiling[ceiling["subject"] == subject].set_index("roi").loc[rois, column]
            colour = "C0" if column == "lower" else "C1"
            axes.plot(x, values, marker, ms=3.5, color=colour, mew=0, label=label)
    axes.axhline(0, color="black", lw=0.6)
    axes.set_xticks(x, wrapped(rois), rotation=45 if len(rois) > 5 else 0)
    axes.set_ylabel(f"agreement, {similarity_label(comparator)}")
    legend_below(figure, axes, 2)
    axes.set_title(
        f"{titled(title, simulated=simulated)}:\n{n_subjects} subjects, n = {n_images:,} {called}"
    )
    caption = (
        f"Noise ceiling ({comparator}) per ROI: how well the true model could do, given how much "
        f"the {n_subjects} subjects agree, n = {n_images:,} {called}. Bars from the lower to the "
        "upper ceiling (Nili et al. 2014), markers: single subjects."
    )
    return figure, caption


if __name__ == "__main__":
    with script_job(snakemake):
        ceiling = read_table(snakemake.input[0])
        figure, caption = plot_noise_ceiling(
            ceiling[ceiling["comparator"] == snakemake.params.comparator],
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
        )
        write_figure(snakemake, figure, caption)
