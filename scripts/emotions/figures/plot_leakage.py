"""Draw how well emotions are decoded in every split, from leaked to clean: how much is leakage.

snakemake --cores 1 results/demo/movie/figures/leakage.png
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scripts.emotions.decoding.splits import N_SUBJECT_GROUPS, RANDOM, RANDOM_MATCHED, SPLITS
from scripts.emotions.figures.decoding_figures import (
    AUC,
    MEASURES,
    cleanest,
    leaked,
    model_label,
    model_styles,
    models_of,
    number,
    size_note,
    splits_of,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    MUTED,
    PAGE_WIDTH,
    legend_below,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.tables import read_table

# Of the places of splits, which are one apart.
GROUP_WIDTH = 0.72
# Lines that are nearer to one another are one.
VISIBLE = 0.005
# Points, at which names of all splits fit beside one another.
TICKS = 6


def plot_leakage(
    tables: Mapping[str, pd.DataFrame],
    *,
    measures: Sequence[str],
    shown: str | None,
    published: float | None,
    confounds: Mapping[str, Sequence[str]],
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw a row of panels per table, a column per measure, and return the figure and caption.

    Parameters
    ----------
    tables : mapping, title ("" for none) -> DataFrame
        `decoding.csv` of one labelling of the movie each.
    measures : sequence of str
        Keys of `MEASURES`; the first stands in the caption.
    shown : str or None
        Model whose numbers stand in the caption; the first if not given.
    published : float or None
        Accuracy that the network was published with, for volumes dealt out at random.
    confounds : mapping, model -> sequence of str
        What models that see confounds alone are given, for the caption.
    title : str
        Name of the study.
    simulated : bool
        Whether the data is simulated.
    """
    every = pd.concat(tables.values(), ignore_index=True)
    splits, styles = splits_of(every), model_styles(models_of(every))
    use_style()
    figure, axes = plt.subplots(
        len(tables),
        len(measures),
        figsize=(PAGE_WIDTH, 0.9 + 2.0 * len(tables)),
        squeeze=False,
        sharex=True,
        sharey="col",
        layout="constrained",
    )
    for row, (name, table) in zip(axes, tables.items(), strict=True):
        for axis, measure in zip(row, measures, strict=True):
            _draw(axis, table[table["measure"] == measure], splits, styles)
            axis.set_ylabel(MEASURES[measure])
            if published is not None and measure != AUC and RANDOM in splits:
                place = splits.index(RANDOM)
                axis.plot(place, published, "*", ms=9, color="black", label="published network")
        row[0].set_title(name, loc="left", fontweight="bold")
    for axis in axes[-1]:
        titles = [SPLITS[split].title for split in splits]
        axis.set_xticks(range(len(splits)), wrapped(titles, 9), fontsize=TICKS)
        axis.set_xlabel("what is held out: from leaked to clean")
    # Marks that not every panel has.
    for axis in axes.flat[1:]:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            if label not in axes[0, 0].get_legend_handles_labels()[1]:
                axes[0, 0].plot(
                    [], [], ls="", marker=handle.get_marker(), color=handle.get_color(), label=label
                )
    legend_below(figure, axes[0, 0], 4)
    figure.suptitle(f"{titled(title, simulated=simulated)}: how much of the accuracy is leakage")
    return figure, _caption(tables, measures[0], shown, published, confounds)


def _draw(
    axis: plt.Axes,
    table: pd.DataFrame,
    splits: Sequence[str],
    styles: Mapping[str, Mapping[str, str]],
) -> None:
    for place, split in enumerate(splits):
        if not SPLITS[split].clean:
            axis.axvspan(place - 0.5, place + 0.5, color="0.94", lw=0, zorder=0)
    guess = table["chance"].iloc[0]
    axis.axhline(guess, color="black", lw=0.8, ls=":", label="chance")
    most = table["majority"].max()
    if most - guess > VISIBLE:
        axis.axhline(most, color=MUTED, lw=0.8, ls="--", label="most frequent emotion")
    offsets = np.linspace(-0.5, 0.5, len(styles) + 2)[1:-1] * GROUP_WIDTH
    for offset, (model, style) in zip(offsets, styles.items(), strict=True):
        rows = table[table["model"] == model].set_index("split").reindex(splits)
        places = np.arange(len(splits)) + offset
        axis.vlines(places, rows["low"], rows["high"], color=style["color"], lw=1.1)
        axis.plot(
            places,
            rows["value"],
            ls="",
            ms=4.2,
            mec="white",
            mew=0.4,
            label=model_label(model),
            **style,
        )
        half = GROUP_WIDTH / (2 * len(styles) + 2)
        moved = rows["null_high"].to_numpy(float)
        axis.hlines(moved, places - half, places + half, color="black", lw=1.0)
        again = rows["refit_mean"].to_numpy(float)
        axis.plot(places, again, ls="", marker="_", ms=7, mew=1.4, color=MUTED)
    if table["null_high"].notna().any():
        axis.plot(
            [], [], ls="-", color="black", lw=1.0, label="95th percentile of shifted labels (null)"
        )
    if table["refit_mean"].notna().any():
        axis.plot(
            [],
            [],
            ls="",
            marker="_",
            ms=7,
            mew=1.4,
            color=MUTED,
            label="refitted to shifted labels",
        )
    axis.set_xlim(-0.5, len(splits) - 0.5)


