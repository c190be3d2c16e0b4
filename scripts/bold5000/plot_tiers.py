"""Draw the tiers of the visual hierarchy over the layers: lines per tier, dots per ROI."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    n_note,
    similarity_label,
    subject_label,
    titled,
    use_style,
    write_figure,
)
from workflow.lib.rsa.tables import group_means, mean_session_rows, model_rows, similarity_matrix
from workflow.lib.tables import read_table


def plot_tiers(
    tables: Sequence[pd.DataFrame],
    *,
    title: str,
    simulated: bool,
    called: str,
    tiers: Mapping[str, Sequence[str]],
    roi_groups: Mapping[str, Sequence[str]],
) -> tuple[plt.Figure, str]:
    """Draw one panel per subject and one for the joint RDM.

    Parameters
    ----------
    tables : rows of `rsa_<subject>.csv` of one comparator, per subject
    title : name of the study
    simulated : whether the data is simulated
    called : what the images are called, in the plural
    tiers : names from `roi_groups` of each tier
    roi_groups : ROIs of each group
    """
    rois = {tier: [roi for group in tiers[tier] for roi in roi_groups[group]] for tier in tiers}
    use_style()
    figure, axes = plt.subplots(
        1,
        len(tables),
        figsize=(1.9 * len(tables), 2.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for panel, table in zip(axes[0], tables, strict=True):
        matrix, means = similarity_matrix(table), group_means(table, rois)
        x = np.arange(matrix.shape[1])
        for i, tier in enumerate(tiers):
            offset = 0.12 * (i - (len(tiers) - 1) / 2)
            for roi in rois[tier]:
                panel.plot(
                    x + offset, matrix.loc[roi], "o", ms=2.2, color=f"C{i}", alpha=0.55, mew=0
                )
            panel.plot(x, means.loc[tier], "-", lw=1.6, color=f"C{i}", label=tier)
        panel.axhline(0, color="black", lw=0.6)
        panel.set_xticks(x, list(matrix.columns), rotation=90)
        panel.set_title(subject_label(table["subject"].iloc[0]))
    axes[0, 0].set_ylabel(similarity_label(tables[0]["comparator"].iloc[0]))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, title="tier", loc="outside right center")
    figure.suptitle(f"{titled(title, simulated=simulated)}: {n_note(tables[0], called)}")
    members = "; ".join(f"{tier}: {', '.join(groups)}" for tier, groups in tiers.items())
    caption = (
        f"Similarity ({tables[0]['comparator'].iloc[0]}) over layers for tiers of the visual "
        f"hierarchy ({members}): lines, mean over the tier's ROIs; dots, single ROIs; "
        f"{n_note(tables[0], called)}. Descriptive: whether tiers prefer different layers is a ROI "
        "x layer interaction, and a common maximum over layers is none."
    )
    return figure, caption


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_tiers(
            [
                model_rows(
                    mean_session_rows(read_table(path), snakemake.params.comparator),
                    snakemake.params.model,
                )
                for path in snakemake.input
            ],
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            called=snakemake.params.called,
            tiers=snakemake.params.tiers,
            roi_groups=snakemake.params.roi_groups,
        )
        write_figure(snakemake, figure, caption)
