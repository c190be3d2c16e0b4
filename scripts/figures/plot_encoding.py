"""Draw RSA and ridge encoding over the same layers and ROIs, with the layer that each prefers."""

from collections.abc import Sequence

import matplotlib.patheffects
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize

from workflow.lib.figures.cells import draw_cells
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    MUTED,
    similarity_label,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.rsa.tables import mean_session_rows, similarity_matrix
from workflow.lib.tables import read_table

NO_LAYER = "none above zero"
# Black within white shows on dark and light cells.
OUTLINE = [
    matplotlib.patheffects.withStroke(linewidth=3.4, foreground="white"),
    matplotlib.patheffects.Normal(),
]
# Beyond this many layers cells are narrower, and their names stand upright.
MAX_WIDE_COLUMNS = 12


def plot_encoding(
    rsa: Sequence[pd.DataFrame],
    encoding: Sequence[pd.DataFrame],
    *,
    title: str,
    simulated: bool,
    called: str,
    n_folds: int,
) -> tuple[plt.Figure, str]:
    """Draw a table of cells for RSA and one for encoding, below each other.

    Parameters
    ----------
    rsa : rows of `rsa_<subject>.csv` of one comparator, per subject
    encoding : `encoding_<subject>.csv`, per subject; without rows where images were too few
    title : name of the study
    simulated : whether the data is simulated
    called : what the images are called, in the plural
    n_folds : folds over images of encoding
    """
    use_style()
    heading = (
        f"{titled(title, simulated=simulated)}: {len(rsa)} subject{'s' if len(rsa) > 1 else ''}, "
        f"n = {int(rsa[0]['n_images'].iloc[0]):,} {called}"
    )
    if any(table.empty for table in encoding):
        return _without_encoding(heading, n_folds, called)
    cells = encoding[0][["model", "layer"]].drop_duplicates()
    by_rsa = [similarity_matrix(table.merge(cells, on=["model", "layer"])) for table in rsa]
    by_encoding = [similarity_matrix(table) for table in encoding]
    similarity, score = _mean(by_rsa), _mean(by_encoding)
    ceiling = _mean([table.groupby("roi")["ceiling"].mean() for table in encoding])[score.index]
    n_agreeing = sum(_agreement(*pair) for pair in zip(by_rsa, by_encoding, strict=True))

    comparator = rsa[0]["comparator"].iloc[0]
    figure, axes = _panels(*score.shape)
    _draw_cells(axes[0, 0], similarity, similarity_label(comparator))
    _draw_cells(axes[1, 0], score, "share explained", ceiling)
    axes[0, 0].set_title(f"RSA, {similarity_label(comparator)}", loc="left")
    axes[1, 0].set_title("ridge encoding, variance explained", loc="left")
    axes[0, 0].set_xticks([])
    _write_rows(axes[0, 1], "best layer", [name or NO_LAYER for name in _best(similarity)])
    verdicts = _verdicts(similarity, score, n_agreeing, len(rsa))
    _write_rows(axes[1, 1], "best layer, same as by RSA?", verdicts)
    figure.suptitle(heading)
    return figure, _caption(comparator, heading, _agreement(similarity, score), n_folds, called)


def _panels(n_rois: int, n_layers: int) -> tuple[plt.Figure, np.ndarray]:
    width = max(1.8, (n_layers + 1) * (0.66 if n_layers <= MAX_WIDE_COLUMNS else 0.42))
    return plt.subplots(
        2,
        2,
        figsize=(3.4 + width, 1.9 + 2 * 0.27 * n_rois),
        width_ratios=[width, 1.9],
        layout="constrained",
    )


def _without_encoding(heading: str, n_folds: int, called: str) -> tuple[plt.Figure, str]:
    text = (
        f"No ridge encoding: too few {called} for {n_folds} folds over them. Lower encoding.folds "
        "in the config, or set it to 0 to leave this figure out."
    )
    figure, axes = plt.subplots(figsize=(4.2, 1.2), layout="constrained")
    axes.text(0.5, 0.5, text, ha="center", va="center", wrap=True, transform=axes.transAxes)
    axes.set_axis_off()
    figure.suptitle(heading)
    return figure, f"{heading}. {text}"


