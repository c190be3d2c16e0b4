"""Draw false-positive rates of tests and coverage of intervals beside their nominal values."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.stats

from scripts.calibration.procedures import (
    APPROXIMATE,
    BINOMIAL_LEVEL,
    COVERAGE,
    EXACT,
    FALSE_POSITIVES,
    MISUSE,
    NOT_USED,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import MUTED, PAGE_WIDTH, PALETTE, use_style, write_figure
from workflow.lib.tables import read_table

MARKERS = ("o", "s", "^", "D", "v")
# In this order from the top.
KINDS = (EXACT, APPROXIMATE, NOT_USED, MISUSE)
LABELS = {FALSE_POSITIVES: "false-positive rate", COVERAGE: "coverage of 95 % intervals"}
# Inches of a row of one procedure.
ROW = 0.3


def plot_calibration(table: pd.DataFrame) -> tuple[plt.Figure, str]:
    """Draw a row per procedure with a point per geometry, and return the figure and caption.

    Parameters
    ----------
    table : DataFrame of `scenarios.calibrate`, of several geometries
    """
    use_style()
    parts = [_in_order(table[table["measure"] == measure]) for measure in LABELS]
    n_rows = [part["procedure"].nunique() for part in parts]
    figure, panels = plt.subplots(
        2,
        1,
        figsize=(0.85 * PAGE_WIDTH, 1.7 + ROW * sum(n_rows)),
        height_ratios=n_rows,
        layout="constrained",
    )
    for panel, part, (measure, label) in zip(panels, parts, LABELS.items(), strict=True):
        _draw_rates(panel, part)
        panel.set_xlabel(f"{label} (dashed: nominal {part['nominal'].iloc[0]:g})")
        if measure == FALSE_POSITIVES:
            # Nominal and misused tests lie far apart: the square root shows both.
            panel.set_xscale("function", functions=(_signed_root, _signed_square))
            panel.set_xticks([0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0])
            panel.set_xlim(0, max(0.3, 1.05 * part["upper"].max()))
        else:
            panel.set_xlim(min(0.79, part["lower"].min() - 0.01), 1.0)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    first = table.iloc[0]
    figure.suptitle(
        f"Calibration (simulated data): {first['n_simulations']:,} data sets per point, "
        f"n = {first['n_images']} images"
    )
    return figure, _caption(table)


def _signed_root(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.sqrt(np.abs(values))


def _signed_square(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.square(values)


def _in_order(part: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of exact procedures first, of misused ones last."""
    places = part["kind"].map(KINDS.index)
    return part.assign(place=places).sort_values("place", kind="stable")


def _draw_rates(panel: plt.Axes, part: pd.DataFrame) -> None:
    geometries = list(dict.fromkeys(part["geometry"]))
    procedures = part.drop_duplicates("procedure").reset_index(drop=True)
    row_of = {name: row for row, name in enumerate(procedures["procedure"])}
    nominal, n = part["nominal"].iloc[0], part["n_simulations"].iloc[0]
    tails = [(1 - BINOMIAL_LEVEL) / 2, (1 + BINOMIAL_LEVEL) / 2]
    panel.axvspan(*scipy.stats.binom.ppf(tails, n, nominal) / n, color="0.92", lw=0)
    panel.axvline(nominal, color="0.3", lw=0.9, ls="--")
    for i, (name, colour) in enumerate(zip(geometries, PALETTE, strict=False)):
        rows = part[part["geometry"] == name]
        places = rows["procedure"].map(row_of) + 0.22 * (i - (len(geometries) - 1) / 2)
        errors = np.abs(rows[["lower", "upper"]].to_numpy().T - rows["rate"].to_numpy())
        panel.errorbar(
            rows["rate"],
            places,
            xerr=errors,
            fmt=MARKERS[i % len(MARKERS)],
            ms=4,
            lw=1,
            color=colour,
            label=name,
            # A rate of zero stands on the axis.
            clip_on=False,
        )
    panel.set_yticks(np.arange(len(procedures)), procedures["label"])
    panel.set_ylim(len(procedures) - 0.5, -0.5)
    _head_kinds(panel, procedures["kind"])


def _head_kinds(panel: plt.Axes, kinds: pd.Series) -> None:
    """Part the rows of each kind by a line, and name the kind at the right."""
    for kind, rows in kinds.groupby(kinds, sort=False):
        panel.text(
            1.01,
            rows.index.to_numpy().mean(),
            kind,
            transform=panel.get_yaxis_transform(),
            rotation=-90 if len(rows) > 3 else 0,
            va="center",
            ha="left",
            fontsize=7,
            color=MUTED,
        )
        if rows.index[0]:
            panel.axhline(rows.index[0] - 0.5, color="0.7", lw=0.6)


def _caption(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    geometries = ", ".join(dict.fromkeys(table["geometry"]))
    return (
        f"False-positive rates at a nominal {table['nominal'].min():g} where the null is true, and "
        "how often 95 % intervals hold the value in the population of images (of corr_cov, which "
        "depends on the number of images, and of images in groups: the mean over data sets), for "
        "Pearson correlations (unless another comparator is named) of Euclidean RDMs of "
        f"n = {first['n_images']} images from the geometries {geometries}; "
        f"{first['n_simulations']:,} simulated data sets per point, "
        f"{first['n_permutations']} permutations, {first['n_resamples']} resamples, "
        f"{first['n_subjects']} subjects. Bars: {100 * BINOMIAL_LEVEL:g} % binomial intervals; "
        "grey band: where as many rates at their nominal value would fall. "
        f"{_verdicts(table)} Nothing was tuned to these results. A correlation over pairs takes "
        "dissimilarities for independent, and a sign-flip over subjects who share a geometry takes "
        "the chance similarity of these images for an effect: neither is to be used against zero, "
        "for which the Mantel test is exact. It is so of independent images: where those of a "
        "group are alike whole groups are to be permuted, as studies do that draw whole groups. A "
        "bootstrap t against zero, as other toolboxes have it, takes the spread of resamples for "
        "that of chance; the studies use the Mantel test. "
        "Their intervals are the bootstrap t of images, or of groups where these are drawn (here "
        "of four images, so few groups that one may miss all hubs); the jackknife t replaces it "
        "for tau-a, tau-b, cosine_cov and corr_cov, and for ranks of more than 1,000 images."
    )


def _verdicts(table: pd.DataFrame) -> str:
    """Return which procedures miss their nominal rate on the harmful side."""
    exact = table[table["kind"] == EXACT]
    off = exact[exact["verdict"] != "within"]
    missed = table[table["kind"] == APPROXIMATE]
    liberal = missed[(missed["measure"] == FALSE_POSITIVES) & (missed["verdict"] == "above")]
    narrow = missed[(missed["measure"] == COVERAGE) & (missed["verdict"] == "below")]
    return " ".join(
        [
            f"Exact tests off nominal: {_listed(off)}.",
            f"Approximate tests that reject too often: {_listed(liberal)}.",
            f"Intervals that hold the truth too seldom: {_listed(narrow)}.",
        ]
    )


def _listed(rows: pd.DataFrame) -> str:
    found: Sequence[str] = [
        f"{row.label} ({row.geometry}, {row.rate:.3g})" for row in rows.itertuples()
    ]
    return "; ".join(found) or "none"


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_calibration(read_table(snakemake.input[0]))
        write_figure(snakemake, figure, caption)
