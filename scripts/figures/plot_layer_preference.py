"""Draw which layers each ROI prefers: centre of mass, chance of being the best, interaction."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    DIVERGING,
    MUTED,
    PAGE_WIDTH,
    PALETTE,
    SEQUENTIAL,
    drawn_note,
    roi_colours,
    similarity_label,
    subject_label,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.sources import JOINT_SUBJECT
from workflow.lib.tables import read_table

# Of the interaction, whose p-values are corrected over the cells of a table.
MARKED = 0.05


def plot_layer_preference(
    layers: pd.DataFrame,
    centres: pd.DataFrame,
    *,
    title: str,
    simulated: bool,
    called: str,
    resample: str,
) -> tuple[plt.Figure, str]:
    """Draw one row of three panels per model, and return the figure and caption.

    Parameters
    ----------
    layers : DataFrame, rows of `layers_<subject>.csv` of one comparator and of the subject that
        stands for the study
    centres : DataFrame, rows of `layer_centre_<subject>.csv` of that comparator, of all subjects
    title : name of the study
    simulated : whether the data is simulated
    called : what the images are called, in the plural
    resample : what resamples draw, a key of `workflow.lib.plotting.DRAWN`
    """
    models = list(dict.fromkeys(centres["model"]))
    n_rois = centres["roi"].nunique()
    use_style()
    figure, axes = plt.subplots(
        len(models),
        3,
        figsize=(PAGE_WIDTH * 1.25, 0.6 + len(models) * (1.3 + 0.24 * n_rois)),
        width_ratios=[1.05, 1, 1],
        squeeze=False,
        layout="constrained",
    )
    for row, model in zip(axes, models, strict=True):
        of_model = layers[layers["model"] == model]
        layers_of_model = list(_ordered(of_model, "layer"))
        _draw_centres(row[0], centres[centres["model"] == model], layers_of_model)
        _draw_best(row[1], of_model)
        _draw_interaction(row[2], of_model)
        row[0].set_ylabel(model if len(models) > 1 else "")
    subject = layers["subject"].iloc[0]
    n_images = int(layers["n_images"].iloc[0])
    figure.suptitle(f"{titled(title, simulated=simulated)}: n = {n_images:,} {called}")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside lower left",
        ncols=min(8, centres["subject"].nunique()),
    )
    return figure, _caption(layers, centres, subject_label(subject), resample, called)


def _caption(
    layers: pd.DataFrame, centres: pd.DataFrame, who: str, resample: str, called: str
) -> str:
    comparator = layers["comparator"].iloc[0]
    n_images, n_resamples = (int(layers[name].iloc[0]) for name in ("n_images", "n_resamples"))
    omnibus = centres[centres["subject"] == layers["subject"].iloc[0]].drop_duplicates("model")
    tested = "; ".join(
        f"{model}: p = {p:.3g}"
        for model, p in zip(omnibus["model"], omnibus["interaction_p"], strict=True)
        if np.isfinite(p)
    )
    undefined = int(centres["n_undefined"].max())
    note = (
        f" In up to {undefined} of {n_resamples:,} resamples no layer was above zero, which leaves "
        "no centre; the interval is over the others."
        if undefined
        else ""
    )
    if centres["centre"].isna().all():
        note = (
            f" None is drawn: {comparator} is above zero for unrelated RDMs too: layers have no "
            "weights."
        )
    return (
        f"Which layers a ROI prefers ({comparator}), n = {n_images:,} {called}. Left: centre of "
        "mass over the layers, weights max(similarity, 0), with 95 % intervals "
        f"{drawn_note(resample, called)} (percentiles of {n_resamples:,} resamples); a flat "
        f"profile lies in the middle.{note} Middle: each layer's share of the resamples in which "
        f"it is the best of its ROI, {who}. Right: interaction of ROI and layer, the similarity "
        f"less the means of its ROI and of its layer, {who}; asterisks: p < {MARKED:g}, corrected "
        "over the table by the largest absolute t of the resamples. Any interaction: "
        f"{tested or 'not tested, one ROI or one layer'}. "
        "A ROI that is measured better differs more among its layers, which counts as an "
        "interaction too; its centre of mass is free of that."
    )


def _ordered(table: pd.DataFrame, column: str) -> dict:
    return dict.fromkeys(table[column])


def _draw_centres(axes: plt.Axes, centres: pd.DataFrame, layers: Sequence[str]) -> None:
    rois, subjects = (list(_ordered(centres, name)) for name in ("roi", "subject"))
    # More subjects than colours are drawn alike, or two would be taken for one.
    alike = len(subjects) > len(PALETTE)
    first = next((subject for subject in subjects if subject != JOINT_SUBJECT), None)
    colours = dict.fromkeys(subjects, MUTED) if alike else roi_colours(subjects)
    step = 0.7 / len(subjects)
    for i, subject in enumerate(subjects):
        rows = centres[centres["subject"] == subject].set_index("roi").loc[rois]
        places = np.arange(len(rois)) + (i - (len(subjects) - 1) / 2) * step
        joint = subject == JOINT_SUBJECT
        colour = "black" if joint else colours[subject]
        axes.hlines(places, rows["low"], rows["high"], color=colour, lw=1.6 if joint else 1)
        axes.plot(
            rows["centre"],
            places,
            "D" if joint else "o",
            color=colour,
            ms=3.5 if joint else 3,
            label="joint RDM" if joint else _legend_label(subject, alike, subject == first),
        )
    axes.set_yticks(np.arange(len(rois)), rois)
    axes.set_ylim(len(rois) - 0.5, -0.5)
    axes.set_xlim(0.8, len(layers) + 0.2)
    axes.set_xticks(np.arange(1, len(layers) + 1), wrapped(layers, 9))
    axes.grid(axis="x", color="0.9", lw=0.6)
    axes.set_title("centre of mass, 95 % interval")


def _legend_label(subject: str, alike: bool, first: bool) -> str:
    """Return a subject's entry in the legend; those drawn alike share one."""
    if not alike:
        return subject
    # Matplotlib leaves names with a leading underscore out of legends.
    return "single subjects" if first else "_"


