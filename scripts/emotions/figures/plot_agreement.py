"""Draw how well observers of a movie agree: per emotion, by pairs, and without each of them."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.emotions.labelling.agreement import ALL, BLOCK_SECONDS, read_agreement
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    INK,
    MUTED,
    PAGE_WIDTH,
    PALETTE,
    SEQUENTIAL,
    roi_colours,
    titled,
    use_style,
    write_figure,
)

# What is left of one observer, and what axes call it.
LEFT_OUT = {
    "agrees_with_others": "sees what the others label",
    "labels_kept": "labels that stay without it",
    "kappa_without": "Fleiss' kappa without it",
}
MARKERS = "osD"


def plot_agreement(
    agreement: pd.DataFrame,
    *,
    classes: Sequence[str],
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw the agreement, and return the figure and its caption.

    Parameters
    ----------
    agreement : `agreement.csv`, from `scripts.emotions.labelling.agreement.measure_agreement`
    classes : emotions that models tell apart
    title : name of the study
    simulated : whether the data is simulated
    """
    use_style()
    kappas = agreement[agreement["statistic"] == "fleiss_kappa"]
    pairs = agreement[agreement["statistic"] == "cohen_kappa"]
    height = max(0.145 * len(kappas) + 1.1, 3.2)
    figure = plt.figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1))
    _draw_kappas(figure.add_subplot(grid[:, 0]), kappas, classes)
    _draw_pairs(figure.add_subplot(grid[0, 1]), pairs)
    _draw_left_out(figure.add_subplot(grid[1, 1]), agreement)
    figure.suptitle(f"{titled(title, simulated=simulated)}: agreement of observers")
    return figure, _caption(agreement, kappas, pairs, classes)


def _draw_kappas(panel: plt.Axes, kappas: pd.DataFrame, classes: Sequence[str]) -> None:
    rows = kappas[kappas["emotion"] != ALL].sort_values("value", kind="stable")
    rows = pd.concat([kappas[kappas["emotion"] == ALL], rows], ignore_index=True)
    colours = {**roi_colours(classes), ALL: INK}
    for place, row in enumerate(rows.itertuples()):
        colour = colours.get(row.emotion, MUTED)
        panel.hlines(place, row.low, row.high, color=colour, lw=1.2)
        panel.plot(row.value, place, "o", color=colour, ms=4)
    names = [
        f"{'all emotions' if row.emotion == ALL else row.emotion} ({int(row.n_episodes)})"
        for row in rows.itertuples()
    ]
    panel.axvline(0, color="black", lw=0.6)
    panel.set_yticks(range(len(rows)), names, fontsize=6.5)
    panel.set_ylim(-0.7, len(rows) - 0.3)
    panel.set_xlabel("Fleiss' kappa")
    panel.set_title("emotion (labelled episodes)", loc="left")


def _draw_pairs(panel: plt.Axes, pairs: pd.DataFrame) -> None:
    observers = list(dict.fromkeys([*pairs["observer"], *pairs["other"]]))
    place = {observer: number for number, observer in enumerate(observers)}
    matrix = np.full((len(observers), len(observers)), np.nan)
    for row in pairs.itertuples():
        matrix[place[row.other], place[row.observer]] = row.value
    image = panel.imshow(matrix, cmap=SEQUENTIAL, vmin=min(0, np.nanmin(matrix)))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_ticks(range(len(observers)), observers, fontsize=6.5)
        axis.set_tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)
    panel.set_ylabel("observer")
    panel.figure.colorbar(image, ax=panel, label="Cohen's kappa", shrink=0.9)


def _draw_left_out(panel: plt.Axes, agreement: pd.DataFrame) -> None:
    for (statistic, label), marker, colour in zip(LEFT_OUT.items(), MARKERS, PALETTE, strict=False):
        rows = agreement[agreement["statistic"] == statistic]
        places = range(len(rows))
        panel.plot(places, rows["value"], ls=":", lw=0.7, ms=4, marker=marker, color=colour)
        panel.plot([], [], ls="", ms=4, marker=marker, color=colour, label=label)
        panel.set_xticks(places, rows["observer"])
    panel.set_ylim(0, 1)
    panel.set_xlabel("observer left out")
    panel.set_ylabel("share, or kappa")
    panel.tick_params(labelsize=6.5)
    panel.legend(fontsize=6.5, loc="lower left")


def _caption(
    agreement: pd.DataFrame, kappas: pd.DataFrame, pairs: pd.DataFrame, classes: Sequence[str]
) -> str:
    by_name = kappas.set_index("emotion")
    everything, first = by_name.loc[ALL], agreement.iloc[0]
    of_classes = ", ".join(f"{name} {by_name.loc[name, 'value']:.2f}" for name in classes)
    kept = agreement.loc[agreement["statistic"] == "labels_kept", "value"]
    left_out = (
        f" Without one observer {100 * kept.min():.0f} to {100 * kept.max():.0f} % of the labelled "
        "volumes keep their label."
        if len(kept)
        else ""
    )
    lines = (
        f" Lines: 95 % intervals, bootstrap over stretches of {BLOCK_SECONDS:.0f} s of the movie "
        f"with {int(first['n_bootstrap']):,} resamples, for these observers; none where more than "
        "one in twenty lacks the emotion."
        if first["n_bootstrap"]
        else ""
    )
    who = f"n = {int(first['n_observers'])} observers, {int(first['n_volumes']):,} volumes"
    return (
        f"Agreement on whether an emotion is seen in a volume, {who}. Fleiss' kappa (0 is chance, "
        f"1 is perfect) over all emotions: {everything['value']:.2f}; {of_classes}.{lines} Cohen's "
        f"kappa of pairs of observers over all emotions: {pairs['value'].min():.2f} to "
        f"{pairs['value'].max():.2f}.{left_out}{_shared(agreement)}"
    )


def _shared(agreement: pd.DataFrame) -> str:
    """Return which pair has most rows in common, where there are others to compare it with."""
    rows = agreement[agreement["statistic"] == "shared_rows"].sort_values("value", ascending=False)
    if len(rows) < 2:
        return ""
    most, next_most = rows.iloc[0], rows.iloc[1]
    return (
        f" Observers {most['observer']} and {most['other']} have {100 * most['value']:.0f} % of "
        "their rows in common, with the same character and seconds; any other pair at most "
        f"{100 * next_most['value']:.0f} %."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_agreement(
            read_agreement(snakemake.input.agreement),
            classes=params.classes,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
