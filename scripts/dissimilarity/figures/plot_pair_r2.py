"""Draw a network's score against its number of hidden layers: embedding x metric x split."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.dissimilarity.evaluation.score_tables import (
    chosen,
    first_if_none,
    fully_trained,
    read_scores,
)
from scripts.dissimilarity.figures.pair_figures import (
    METRICS,
    SPLITS,
    draw_off_scale,
    drawn_values,
    floor_note,
    floored,
    in_order,
    looks,
    measured,
    say_not_applicable,
    set_floor,
    size_note,
    span,
    split_panels,
    spread_note,
    subjects_note,
    training_note,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import legend_below, titled, write_figure

# Half of the width over which embeddings of one number of layers stand beside one another.
BESIDE = 0.12


def plot_pair_r2(
    table: pd.DataFrame,
    *,
    model: str,
    hidden: Mapping[str, int],
    roi: str | None,
    measure: str,
    title: str,
    simulated: bool,
    published: str = "",
) -> tuple[plt.Figure, str]:
    """Draw a row of panels per metric and a column per split, a line per embedding.

    Parameters
    ----------
    table : DataFrame, `pair_scores.csv`
    model : name of the network in the config
    hidden : variant of the model -> number of its hidden layers
    roi : region of the responses; None for the first
    measure : key of `MEASURES`
    title : name of the study
    simulated : whether the data is simulated
    published : published numbers, in sentences that end the caption
    """
    roi = first_if_none(roi, table["roi"])
    rows = fully_trained(chosen(table, model=model, roi=roi, measure=measure))
    rows = rows[rows["variant"].isin(list(hidden))]
    rows = rows.assign(n_hidden=rows["variant"].map(dict(hidden)))
    metrics, splits = in_order(rows["metric"], METRICS), in_order(rows["split"], SPLITS)
    styles = looks(list(dict.fromkeys(rows["embedding"])))
    figure, axes = split_panels(metrics, splits, measure)
    for row, metric in zip(axes, metrics, strict=False):
        for axis, split in zip(row, splits, strict=False):
            _draw(axis, chosen(rows, metric=metric, split=split), styles)
    for axis in axes[-1]:
        axis.set_xlabel("hidden layers")
        axis.set_xticks(sorted(set(hidden.values())))
    if rows["value"].notna().any():
        set_floor(axes[0, 0], drawn_values(rows))
        legend_below(figure, axes[0, 0], 4)
    else:
        say_not_applicable(axes[0, 0], _reason(rows))
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: {model}, {roi}, "
        f"{subjects_note(rows) if len(rows) else 'no fit'}"
    )
    return figure, f"{_caption(rows, model, roi, measure)} {published}".strip()


def _draw(axis: plt.Axes, rows: pd.DataFrame, styles: Mapping[str, dict]) -> None:
    axis.axhline(0, color="black", lw=0.6)
    shifts = np.linspace(-BESIDE, BESIDE, len(styles)) if len(styles) > 1 else [0.0]
    for shift, (embedding, style) in zip(shifts, styles.items(), strict=True):
        of_one = chosen(rows, embedding=embedding).sort_values("n_hidden")
        means = of_one.groupby("n_hidden")["value"].mean()
        axis.plot(means.index + shift, floored(means), label=embedding, ms=4.5, **style)
        draw_off_scale(axis, means.index + shift, means, style["color"])
        places = of_one["n_hidden"] + shift
        if rows["subject"].nunique() > 1:
            axis.plot(places, floored(of_one["value"]), ls="", ms=2, alpha=0.6, **style)
        else:
            limits = floored(of_one["low"]), floored(of_one["high"])
            axis.vlines(places, *limits, color=style["color"], lw=0.9)


def _reason(rows: pd.DataFrame) -> str:
    reasons = rows["reason"] if "reason" in rows else pd.Series(dtype=str)
    return next((reason for reason in reasons if reason), "no such fit")


def _caption(rows: pd.DataFrame, model: str, roi: str, measure: str) -> str:
    if rows["value"].isna().all():
        return f"{model} was not applicable to {roi}: {_reason(rows)}."
    clean = chosen(rows, split="clean").groupby(["metric", "embedding", "n_hidden"], sort=False)
    best = clean["value"].mean()
    said = ""
    if best.notna().any():
        metric, embedding, n_hidden = best.idxmax()
        said = (
            f" Best on the clean split: {best.max():.3f} ({metric}, {embedding}, {n_hidden} hidden "
            f"layers; the best of {best.count()}, and so optimistic)."
        )
    zero = " Zero is what the mean of the test pairs scores." if measure == "r2" else ""
    return (
        f"{measured(measure, rows)} of {model}, a network over the embeddings of both images, in "
        f"{span(rows['n_folds'])} folds, against its number of hidden layers, for "
        f"dissimilarities of {roi}; {size_note(rows)}. {spread_note(rows)}{zero} Leaked test pairs "
        f"have met both their images in training pairs.{training_note(rows)}"
        f"{floor_note(rows['value'])}{said}"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_pair_r2(
            read_scores(snakemake.input.table),
            model=params.model,
            hidden=params.hidden,
            roi=params.roi,
            measure=params.measure,
            title=params.title,
            simulated=params.simulated,
            published=params.published,
        )
        write_figure(snakemake, figure, caption)
