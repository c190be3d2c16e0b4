"""Draw how dissimilarities are distributed over pairs: a panel per ROI and metric, a line each."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np

from scripts.dissimilarity.data.brain_rdms import rdm_rows
from scripts.dissimilarity.figures.pair_figures import looks, span
from scripts.dissimilarity.figures.plot_fmri_rdms import metric_label, roi_panels
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    MUTED,
    PALETTE,
    legend_below,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.rdms.store import RDMStore

N_BINS = 60
# More subjects than this are drawn alike.
MAX_COLOURS = 8
# The distance of responses that are not correlated.
UNCORRELATED = 1.0


@dataclass(frozen=True)
class Distribution:
    """Of one RDM.

    Attributes
    ----------
    density, edges : float arrays (N_BINS,), (N_BINS + 1,)
    low, median, high : float
    """

    density: np.ndarray
    edges: np.ndarray
    low: float
    median: float
    high: float

    @classmethod
    def of(cls, vector: np.ndarray) -> "Distribution":
        """Return that of dissimilarities (n_pairs,)."""
        density, edges = np.histogram(vector, N_BINS, density=True)
        numbers = (float(f(vector)) for f in (np.min, np.median, np.max))
        return cls(density, edges, *numbers)


def plot_distributions(
    subjects: Sequence[RDMStore], rois: Sequence[str], *, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw the distributions, and return the figure and its caption.

    Parameters
    ----------
    subjects : RDMs of each subject
    rois : ROIs to show; all if empty
    title : name of the study
    simulated : whether the data is simulated
    """
    found = {store.descriptors["subject"]: _distributions(store, rois) for store in subjects}
    labels = list(dict.fromkeys(label for own in found.values() for label in own))
    use_style()
    figure, panels = roi_panels(labels, size=(1.5, 1.5))
    for subject, line in _lines(list(found)).items():
        for label, distribution in found[subject].items():
            panels[label].stairs(distribution.density, distribution.edges, label=subject, **line)
    for (roi, metric), axis in panels.items():
        axis.set_title(wrapped([roi], 16)[0])
        axis.set_yticks([])
        axis.set_xlabel(metric_label(metric), fontsize=7)
        axis.set_ylabel("")
        axis.spines["left"].set_visible(False)
        if metric == "correlation":
            axis.axvline(UNCORRELATED, color=MUTED, lw=0.8, ls="--", zorder=0)
    if 1 < len(found) <= MAX_COLOURS:
        legend_below(figure, next(iter(panels.values())), len(found))
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: distribution of dissimilarities,\n"
        f"{span(store.n_images for store in subjects)} images, "
        f"{span(store.n_pairs for store in subjects)} pairs"
    )
    return figure, _caption(found, subjects)


def _lines(subjects: Sequence[str]) -> dict[str, dict]:
    """Return how the line of each subject is drawn."""
    if len(subjects) > MAX_COLOURS:
        return {name: {"color": PALETTE[0], "lw": 0.7, "alpha": 0.6} for name in subjects}
    return {subject: {"color": look["color"]} for subject, look in looks(subjects).items()}


def _distributions(store: RDMStore, rois: Sequence[str]) -> dict[tuple[str, str], Distribution]:
    rows = rdm_rows(store, rois)
    return {label: Distribution.of(store.vector(row)) for label, row in rows.items()}


def _caption(
    found: dict[str, dict[tuple[str, str], Distribution]], subjects: Sequence[RDMStore]
) -> str:
    (first, own), n_subjects = next(iter(found.items())), len(subjects)
    numbers = "; ".join(
        f"{roi}, {metric}: {one.low:.3g} / {one.median:.3g} / {one.high:.3g}"
        for (roi, metric), one in own.items()
    )
    who = f"n = {n_subjects} subjects" if n_subjects > 1 else f"{first}, a single case"
    dashed = (
        " Dashed: responses that are not correlated."
        if any(metric == "correlation" for _, metric in own)
        else ""
    )
    sizes = (
        " Euclidean distances grow with the number of vertices and do not compare between ROIs."
        if any(metric == "euclidean" for _, metric in own)
        else ""
    )
    return (
        f"Distribution of the dissimilarity of responses over pairs of images, {who}, "
        f"{span(store.n_images for store in subjects)} images "
        f"({span(store.n_pairs for store in subjects)} pairs) each; a line for each subject, of "
        f"area 1.{dashed} "
        f"Smallest / median / largest of {first}: {numbers}.{sizes}"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_distributions(
            [RDMStore(path) for path in snakemake.input.rdms],
            list(params.rois),
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
