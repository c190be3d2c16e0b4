"""Draw the RDM of every layer of a network over categories, a panel for each."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, SEQUENTIAL, titled, use_style, write_figure
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rdms.vectors import to_square

N_COLUMNS = 5
# What the range of the colours is taken from: all layers, or each layer by itself.
SCALINGS = {
    "common": "one scale for all layers",
    "own": "a scale for each layer, from its smallest to its largest dissimilarity",
}


def plot_layer_rdms(
    store: RDMStore, *, scaling: str, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw the RDMs in reading order, and return the figure and its caption.

    Parameters
    ----------
    store : RDMs of the layers
    scaling : "common" or "own", see `SCALINGS`
    title : name of the study
    simulated : whether the data is simulated
    """
    vectors, layers = store.vectors(), store.labels["layer"]
    n_rows = -(-len(layers) // N_COLUMNS)
    use_style()
    figure, axes = plt.subplots(
        n_rows,
        N_COLUMNS,
        figsize=(PAGE_WIDTH + 0.4, 1.65 * n_rows + 0.7),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat[len(layers) :]:
        axis.set_visible(False)
    for number, (axis, layer, vector) in enumerate(zip(axes.flat, layers, vectors, strict=False)):
        low, high = limits(vectors if scaling == "common" else vector)
        square = to_square(vector, store.n_images)
        # The zeros of the diagonal are no dissimilarities, and would set the scale.
        np.fill_diagonal(square, np.nan)
        image = axis.imshow(square, cmap=SEQUENTIAL, vmin=low, vmax=high)
        axis.set_title(f"{layer}  [{vector.min():.2f}, {vector.max():.2f}]", fontsize=7)
        _label(axis, store, left=number % N_COLUMNS == 0, below=number + N_COLUMNS >= len(layers))
    bar = figure.colorbar(image, ax=axes, shrink=0.5, pad=0.02)
    if scaling == "common":
        bar.set_label(f"dissimilarity (1 - {store.measure})")
    else:
        bar.set_ticks([low, high], labels=["lowest", "highest"])
        bar.set_label("dissimilarity within each layer")
    part = store.descriptors.get("images", "")
    figure.suptitle(f"{titled(title, simulated=simulated)}: layers, {part_note(part)}")
    return figure, _caption(store, scaling, part)


def limits(vectors: np.ndarray) -> tuple[float, float]:
    """Return the smallest and largest dissimilarity, between which colours run."""
    return float(vectors.min()), float(vectors.max())


def part_note(part: str) -> str:
    """Return which images RDMs were made of; only stimuli are what participants saw."""
    return {"stimuli": "participants' stimuli"}.get(part, f"{part} images".strip())


def _label(axis: plt.Axes, store: RDMStore, *, left: bool, below: bool) -> None:
    names, ticks = store.names, np.arange(store.n_images)
    axis.set_xticks(ticks, names if below else [], rotation=90, fontsize=4.5)
    axis.set_yticks(ticks, names if left else [], fontsize=4.5)
    axis.tick_params(length=0, pad=1)
    for border in group_borders(store.groups):
        axis.axhline(border, color="white", lw=0.8)
        axis.axvline(border, color="white", lw=0.8)


def group_borders(groups: Sequence[str]) -> list[float]:
    """Return the places between categories of one kind and of the next."""
    return [i - 0.5 for i in range(1, len(groups)) if groups[i] != groups[i - 1]]


def _caption(store: RDMStore, scaling: str, part: str) -> str:
    n_images = int(store.descriptors["n_images"])
    kinds = ", ".join(dict.fromkeys(store.groups))
    return (
        f"RDMs of {store.n_rdms} layers over n = {store.n_images} categories "
        f"({store.n_pairs} pairs; white lines between {kinds}), from n = {n_images} images "
        f"({part_note(part)}): units standardised over images, principal components, mean "
        f"scores of each category, 1 - {store.measure}. Colours: {SCALINGS[scaling]}. In brackets: "
        "the smallest and the largest dissimilarity of a layer."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_layer_rdms(
            RDMStore(snakemake.input[0]),
            scaling=snakemake.wildcards.scaling,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
