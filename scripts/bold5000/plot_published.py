"""Draw published against our correlations, for the published and the full set of images."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import titled, use_style, write_figure
from workflow.lib.tables import read_table


def plot_published(
    tables: Mapping[str, pd.DataFrame], *, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw one panel per set of images.

    Parameters
    ----------
    tables : `published.csv` of each study, by the study's title
    title : name of the study
    simulated : whether our data is simulated
    """
    use_style()
    figure, axes = plt.subplots(
        1, len(tables), figsize=(3.3 * len(tables), 3.3), squeeze=False, layout="constrained"
    )
    notes = []
    for panel, (name, table) in zip(axes[0], tables.items(), strict=True):
        for subject, cells in table.groupby("subject"):
            panel.plot(
                cells["published"], cells["ours"], "o", ms=3, mew=0, alpha=0.8, label=subject
            )
        low = min(0.0, table[["published", "ours"]].min().min())
        high = 1.05 * table[["published", "ours"]].max().max()
        panel.plot([low, high], [low, high], color="black", lw=0.7)
        panel.set(xlabel="published $r$", ylabel="our $r$", aspect="equal")
        largest = table["difference"].abs().max()
        n_images = int(table["n_images"].iloc[0])
        panel.set_title(f"{name}\nn = {n_images:,} images, largest difference {largest:.3f}")
        notes.append(
            f"{name}: n = {n_images:,} images, {len(table)} cells, largest absolute difference "
            f"{largest:.3f}"
        )
    axes[0, 0].legend(title="subject", loc="upper left")
    figure.suptitle(titled(title, simulated=simulated))
    caption = (
        "Pearson r of every layer x ROI cell, as published (read from its figures, to 0.001) and "
        f"as computed here. {'; '.join(notes)}. On the line: equal."
    )
    return figure, caption


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_published(
            {
                name: read_table(path)
                for name, path in zip(snakemake.params.study_titles, snakemake.input, strict=True)
            },
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
        )
        write_figure(snakemake, figure, caption)
