"""Draw similarity over layers per ROI: every subject, their mean, and the noise ceiling."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    MUTED,
    PAGE_WIDTH,
    interval_note,
    n_note,
    similarity_label,
    titled,
    use_style,
    write_figure,
)
from workflow.lib.rsa.tables import layer_names, mean_session_rows, similarity_matrix
from workflow.lib.tables import read_table


def plot_layer_profile(
    tables: Sequence[pd.DataFrame],
    ceiling: pd.DataFrame | None,
    *,
    title: str,
    simulated: bool,
    called: str,
    ordered: Sequence[str],
    resample: str,
) -> tuple[plt.Figure, str]:
    """Draw one panel per ROI with the subjects' similarities over layers.

    Parameters
    ----------
    tables : rows of `rsa_<subject>.csv` of one comparator, mean over sessions, per subject
    ceiling : rows of `noise_ceiling.csv` of that comparator; None for one subject
    title : name of the study
    simulated : whether the data is simulated
    called : what the images are called, in the plural
    ordered : models whose layers follow one another; only these are joined by lines
    resample : what resamples draw, a key of `workflow.lib.plotting.DRAWN`
    """
    matrices, lower, upper = (
        [similarity_matrix(table, values) for table in tables]
        for values in ("similarity", "low", "high")
    )
    columns = tables[0].drop_duplicates(["model", "layer"])
    models = columns["model"].to_numpy()
    rois, layers = list(matrices[0].index), list(matrices[0].columns)
    values, lows, highs = (np.stack(stack) for stack in (matrices, lower, upper))
    bounds = None if ceiling is None else ceiling.groupby("roi")[["lower", "upper"]].mean()

    use_style()
    n_columns = min(5, len(rois))
    n_rows = -(-len(rois) // n_columns)
    panel_width = max(PAGE_WIDTH / 5, 0.8 + 0.2 * len(layers))
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(max(panel_width * n_columns, 4.4), 0.5 + 2.4 * n_rows),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    x = np.arange(len(layers))
    # With few subjects the upper ceiling lies far above any curve, and would flatten them.
    top = 1.25 * max(values.max(), 0 if bounds is None else bounds["lower"].max())
    for i, (panel, roi) in enumerate(zip(axes.flat, rois, strict=False)):
        if bounds is not None:
            _draw_ceiling(panel, *bounds.loc[roi], top=top)
        mean = values[:, i].mean(axis=0)
        for subject, low, high in zip(values[:, i], lows[:, i], highs[:, i], strict=True):
            panel.vlines(x, low, high, color="0.75", lw=0.8)
            for part, line in _parts(models, ordered):
                panel.plot(
                    x[part], subject[part], f".{line}", color=MUTED, lw=0.8, label="single subjects"
                )
        for part, line in _parts(models, ordered):
            panel.plot(
                x[part],
                mean[part],
                f"o{line}",
                color="C0",
                ms=3.5,
                lw=1.6,
                label="mean of subjects",
            )
        panel.axhline(0, color="black", lw=0.6)
        panel.set_title(roi)
        panel.set_xticks(x, layer_names(columns), rotation=90)
        if panel.get_subplotspec().is_last_row():
            _name_models(panel, models)
    axes[0, 0].set_ylim(None, top)
    for panel in axes.flat[len(rois) :]:
        panel.set_visible(False)
    for panel in axes[:, 0]:
        panel.set_ylabel(similarity_label(tables[0]["comparator"].iloc[0]))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=3)
    n_subjects = len(tables)
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: {n_subjects} subject"
        f"{'s' if n_subjects > 1 else ''}, {n_note(tables[0], called)}"
    )
    band = (
        " Grey band: noise ceiling, from the mean similarity of each subject with the mean of the "
        "others (lower, dashed) to that with the mean of all (upper; cut off where an arrow "
        "points up); its bounds stand in each panel. With few or noisy subjects a model can lie "
        "above the lower bound, since the mean of the others is noisy itself."
        if bounds is not None
        else " One subject: no noise ceiling can be estimated."
    )
    caption = (
        f"Similarity ({tables[0]['comparator'].iloc[0]}) of layer and brain RDMs per ROI; grey: "
        f"single subjects; blue: their mean (n = {n_subjects}); {n_note(tables[0], called)}. "
        f"{interval_note(tables[0], resample, called)}{band}"
    )
    return figure, caption


def _parts(models: np.ndarray, ordered: Sequence[str]) -> list[tuple[np.ndarray, str]]:
    """Return the columns of each model with the line that joins them, "" for none."""
    return [
        (np.flatnonzero(models == model), "-" if model in ordered else "")
        for model in dict.fromkeys(models)
    ]


def _name_models(panel: plt.Axes, models: np.ndarray) -> None:
    """Write the name of each model of several layers below the names of its layers."""
    if len(set(models)) == 1:
        return
    for model in dict.fromkeys(models):
        columns = np.flatnonzero(models == model)
        if len(columns) > 1:
            panel.annotate(
                model,
                (columns.mean(), 0),
                xycoords=("data", "axes fraction"),
                xytext=(0, -62),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=7,
                fontweight="bold",
            )


def _draw_ceiling(panel: plt.Axes, lower: float, upper: float, *, top: float) -> None:
    panel.axhspan(lower, upper, color="0.9", lw=0, label="noise ceiling")
    panel.axhline(lower, color="0.4", lw=0.8, ls="--")
    arrow = " ↑" if upper > top else ""
    panel.text(
        0.97,
        0.96,
        f"ceiling {lower:.2f}-{upper:.2f}{arrow}",
        transform=panel.transAxes,
        ha="right",
        va="top",
        fontsize=6.5,
        color="0.35",
    )


if __name__ == "__main__":
    with script_job(snakemake):
        comparator = snakemake.params.comparator
        ceiling = None
        if snakemake.input.get("ceiling"):
            ceiling = read_table(snakemake.input.ceiling)
            ceiling = ceiling[ceiling["comparator"] == comparator]
        figure, caption = plot_layer_profile(
            [mean_session_rows(read_table(path), comparator) for path in snakemake.input.tables],
            ceiling,
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
            ordered=snakemake.params.ordered,
            resample=snakemake.params.resample,
        )
        write_figure(snakemake, figure, caption)
