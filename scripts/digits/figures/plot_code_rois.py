"""Draw how layers fare in the region of every code, chosen elsewhere or in the same data."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.digits.regions.choices import (
    ALL_PAIRS,
    CIRCULAR,
    HELD_OUT_RUNS,
    OTHER_SUBJECTS,
    OWN_PAIRS,
    clean_choice,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    MUTED,
    PAGE_WIDTH,
    layer_colours,
    similarity_label,
    titled,
    use_style,
    write_figure,
)
from workflow.lib.tables import read_table

CHOSEN = {
    HELD_OUT_RUNS: "spheres were chosen in one half of the runs and layers compared in the other "
    "half, and the other way round",
    OTHER_SUBJECTS: "spheres were chosen in the mean map of the other subjects",
}
# Why what is chosen in other subjects is not tested.
SHARED = (
    "Subjects share those who chose their regions, so that these intervals are too narrow, and "
    "there is no test."
)
PAIRS = {ALL_PAIRS: "all pairs of categories", OWN_PAIRS: "the code's own pairs"}
# Of the palette that colour-blind readers can tell apart.
CIRCULAR_COLOUR = "#d55e00"
BAR = 0.68
# Of bars in regions in which the code was not found again.
PALE = 0.3


def plot_code_rois(
    group: pd.DataFrame,
    table: pd.DataFrame,
    *,
    layers: str,
    alpha: float,
    share: float,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw a row of panels per code: similarities over all pairs, and over those of the code.

    Parameters
    ----------
    group : `code_rois_group.csv`
    table : `code_rois.csv`
    layers : name of the model whose layers are the bars
    alpha : level of the test that stars stand for
    share : of the spheres that make up a region
    title : name of the study
    simulated : whether the data is simulated
    """
    codes = list(dict.fromkeys(group["code"]))
    clean = clean_choice(group["chosen_in"])
    names = list(dict.fromkeys(group.loc[group["model"] == layers, "layer"]))
    use_style()
    figure, axes = plt.subplots(
        len(codes),
        len(PAIRS),
        figsize=(PAGE_WIDTH, 0.95 + 1.35 * len(codes)),
        sharex=True,
        sharey="col",
        squeeze=False,
        layout="constrained",
    )
    for row, code in zip(axes, codes, strict=True):
        for panel, pairs in zip(row, PAIRS, strict=True):
            chosen = (group["code"] == code) & (group["pairs"] == pairs)
            _draw_bars(
                panel,
                group[chosen & (group["model"] == layers)],
                clean,
                names,
                alpha,
                found=bool(group.loc[chosen, "code_found"].all()),
            )
            if clean is not None:
                own = (table["code"] == code) & (table["pairs"] == pairs)
                _draw_subjects(panel, table[own & (table["chosen_in"] == clean)], names)
            panel.set_title(_panel_title(code, pairs, group[chosen], table, clean), loc="left")
        row[0].set_ylabel(similarity_label(group["comparator"].iloc[0]))
    for panel in axes[-1]:
        panel.set_xticks(np.arange(len(names)), names, rotation=90)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    n_subjects = int(group["n_subjects"].iloc[0])
    how = "CIRCULAR: chosen and tested in the same data" if clean is None else f"chosen in {clean}"
    who = "one subject, a single case" if n_subjects == 1 else f"n = {n_subjects} subjects"
    figure.suptitle(f"{titled(title, simulated=simulated)}: regions of codes, {who}\n({how})")
    caption = _caption(group, table, clean=clean, layers=layers, alpha=alpha, share=share)
    return figure, caption


def _draw_bars(
    panel: plt.Axes,
    rows: pd.DataFrame,
    clean: str | None,
    names: list[str],
    alpha: float,
    *,
    found: bool,
) -> None:
    """Draw bars of the region chosen elsewhere, and the outline of the circular one.

    Where the code is not found in its region, bars are pale and without stars: there is no such
    region, whatever else its voxels resemble.
    """
    x, colours = np.arange(len(names)), layer_colours(len(names))
    circular = rows[rows["chosen_in"] == CIRCULAR].set_index("layer").reindex(names)
    outline = {"facecolor": "none", "edgecolor": CIRCULAR_COLOUR, "lw": 0.9, "hatch": "//////"}
    panel.bar(
        *(x, circular["similarity"], 0.96),
        **outline,
        label="circular: chosen and tested in the same data",
    )
    shown = circular
    if clean is not None:
        shown = rows[rows["chosen_in"] == clean].set_index("layer").reindex(names)
        panel.bar(
            *(x, shown["similarity"], BAR),
            color=colours,
            alpha=1 if found else PALE,
            label=f"chosen in {clean}",
            zorder=2,
        )
        for place, layer in enumerate(names):
            if found and shown.loc[layer, "p_max"] < alpha:
                top = np.nanmax([shown.loc[layer, "high"], circular.loc[layer, "similarity"], 0])
                panel.text(place, top, "*", ha="center", va="bottom", fontsize=9)
    panel.vlines(x, shown["low"], shown["high"], color="black", lw=1, zorder=3)
    panel.axhline(0, color="black", lw=0.6)
    panel.margins(y=0.16)


