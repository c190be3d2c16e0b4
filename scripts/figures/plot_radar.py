"""Draw a radar chart: ROIs around the circle, one line per layer."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    layer_colours,
    n_note,
    similarity_label,
    subject_label,
    titled,
    use_style,
    write_figure,
)
from workflow.lib.rsa.tables import mean_session_rows, rows_of_layers, similarity_matrix
from workflow.lib.tables import read_table


def plot_radar(
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
    use_style()
    figure, axes = plt.subplots(
        figsize=(4.8, 3.9), subplot_kw={"projection": "polar"}, layout="constrained"
    )
    angles = np.linspace(0, 2 * np.pi, len(matrix), endpoint=False)
    closed = np.append(angles, angles[0])
    colours = layer_colours(matrix.shape[1])
    for colour, (layer, values) in zip(colours, matrix.items(), strict=True):
        axes.plot(closed, np.append(values, values.iloc[0]), "o-", color=colour, ms=3, label=layer)
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    axes.set_xticks(angles, list(matrix.index))
    axes.tick_params(axis="x", pad=7)
    axes.set_rlabel_position(np.degrees(angles[1] / 2) if len(angles) > 1 else 0)
    # The centre is zero unless some similarity is negative: distances can be compared.
    axes.set_rlim(min(0.0, float(matrix.to_numpy().min())), None)
    figure.legend(loc="outside right center", title="layer")
    who = subject_label(table["subject"].iloc[0])
    comparator = table["comparator"].iloc[0]
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: {who}\n"
        f"{similarity_label(comparator)}, {n_note(table, called)}"
    )
    caption = (
        f"Similarity ({comparator}) of every ROI (spokes) with every layer (lines), {who}, "
        f"{n_note(table, called)}; distance from the centre is the similarity. The order of the "
        "ROIs is that of the config; areas in the chart mean nothing."
    )
    return figure, caption


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_radar(
            mean_session_rows(read_table(snakemake.input[0]), snakemake.params.comparator),
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
        )
        write_figure(snakemake, figure, caption)
