"""Draw the RDM of every perception code."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from scripts.digits.figures.plot_layer_rdms import group_borders
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, use_style, write_figure
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rdms.vectors import to_square

N_COLUMNS = 5
COLOURS = ListedColormap(["0.92", "#31688e"])


def plot_codes(store: RDMStore, *, title: str) -> tuple[plt.Figure, str]:
    """Draw a panel per code, and return the figure and its caption.

    Parameters
    ----------
    store : RDMs of the codes
    title : name of the study
    """
    codes = dict(zip(store.labels["layer"], store.vectors(), strict=True))
    n_columns = min(N_COLUMNS, len(codes))
    n_rows = -(-len(codes) // n_columns)
    use_style()
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(max(PAGE_WIDTH * n_columns / N_COLUMNS, 2.5) + 0.3, 1.75 * n_rows + 0.5),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat[len(codes) :]:
        axis.set_visible(False)
    ticks = np.arange(store.n_images)
    for number, (axis, (code, vector)) in enumerate(zip(axes.flat, codes.items(), strict=False)):
        axis.imshow(to_square(vector, store.n_images), cmap=COLOURS, vmin=0, vmax=1)
        axis.set_title(f"{code}: {int(vector.sum())} of {vector.size}", fontsize=7.5)
        axis.set_xticks(ticks, store.names, rotation=90, fontsize=4.5)
        axis.set_yticks(ticks, store.names if number % n_columns == 0 else [], fontsize=4.5)
        axis.tick_params(length=0, pad=1)
        for border in group_borders(store.groups):
            axis.axhline(border, color="black", lw=0.5)
            axis.axvline(border, color="black", lw=0.5)
    figure.suptitle(f"{title}: perception codes")
    caption = (
        f"Perception codes: model RDMs over n = {store.n_images} categories ({store.n_pairs} "
        "pairs). Dark: pairs that the code tells apart (1), light: pairs that are alike to it (0). "
        "Titles: the number of pairs told apart."
    )
    return figure, caption


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_codes(RDMStore(snakemake.input[0]), title=snakemake.params.title)
        write_figure(snakemake, figure, caption)
