"""Draw how much every layer resembles every code: the cosine with its null, and Pearson."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.digits.figures.plot_layer_rdms import part_note
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    PAGE_WIDTH,
    layer_colours,
    similarity_label,
    titled,
    use_style,
    write_figure,
)
from workflow.lib.rdms.store import RDMStore
from workflow.lib.tables import read_table

STATISTICS = ("cosine", "pearson")


def plot_code_cosines(
    table: pd.DataFrame, *, part: str, alpha: float, title: str, simulated: bool
) -> tuple[plt.Figure, str]:
    """Draw a row of panels per code, bars over layers, and return the figure and its caption.

    Parameters
    ----------
    table : DataFrame, `code_cosines.csv`
    part : which images the layers' RDMs are of, "stimuli" or "validation"
    alpha : level of the corrected test that stars stand for
    title : name of the study
    simulated : whether the data is simulated
    """
    codes, layers = (list(dict.fromkeys(table[column])) for column in ("code", "layer"))
    use_style()
    figure, axes = plt.subplots(
        len(codes),
        2,
        figsize=(PAGE_WIDTH, 1.15 * len(codes) + 1.0),
        squeeze=False,
        sharex=True,
        sharey="col",
        layout="constrained",
    )
    for row, code in zip(axes, codes, strict=True):
        cells = table[table["code"] == code].set_index("layer").loc[layers]
        for axis, name in zip(row, STATISTICS, strict=True):
            _draw(axis, cells, name)
            axis.set_ylabel(similarity_label(name), fontsize=7)
        _mark_nulls(row[0], cells)
        row[1].axhline(0, color="black", lw=0.6)
        for place in np.flatnonzero(cells["p_fwe"] < alpha):
            top = cells["cosine_high"].iloc[place]
            row[0].annotate("*", (place, top), ha="center", va="bottom", fontsize=8)
        row[0].set_title(f"{code}", loc="left", fontweight="bold")
    for axis, text in zip(axes[0], ("cosine, as published", "centred: Pearson"), strict=True):
        axis.set_title(text, loc="right", fontsize=7.5)
    for axis in axes[-1]:
        axis.set_xticks(np.arange(len(layers)), layers, rotation=90)
    axes[0, 0].set_ylim(bottom=0)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: codes and layers, {part_note(part)}, "
        f"n = {int(table['n_categories'].iloc[0])} categories"
    )
    return figure, _caption(table, part, alpha)


def _draw(axis: plt.Axes, cells: pd.DataFrame, name: str) -> None:
    places = np.arange(len(cells))
    axis.bar(places, cells[name], 0.75, color=layer_colours(len(cells)))
    axis.vlines(places, cells[f"{name}_low"], cells[f"{name}_high"], color="black", lw=0.9)


def _mark_nulls(axis: plt.Axes, cells: pd.DataFrame) -> None:
    places = np.arange(len(cells))
    axis.hlines(
        cells["cosine_null"],
        places - 0.42,
        places + 0.42,
        color="#d55e00",
        lw=1.6,
        label="mean cosine, categories permuted",
    )
    axis.axhline(
        cells["cosine_constant"].iloc[0],
        color="black",
        lw=0.8,
        ls="--",
        label="cosine of a constant RDM",
    )


def _caption(table: pd.DataFrame, part: str, alpha: float) -> str:
    first = table.iloc[0]
    constants = ", ".join(
        f"{code} {value:.3f}"
        for code, value in table.groupby("code", sort=False)["cosine_constant"].first().items()
    )
    return (
        f"Similarity of the layers' RDMs ({part_note(part)}) with perception codes over "
        f"n = {int(first['n_categories'])} categories ({int(first['n_pairs'])} pairs). Left: "
        "cosine, which is above zero whatever the layer; dashed, that of an RDM in which all "
        f"pairs are equally dissimilar ({constants}), and orange, the mean over permutations of "
        f"the categories, {_orders(table)}. Right: the same of centred RDMs, Pearson's r, which "
        "differs from zero for a code within a kind too where only kinds differ. Lines: 95 % "
        f"intervals over categories (bootstrap, {int(first['n_resamples']):,} resamples). Stars: "
        "the cosine, and so Pearson's r, is above its mean under permutations, one-sided Mantel "
        f"test of codes within kinds, {int(first['n_permutations']):,} permutations within kinds, "
        f"family-wise p < {alpha:g} over these bars. Codes between kinds have no test: one by "
        "permutation would answer to any structure, such as kinds of unequal spread. Codes "
        "overlap: what one explains beside the others is in the joint fit."
    )


def _orders(table: pd.DataFrame) -> str:
    """Return which codes' categories were permuted within kinds, and which all."""
    codes = table.groupby("permuted", sort=False)["code"].unique()
    return ", ".join(f"{how} for {' and '.join(names)}" for how, names in codes.items())


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_code_cosines(
            read_table(snakemake.input.table),
            part=RDMStore(snakemake.input.layers).descriptors["images"],
            alpha=params.alpha,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
