"""Draw all models from the best to the worst, with intervals, beside the ceiling."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.dissimilarity.evaluation.score_tables import (
    NAMING,
    NOISELESS,
    chosen,
    first_if_none,
    fully_trained,
    read_scores,
)
from scripts.dissimilarity.figures.pair_figures import (
    CEILING_COLOUR,
    FLOOR,
    MEASURES,
    METRICS,
    NOT_FITTED,
    SPLITS,
    called,
    floor_note,
    floored,
    in_order,
    measured,
    size_note,
    subject_counts,
    subjects_note,
    with_count,
)
from workflow.lib.jobs import script_job
from workflow.lib.methods import enumerated
from workflow.lib.plotting import MUTED, PAGE_WIDTH, titled, use_style, write_figure

ROW = 0.17
FEWEST = 3
ABOVE_ZERO = "#0173b2"
# Of ceilings, which are written with three digits.
TELLING = 0.001


def plot_model_ranking(
    ranking: pd.DataFrame,
    scores: pd.DataFrame,
    ceilings: pd.DataFrame,
    *,
    roi: str | None,
    split: str,
    measure: str,
    title: str,
    simulated: bool,
    controls: Sequence[str] = (),
    published: str = "",
) -> tuple[plt.Figure, str]:
    """Draw a panel per metric, a row per fit, and return the figure and its caption.

    Parameters
    ----------
    ranking : DataFrame, `model_ranking.csv`
        Mean over subjects of every fit, `value` with its interval over images (`low`, `high`), and
        that of its difference from the best (`difference_low`, `difference_high`).
    scores : DataFrame, `pair_scores.csv`
    ceilings : DataFrame, `ceilings.csv`; may have no rows
    roi : region of the responses; None for the first
    split : key of `SPLITS`
    measure : key of `MEASURES`
    title : name of the study
    simulated : whether the data is simulated
    controls : models that learned from RDMs of which the images are permuted
    published : published numbers, in sentences that end the caption
    """
    roi = first_if_none(roi, scores["roi"])
    place = {"roi": roi, "split": split, "measure": measure}
    means, rows = chosen(ranking, **place), fully_trained(chosen(scores, **place))
    tops = chosen(ceilings, roi=roi, measure=measure)
    metrics = in_order(rows["metric"], METRICS)
    fits = _order(means, rows, metrics)
    use_style()
    figure, axes = plt.subplots(
        1,
        max(1, len(metrics)),
        figsize=(PAGE_WIDTH, ROW * max(len(fits), FEWEST) + 1.2),
        squeeze=False,
        sharey=True,
        sharex=True,
        layout="constrained",
    )
    for axis, metric in zip(axes.flat, metrics, strict=False):
        axis.axvline(0, color="black", lw=0.6)
        for row, fit in enumerate(fits):
            _draw_fit(axis, row, *(chosen(part, metric=metric, **fit) for part in (means, rows)))
        if split == "clean":
            _draw_ceiling(axis, chosen(tops, metric=metric))
        _write_symmetry(axis, chosen(rows, metric=metric), fits)
        axis.set_title(METRICS.get(metric, metric))
        axis.set_xlabel(MEASURES[measure])
    most = subject_counts(rows).max()
    names = [with_count(called(fit), chosen(rows, **fit), most) for fit in fits]
    axes[0, 0].set_yticks(np.arange(len(fits)), names, fontsize=6.8)
    axes[0, 0].set_ylim(len(fits) - 0.4, -1.6)
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: models of pairs, {roi}, "
        f"{SPLITS.get(split, split)}, {subjects_note(rows)}"
    )
    caption = f"{_caption(means, rows, tops, place)}{_control_note(means, controls)} {published}"
    return figure, caption.strip()


def _order(means: pd.DataFrame, rows: pd.DataFrame, metrics: list[str]) -> list[dict[str, str]]:
    """Return the fits, best first by the first metric that they have; those not applicable last.

    A mean over metrics would put fits to one of them among those to all.
    """
    naming = list(NAMING)
    values = means.groupby([*naming, "metric"], sort=False)["value"].mean().unstack()
    everything = rows.groupby(naming, sort=False)["value"].size().index
    ordered = values.reindex(everything).reindex(columns=metrics)
    ordered = ordered.sort_values(metrics, ascending=False, na_position="last")
    return [dict(zip(NAMING, fit, strict=True)) for fit in ordered.index]


def _draw_fit(axis: plt.Axes, row: int, means: pd.DataFrame, subjects: pd.DataFrame) -> None:
    if means["value"].isna().all():
        axis.text(0.01, row, f" {NOT_FITTED}", va="center", fontsize=6.3, color="0.4")
        return
    mean = means.iloc[0]
    colour = ABOVE_ZERO if mean["low"] > 0 else MUTED
    compared = np.isfinite(mean["difference_low"])
    told_apart = compared and not mean["difference_low"] <= 0 <= mean["difference_high"]
    axis.hlines(row, *floored([mean["low"], mean["high"]]), color=colour, lw=1.4)
    axis.plot(
        floored([mean["value"]]),
        [row],
        marker="<" if mean["value"] < FLOOR else "o",
        color=colour,
        mfc=colour if told_apart else "white",
        mew=1.0 if compared else 0.4,
        ms=4.5,
    )
    if not compared:
        axis.plot(floored([mean["value"]]), [row], marker=".", color=colour, ms=2)
    if len(subjects) > 1:
        x = floored(subjects["value"])
        axis.plot(x, np.full(len(x), row), "|", color="0.2", ms=5, mew=0.7)


def _write_symmetry(axis: plt.Axes, rows: pd.DataFrame, fits: list[dict[str, str]]) -> None:
    """Write beside each fit the largest |f(a, b) - f(b, a)| of its subjects."""
    errors = [chosen(rows, **fit)["symmetry_error"].max() for fit in fits]
    texts = ["" if np.isnan(error) else f"{error:.2g}" for error in errors]
    for place, text in [(-1, "asymmetry"), *enumerate(texts)]:
        axis.annotate(
            text,
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=6,
            annotation_clip=False,
        )


def _draw_ceiling(axis: plt.Axes, tops: pd.DataFrame) -> None:
    for number, (kind, of_kind) in enumerate(tops.groupby("kind", sort=False)):
        value = of_kind["value"].mean()
        if np.isnan(value):
            continue
        axis.axvline(value, color=CEILING_COLOUR, lw=1.2, ls=("--", ":")[number % 2])
        axis.annotate(
            f"ceiling, {kind}",
            (value, 0.02 + 0.5 * number),
            xycoords=("data", "axes fraction"),
            xytext=(-2, 0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="bottom",
            fontsize=6,
            color=CEILING_COLOUR,
        )


def _caption(
    means: pd.DataFrame,
    rows: pd.DataFrame,
    tops: pd.DataFrame,
    place: dict[str, str],
) -> str:
    several = rows["subject"].nunique() > 1
    whose = "Circles: means over subjects, dashes: subjects" if several else "Circles: this subject"
    at_once = ", an image in all who saw it at once" if several else ""
    found = [
        _best(chosen(means, metric=metric), metric) for metric in in_order(means["metric"], METRICS)
    ]
    measure = place["measure"]
    n_absent = int(means["value"].isna().groupby([means[name] for name in NAMING]).all().sum())
    absent = f" {n_absent} fit(s) are not applicable to the data." if n_absent else ""
    return (
        f"{measured(measure, rows)} of every model and embedding, "
        f"{SPLITS.get(place['split'], place['split'])}, for dissimilarities of {place['roi']}; "
        f"{size_note(rows)}. {whose}; lines: 95 % intervals over images (resampled with all their "
        f"pairs{at_once}), of these subjects. Grey: the interval is not above zero. White: not "
        "told from the best, by the interval of the difference on the same images; with a dot: of "
        "other subjects than the best, and not compared. Rows in the order of the first panel. "
        "Asymmetry: largest difference of f(a, b) and f(b, a) over test pairs and subjects, in "
        "units of the dissimilarity. "
        f"{' '.join(found)}{_ceiling_note(tops, place['split'])}{absent}"
        f"{floor_note(rows['value'])}"
    )


def _best(means: pd.DataFrame, metric: str) -> str:
    """Return which fit to the most subjects is the best of a metric, and how near the ceiling."""
    known = means[means["value"].notna()]
    if known.empty:
        return f"{metric}: no model was applicable."
    rivals = known[known["n_subjects"] == known["n_subjects"].max()]
    best = rivals.loc[rivals["value"].idxmax()]
    share = best["share_of_ceiling"]
    of_ceiling = f", {share:.0%} of the ceiling ({best['ceiling']:.3f})" if share > 0 else ""
    return (
        f"{metric}: best of {len(rivals)}, and so optimistic, {called(best)} with "
        f"{best['value']:.3f} ({best['low']:.3f} to {best['high']:.3f}){of_ceiling}."
    )


def _control_note(means: pd.DataFrame, controls: Sequence[str]) -> str:
    """Return why a control that predicts nothing may lie above or below zero."""
    known = [name for name in controls if name in set(means.dropna(subset="value")["model"])]
    if not known:
        return ""
    return (
        f" {enumerated(known)} learned from permuted images (a control): by chance one in twenty "
        "of its intervals lies above or below zero."
    )


def _ceiling_note(tops: pd.DataFrame, split: str) -> str:
    if split != "clean":
        return (
            " No ceiling: what images of the training have of their own, noise too, can be learned "
            "for other pairs of theirs."
        )
    known = tops[tops["value"].notna()]
    if known.empty:
        reasons = [note for note in tops.get("note", ()) if note]
        return f" No ceiling{': ' + reasons[0] if reasons else ' is known'}."
    kinds = ", ".join(known["kind"].unique())
    return (
        f" Orange: ceilings in the mean over all subjects ({kinds})."
        f"{_strength_note(known[known['kind'] == NOISELESS])}"
    )


def _strength_note(tops: pd.DataFrame) -> str:
    """Return by how much knowing the strength of noise lifts the ceiling of a simulation."""
    means = tops.groupby("metric", sort=False)[["value", "upper"]].mean()
    lifted = means[means["upper"] - means["value"] >= TELLING]
    if lifted.empty:
        return ""
    said = ", ".join(f"{metric} {upper:.3f}" for metric, upper in lifted["upper"].items())
    return (
        " Noise lowers the correlation of two responses, so that a model which learns how strong "
        f"it is can come out above; responses without noise and the strength of it: {said}."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_model_ranking(
            read_scores(snakemake.input.ranking),
            read_scores(snakemake.input.table),
            read_scores(snakemake.input.ceilings),
            roi=params.roi,
            split=params.split,
            measure=params.measure,
            title=params.title,
            simulated=params.simulated,
            controls=params.controls,
            published=params.published,
        )
        write_figure(snakemake, figure, caption)
