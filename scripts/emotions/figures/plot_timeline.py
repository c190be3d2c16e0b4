"""Draw what observers see over the movie: a panel per run, a row per emotion."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from scripts.emotions.labelling.agreement import ALL
from scripts.emotions.labelling.labels import COUNT, UNLABELLED, Labels, read_labels
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    MUTED,
    PAGE_WIDTH,
    roi_colours,
    titled,
    use_style,
    write_figure,
)
from workflow.lib.tables import read_table

N_COLUMNS = 2
# Of a panel, in inches: each row, and what stands around the rows.
ROW_HEIGHT, AROUND = 0.2, 0.5
# Share of a row that all observers together fill.
FULL = 0.9
FAINT = 0.3
OTHER = "other"


def plot_timeline(
    labels: Labels,
    counts: pd.DataFrame,
    timing: pd.DataFrame,
    *,
    tr: float,
    n_observers: int,
    min_observers: int,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw the timeline, and return the figure and its caption.

    Parameters
    ----------
    labels : of the volumes
    counts : `emotion_counts.csv`
    timing : `label_timing.csv`
    tr : seconds from one volume to the next
    n_observers : of the movie
    min_observers : that must agree on a label
    title : name of the study
    simulated : whether the data is simulated
    """
    use_style()
    rows = _rows(labels)
    colours = {**roi_colours(labels.classes), OTHER: MUTED}
    n_lines = -(-len(labels.runs) // N_COLUMNS)
    figure, panels = plt.subplots(
        n_lines,
        N_COLUMNS,
        figsize=(PAGE_WIDTH, n_lines * (len(rows) * ROW_HEIGHT + AROUND) + 0.5),
        layout="constrained",
        squeeze=False,
    )
    for run, panel in zip(labels.runs, panels.flat, strict=False):
        of_run = labels.of_run(run)
        for place, (name, (seen, labelled)) in enumerate(reversed(rows.items())):
            heights = FULL * np.stack([seen[of_run], np.where(labelled, seen, 0)[of_run]])
            _draw_row(
                panel,
                labels.table["time"].to_numpy()[of_run],
                heights / n_observers,
                base=place,
                tr=tr,
                colour=colours[name],
            )
            panel.axhline(place + FULL * min_observers / n_observers, color=MUTED, lw=0.4, ls=":")
        _finish(panel, labels.table.iloc[of_run], list(reversed(rows)), tr=tr, run=run)
    for panel in panels.flat[len(labels.runs) :]:
        panel.set_axis_off()
    for panel in panels[-1]:
        panel.set_xlabel("time in the movie (s)")
    handles = [
        Patch(color=MUTED, label="label of the volume"),
        Patch(color=MUTED, alpha=FAINT, lw=0, label="seen, but not the label"),
        plt.Line2D([], [], color=MUTED, lw=0.8, ls=":", label=f"{min_observers} observers"),
        Patch(facecolor="white", edgecolor=MUTED, hatch="////", lw=0, label="not used"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: emotions that {n_observers} observers see"
    )
    return figure, _caption(labels, counts, timing, n_observers, min_observers)


def _rows(labels: Labels) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return of each row the observers, and whether they give the label, arrays (n_rows,)."""
    table, names = labels.table, labels.table["label"].to_numpy()
    rows = {name: (table[COUNT + name].to_numpy(), names == name) for name in labels.classes}
    others = [COUNT + name for name in labels.emotions if name not in labels.classes]
    if others:
        is_other = (names != UNLABELLED) & ~np.isin(names, labels.classes)
        rows[OTHER] = table[others].max(axis=1).to_numpy(), is_other
    return rows


def _draw_row(
    panel: plt.Axes, times: np.ndarray, heights: np.ndarray, *, base: float, tr: float, colour: str
) -> None:
    """Draw what is seen, faint, and what is the label, in full: heights (2, n_volumes)."""
    for height, alpha in zip(heights, (FAINT, 1.0), strict=True):
        # A step per change: a step per volume makes files of megabytes.
        first = np.flatnonzero(np.diff(height, prepend=-1))
        edges = np.append(times[first], times[-1] + tr)
        panel.stairs(
            base + height[first], edges, baseline=base, fill=True, color=colour, alpha=alpha, lw=0
        )
    panel.axhline(base, color=colour, lw=0.5)


def _finish(
    panel: plt.Axes, volumes: pd.DataFrame, names: Sequence[str], *, tr: float, run: str
) -> None:
    used = volumes["used"].to_numpy()
    times = volumes["time"].to_numpy()
    for time in times[~used]:
        panel.axvspan(time, time + tr, facecolor="white", edgecolor=MUTED, hatch="////", lw=0)
    panel.set_xlim(times[0], times[-1] + tr)
    panel.set_ylim(-0.05, len(names))
    panel.set_yticks(np.arange(len(names)) + FULL / 2, names, fontsize=6.5)
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
    panel.set_title(f"run {run}, {used.sum()} of {len(used)} volumes used", loc="left")


def _caption(
    labels: Labels,
    counts: pd.DataFrame,
    timing: pd.DataFrame,
    n_observers: int,
    min_observers: int,
) -> str:
    chosen = counts[counts["of_entry"]]
    own = _numbers(chosen)
    rule, when = chosen["rule"].iloc[0], chosen["timing"].iloc[0]
    of_classes = ", ".join(f"{name} {own[name][0]} ({own[name][1]})" for name in labels.classes)
    volumes, episodes = own[ALL]
    published = _numbers(
        counts[(counts["rule"] == "original") & (counts["timing"] == "cumulative")]
    )
    beside = (
        ""
        if (rule, when) == ("original", "cumulative")
        else f" The published rule and timing label {published[ALL][0]:,} volumes."
    )
    return (
        f"Observers that see an emotion over the movie, n = {n_observers} observers; full rows are "
        f"all of them. Full colour: the label, what most see where at least {min_observers} agree "
        f"({_RULE_NOTES[rule]}). {volumes:,} of {int(labels.used.sum()):,} used volumes have a "
        f"label, in {episodes} episodes; volumes (episodes) of the classes: {of_classes}."
        f"{beside} {_TIMING_NOTES[when]} Counting on over runs as published labels volumes with "
        f"what is shown up to {timing['error'].max():.0f} s later."
    )


_RULE_NOTES = {
    "any_character": "in any character; ties have none",
    "original": "the last row of each observer, as published",
}
_TIMING_NOTES = {
    "runs": "Times are those of the movie that a volume responds to.",
    "cumulative": "Times are as published.",
}


def _numbers(counts: pd.DataFrame) -> Mapping[str, tuple[int, int]]:
    """Return (volumes, episodes) of each emotion."""
    pairs = zip(counts["n_volumes"].astype(int), counts["n_episodes"].astype(int), strict=True)
    return dict(zip(counts["emotion"], pairs, strict=True))


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_timeline(
            read_labels(snakemake.input.labels, params.classes),
            read_table(snakemake.input.counts),
            read_table(snakemake.input.timing),
            tr=params.tr,
            n_observers=params.n_observers,
            min_observers=params.min_observers,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
