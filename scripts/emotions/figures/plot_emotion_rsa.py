"""Draw how alike the RDMs of emotions are: all kinds with one another, and subject by subject."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize

from workflow.lib.figures.cells import draw_cells
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    DIVERGING,
    MUTED,
    PAGE_WIDTH,
    PALETTE,
    similarity_label,
    titled,
    use_style,
    write_figure,
)
from workflow.lib.sources import JOINT_SUBJECT
from workflow.lib.tables import read_table

ALPHA = 0.05


def plot_emotion_rsa(
    table: pd.DataFrame, *, title: str, simulated: bool, published: float | None = None
) -> tuple[plt.Figure, str]:
    """Draw a matrix of all RDMs and a row per RDM of responses and model; return the caption.

    Parameters
    ----------
    table : `emotion_rsa.csv`
    title : name of the study
    simulated : whether the data is simulated
    published : similarity of responses and the network, published of the same data
    """
    table = table.fillna({"subject": "", "roi": ""})
    subjects = [name for name in dict.fromkeys(table["subject"]) if name]
    stand_in = JOINT_SUBJECT if JOINT_SUBJECT in subjects else subjects[-1]
    together = table[table["subject"].isin([stand_in, ""])]
    label = similarity_label(table["comparator"].iloc[0])
    of_brain = together[together["subject"] != ""]
    use_style()
    n_names = len({*together["first"], *together["second"]})
    height = max(2.6, 0.2 * len(of_brain) + 1.2, 0.27 * n_names + 1.5)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(PAGE_WIDTH, height), width_ratios=(1, 1.05), layout="constrained"
    )
    _draw_matrix(left, together, label)
    _draw_subjects(right, table, of_brain, label)
    figure.suptitle(f"{titled(title, simulated=simulated)}: similarity of RDMs of emotions")
    return figure, _caption(table, of_brain, subjects) + _published_note(published)


def _draw_matrix(panel: plt.Axes, table: pd.DataFrame, label: str) -> None:
    # Responses of regions are not compared with one another.
    columns, lines = (list(dict.fromkeys(table[side])) for side in ("first", "second"))
    matrix = np.full((len(lines), len(columns)), np.nan)
    texts = np.full(matrix.shape, "", dtype="U6")
    for row in table.itertuples():
        place = lines.index(row.second), columns.index(row.first)
        matrix[place] = row.similarity
        # Without the zero, numbers stand clear of one another.
        number = f"{row.similarity:.2f}".replace("0.", ".")
        texts[place] = f"{number}{'*' if row.p < ALPHA else ''}"
    mesh = draw_cells(
        panel,
        matrix,
        rows=lines,
        columns=columns,
        norm=Normalize(-1, 1),
        texts=texts,
        cmap=DIVERGING,
        fontsize=6.5 if len(columns) < 6 else 5,
        turned=True,
    )
    # Cells of the other half, and of responses with one another, are left empty.
    panel.set_facecolor("white")
    panel.tick_params(labelsize=6.5)
    panel.set_aspect("equal")
    panel.figure.colorbar(mesh, ax=panel, shrink=0.7, label=label, location="top")


def _draw_subjects(
    panel: plt.Axes, table: pd.DataFrame, of_brain: pd.DataFrame, label: str
) -> None:
    panel.axvline(0, color="black", lw=0.6)
    rows = list(of_brain.itertuples())[::-1]
    for place, row in enumerate(rows):
        own = table[(table["first"] == row.first) & (table["second"] == row.second)]
        single = own.loc[own["subject"] != JOINT_SUBJECT, "similarity"]
        panel.plot(single, np.full(len(single), place), "|", color=MUTED, ms=8, mew=1.1)
        filled = PALETTE[0] if row.p < ALPHA else "white"
        panel.plot(row.similarity, place, "o", mfc=filled, mec=PALETTE[0], mew=1.1, ms=5)
        panel.annotate(
            _p_text(row),
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=6.3,
        )
    several = of_brain["first"].nunique() > 1
    names = [f"{row.first} - {row.second}" if several else row.second for row in rows]
    panel.set_yticks(range(len(rows)), names, fontsize=6.5)
    panel.set_ylim(-0.7, len(rows) - 0.3)
    panel.set_xlim(-1.05, 1.05)
    panel.set_xticks([-1, -0.5, 0, 0.5, 1])
    panel.set_xlabel(label if several else f"{label} with {rows[0].first}")


def _p_text(row: object) -> str:
    """Return p as a share of all orders, or as a number where they were drawn."""
    if row.complete:
        return f"p = {int(row.n_reached)}/{int(row.n_orders)}"
    return f"p = {row.p:.2g}"


def _caption(table: pd.DataFrame, of_brain: pd.DataFrame, subjects: list[str]) -> str:
    n_subjects = sum(name != JOINT_SUBJECT for name in subjects)
    first = table.iloc[0]
    n_orders = int(first["n_orders"])
    orders = (
        f"all {n_orders} permutations of the emotion labels, so that p is exact and at least "
        f"1/{n_orders}"
        if first["complete"]
        else f"{n_orders - 1:,} random permutations of the emotion labels"
    )
    who = (
        f"the mean RDM of n = {n_subjects} subjects (circles; bars: single subjects)"
        if n_subjects > 1
        else f"subject {subjects[0]}, a single case"
    )
    over = of_brain["reason"].dropna()
    group = of_brain.dropna(subset="p_subjects")
    if len(group):
        best = group.loc[group["p_subjects"].idxmin()]
        over_subjects = (
            f" Over subjects (sign-flips, one-sided) the smallest p of {len(group)}, not "
            f"corrected, is {best['p_subjects']:.3g} ({best['first']} with {best['second']}, mean "
            f"{best['mean']:.2f})."
        )
    else:
        over_subjects = f" Over subjects there is no test: {over.iloc[0]}." if len(over) else ""
    return (
        f"Similarity of RDMs over n = {int(first['n_images'])} emotions; of responses {who}. Left: "
        f"all RDMs with one another. Right: responses with each model. * and filled: p < "
        f"{ALPHA:g}, one-sided, {orders}; not corrected for the number of cells.{over_subjects}"
    )


def _published_note(published: float | None) -> str:
    if published is None:
        return ""
    return (
        f" Published for class-mean volumes and features of the network: r = {published:.3f}, of "
        "volumes that were not standardised, without a test."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_emotion_rsa(
            read_table(snakemake.input[0]),
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            published=snakemake.params.published,
        )
        write_figure(snakemake, figure, caption)
