"""Draw the scorecard: a row per claim, what was published, what is found, and the verdict.

snakemake --cores 2 results/demo/figures/scorecard.png
"""

import textwrap

import matplotlib.pyplot as plt
import pandas as pd

from scripts.report.claims import (
    BY_DEFINITION,
    CORRECTED,
    LEAK,
    LEAK_SHOWN,
    MISTAKE_SHOWN,
    NO_LEAK,
    NO_MISTAKE,
    NO_NUMBER,
    NOT_MEASURED,
    NOT_REPRODUCED,
    NOT_RUN,
    REPRODUCED,
    SIMULATED,
    UNDECIDED,
    UNTESTED,
    VERDICTS,
    rules_text,
)
from scripts.report.score_claims import with_interval
from workflow.lib.jobs import script_job
from workflow.lib.plotting import MUTED, PAGE_WIDTH, PALETTE, use_style, write_figure
from workflow.lib.tables import read_table

# Colour and marker, so that verdicts can be told apart without colours.
MARKS = {
    REPRODUCED: (PALETTE[2], "o"),
    NOT_REPRODUCED: (PALETTE[3], "X"),
    UNDECIDED: (PALETTE[1], "D"),
    LEAK: (PALETTE[4], "v"),
    LEAK_SHOWN: (PALETTE[4], "v"),
    NO_LEAK: (PALETTE[9], "^"),
    CORRECTED: (PALETTE[0], "s"),
    MISTAKE_SHOWN: (PALETTE[0], "s"),
    NO_MISTAKE: (PALETTE[9], "P"),
    BY_DEFINITION: (PALETTE[0], "d"),
    UNTESTED: (MUTED, "o"),
    NOT_RUN: (MUTED, "_"),
    NO_NUMBER: (MUTED, "|"),
    NOT_MEASURED: (MUTED, "x"),
}
# Where columns begin, in shares of the width, and what stands above them.
COLUMNS = {
    "claim of the original": 0.0,
    "published": 0.37,
    "found here\n(95 % interval)": 0.46,
    "compared\nwith": 0.645,
    "verdict": 0.82,
}
# Characters of a line of a claim, and inches of a line of text.
WIDTH, LINE = 54, 0.125
SMALL = 6.2


def plot_scorecard(table: pd.DataFrame) -> tuple[plt.Figure, str]:
    """Draw a line of text per claim with a mark for the verdict; return figure and caption.

    Parameters
    ----------
    table : rows of `scorecard.csv`
    """
    use_style()
    lines = _lines(table)
    height = sum(n for n, _ in lines) + 2.2
    figure, panel = plt.subplots(figsize=(PAGE_WIDTH, 0.3 + LINE * height), layout="constrained")
    panel.set(xlim=(0, 1), ylim=(height, 0))
    panel.axis("off")
    for name, place in COLUMNS.items():
        panel.text(place, 1.0, name, weight="bold", fontsize=7, va="center", linespacing=0.95)
    at = 2.2
    for n, row in lines:
        if isinstance(row, str):
            panel.axhline(at + 0.2, color=MUTED, lw=0.6)
            panel.text(0, at + 1.0, row, style="italic", fontsize=7, va="center")
        else:
            _draw_row(panel, at + n / 2, row)
        at += n
    return figure, caption(table)


def _lines(table: pd.DataFrame) -> list[tuple[float, object]]:
    """Return (lines of text, row or heading) from top to bottom."""
    found: list[tuple[float, object]] = []
    named = table.fillna({"study": "", "data": ""})
    for (section, study, data), rows in named.groupby(["section", "study", "data"], sort=False):
        found.append((1.8, heading(section, study, data)))
        found += [
            (max(1, len(textwrap.wrap(row.statement, WIDTH))) + 0.4, row)
            for row in rows.itertuples()
        ]
    return found


def heading(section: str, study: str, data: str) -> str:
    """Return what stands above the claims that a study answers."""
    if not study:
        return f"{section}: no study of this run can answer"
    of = "simulated data" if data == SIMULATED else f"{data} data"
    return f"{section}: {study} ({of})"


def _draw_row(panel: plt.Axes, at: float, row) -> None:
    claim, published, ours, compared, verdict = COLUMNS.values()
    for place, text in (
        (claim, textwrap.fill(row.statement, WIDTH)),
        (published, with_interval(row.published) or "-"),
        (ours, with_interval(row.ours, row.low, row.high) or "-"),
        (compared, with_interval(row.against, row.against_low, row.against_high) or "-"),
        (verdict + 0.022, row.verdict),
    ):
        panel.text(place, at, text, fontsize=SMALL, va="center")
    colour, marker = MARKS[row.verdict]
    open_symbol = row.data == SIMULATED and marker not in "_|x"
    panel.plot(
        verdict + 0.006, at, marker, ms=4.5, color=colour, mfc="white" if open_symbol else colour
    )


def caption(table: pd.DataFrame) -> str:
    """Return the caption: numbers of verdicts, the rules behind them, and what is simulated."""
    counts = table["verdict"].value_counts()
    given = [verdict for verdict in VERDICTS if verdict in counts]
    listed = ", ".join(f"{verdict} {counts[verdict]}" for verdict in given)
    simulated = int((table["data"] == SIMULATED).sum())
    said = (
        f" Open symbols, {simulated} of the rows: simulated data, which can only show how a "
        "mistake works (a leak, a wrong null), not whether a claim about brains holds."
        if simulated
        else ""
    )
    return (
        f"What becomes of the claims of the original studies, n = {len(table)} rows, a claim and a "
        f"study that can answer it each: {listed}.{said} Verdicts follow rules. "
        f"{rules_text(given)}."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        figure, text = plot_scorecard(read_table(snakemake.input.table))
        write_figure(snakemake, figure, text)