def _draw_subjects(panel: plt.Axes, table: pd.DataFrame, names: list[str]) -> None:
    if table["subject"].nunique() < 2:
        return
    places = {layer: place for place, layer in enumerate(names)}
    rows = table[table["layer"].isin(names)]
    panel.plot(
        *(rows["layer"].map(places), rows["similarity"], "."),
        **{"color": MUTED, "ms": 2.5, "zorder": 2.5},
        label="single subjects",
    )


def _panel_title(
    code: str, pairs: str, rows: pd.DataFrame, table: pd.DataFrame, clean: str | None
) -> str:
    """Return the code, the pairs, and how much of the code there is in its own region."""
    n_pairs = int(table.loc[(table["code"] == code) & (table["pairs"] == pairs), "n_pairs"].iloc[0])
    label = f"{code}, {PAIRS[pairs]} ({n_pairs})"
    own = rows[rows["layer"] == code].set_index("chosen_in")
    if own.empty:
        return label
    circular = f"(circular {own.loc[CIRCULAR, 'similarity']:.2f})"
    if clean is None:
        return f"{label}\ncode itself {circular}"
    found = own.loc[clean]
    limits = "" if np.isnan(found["low"]) else f" [{found['low']:.2f}, {found['high']:.2f}]"
    return f"{label}\ncode itself {found['similarity']:.2f}{limits} {circular}"


def _gains(group: pd.DataFrame, layers: str) -> str:
    """Return by how much circular similarities lie above the others, of codes and of layers."""
    gain = group[group["chosen_in"] == CIRCULAR]
    codes = gain[(gain["layer"] == gain["code"]) & (gain["pairs"] == ALL_PAIRS)]["inflation"]
    of_layers = (
        gain[gain["model"] == layers]
        .groupby("pairs")["inflation"]
        .apply(lambda values: values.abs().mean())
    )
    return (
        f"codes themselves gain {codes.mean():.2f} on average, layers change by "
        f"{of_layers[ALL_PAIRS]:.2f} over all pairs and {of_layers[OWN_PAIRS]:.2f} over the code's"
    )


def _caption(
    group: pd.DataFrame,
    table: pd.DataFrame,
    *,
    clean: str | None,
    layers: str,
    alpha: float,
    share: float,
) -> str:
    n_subjects, comparator = int(group["n_subjects"].iloc[0]), group["comparator"].iloc[0]
    spheres = sorted(set(table["n_voxels"]))
    number = f"{spheres[0]:,}" if len(spheres) == 1 else f"{spheres[0]:,} to {spheres[-1]:,}"
    text = (
        f"Mean similarity ({comparator}) of layer RDMs with the RDMs of the spheres that resemble "
        f"each code the most ({share:.0%} of the spheres, {number}), over all pairs of categories "
        "and over those that the code tells apart. "
    )
    if clean is None:
        text += (
            "CIRCULAR: the data has neither runs nor other subjects, so that the spheres were "
            "chosen in the data in which layers are compared; layers like the code do well by "
            "this choice alone, and nothing here is evidence that they do. "
        )
    else:
        text += (
            f"Filled bars: {CHOSEN[clean]}. Hatched outlines: circular, spheres chosen in the data "
            "in which layers are compared; what they lie above the bars, or below, comes of the "
            f"choice: {_gains(group, layers)}. Where the code itself is not above zero in its "
            "region, there is no region of the code, and bars, pale and without stars, are those "
            "of some voxels. "
        )
    return text + _interval_text(group, clean, n_subjects, alpha)


def _interval_text(group: pd.DataFrame, clean: str | None, n_subjects: int, alpha: float) -> str:
    if n_subjects == 1:
        return (
            "Lines: 95 % intervals over the categories in the pairs (jackknife). n = 1 subject: a "
            "single case, which says nothing of other people."
        )
    text = f"n = {n_subjects} subjects (dots); lines: 95 % intervals over subjects (Student's t). "
    if clean == OTHER_SUBJECTS:
        return text + SHARED
    if clean is None or group.loc[group["chosen_in"] == clean, "p_max"].isna().all():
        return text + "Too few subjects for a test over subjects, or a comparator without a null."
    return text + (
        f"Stars: p < {alpha:g}, one-sided sign flips of subjects, corrected by the largest "
        "statistic over all codes and layers of a column."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_code_rois(
            read_table(snakemake.input.group),
            read_table(snakemake.input.subjects),
            layers=params.layers,
            alpha=params.alpha,
            share=params.share,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
