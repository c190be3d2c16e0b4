"""Draw scores by what was seen of the images, with the inflation as a number and its interval."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.dissimilarity.evaluation.score_tables import (
    NAMING,
    chosen,
    first_if_none,
    fully_trained,
    read_scores,
)
from scripts.dissimilarity.figures.pair_figures import (
    FLOOR,
    MEASURES,
    METRICS,
    NOT_FITTED,
    PLAIN,
    SPLIT_COLOURS,
    SPLIT_MARKERS,
    SPLITS,
    called,
    floor_note,
    floored,
    in_order,
    measured,
    size_note,
    subject_counts,
    subjects_note,
    training_note,
    with_count,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, legend_below, titled, use_style, write_figure

ROW = 0.19
FEWEST = 3
# Right ends of the two columns of numbers, in points from a panel.
COLUMNS = (28, 64)
# Where in a row the difference of each split is drawn.
OFFSETS = {"leaked": -0.17, "one_seen": 0.17}
# As dark as text has to be.
SPLIT_TEXTS = {"leaked": "#9a5b00", "one_seen": "#00649a"}
# How leaked pairs differ from clean ones, by how they were dealt out.
DEALS = {
    "matched": (
        "Leaked fits are tested on the same pairs as clean ones, and trained and stopped by as "
        "many, which are dealt from all other pairs: of all images, the tested ones among them, "
        "and so of more images, each in fewer pairs."
    ),
    "random_pairs": (
        "Leaked pairs are dealt out at random, as published: these fits also see all images and "
        "more pairs, and are tested on other pairs, which is part of the difference."
    ),
}
ONE_SEEN = (
    "With one image seen, the clean fit is tested on pairs of a tested image and a training image: "
    "other pairs of the same tested images."
)


def plot_inflation(
    scores: pd.DataFrame,
    inflation: pd.DataFrame,
    *,
    roi: str | None,
    measure: str,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw scores and differences per metric, a row per fit, and return figure and caption.

    Parameters
    ----------
    scores : DataFrame, `pair_scores.csv`
    inflation : DataFrame, `inflation.csv`
        What each split adds to the clean score of every subject, ROI, metric and fit (`value`, over
        images `low`, `high`) and in their mean (`mean`, over subjects `mean_low`, `mean_high`).
    roi : region of the responses; None for the first
    measure : key of `MEASURES`
    title : name of the study
    simulated : whether the data is simulated
    """
    roi = first_if_none(roi, scores["roi"])
    rows = fully_trained(chosen(scores, roi=roi, measure=measure))
    differences = chosen(inflation, roi=roi, measure=measure)
    metrics = in_order(rows["metric"], METRICS)
    fits = {metric: _order(chosen(rows, metric=metric)) for metric in metrics}
    use_style()
    figure, axes = _panels([len(of_metric) for of_metric in fits.values()] or [0])
    for pair, metric in zip(axes, metrics, strict=False):
        of_metric = chosen(rows, metric=metric)
        _draw_scores(pair[0], of_metric, fits[metric])
        _draw_differences(pair[1], chosen(differences, metric=metric), fits[metric])
        _label_rows(pair[0], of_metric, fits[metric], subject_counts(rows).max())
        pair[0].set_title(f"{METRICS.get(metric, metric)}: scores")
        pair[1].set_title("gain over clean")
    axes[-1, 0].set_xlabel(MEASURES[measure])
    axes[-1, 1].set_xlabel(f"difference in {MEASURES[measure]}")
    for split, text in SPLITS.items():
        style = {"color": SPLIT_COLOURS[split], "marker": SPLIT_MARKERS[split]}
        axes[0, 0].plot([], [], ls="", ms=5.5, label=text, **style)
    axes[0, 0].plot([], [], color="0.3", lw=1.3, label="95 % interval over subjects")
    axes[0, 0].plot([], [], color="0.3", lw=1.3, ls=":", label="n = 1: over images")
    legend_below(figure, axes[0, 0], 3)
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: images seen or not, {roi}, {subjects_note(rows)}\n"
        + headline(differences, measure)
    )
    return figure, _caption(rows, differences, roi, measure)


def headline(differences: pd.DataFrame, measure: str) -> str:
    """Return the inflation as one number: the median over fits and subjects, with the range."""
    said = []
    for split in OFFSETS:
        values = chosen(differences, split=split)["value"].dropna()
        if len(values):
            said.append(
                f"{split.replace('_', ' ')} less clean {PLAIN[measure]}: median "
                f"{signed(values.median())} ({signed(values.min())} to {signed(values.max())})"
            )
    return "\n".join(said) or "no split to compare with the clean one"


def signed(value: float) -> str:
    """Return a difference with its sign; what is rounded to nothing has a plus.

    >>> signed(-0.004), signed(-0.006)
    ('+0.00', '-0.01')
    """
    return f"{round(value, 2) + 0.0:+.2f}"


def _panels(n_rows: Sequence[int]) -> tuple[plt.Figure, np.ndarray]:
    """Return a row of two panels for each metric, as high as its fits ask for."""
    heights = [max(n, FEWEST) + 2 for n in n_rows]
    figure, axes = plt.subplots(
        len(n_rows),
        2,
        figsize=(PAGE_WIDTH, ROW * sum(heights) + 1.35),
        gridspec_kw={"height_ratios": heights, "width_ratios": [1.15, 1]},
        squeeze=False,
        sharex="col",
        layout="constrained",
    )
    return figure, axes


