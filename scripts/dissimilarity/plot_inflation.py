"""Draw leaked beside clean scores of every model, with the inflation as a number."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.dissimilarity.pair_figures import (
    FLOOR,
    MEASURES,
    METRICS,
    NOT_FITTED,
    SPLIT_COLOURS,
    SPLIT_MARKERS,
    SPLITS,
    called,
    floor_note,
    floored,
    in_order,
    measured,
    size_note,
    subjects_note,
)
from scripts.dissimilarity.score_tables import (
    NAMING,
    chosen,
    first_if_none,
    fully_trained,
    read_scores,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, legend_below, titled, use_style, write_figure

ROW = 0.17
FEWEST = 3


def plot_inflation(
    scores: pd.DataFrame,
    inflation: pd.DataFrame,
    *,
    roi: str | None,
    measure: str,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw a panel per metric, a row per fit, and return the figure and its caption.

    Parameters
    ----------
    scores : DataFrame, `pair_scores.csv`
    inflation : DataFrame, `inflation.csv`
        Leaked less clean of every subject, ROI, metric and fit (`value`, over images `low`, `high`)
        and of their mean (`mean`, over subjects `mean_low`, `mean_high`).
    roi : region of the responses; None for the first
    measure : key of `MEASURES`
    title : name of the study
    simulated : whether the data is simulated
    """
    roi = first_if_none(roi, scores["roi"])
    rows = fully_trained(chosen(scores, roi=roi, measure=measure))
    differences = chosen(inflation, roi=roi, measure=measure)
    metrics = in_order(rows["metric"], METRICS)
    fits = _order(rows)
    use_style()
    figure, axes = plt.subplots(
        1,
        max(1, len(metrics)),
        figsize=(PAGE_WIDTH, ROW * max(len(fits), FEWEST) + 1.35),
        squeeze=False,
        sharey=True,
        sharex=True,
        layout="constrained",
    )
    for axis, metric in zip(axes.flat, metrics, strict=False):
        _draw(axis, chosen(rows, metric=metric), chosen(differences, metric=metric), fits)
        axis.set_title(METRICS.get(metric, metric))
        axis.set_xlabel(f"{MEASURES[measure]} (inflation at the right)")
    axes[0, 0].set_yticks(np.arange(len(fits)), [called(fit) for fit in fits], fontsize=6.8)
    axes[0, 0].set_ylim(len(fits) - 0.4, -0.6)
    for split, text in SPLITS.items():
        style = {"color": SPLIT_COLOURS[split], "marker": SPLIT_MARKERS[split]}
        axes[0, 0].plot([], [], ls="", ms=5.5, label=text, **style)
    legend_below(figure, axes[0, 0], len(SPLITS))
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: leaked against clean, {roi}, {subjects_note(rows)}"
    )
    return figure, _caption(rows, differences, roi, measure)


def _order(rows: pd.DataFrame) -> list[dict[str, str]]:
    """Return the fits, the best clean one first and those without a clean score last."""
    clean = rows["value"].where(rows["split"] == "clean")
    means = clean.groupby([rows[name] for name in NAMING], sort=False).mean()
    ordered = means.sort_values(ascending=False, na_position="last", kind="stable").index
    return [dict(zip(NAMING, fit, strict=True)) for fit in ordered]


def _draw(
    axis: plt.Axes, rows: pd.DataFrame, differences: pd.DataFrame, fits: list[dict[str, str]]
) -> None:
    axis.axvline(0, color="black", lw=0.6)
    for place, fit in enumerate(fits):
        means = chosen(rows, **fit).groupby("split")["value"].mean()
        axis.hlines(place, *floored([means.min(), means.max()]), color="0.75", lw=1.4, zorder=1)
        for split in SPLITS:
            axis.plot(
                floored([means.get(split, np.nan)]),
                [place],
                ls="",
                marker="<" if means.get(split, np.nan) < FLOOR else SPLIT_MARKERS[split],
                color=SPLIT_COLOURS[split],
                mec="white",
                mew=0.4,
                ms=5.5,
            )
        axis.annotate(
            _number(chosen(differences, **fit)),
            (1.01, place),
            xycoords=("axes fraction", "data"),
            ha="left",
            va="center",
            fontsize=6.3,
        )


def _number(differences: pd.DataFrame) -> str:
    """Return the inflation of a fit in the mean, with its interval over subjects, or images."""
    known = differences[differences["value"].notna()]
    if known.empty:
        return "no leaked split" if differences["clean"].notna().any() else NOT_FITTED
    columns = ("mean", "mean_low", "mean_high") if len(known) > 1 else ("value", "low", "high")
    value, low, high = known.iloc[0][list(columns)]
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"


def _caption(rows: pd.DataFrame, differences: pd.DataFrame, roi: str, measure: str) -> str:
    several = rows["subject"].nunique() > 1
    means = differences.groupby([*NAMING, "metric"], sort=False)["value"].mean().dropna()
    said = ""
    if not means.empty:
        *fit, metric = means.idxmax()
        largest = called(dict(zip(NAMING, fit, strict=True)))
        said = (
            f" Over fits: median {means.median():+.3f}, largest {means.max():+.3f} "
            f"({largest}, {metric})."
        )
    number = (
        "mean over subjects with its 95 % interval over subjects"
        if several
        else "with its 95 % interval over images"
    )
    absent = (
        " No leaked split: of models of responses, for which pairs cannot be dealt out."
        if rows["value"].isna().any() or (len(differences) and differences["value"].isna().any())
        else ""
    )
    marks = "Marks: means over subjects." if several else "Marks: this subject."
    return (
        f"{measured(measure, rows)} by how pairs were split, for dissimilarities of {roi}; "
        f"{size_note(rows)}. {marks} Numbers: inflation, leaked less clean, {number}. Leaked test "
        "pairs share their images with training pairs, so that their score is in part recognition "
        "of images; only the clean one predicts new pairs. Leaked fits also see all images and "
        "more pairs, and are tested on more, which is part of the difference. Responses are "
        "standardised over all images: rows of 1 - r have nearly equal means, so that what a "
        f"leaked model knows of single images helps 1 - r less than Euclidean distances.{said}"
        f"{absent}{floor_note(rows['value'])}"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_inflation(
            read_scores(snakemake.input.table),
            read_scores(snakemake.input.inflation),
            roi=params.roi,
            measure=params.measure,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
