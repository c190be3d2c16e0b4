"""Draw the joint fit of codes: coefficients of each contrast, and the variance that it explains."""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, PALETTE, titled, use_style, write_figure
from workflow.lib.tables import read_table

# How far beside the middle of a bar single subjects stand.
BESIDE = 0.18
WHAT = {"layer": "layer's RDM", "roi": "ROI's RDM"}


def plot_code_fit(
    table: pd.DataFrame,
    group: pd.DataFrame | None,
    *,
    alpha: float,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw a panel per contrast, and one of variance, over layers or ROIs.

    Parameters
    ----------
    table : DataFrame, `code_fit_layers.csv` or `code_fit_brains.csv`
    group : DataFrame, `code_fit_group.csv`, for brains of one subject or more; None for layers
    alpha : level of the corrected tests that stars stand for
    title : name of the study
    simulated : whether the data is simulated
    """
    what = "layer" if group is None else "roi"
    contrasts, places = (list(dict.fromkeys(table[column])) for column in ("contrast", what))
    several = group is not None and int(group["n_subjects"].iloc[0]) > 1
    has_test = several and group["p_subjects_fwe"].notna().any()
    shown, p = (group, "p_subjects_fwe") if several else (table, "p_fwe")
    use_style()
    figure, axes = plt.subplots(
        len(contrasts) + 1,
        1,
        figsize=(max(3.4, min(PAGE_WIDTH, 0.36 * len(places) + 1.8)), 1.1 * len(contrasts) + 2.2),
        sharex=True,
        layout="constrained",
    )
    colours = dict(zip(contrasts, cycle(PALETTE), strict=False))
    limits = _limits(shown, table)
    for axis, contrast in zip(axes, contrasts, strict=False):
        rows = shown[shown["contrast"] == contrast].set_index(what).loc[places]
        _draw_coefficients(axis, rows, colours[contrast], p, alpha)
        if several:
            _draw_subjects(axis, table[table["contrast"] == contrast], places)
        axis.set_title(contrast, loc="left", fontweight="bold")
        axis.set_ylim(limits)
    _draw_variance(axes[-1], table, what, places, colours)
    axes[-1].set_xticks(np.arange(len(places)), places, rotation=90)
    figure.supylabel("coefficient (SD of the RDM); below: share of the variance", fontsize=8)
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: joint fit of codes\n{_who(table, what)}"
    )
    return figure, _caption(table, what, alpha, several=several, has_test=has_test)


def _who(table: pd.DataFrame, what: str) -> str:
    n_categories = f"n = {int(table['n_categories'].iloc[0])} categories"
    if what == "layer":
        return f"{table['layer'].nunique()} layers, {n_categories}"
    n_subjects = table["subject"].nunique()
    return (
        f"n = {n_subjects} subjects, {n_categories}"
        if n_subjects > 1
        else (f"subject {table['subject'].iloc[0]}, a single case, {n_categories}")
    )


def _limits(shown: pd.DataFrame, table: pd.DataFrame) -> tuple[float, float]:
    """Return one range for all contrasts that holds bars, intervals, subjects and stars."""
    values = [shown[["coefficient", "low", "high"]].to_numpy(), table[["coefficient"]].to_numpy()]
    low = min(0.0, *(np.nanmin(value) for value in values))
    high = max(0.0, *(np.nanmax(value) for value in values))
    return low - 0.05 * (high - low), high + 0.2 * (high - low)


def _draw_coefficients(axis: plt.Axes, rows: pd.DataFrame, colour: tuple, p: str, alpha: float):
    places = np.arange(len(rows))
    axis.bar(places, rows["coefficient"], 0.7, color=colour, alpha=0.75)
    axis.vlines(places, rows["low"], rows["high"], color="black", lw=0.9)
    axis.axhline(0, color="black", lw=0.6)
    for place in np.flatnonzero(rows[p] < alpha):
        axis.annotate("*", (place, rows["high"].iloc[place]), ha="center", va="bottom", fontsize=8)


def _draw_subjects(axis: plt.Axes, rows: pd.DataFrame, places: list[str]) -> None:
    x = rows["roi"].map({name: number for number, name in enumerate(places)})
    axis.plot(x + BESIDE, rows["coefficient"], "o", ms=2.4, mfc="white", mec="0.3", mew=0.6)


def _draw_variance(
    axis: plt.Axes, table: pd.DataFrame, what: str, places: list[str], colours: dict[str, tuple]
) -> None:
    """Stack what contrasts explain alone, with R^2 of all above or below it."""
    means = table.groupby([what, "contrast"], sort=False)[["unique", "r_squared"]].mean()
    bottom, x = np.zeros(len(places)), np.arange(len(places))
    for contrast, colour in colours.items():
        unique = means.xs(contrast, level="contrast").loc[places, "unique"].to_numpy()
        axis.bar(x, unique, 0.7, bottom=bottom, color=colour, label=f"{contrast} alone")
        bottom += unique
    whole = means.groupby(level=what, sort=False)["r_squared"].first().loc[places]
    axis.hlines(whole, x - 0.42, x + 0.42, color="black", lw=1.4, label="$R^2$ of all")
    axis.set_title("variance explained", loc="left", fontweight="bold")
    axis.set_ylim(bottom=0)
    axis.figure.legend(loc="outside lower center", ncols=3)


def _caption(table: pd.DataFrame, what: str, alpha: float, *, several: bool, has_test: bool) -> str:
    first, contrasts = table.iloc[0], list(dict.fromkeys(table["contrast"]))
    n_categories = int(first["n_categories"])
    if several:
        n_subjects = table["subject"].nunique()
        tested = (
            f"Bars: means over n = {n_subjects} subjects, circles; lines: 95 % intervals for new "
            "subjects and new categories. "
        )
        tested += (
            f"Stars: two-sided sign-flips over subjects, family-wise p < {alpha:g} over all bars, "
            "which speak of these categories only."
            if has_test
            else "Too few subjects for a test over them."
        )
    else:
        whose = "" if what == "layer" else "One subject: a single case, nothing is said of others. "
        tested = (
            f"{whose}Lines: 95 % intervals over categories (jackknife within kinds), of each bar "
            f"alone. {_tests(table, alpha)}"
        )
    return (
        f"Perception codes fitted together: regression of each {WHAT[what]} over "
        f"n = {n_categories} categories ({int(first['n_pairs'])} pairs) on "
        f"{', '.join(contrasts)} and an intercept. "
        f"Coefficients are in standard deviations of the RDM, for one unit of a contrast. {tested} "
        "Below: what R² loses without a contrast, stacked, and R² of all (black); what lies "
        "between is shared, and R² below the stack means that contrasts suppress one another."
    )


def _tests(table: pd.DataFrame, alpha: float) -> str:
    """Return which contrasts stars test and how, and which have no test."""
    has_p = table["p"].notna()
    tested, untested = (
        " and ".join(dict.fromkeys(table.loc[chosen, "contrast"])) for chosen in (has_p, ~has_p)
    )
    sentences = []
    if tested:
        sentences.append(
            f"Stars: two-sided, for {tested} {int(table['n_permutations'].iloc[0]):,} permutations "
            "of the categories within their kind, with the other contrasts taken out, family-wise "
            f"p < {alpha:g} over these bars. A contrast of few categories cannot reach that, "
            "whatever its coefficient."
        )
    if untested:
        sentences.append(
            f"{untested}: no test, whatever the interval, since categories of kinds that may "
            "differ in spread cannot change places."
        )
    return " ".join(sentences)


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        group = snakemake.input.get("group")
        figure, caption = plot_code_fit(
            read_table(snakemake.input.table),
            read_table(group) if group else None,
            alpha=params.alpha,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
