"""Draw the RDMs that are compared: every ROI and every layer, images sorted by group."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from workflow.lib.jobs import script_job
from workflow.lib.plotting import subject_label, titled, use_style, wrapped, write_figure
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rdms.vectors import to_square
from workflow.lib.rsa.comparators import rank
from workflow.lib.rsa.model_layers import ModelLayers
from workflow.lib.rsa.tables import column_labels

# More rows than this cannot be told apart in a panel of one inch.
MAX_PIXELS = 300


def plot_rdms(
    brain: RDMStore, models: Sequence[RDMStore], *, title: str, simulated: bool, called: str
) -> tuple[plt.Figure, str]:
    """Draw the brain RDMs (mean over sessions) above the model RDMs, as percentiles.

    Parameters
    ----------
    brain : RDMs of one subject, or the joint ones
    models : RDMs of every model
    title : name of the study
    simulated : whether the data is simulated
    called : what the images are called, in the plural
    """
    check_same_images([brain, *models])
    order = np.argsort(np.unique(brain.groups, return_inverse=True)[1], kind="stable")
    groups = np.asarray(brain.groups)[order]
    of_brain = [(roi, brain, row) for roi, row in brain.mean_session_rows().items()]
    layers = [(model, row) for model in models for row in model.first_rows("layer").values()]
    names = column_labels(ModelLayers(models).table)
    of_models = [(name, *layer) for name, layer in zip(names, layers, strict=True)]
    use_style()
    figure, axes, places = _panels(len(of_brain), len(of_models))
    for place, (label, store, row) in zip(places, of_brain + of_models, strict=True):
        image = place.imshow(_percentiles(store, row, order), cmap="magma", vmin=0, vmax=100)
        place.set_title(wrapped([label], 16)[0], fontsize=7.5)
        for border in _group_borders(groups):
            position = border * image.get_array().shape[0] / brain.n_images - 0.5
            place.axhline(position, color="white", lw=0.5)
            place.axvline(position, color="white", lw=0.5)
    figure.colorbar(image, ax=axes, shrink=0.5, label="dissimilarity (percentile within each RDM)")
    who, n = subject_label(brain.descriptors["subject"]), f"n = {brain.n_images:,} {called}"
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: brain ({who}) above, models below, {n}",
        fontsize=8.5,
    )
    return figure, _caption(who, n, groups, models)


def _panels(n_rois: int, n_layers: int) -> tuple[plt.Figure, np.ndarray, list[plt.Axes]]:
    """Return all axes, and those to draw on: ROIs first, layers in rows of their own."""
    n_columns = min(5, max(n_rois, n_layers))
    rows_of_rois, rows_of_layers = (-(-n // n_columns) for n in (n_rois, n_layers))
    n_rows = rows_of_rois + rows_of_layers
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(1.35 * n_columns + 0.7, 1.55 * n_rows + 0.5),
        squeeze=False,
        layout="constrained",
    )
    for panel in axes.flat:
        panel.set_axis_off()
    layers = axes[rows_of_rois:].flat[:n_layers]
    return figure, axes, [*axes.flat[:n_rois], *layers]


def _caption(who: str, n: str, groups: np.ndarray, models: Sequence[RDMStore]) -> str:
    names = list(dict.fromkeys(groups))
    sorted_by = f", sorted by group (white lines; {', '.join(names)})" if len(names) > 1 else ""
    blocks = (
        f"; large RDMs are drawn by block means of at most {MAX_PIXELS} rows"
        if len(groups) > MAX_PIXELS
        else ""
    )
    first = " Of untrained networks the first seed is shown."
    repeated = any("seed" in model.labels for model in models)
    return (
        f"RDMs of the ROIs ({who}) and of the model layers over {n}{sorted_by}. Colours are "
        f"percentiles of the dissimilarity within each RDM{blocks}.{first if repeated else ''}"
    )


def _group_borders(groups: np.ndarray) -> np.ndarray:
    """Return where the next group begins in sorted groups."""
    return np.flatnonzero(groups[1:] != groups[:-1]) + 1


def _percentiles(store: RDMStore, row: int, order: np.ndarray) -> np.ndarray:
    """Return one RDM as percentiles in the given order, averaged to at most MAX_PIXELS rows."""
    ranks = rank(store.vector(row))[0]
    square = to_square((100 * ranks / ranks.size).astype(np.float32), store.n_images)
    square = square[np.ix_(order, order)]
    factor = -(-store.n_images // MAX_PIXELS)
    if factor == 1:
        return square
    n = store.n_images // factor
    return square[: n * factor, : n * factor].reshape(n, factor, n, factor).mean(axis=(1, 3))


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_rdms(
            RDMStore(snakemake.input.brain),
            [RDMStore(path) for path in snakemake.input.models],
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
        )
        write_figure(snakemake, figure, caption)
