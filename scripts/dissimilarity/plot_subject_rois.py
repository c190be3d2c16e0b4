"""Draw the clean score of one model for every subject and ROI, a heatmap per metric."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.dissimilarity.pair_figures import (
    MEASURES,
    METRICS,
    best_fit,
    best_note,
    called,
    in_order,
    measured,
    say_not_applicable,
    size_note,
)
from scripts.dissimilarity.score_tables import chosen, fully_trained, read_scores
from workflow.lib.jobs import script_job
from workflow.lib.plotting import MUTED, PAGE_WIDTH, SEQUENTIAL, titled, use_style, write_figure

SPLIT = "clean"


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
    width = max(3.4, min(PAGE_WIDTH, (0.55 * len(rois) + 1.4) * len(metrics)))
    figure, axes = plt.subplots(
        1,
        max(1, len(metrics)),
        figsize=(width, 0.28 * len(subjects) + 1.9),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
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
    figure.suptitle(f"{titled(title, simulated=simulated)}: clean split")
    return figure, _caption(shown, fits, measure, alpha)


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
    muted = ~(p < alpha)
    low, high = scale
    mesh = axis.pcolormesh(
        np.ma.masked_array(values, muted | np.isnan(values)),
        cmap=SEQUENTIAL,
        vmin=low,
        vmax=high,
        edgecolors="white",
        linewidth=0.6,
    )
    axis.set_facecolor("0.93")
    for (i, j), value in np.ndenumerate(values):
        known = np.isfinite(value)
        bright = known and not muted[i, j] and mesh.norm(value) > 0.6
        colour = MUTED if muted[i, j] else ("black" if bright else "white")
        text = f"{value:.2f}" if known else "n/a"
        axis.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=7, color=colour)
    axis.set_xticks(np.arange(len(rois)) + 0.5, rois, rotation=45 if len(rois) > 5 else 0)
    axis.set_yticks(np.arange(len(subjects)) + 0.5, subjects)
    axis.set_ylim(len(subjects), 0)
    axis.tick_params(length=0)
    axis.spines[["left", "bottom"]].set_visible(False)
    return mesh


def _caption(shown: dict, fits: dict, measure: str, alpha: float) -> str:
    if not shown:
        return "No model was applicable to the clean split."
    sentences = []
    for metric, rows in shown.items():
        fit, n_fits = fits[metric]
        means = rows.groupby("roi", sort=False)["value"].mean()
        values = ", ".join(f"{roi} {value:.3f}" for roi, value in means.items())
        sentences.append(
            f"{metric}: {called(fit)}, mean over subjects {values}. "
            f"{best_note(n_fits, split=SPLIT, measure=measure)}".strip()
        )
    everything = pd.concat(shown.values())
    n_tested = int(everything["p"].notna().sum())
    absent = " n/a: not applicable, or not asked for." if everything["value"].isna().any() else ""
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