def _caption(comparator: str, heading: str, agreement: pd.Series, n_folds: int, called: str) -> str:
    return (
        f"{heading}. Above: RSA ({comparator}). Below: ridge encoding, share of the variance of "
        f"the responses over channels and held-out {called} that is explained ({n_folds} folds; "
        "squared Pearson r, negative where r is). Its ceiling is the share that is signal, from "
        "the responses' variance between runs, where runs allow it; near or below zero there is "
        "none to be seen. Means over subjects. "
        "Outlined: the layer that each method prefers in a ROI; both prefer the same one in "
        f"{int(agreement.sum())} of {len(agreement)} ROIs (descriptive). Tests are in the tables."
    )


def _mean(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return sum(tables) / len(tables)


def _best(values: pd.DataFrame) -> pd.Series:
    """Return the layer that each ROI prefers, None where no layer is above zero."""
    best = values.idxmax(axis=1).astype(object)
    return best.where(values.max(axis=1) > 0, None)


def _agreement(similarity: pd.DataFrame, score: pd.DataFrame) -> pd.Series:
    """Return whether both prefer the same layer, per ROI."""
    left, right = _best(similarity), _best(score).loc[similarity.index]
    return (left == right) & left.notna()


def _verdicts(
    similarity: pd.DataFrame, score: pd.DataFrame, n_agreeing: pd.Series, n_subjects: int
) -> list[str]:
    """Return what is written beside each ROI: encoding's best layer, and whether RSA's is it."""
    best, same = _best(score), _agreement(similarity, score)
    return [
        f"{best[roi] or NO_LAYER}: {'yes' if same[roi] else 'no'}"
        + (f" ({n_agreeing[roi]} of {n_subjects} subjects)" if n_subjects > 1 else "")
        for roi in score.index
    ]


def _draw_cells(
    axes: plt.Axes, values: pd.DataFrame, label: str, ceiling: pd.Series | None = None
) -> None:
    numbers = values.to_numpy()
    mesh = draw_cells(
        axes,
        numbers,
        rows=list(values.index),
        columns=list(values.columns),
        norm=Normalize(min(0.0, numbers.min()), max(numbers.max(), 1e-3)),
        texts=np.char.mod("%.2f", numbers.round(2) + 0.0),
    )
    for i, best in enumerate(_best(values)):
        if best is not None:
            corner = (list(values.columns).index(best) + 0.03, i + 0.06)
            axes.add_patch(
                plt.Rectangle(
                    corner, 0.94, 0.88, fill=False, edgecolor="black", lw=1.4, path_effects=OUTLINE
                )
            )
    axes.figure.colorbar(mesh, ax=axes, label=label, shrink=0.9)
    upright = numbers.shape[1] > MAX_WIDE_COLUMNS
    ticks = np.arange(numbers.shape[1]) + 0.5
    names = wrapped(list(values.columns), 20 if upright else 10)
    if ceiling is not None:
        ticks, names = [*ticks, numbers.shape[1] + 0.7], [*names, "ceiling"]
        for i, value in enumerate(ceiling):
            text = f"{value:.2f}" if np.isfinite(value) else "-"
            axes.text(ticks[-1], i + 0.5, text, ha="center", va="center", fontsize=7, color=MUTED)
    axes.set_xlim(0, numbers.shape[1] + 1.2)
    axes.set_xticks(ticks, names, rotation=90 if upright else 0)


def _write_rows(axes: plt.Axes, title: str, rows: Sequence[str]) -> None:
    """Write a line of text beside each row of cells."""
    for i, text in enumerate(rows):
        axes.text(0, i + 0.5, text, va="center", fontsize=7)
    axes.set_ylim(len(rows), 0)
    axes.set_title(title, loc="left")
    axes.set_axis_off()


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
            called=snakemake.params.called,
            n_folds=snakemake.params.n_folds,
        )
        write_figure(snakemake, figure, caption)
