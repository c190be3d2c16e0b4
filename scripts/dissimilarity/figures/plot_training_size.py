"""Draw the score of models against the number of images that they were trained on."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from scripts.dissimilarity.evaluation.score_tables import chosen, first_if_none, read_scores
from scripts.dissimilarity.figures.pair_figures import (
    CEILING_COLOUR,
    METRICS,
    SPLITS,
    draw_off_scale,
    drawn_values,
    floor_note,
    floored,
    in_order,
    looks,
    measured,
    names_of,
    say_not_applicable,
    set_floor,
    size_note,
    split_panels,
    spread_note,
    subjects_note,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import legend_below, titled, write_figure

# Leaked splits train on pairs: a number of training images says nothing of them.
HELD_OUT = ("one_seen", "clean")


def plot_training_size(
    table: pd.DataFrame,
    ceilings: pd.DataFrame,
    *,
    roi: str | None,
    measure: str,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw a row of panels per metric and a column per split, a line per fit.

    Parameters
    ----------
    table : DataFrame, `pair_scores.csv`
        Fits with several `n_training_images` are drawn.
    ceilings : DataFrame, `ceilings.csv`; may have no rows
    roi : region of the responses; None for the first
    measure : key of `MEASURES`
    title : name of the study
    simulated : whether the data is simulated
    """
    roi = first_if_none(roi, table["roi"])
    rows = chosen(table, roi=roi, measure=measure)
    rows = rows[rows["split"].isin(HELD_OUT)]
    rows = rows.assign(fit=names_of(rows))
    sizes = rows.groupby("fit")["n_training_images"].transform("nunique")
    rows = rows[sizes > 1]
    metrics, splits = in_order(rows["metric"], METRICS), in_order(rows["split"], SPLITS)
    tops = chosen(ceilings, roi=roi, measure=measure)
    tops = tops[tops["subject"].isin(rows["subject"]) & tops["value"].notna()]
    styles = looks(list(dict.fromkeys(rows["fit"])))
    figure, axes = split_panels(metrics, splits, measure)
    for row, metric in zip(axes, metrics, strict=False):
        for axis, split in zip(row, splits, strict=False):
            _draw(axis, chosen(rows, metric=metric, split=split), styles)
            if split == "clean":
                _draw_ceiling(axis, chosen(tops, metric=metric))
    for axis in axes[-1]:
        axis.set_xlabel("training images")
    if rows.empty:
        say_not_applicable(axes[0, 0], "no model was fitted to several numbers of images")
    else:
        set_floor(axes[0, 0], drawn_values(rows), top=_ceilings(tops).max())
        legend_below(figure, axes[0, 0], 3)
    who = subjects_note(rows) if len(rows) else "no fit"
    figure.suptitle(f"{titled(title, simulated=simulated)}: training images, {roi}, {who}")
    return figure, _caption(rows, tops, roi, measure)


def _draw(axis: plt.Axes, rows: pd.DataFrame, styles: Mapping[str, dict]) -> None:
    axis.axhline(0, color="black", lw=0.6)
    for fit, style in styles.items():
        of_fit = rows[rows["fit"] == fit]
        means = of_fit.groupby("n_training_images")["value"].mean()
        axis.plot(means.index, floored(means), label=fit, ms=4, **style)
        draw_off_scale(axis, means.index, means, style["color"])
        x = of_fit["n_training_images"]
        if rows["subject"].nunique() > 1:
            axis.plot(x, floored(of_fit["value"]), ls="", ms=2, alpha=0.6, **style)
        else:
            limits = floored(of_fit["low"]), floored(of_fit["high"])
            axis.vlines(x, *limits, color=style["color"], lw=0.9)


def _ceilings(tops: pd.DataFrame) -> pd.Series:
    """Return the mean ceiling over subjects, by metric and kind."""
    return tops.groupby(["metric", "kind"], sort=False)["value"].mean()


def _draw_ceiling(axis: plt.Axes, tops: pd.DataFrame) -> None:
    for (_, kind), value in _ceilings(tops).items():
        axis.axhline(value, color=CEILING_COLOUR, lw=1.2, ls="--")
        axis.annotate(
            f"ceiling, {kind}",
            (0.02, value),
            xycoords=("axes fraction", "data"),
            xytext=(0, 1.5),
            textcoords="offset points",
            ha="left",
            va="bottom",
            fontsize=6,
            color=CEILING_COLOUR,
        )


def _ceiling_note(tops: pd.DataFrame) -> str:
    if tops.empty:
        return " No ceiling is known."
    said = ", ".join(f"{metric} {value:.3f}" for (metric, _), value in _ceilings(tops).items())
    kinds = ", ".join(tops["kind"].unique())
    return f" Orange: ceiling of clean pairs in the mean over subjects ({kinds}): {said}."


def _caption(rows: pd.DataFrame, tops: pd.DataFrame, roi: str, measure: str) -> str:
    if rows.empty:
        return "No model was fitted to several numbers of training images: not applicable."
    sizes = ", ".join(f"{int(n):,}" for n in sorted(rows["n_training_images"].dropna().unique()))
    clean = rows[(rows["split"] == "clean") & rows["value"].notna()]
    gains = []
    for (fit, metric), of_fit in clean.groupby(["fit", "metric"], sort=False):
        means = of_fit.groupby("n_training_images")["value"].mean()
        gains.append(f"{fit}, {metric}: {means.iloc[0]:.3f} to {means.iloc[-1]:.3f}")
    said = f" Clean, from fewest to most images: {'; '.join(gains)}." if gains else ""
    return (
        f"{measured(measure, rows)} on pairs of images held out, against the number of training "
        f"images of a fold ({sizes}), for dissimilarities of {roi}; {size_note(rows)}. Test images "
        "are the same at every number, and fewer training images are some of more; n images train "
        f"n(n-1)/2 pairs. {spread_note(rows)}{_ceiling_note(tops)}{floor_note(rows['value'])}"
        f"{said}"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_training_size(
            read_scores(snakemake.input.table),
            read_scores(snakemake.input.ceilings),
            roi=params.roi,
            measure=params.measure,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
