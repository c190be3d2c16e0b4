"""Draw a subject's RDMs of responses: a panel per ROI and metric, images in one order."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from scripts.dissimilarity.data.brain_rdms import rdm_rows
from scripts.dissimilarity.figures.pair_figures import METRICS
from workflow.lib.jobs import script_job
from workflow.lib.plotting import SEQUENTIAL, titled, use_style, wrapped, write_figure
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rdms.vectors import take_conditions, to_square

# More rows cannot be told apart in a panel; a part of the images, evenly spread, is shown.
MAX_IMAGES = 300
N_COLUMNS = 5
# Percentiles between which colours run.
LIMITS = (1, 99)
# By which images responses are standardised -> what the caption says of it.
STANDARDISED = {
    "training": (
        ", both hemispheres together, each vertex standardised over all images (models learn and "
        "are tested on those standardised over the training images of each fold)"
    ),
    "all": ", both hemispheres together, each vertex standardised over all images",
    "none": ", both hemispheres together, vertices as they were measured",
    "as published": "",
}


def plot_fmri_rdms(
    store: RDMStore, rois: Sequence[str], *, labels: str, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw the RDMs, and return the figure and its caption.

    Parameters
    ----------
    store : RDMs of one subject
    rois : ROIs to show; all if empty
    labels : key of `STANDARDISED`, by which images responses were standardised
    title : name of the study
    simulated : whether the data is simulated
    """
    rows = rdm_rows(store, rois)
    shown = np.linspace(0, store.n_images - 1, min(store.n_images, MAX_IMAGES)).astype(int)
    order, sorting = image_order(store, next(iter(rows.values())), shown)
    use_style()
    figure, panels = roi_panels(list(rows), size=(1.45, 1.35))
    for (roi, metric), axis in panels.items():
        square = to_square(take_conditions(store.vector(rows[roi, metric]), order), len(order))
        # The zeros of the diagonal are no dissimilarities.
        np.fill_diagonal(square, np.nan)
        low, high = np.nanpercentile(square, LIMITS)
        mesh = axis.imshow(square, cmap=SEQUENTIAL, vmin=low, vmax=high, interpolation="nearest")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_title(wrapped([roi], 16)[0])
        bar = figure.colorbar(mesh, ax=axis, shrink=0.8, extend="both", pad=0.04)
        bar.ax.tick_params(labelsize=6)
    subject = store.descriptors["subject"]
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: dissimilarity of responses, {subject}, "
        f"n = {store.n_images:,} images"
    )
    return figure, _caption(store, rows, len(shown), sorting, labels)


def roi_panels(
    labels: Sequence[tuple[str, str]], *, size: tuple[float, float], **options: bool | str
) -> tuple[plt.Figure, dict[tuple[str, str], plt.Axes]]:
    """Return a figure with a panel for each (ROI, metric); each metric begins a row.

    Parameters
    ----------
    labels : sequence of (ROI, metric)
    size : width and height of a panel in inches
    **options : of `matplotlib.pyplot.subplots`
    """
    by_metric: dict[str, list[tuple[str, str]]] = {}
    for roi, metric in labels:
        by_metric.setdefault(metric, []).append((roi, metric))
    n_columns = min(N_COLUMNS, max(map(len, by_metric.values())))
    lines = [
        members[start : start + n_columns]
        for members in by_metric.values()
        for start in range(0, len(members), n_columns)
    ]
    figure, axes = plt.subplots(
        len(lines),
        n_columns,
        # A single column would be narrower than the title.
        figsize=(max(3.4, size[0] * n_columns + 0.5), size[1] * len(lines) + 0.6),
        squeeze=False,
        layout="constrained",
        **options,
    )
    panels = {}
    for row, line in zip(axes, lines, strict=True):
        for axis in row[len(line) :]:
            axis.set_visible(False)
        panels |= dict(zip(line, row, strict=False))
        row[0].set_ylabel(metric_label(line[0][1]))
    return figure, panels


def metric_label(metric: str) -> str:
    """Return the axis label of a metric, also of one that published RDMs came with."""
    return METRICS.get(metric, f"dissimilarity,\n{metric}")


def image_order(store: RDMStore, row: int, shown: np.ndarray) -> tuple[np.ndarray, str]:
    """Return the images to show in order, and a sentence about that order.

    Parameters
    ----------
    store : RDMStore
    row : RDM that images without groups are sorted by
    shown : int array, images to show
    """
    names, groups = np.unique(store.groups, return_inverse=True)
    if len(names) > 1:
        sentence = f"Images are sorted by their group ({', '.join(names)})."
        return shown[np.argsort(groups[shown], kind="stable")], sentence
    square = to_square(take_conditions(store.vector(row), shown), len(shown)) ** 2
    centred = square - square.mean(axis=0) - square.mean(axis=1, keepdims=True) + square.mean()
    coordinate = np.linalg.eigh(-centred / 2)[1][:, -1]
    return shown[np.argsort(coordinate)], (
        "Images are sorted, in all panels alike, by the first principal coordinate of the first "
        "RDM: a gradient there, or in RDMs that share vertices or noise with it, would be seen "
        "without any signal too."
    )


def _caption(
    store: RDMStore,
    rows: dict[tuple[str, str], int],
    n_shown: int,
    sorting: str,
    labels: str,
) -> str:
    rois, metrics = (list(dict.fromkeys(names)) for names in zip(*rows, strict=True))
    part = f"; {n_shown} of them, evenly spread, are shown" if n_shown < store.n_images else ""
    named = {"correlation": "1 - Pearson's r", "euclidean": "Euclidean distance"}
    measured = " and ".join(named.get(metric, f"dissimilarity, {metric},") for metric in metrics)
    how = f"of responses{STANDARDISED[labels]}"
    return (
        f"RDMs of {', '.join(rois)}, {store.descriptors['subject']}, a single case: {measured} "
        f"{how}, of n = {store.n_images:,} images ({store.n_pairs:,} pairs{part}). Each panel has "
        f"a scale of its own, {LIMITS[0]}st to {LIMITS[1]}th percentile. {sorting}"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_fmri_rdms(
            RDMStore(snakemake.input.rdms),
            list(params.rois),
            labels=params.labels,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
