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
    legend_below,
    n_note,
    similarity_label,
    subject_label,
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
    columns = tables[0].drop_duplicates(["model", "layer"])
    matrices = [similarity_matrix(table) for table in tables]
    values = np.stack(matrices)
    lows, highs = (
        np.stack([similarity_matrix(table, limit) for table in tables]) for limit in ("low", "high")
    )
    rois = list(matrices[0].index)
    bounds = None if ceiling is None else ceiling.groupby("roi")[["lower", "upper"]].mean()
    use_style()
    figure, axes = _panels(len(rois), values.shape[2])
    # With few subjects the upper ceiling lies far above any curve, and would flatten them.
    top = 1.25 * max(values.max(), 0 if bounds is None else bounds["lower"].max())
    parts = _parts(columns["model"].to_numpy(), ordered)
    for i, (panel, roi) in enumerate(zip(axes.flat, rois, strict=False)):
        if bounds is not None:
            _draw_ceiling(panel, *bounds.loc[roi], top=top)
        _draw_subjects(panel, values[:, i], lows[:, i], highs[:, i], parts)
        panel.set_title(roi)
        _name_layers(panel, columns)
    axes[0, 0].set_ylim(None, top)
    for panel in axes[:, 0]:
        panel.set_ylabel(similarity_label(tables[0]["comparator"].iloc[0]))
    legend_below(figure, axes[0, 0], 3)
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: {_whose(tables)}, {n_note(tables[0], called)}"
    )
    return figure, _caption(tables, resample, called, has_ceiling=bounds is not None)


def _panels(n_rois: int, n_layers: int) -> tuple[plt.Figure, np.ndarray]:
    width = max(PAGE_WIDTH / 5, min(0.8 + 0.2 * n_layers, PAGE_WIDTH / 2))
    n_columns = min(int(PAGE_WIDTH // width), n_rois)
    n_rows = -(-n_rois // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(max(width * n_columns, 4.4), 0.5 + 2.4 * n_rows),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for panel in axes.flat[n_rois:]:
        panel.set_visible(False)
    # The lowest panel of each column that is drawn names the layers, in the last row or above it.
    for panel in axes.flat[max(n_rois - n_columns, 0) : n_rois]:
        panel.tick_params(labelbottom=True)
    return figure, axes


def _caption(
    tables: Sequence[pd.DataFrame], resample: str, called: str, *, has_ceiling: bool
) -> str:
    band = (
        " Grey band: noise ceiling, from the mean similarity of each subject with the mean of the "
        "others (lower, dashed) to that with the mean of all (upper; cut off where an arrow "
        "points up); its bounds stand in each panel. With few or noisy subjects a model can lie "
        "above the lower bound, since the mean of the others is noisy itself."
        if has_ceiling
        else " One subject: no noise ceiling can be estimated, and nothing is claimed about others."
    )
    lines = (
        f"grey: single subjects; blue: their mean (n = {len(tables)})"
        if len(tables) > 1
        else _whose(tables)
    )
    return (
        f"Similarity ({tables[0]['comparator'].iloc[0]}) of layer and brain RDMs per ROI; "
        f"{lines}; {n_note(tables[0], called)}. "
        f"{interval_note(tables[0], resample, called)}{band}"
    )


def _whose(tables: Sequence[pd.DataFrame]) -> str:
    """Return how many subjects there are, or which one."""
    if len(tables) > 1:
        return f"{len(tables)} subjects"
    return f"{subject_label(tables[0]['subject'].iloc[0])}, a single case"


def _draw_subjects(
    panel: plt.Axes,
    values: np.ndarray,
    lows: np.ndarray,
    highs: np.ndarray,
    parts: Sequence[tuple[np.ndarray, str]],
) -> None:
    """Draw a ROI's similarities with their limits, arrays (n_subjects, n_layers), and the mean."""
    x = np.arange(values.shape[1])
    several = len(values) > 1
    for subject, low, high in zip(values, lows, highs, strict=True):
        panel.vlines(x, low, high, color="0.75", lw=0.8)
        for part, line in parts if several else ():
            look = {"color": MUTED, "lw": 0.8, "label": "single subjects"}
            panel.plot(x[part], subject[part], f".{line}", **look)
    for part, line in parts:
        label = "mean of subjects" if several else "the subject"
        look = {"color": "C0", "ms": 3.5, "lw": 1.6, "label": label}
        panel.plot(x[part], values.mean(axis=0)[part], f"o{line}", **look)
    panel.axhline(0, color="black", lw=0.6)


def _name_layers(panel: plt.Axes, columns: pd.DataFrame) -> None:
    panel.set_xticks(np.arange(len(columns)), layer_names(columns), rotation=90)
    if panel.xaxis.get_tick_params()["labelbottom"]:
        _name_models(panel, columns["model"].to_numpy())


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
