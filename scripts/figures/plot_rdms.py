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
    panels = [(roi, brain, row) for roi, row in brain.mean_session_rows().items()]
    n_rois = len(panels)
    layers = [(model, row) for model in models for row in model.first_rows("layer").values()]
    names = column_labels(ModelLayers(models).table)
    panels += [(name, *place) for name, place in zip(names, layers, strict=True)]
    n_columns = min(5, max(n_rois, len(panels) - n_rois))
    rows_of = [-(-n // n_columns) for n in (n_rois, len(panels) - n_rois)]
    use_style()
    figure, axes = plt.subplots(
        sum(rows_of),
        n_columns,
        figsize=(1.35 * n_columns + 0.7, 1.55 * sum(rows_of) + 0.5),
        squeeze=False,
        layout="constrained",
    )
    places = [*axes.flat[:n_rois], *axes.flat[rows_of[0] * n_columns :]]
    for axis in axes.flat:
        axis.set_axis_off()
    for place, (label, store, row) in zip(places, panels, strict=False):
        image = place.imshow(_percentiles(store, row, order), cmap="magma", vmin=0, vmax=100)
        place.set_title(wrapped([label], 16)[0], fontsize=7.5)
        for border in _group_borders(np.asarray(brain.groups)[order]):
            position = border * image.get_array().shape[0] / brain.n_images - 0.5
            place.axhline(position, color="white", lw=0.5)
            place.axvline(position, color="white", lw=0.5)
    figure.colorbar(image, ax=axes, shrink=0.5, label="dissimilarity (percentile within each RDM)")
    groups = list(dict.fromkeys(np.asarray(brain.groups)[order]))
    who = subject_label(brain.descriptors["subject"])
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: brain ({who}) above, models below, "
        f"n = {brain.n_images:,} {called}",
        fontsize=8.5,
    )
    repeated = any("seed" in model.labels for model in models)
    sorted_by = f", sorted by group (white lines; {', '.join(groups)})" if len(groups) > 1 else ""
    caption = (
        f"RDMs of the ROIs ({who}) and of the model layers over n = {brain.n_images:,} {called}"
        f"{sorted_by}. Colours are percentiles of the dissimilarity within each RDM"
        + (
            f"; large RDMs are drawn by block means of at most {MAX_PIXELS} rows"
            if brain.n_images > MAX_PIXELS
            else ""
        )
        + (". Of untrained networks the first seed is shown." if repeated else ".")
    )
    return figure, caption


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
