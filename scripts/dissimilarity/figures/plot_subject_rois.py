"""Draw the clean score of one model for every subject and ROI, a heatmap per metric."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize

from scripts.dissimilarity.evaluation.score_tables import chosen, fully_trained, read_scores
from scripts.dissimilarity.figures.pair_figures import (
    MEASURES,
    METRICS,
    best_fit,
    best_note,
    called,
    in_order,
    measured,
    say_not_applicable,
    size_note,
    subjects_note,
)
from workflow.lib.figures.cells import draw_cells
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, titled, use_style, write_figure

SPLIT = "clean"
# More cells than these have no room beside one another for their numbers.
MAX_CELLS = 12


def plot_subject_rois(
    table: pd.DataFrame,
    *,
    model: str | None,
    measure: str,
    alpha: float,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw subjects x ROIs, and return the figure and its caption.

    Parameters
    ----------
    table : DataFrame, `pair_scores.csv`
    model : name of the model in the config; None for the one that is best in the mean
    measure : key of `MEASURES`
    alpha : level up to which a cell is not grey, uncorrected
    title : name of the study
    simulated : whether the data is simulated
    """
    rows = chosen(table, split=SPLIT, measure=measure)
    metrics = in_order(rows["metric"], METRICS)
    fits = {
        metric: best_fit(chosen(rows, metric=metric), measure=measure, model=model)
        for metric in metrics
    }
    rois, subjects = (list(dict.fromkeys(rows[name])) for name in ("roi", "subject"))
    use_style()
    figure, axes = _panels(max(1, len(metrics)), len(subjects), len(rois))
    shown = {}
    for axis, metric in zip(axes.flat, metrics, strict=False):
        axis.set_title(METRICS.get(metric, metric))
        if fits[metric] is None:
            say_not_applicable(axis)
            continue
        fit = fits[metric][0]
        shown[metric] = fully_trained(chosen(rows, metric=metric, **fit))
        axis.set_title(f"{METRICS.get(metric, metric)}\n{called(fit)}")
    scale = _scale(shown)
    for axis, metric in zip(axes.flat, metrics, strict=False):
        if metric in shown:
            mesh = _draw(axis, shown[metric], subjects, rois, scale, alpha)
    if shown:
        figure.colorbar(mesh, ax=axes, label=MEASURES[measure], shrink=0.85)
    who = subjects_note(rows) if len(rows) else "no fit"
    figure.suptitle(f"{titled(title, simulated=simulated)}: clean split, {who}")
    return figure, _caption(shown, fits, measure, alpha)


def _panels(n_metrics: int, n_subjects: int, n_rois: int) -> tuple[plt.Figure, np.ndarray]:
    """Return a panel per metric: side by side, or below one another where ROIs need the page."""
    wide = n_metrics * n_rois > MAX_CELLS
    shape = (n_metrics, 1) if wide else (1, n_metrics)
    width = PAGE_WIDTH if wide else max(3.4, (0.5 * n_rois + 1.0) * n_metrics)
    height = (0.26 * n_subjects + (1.1 if wide else 1.9)) * shape[0]
    return plt.subplots(
        *shape,
        figsize=(min(width, PAGE_WIDTH), height),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )


def _scale(shown: dict[str, pd.DataFrame]) -> tuple[float, float]:
    """Return one range of colours for all panels, with zero in it."""
    values = np.concatenate([rows["value"].dropna() for rows in shown.values()] or [[0.0]])
    return min(0.0, values.min()), max(values.max(), 0.05)


def _draw(
    axis: plt.Axes,
    rows: pd.DataFrame,
    subjects: list[str],
    rois: list[str],
    scale: tuple[float, float],
    alpha: float,
):
    cells = rows.pivot(index="subject", columns="roi", values=["value", "p"])
    values, p = (
        cells[name].reindex(index=subjects, columns=rois).to_numpy(dtype=float)
        for name in ("value", "p")
    )
    many = len(rois) > MAX_CELLS / 2
    texts = np.where(np.isfinite(values), np.char.mod("%.2f", values), "n/a")
    return draw_cells(
        axis,
        values,
        rows=subjects,
        columns=rois,
        norm=Normalize(*scale),
        texts=np.char.replace(texts, "0.", ".") if many else texts,
        coloured=p < alpha,
        fontsize=5.8 if many else 7,
        turned=many,
    )


def _caption(shown: dict, fits: dict, measure: str, alpha: float) -> str:
    if not shown:
        return "No model was applicable to the clean split."
    sentences = []
    for metric, rows in shown.items():
        fit, n_fits = fits[metric]
        means = rows.groupby("roi", sort=False)["value"].mean()
        values = ", ".join(f"{roi} {value:.3f}" for roi, value in means.items())
        whose = "mean over subjects " if rows["subject"].nunique() > 1 else ""
        sentences.append(
            f"{metric}: {called(fit)}, {whose}{values}. "
            f"{best_note(n_fits, split=SPLIT, measure=measure)}".strip()
        )
    everything = pd.concat(shown.values())
    n_tested = int(everything["p"].notna().sum())
    n_cells = len(shown) * everything["subject"].nunique() * everything["roi"].nunique()
    absent = (
        " n/a: not applicable, or no such ROI." if everything["value"].count() < n_cells else ""
    )
    return (
        f"{measured(measure, everything)} of predicted and true dissimilarities on the clean "
        "split, where no image of a test pair was seen in training, per subject and ROI; "
        f"{size_note(everything)}. "
        f"{' '.join(sentences)} Grey: p ≥ {alpha:g}, one-sided, permutations of the images, "
        f"not corrected over the {n_tested} cells.{absent}"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_subject_rois(
            read_scores(snakemake.input.table),
            model=params.model,
            measure=params.measure,
            alpha=params.alpha,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
