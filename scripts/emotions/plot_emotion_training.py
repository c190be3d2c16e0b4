"""Draw the learning curves of a split's networks, averaged over its folds.

snakemake --cores 1 results/demo/movie/figures/training_cnn_run.png
"""

import matplotlib.pyplot as plt
import pandas as pd

from scripts.figures.plot_training import plot_training
from workflow.lib.jobs import script_job
from workflow.lib.plotting import write_figure
from workflow.lib.tables import read_table


def plot_emotion_training(
    history: pd.DataFrame, *, model: str, split: str, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw a panel per measure, and return the figure and its caption.

    Parameters
    ----------
    history : DataFrame
        fold, epoch, part, measure, value.
    model, split : names
    title : name of the study
    simulated : whether the data is simulated
    """
    means = history.groupby(["epoch", "part", "measure"], sort=False)["value"].mean().reset_index()
    n_epochs = history.groupby("fold")["epoch"].max()
    note = (
        f"Means over n = {len(n_epochs)} folds, a network each, of which training stopped after "
        f"{n_epochs.min()} to {n_epochs.max()} epochs; later epochs are means over those that went "
        "on. Loss: cross-entropy. The weights of the best epoch on validation volumes are kept."
    )
    return plot_training(
        means, title=f"{title}, {model}, split {split}", simulated=simulated, note=note
    )


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_emotion_training(
            read_table(snakemake.input[0]),
            model=snakemake.wildcards.model,
            split=snakemake.wildcards.split,
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
        )
        write_figure(snakemake, figure, caption)
