"""Draw the mean similarity over groups of ROIs, such as both hemispheres of an area."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    SEQUENTIAL,
    n_note,
    similarity_label,
    subject_label,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.rsa.tables import group_means, mean_session_rows
from workflow.lib.tables import read_table


def plot_roi_groups(
    tables: Sequence[pd.DataFrame],
    *,
    title: str,
    simulated: bool,
    called: str,
    roi_groups: Mapping[str, Sequence[str]],
) -> tuple[plt.Figure, str]:
    """Draw one small heatmap (ROI group x layer) per subject, all on one colour scale.

    Parameters
    ----------
    tables : rows of `rsa_<subject>.csv` of one comparator, mean over sessions, per subject
    title : name of the study
    simulated : whether the data is simulated
    called : what the images are called, in the plural
    roi_groups : ROIs of each group
    """
    means = [group_means(table, roi_groups) for table in tables]
    low = min(0.0, *(mean.min(axis=None) for mean in means))
    high = max(mean.max(axis=None) for mean in means)
    use_style()
    n_rows, n_columns = means[0].shape
    figure, axes = plt.subplots(
        1,
        len(tables),
        figsize=(1.0 + len(tables) * (0.5 + 0.42 * n_columns), 0.9 + 0.28 * n_rows),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for panel, table, mean in zip(axes[0], tables, means, strict=True):
        label = similarity_label(table["comparator"].iloc[0]) if panel is axes[0, -1] else None
        _draw_cells(panel, mean, (low, high), label)
        panel.set_title(subject_label(table["subject"].iloc[0]))
    axes[0, 0].set_yticklabels(list(mean.index), rotation=0)
    figure.suptitle(f"{titled(title, simulated=simulated)}: {n_note(tables[0], called)}")
    members = "; ".join(f"{group}: {', '.join(rois)}" for group, rois in roi_groups.items())
    caption = (
        f"Mean similarity ({tables[0]['comparator'].iloc[0]}) over the ROIs of each group "
        f"({members}), per subject and for the joint RDM, {n_note(tables[0], called)}. "
        "Descriptive; the tests of the single ROIs stand in the heatmaps."
    )
    return figure, caption


def _draw_cells(
    panel: plt.Axes, values: pd.DataFrame, limits: tuple[float, float], label: str | None
) -> None:
    """Draw similarities between two limits, with a labelled colour bar if there is a label."""
    low, high = limits
    sns.heatmap(
        values,
        ax=panel,
        cmap=SEQUENTIAL,
        vmin=low,
        vmax=high,
        annot=True,
        fmt=".3f",
        annot_kws={"size": 6.5},
        linewidths=0.5,
        cbar=label is not None,
        cbar_kws={"label": label},
    )
    panel.set(xlabel="", ylabel="")
    panel.set_xticks(np.arange(values.shape[1]) + 0.5, wrapped(list(values.columns)), rotation=90)
    panel.tick_params(length=0)


if __name__ == "__main__":
    with script_job(snakemake):
        tables = [read_table(path) for path in snakemake.input]
        figure, caption = plot_roi_groups(
            [mean_session_rows(table, snakemake.params.comparator) for table in tables],
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
            roi_groups=snakemake.params.roi_groups,
        )
        write_figure(snakemake, figure, caption)