def _draw_best(axes: plt.Axes, layers: pd.DataFrame) -> None:
    values = _table(layers, "p_best")
    mesh = axes.pcolormesh(
        values, cmap=SEQUENTIAL, vmin=0, vmax=1, edgecolors="white", linewidth=0.6
    )
    for (i, j), value in np.ndenumerate(values.to_numpy()):
        colour = MUTED if value < 0.005 else ("white" if value < 0.6 else "black")
        text = f"{value:.2f}"
        axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=6.5, color=colour)
    _label_cells(axes, values)
    axes.figure.colorbar(mesh, ax=axes, label="share of resamples", shrink=0.8)
    axes.set_title("best layer")


def _draw_interaction(axes: plt.Axes, layers: pd.DataFrame) -> None:
    values = _table(layers, "interaction")
    marked = _table(layers, "interaction_p") < MARKED
    largest = max(float(np.nanmax(np.abs(values.to_numpy()), initial=0)), 1e-6)
    mesh = axes.pcolormesh(
        values, cmap=DIVERGING, vmin=-largest, vmax=largest, edgecolors="white", linewidth=0.6
    )
    for (i, j), star in np.ndenumerate(marked.to_numpy()):
        if star:
            dark = abs(values.iloc[i, j]) > 0.6 * largest
            axes.text(
                *(j + 0.5, i + 0.62, "*"),
                ha="center",
                va="center",
                fontsize=9,
                color="white" if dark else "black",
            )
    _label_cells(axes, values)
    label = f"interaction, {similarity_label(layers['comparator'].iloc[0])}"
    axes.figure.colorbar(mesh, ax=axes, label=label, shrink=0.8)
    axes.set_title("ROI x layer interaction")


def _table(layers: pd.DataFrame, column: str) -> pd.DataFrame:
    rois, columns = (list(_ordered(layers, name)) for name in ("roi", "layer"))
    return layers.pivot(index="roi", columns="layer", values=column).loc[rois, columns]


def _label_cells(axes: plt.Axes, values: pd.DataFrame) -> None:
    axes.set_xticks(np.arange(values.shape[1]) + 0.5, wrapped(list(values.columns), 9))
    axes.set_yticks(np.arange(values.shape[0]) + 0.5, [])
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.spines[["left", "bottom"]].set_visible(False)


if __name__ == "__main__":
    with script_job(snakemake):
        layers, *others = [
            table[table["comparator"] == snakemake.params.comparator]
            for table in map(read_table, [snakemake.input.layers, *snakemake.input.centres])
        ]
        figure, caption = plot_layer_preference(
            layers,
            pd.concat(others, ignore_index=True),
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
            resample=snakemake.params.resample,
        )
        write_figure(snakemake, figure, caption)
