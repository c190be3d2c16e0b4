"""Draw RSA and ridge encoding over the same layers and ROIs, with the layer each prefers."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    PAGE_WIDTH,
    save_figure,
    similarity_label,
    titled,
    use_style,
    wrapped,
)
from workflow.lib.rsa.tables import mean_session_rows, similarity_matrix
from workflow.lib.tables import read_table


def plot_encoding(
    rsa: Sequence[pd.DataFrame],
    encoding: Sequence[pd.DataFrame],
    *,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw a panel per ROI, RSA on the left axis and encoding on the right one.

    Parameters
    ----------
    rsa : rows of `rsa_<subject>.csv` of one comparator, per subject
    encoding : `encoding_<subject>.csv`, per subject
    title : name of the study
    simulated : whether the data is simulated
    """
    cells = ["model", "layer"]
    shown = encoding[0][cells].drop_duplicates()
    rsa = [table.merge(shown, on=cells) for table in rsa]
    similarity = _mean_matrix(rsa)
    score = _mean_matrix(encoding)
    rois, layers = list(similarity.index), list(score.columns)
    use_style()
    n_columns = min(3, len(rois))
    n_rows = -(-len(rois) // n_columns)
    width = min(PAGE_WIDTH, n_columns * (1.4 + 0.28 * len(layers)))
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(max(width, 4.2), 0.7 + 2.2 * n_rows),
        squeeze=False,
        layout="constrained",
    )
    x = np.arange(len(layers))
    label = similarity_label(rsa[0]["comparator"].iloc[0])
    for panel, roi in zip(axes.flat, rois, strict=False):
        _draw(panel, x, similarity.loc[roi].to_numpy(), "C0", f"RSA, {label}")
        right = panel.twinx()
        _draw(right, x + 0.12, score.loc[roi].to_numpy(), "C1", "encoding, held-out $r$")
        right.spines["right"].set_visible(True)
        ceiling = np.mean([table.loc[table["roi"] == roi, "ceiling"].mean() for table in encoding])
        if np.isfinite(ceiling):
            right.axhline(ceiling, color="C1", lw=0.8, ls="--")
        panel.set_xticks(x, wrapped(layers), rotation=90)
        panel.set_title(roi)
    for panel in axes.flat[len(rois) :]:
        panel.set_visible(False)
    n_subjects, n_images = len(encoding), int(encoding[0]["n_images"].iloc[0])
    agreeing = int((similarity.to_numpy().argmax(1) == score.to_numpy().argmax(1)).sum())
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: {n_subjects} subjects, n = {n_images:,} images"
    )
    caption = (
        f"RSA ({rsa[0]['comparator'].iloc[0]}, left axis) and ridge encoding (Pearson r of "
        "predicted and measured responses to held-out images, mean over channels, right axis), "
        f"mean over {n_subjects} subjects, n = {n_images:,} images. Large marks: the layer that "
        f"each prefers; both prefer the same one in {agreeing} of {len(rois)} ROIs (descriptive). "
        "Dashed: ceiling of encoding from the split-half reliability of the responses, where runs "
        "allow it."
    )
    return figure, caption


def _mean_matrix(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return sum(similarity_matrix(table) for table in tables) / len(tables)


def _draw(axes: plt.Axes, x: np.ndarray, values: np.ndarray, colour: str, label: str) -> None:
    axes.plot(x, values, "o", color=colour, ms=3)
    best = int(np.argmax(values))
    axes.plot(x[best], values[best], "o", color=colour, ms=8, mec="black")
    axes.set_ylabel(label, color=colour)
    axes.tick_params(axis="y", colors=colour)


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_encoding(
            [
                mean_session_rows(read_table(path), snakemake.params.comparator)
                for path in snakemake.input.rsa
            ],
            [read_table(path) for path in snakemake.input.encoding],
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
        )
        save_figure(
            figure,
            caption,
            simulated=snakemake.params.simulated,
            **dict(snakemake.output.items()),
        )