def _caption(
    tables: Mapping[str, pd.DataFrame],
    measure: str,
    shown: str | None,
    published: float | None,
    confounds: Mapping[str, Sequence[str]],
) -> str:
    notes = [_numbers(name, table, measure, shown) for name, table in tables.items()]
    first = next(iter(tables.values()))
    n_shifts = int(first["n_shifts"].max())
    null = (
        f" Black line: 95th percentile of {n_shifts:,} circular shifts of the labels within runs, "
        "the same in all subjects (widened by the square root of 2, for folds that learn from one "
        "another); without fitting again this is a null only where runs are held out."
        if n_shifts
        else ""
    )
    n_refits = int(first["n_refits"].max())
    again = (
        f" Grey line: mean of {n_refits} fits to labels that were shifted in the same way, which "
        "leak as the real ones do."
        if n_refits
        else ""
    )
    star = (
        f" Star: the accuracy that the network was published with, {published:.3f}, for volumes "
        "dealt out at random."
        if published is not None
        else ""
    )
    return (
        f"{' '.join(notes)} Lines: 95 % intervals over episodes, all subjects' volumes of an "
        "episode resampled together. Shaded: splits in which tested volumes share moments of the "
        "movie, their neighbours or scenes with volumes that were learned from. Dotted: chance."
        f"{_majority_note(first, measure)}{_sizes_note(first)}{null}{again}{star}"
        f"{_confounds_note(first, confounds)}"
    )


def _sizes_note(table: pd.DataFrame) -> str:
    splits, text = splits_of(table), ""
    if "run_and_subject" in splits:
        text = (
            f" With {SPLITS['run_and_subject'].title} held out, decoders learn from 1/"
            f"{N_SUBJECT_GROUPS} of the subjects."
        )
    if RANDOM_MATCHED in splits:
        text += (
            f" {SPLITS[RANDOM_MATCHED].title.capitalize()}: the folds of random ones, with as few "
            f"volumes of each emotion to learn from as with {SPLITS[cleanest(splits)].title} held "
            "out."
        )
    if "n_training" not in table:
        return text
    rows = table.drop_duplicates("split").set_index("split")
    sizes = ", ".join(
        f"{SPLITS[split].title} {rows.loc[split, 'n_training']:,.0f} + "
        f"{rows.loc[split, 'n_validation']:,.0f}"
        for split in splits
    )
    return (
        f"{text} Volumes to learn from, and to stop or tune by (decoders without options to tune "
        f"learn from both), means over folds: {sizes}."
    )


def _confounds_note(table: pd.DataFrame, confounds: Mapping[str, Sequence[str]]) -> str:
    return "".join(
        f" Model {model_label(model)} sees {', '.join(seen)}, and no response."
        for model, seen in confounds.items()
        if model in models_of(table)
    )


def _majority_note(table: pd.DataFrame, measure: str) -> str:
    rows = table[table["measure"] == measure]
    most, guess = rows["majority"].max(), rows["chance"].iloc[0]
    if most - guess <= VISIBLE:
        return ""
    return f" Dashed: always the most frequent emotion, {most:.3f}."


def _numbers(name: str, table: pd.DataFrame, measure: str, shown: str | None) -> str:
    """Return what the shown model reaches in the splits, and how much of it is leakage."""
    models = models_of(table)
    model = shown if shown in models else models[0]
    of_model = table[(table["model"] == model) & (table["measure"] == measure)]
    rows = of_model.set_index("split")
    spread = ", ".join(
        f"{SPLITS[split].title} {number(*rows.loc[split, ['value', 'low', 'high']])}"
        + (f" (p = {rows.loc[split, 'p']:.2g})" if np.isfinite(rows.loc[split, "p"]) else "")
        for split in splits_of(of_model)
    )
    begin = f"{name[0].upper()}{name[1:]}: " if name else ""
    text = (
        f"{begin}{size_note(of_model)}. {MEASURES[measure].capitalize()} of {model_label(model)} "
        f"by what is held out: {spread}."
    )
    areas = table[(table["model"] == model) & (table["measure"] == AUC)].set_index("split")["value"]
    return text + _null_note(rows, measure) + _lost(areas) + _above_refits(rows, measure)


def _null_note(rows: pd.DataFrame, measure: str) -> str:
    """Return what runs that differ in their emotions do to a measure without an effect."""
    null, guess = rows["null_mean"].min(), rows["chance"].iloc[0]
    if not guess - null > VISIBLE:
        return ""
    return (
        f" Runs differ in their emotions, so that {MEASURES[measure]} without an effect is "
        f"{null:.3f} where they are held out, below {guess:.3f}."
    )


def _lost(areas: pd.Series) -> str:
    """Return how much of the area above 0.5 is leakage: shares of emotions do not touch it."""
    clean, random = cleanest(list(areas.index)), leaked(areas.index)
    above = areas - 0.5
    if random not in areas.index or clean == random or not above[random] > 0:
        return ""
    lost = min(max(1 - above[clean] / above[random], 0), 1)
    return (
        f" {MEASURES[AUC]}, which the shares of emotions do not touch: "
        f"{areas[random]:.3f} with {SPLITS[random].title} held out and {areas[clean]:.3f} with "
        f"{SPLITS[clean].title}; {lost:.0%} of what lies above 0.5 is gone."
    )


def _above_refits(rows: pd.DataFrame, measure: str) -> str:
    """Return by how much a leaked and a clean split exceed fits to shifted labels."""
    again, clean, random = rows["refit_mean"], cleanest(list(rows.index)), leaked(rows.index)
    if random not in rows.index or clean == random or again[[random, clean]].isna().any():
        return ""
    above = rows["value"] - again
    return (
        f" Above fits to shifted labels, {MEASURES[measure]} is {above[random]:+.3f} and "
        f"{above[clean]:+.3f} with {SPLITS[random].title} and {SPLITS[clean].title} held out."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs = snakemake.params, snakemake.input
        figure, caption = plot_leakage(
            dict(zip(params.labels, map(read_table, inputs.tables), strict=True)),
            measures=params.measures,
            shown=params.shown,
            published=params.published,
            confounds=params.confounds,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
