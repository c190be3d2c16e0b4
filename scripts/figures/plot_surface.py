"""Draw the layer x ROI similarities as a surface over the table."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    SEQUENTIAL,
    n_note,
    similarity_label,
    subject_label,
    titled,
    use_style,
    write_figure,
)
from workflow.lib.rsa.tables import mean_session_rows, rows_of_layers, similarity_matrix
from workflow.lib.tables import read_table


def plot_surface(
    table: pd.DataFrame, *, title: str, simulated: bool, called: str
) -> tuple[plt.Figure, str]:
    """Draw the similarities of one subject and comparator.

    Parameters
    ----------
    table : rows of `rsa_<subject>.csv` of one comparator, mean over sessions
    title : name of the study
    simulated : whether the data is simulated
    called : what the images are called, in the plural
    """
    matrix = similarity_matrix(rows_of_layers(table))
    comparator = table["comparator"].iloc[0]
    use_style()
    figure, axes = plt.subplots(figsize=(5.6, 4.4), subplot_kw={"projection": "3d"})
    x, y = np.meshgrid(np.arange(matrix.shape[1]), np.arange(matrix.shape[0]))
    z = matrix.to_numpy()
    surface = axes.plot_surface(
        x, y, z, cmap=SEQUENTIAL, vmin=z.min(), vmax=z.max(), edgecolor="white", lw=0.4
    )
    axes.scatter(x, y, z, color="black", s=5, depthshade=False)
    axes.set_xticks(np.arange(matrix.shape[1]), list(matrix.columns))
    axes.set_yticks(np.arange(matrix.shape[0]), list(matrix.index), fontsize=6.5, ha="left")
    axes.tick_params(axis="x", pad=-3)
    axes.tick_params(axis="y", pad=-4)
    axes.set_zlabel(similarity_label(comparator))
    axes.view_init(elev=30, azim=-50)
    axes.set_box_aspect((1, 1.5, 0.8), zoom=0.86)
    figure.colorbar(surface, shrink=0.6, pad=0.12, label=similarity_label(comparator))
    who = subject_label(table["subject"].iloc[0])
    figure.suptitle(f"{titled(title, simulated=simulated)}: {who}, {n_note(table, called)}", y=0.93)
    caption = (
        f"Similarity ({comparator}) over layers and ROIs, {who}, {n_note(table, called)}. Dots are "
        "the values; the surface between them only guides the eye, since ROIs have no order."
    )
    return figure, caption


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_surface(
            mean_session_rows(read_table(snakemake.input[0]), snakemake.params.comparator),
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
        )
        write_figure(snakemake, figure, caption)