def _order(rows: pd.DataFrame) -> list[dict[str, str]]:
    """Return the fits, the best clean one first and those without a clean score last."""
    clean = rows["value"].where(rows["split"] == "clean")
    means = clean.groupby([rows[name] for name in NAMING], sort=False).mean()
    ordered = means.sort_values(ascending=False, na_position="last", kind="stable").index
    return [dict(zip(NAMING, fit, strict=True)) for fit in ordered]


def _label_rows(
    axis: plt.Axes, rows: pd.DataFrame, fits: Sequence[Mapping[str, str]], most: int
) -> None:
    names = [with_count(called(fit), chosen(rows, **fit), most) for fit in fits]
    axis.set_yticks(np.arange(len(fits)), names, fontsize=6.8)
    axis.set_ylim(max(len(fits), FEWEST) - 0.4, -0.6)


def _draw_scores(axis: plt.Axes, rows: pd.DataFrame, fits: Sequence[Mapping[str, str]]) -> None:
    axis.axvline(0, color="black", lw=0.6)
    for place, fit in enumerate(fits):
        means = chosen(rows, **fit).groupby("split")["value"].mean()
        if means.isna().all():
            axis.text(0.01, place, f" {NOT_FITTED}", va="center", fontsize=6.3, color="0.4")
            continue
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


def _draw_differences(
    axis: plt.Axes, differences: pd.DataFrame, fits: Sequence[Mapping[str, str]]
) -> None:
    axis.axvline(0, color="black", lw=0.6)
    for place, fit in enumerate(fits):
        of_fit = chosen(differences, **fit)
        numbers = []
        for split, offset in OFFSETS.items():
            known = chosen(of_fit, split=split).dropna(subset="value")
            numbers.append("" if known.empty else signed(known.iloc[0]["mean"]))
            if known.empty:
                continue
            several = len(known) > 1
            columns = ("mean", "mean_low", "mean_high") if several else ("value", "low", "high")
            value, low, high = known.iloc[0][list(columns)]
            style = {"color": SPLIT_COLOURS[split], "lw": 1.3, "ls": "-" if several else ":"}
            axis.hlines(place + offset, *floored([low, high]), **style)
            axis.plot(
                floored([value]),
                [place + offset],
                marker=SPLIT_MARKERS[split],
                color=SPLIT_COLOURS[split],
                mfc=SPLIT_COLOURS[split] if several else "white",
                ms=4,
            )
        _write_numbers(axis, place, numbers)
    _write_numbers(axis, -1, ["leaked", "one seen"])
    axis.set_yticks([])
    axis.set_ylim(max(len(fits), FEWEST) - 0.4, -0.6)


def _write_numbers(axis: plt.Axes, place: float, numbers: Sequence[str]) -> None:
    """Write a number for each split of `OFFSETS` beside a row."""
    for number, x, split in zip(numbers, COLUMNS, OFFSETS, strict=True):
        axis.annotate(
            number or "none",
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(x, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=6.3,
            color="0.5" if not number else SPLIT_TEXTS[split],
            annotation_clip=False,
        )


def _caption(rows: pd.DataFrame, differences: pd.DataFrame, roi: str, measure: str) -> str:
    several = rows["subject"].nunique() > 1
    means = differences.groupby([*NAMING, "metric", "split"], sort=False)["value"].mean().dropna()
    leaked = means[means.index.get_level_values("split") == "leaked"]
    said = ""
    if not leaked.empty:
        *fit, metric, _ = leaked.idxmax()
        largest = called(dict(zip(NAMING, fit, strict=True)))
        said = f" Largest gain on leaked pairs: {leaked.max():+.3f} ({largest}, {metric})."
    n_fits = len(means.groupby([*NAMING, "metric"], sort=False))
    marks = "means over subjects" if several else "this subject"
    deals = [DEALS[deal] for deal in DEALS if deal in set(differences.get("deal", ()))]
    absent = (
        " No leaked split: of models of responses, for which pairs cannot be dealt out."
        if chosen(differences, split="leaked")["value"].isna().any()
        else ""
    )
    return (
        f"Left: {measured(measure, rows)} by what was seen of the images of a test pair, for "
        f"dissimilarities of {roi}; {size_note(rows)}; marks: {marks}. Right: inflation, the score "
        "on pairs of images that were seen less that on clean ones, as numbers and with 95 % "
        "intervals: over subjects (solid, t distribution), of fits to one subject (n = 1, white, "
        "dotted) over images, which both splits resample alike. Title: median and range over "
        f"{n_fits} fits with their metrics and subjects, controls among them. "
        f"{' '.join([*deals, ONE_SEEN])}{training_note(rows)} Only the clean score predicts new "
        f"images.{_labels_note(differences)}{said}{absent}{floor_note(rows['value'])}"
        f"{_cut_note(differences)}"
    )


def _cut_note(differences: pd.DataFrame) -> str:
    """Return that intervals are drawn shorter than they are, if any is."""
    lowest = differences["mean_low"].fillna(differences["low"]).min()
    if not lowest < FLOOR:
        return ""
    return f" Intervals that go below {FLOOR:g} (lowest {lowest:.3g}) are cut there."


def _labels_note(differences: pd.DataFrame) -> str:
    """Return by what responses were standardised, where test images are part of it."""
    labels = chosen(differences, split="leaked").get("labels", pd.Series(dtype=str))
    if "all" not in set(labels):
        return ""
    return (
        " Responses of leaked pairs are standardised over all images: rows of 1 - r have nearly "
        "equal means, so that what is known of single images helps less."
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
