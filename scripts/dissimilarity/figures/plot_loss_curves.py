"""Draw the learning curves of networks of pairs: training and validation loss of every fold."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import MaxNLocator

from scripts.dissimilarity.evaluation.score_tables import chosen, read_scores
from scripts.dissimilarity.figures.pair_figures import SPLITS, called, in_order, say_not_applicable
from workflow.lib.figures.curves import STYLES, draw_curves
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    PAGE_WIDTH,
    legend_below,
    titled,
    use_style,
    wrapped,
    write_figure,
)
from workflow.lib.training.history import VALIDATION

# More rows than these do not fit on a page.
MAX_NETWORKS = 6
# Clean and one-seen splits have the same training pairs: one fit serves both.
HEADINGS = {**SPLITS, "clean": "clean and one image seen: one fit"}


def plot_loss_curves(
    history: pd.DataFrame,
    *,
    fit: Mapping[str, str],
    measure: str,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw a row of panels per embedding and variant, a column per split, a line per fold.

    Parameters
    ----------
    history : DataFrame, `{subject}_{model}_history.csv`; may have no rows
    fit : subject, model, roi and metric that are shown
    measure : measure of the history, as "loss"
    title : name of the study
    simulated : whether the data is simulated
    """
    everything = _with_networks(chosen(history, measure=measure, **fit))
    networks = shown_networks(everything)
    rows = everything[everything["network"].isin(networks)]
    splits = in_order(rows["split"], SPLITS)
    use_style()
    figure, axes = plt.subplots(
        max(1, len(networks)),
        max(1, len(splits)),
        figsize=(PAGE_WIDTH, 1.35 * max(1, len(networks)) + 1.0),
        sharex="row",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for axis, split in zip(axes[0], splits, strict=False):
        axis.set_title(HEADINGS.get(split, split))
    for line, network in zip(axes, networks, strict=False):
        for axis, split in zip(line, splits, strict=False):
            shown = chosen(rows, network=network, split=split)
            draw_curves(axis, shown, STYLES, best_epochs(shown), f"lowest {VALIDATION} of a fold")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        line[0].set_ylabel(f"{wrapped([network], 20)[0]}\n{measure}", fontsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("epoch")
    if rows.empty:
        say_not_applicable(axes[0, 0], "not trained by epochs")
    else:
        legend_below(figure, axes[0, 0], 3)
    figure.suptitle(f"{titled(title, simulated=simulated)}: {', '.join(fit.values())}")
    return figure, _caption(rows, fit, measure, everything["network"].nunique())


def _with_networks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a name of each network."""
    names = [called(row._asdict()) for row in rows.itertuples(index=False)]
    return rows.assign(network=pd.Series(names, index=rows.index, dtype=str))


def best_epochs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the epoch with the lowest validation value of every fold.

    Parameters
    ----------
    rows : DataFrame of one measure
        network, split, fold, epoch, part, value.

    Returns
    -------
    DataFrame, the rows of `VALIDATION` at that epoch
    """
    validation = rows[(rows["part"] == VALIDATION) & rows["value"].notna()].reset_index(drop=True)
    return validation.loc[validation.groupby(["network", "split", "fold"])["value"].idxmin()]


def shown_networks(rows: pd.DataFrame) -> list[str]:
    """Return the networks to draw: of every model and variant the embedding of the lowest loss.

    Parameters
    ----------
    rows : DataFrame as for `best_epochs`, with model, variant and embedding

    Returns
    -------
    list of str
        In the order of the rows, the first `MAX_NETWORKS`.
    """
    lowest = best_epochs(rows).groupby("network")["value"].mean()
    fits = rows[["model", "variant", "network"]].drop_duplicates()
    # Without validation there is nothing to choose by, and the first embedding is shown.
    values = fits["network"].map(lowest).fillna(float("inf"))
    best = values.groupby([fits["model"], fits["variant"]], sort=False).idxmin()
    return fits["network"].loc[best].tolist()[:MAX_NETWORKS]


def _caption(rows: pd.DataFrame, fit: Mapping[str, str], measure: str, n_networks: int) -> str:
    who = f"{fit['model']}, {fit['subject']} (a single case), {fit['roi']}, {fit['metric']}"
    if rows.empty:
        return f"No learning curves: {who} is not trained by epochs, or was not applicable."
    best = best_epochs(rows)
    epochs = "; ".join(
        f"{network}, {split}: {of_network['epoch'].median():g}"
        for (network, split), of_network in best.groupby(["network", "split"], sort=False)
    )
    lowest = (
        f" Circles: each fold's lowest {VALIDATION} {measure} (median epoch: {epochs})."
        if epochs
        else ""
    )
    n_shown = rows["network"].nunique()
    part = (
        f" {n_shown} of {n_networks} networks are shown, of a model and variant the embedding with "
        f"the lowest {VALIDATION} {measure}."
        if n_shown < n_networks
        else ""
    )
    improving = _improving_note(rows, best, measure)
    return (
        f"Learning curves of {who}: {measure} over up to {int(rows['epoch'].max())} epochs; thin "
        f"lines: n = {rows['fold'].nunique()} folds, thick ones their means, which "
        "late epochs take over the folds that have not stopped. Dashed: mean over the training "
        "steps of an epoch, taken while the network changes; solid: on validation pairs after it, "
        "whose images are in no training pair, but for the leaked split. Test pairs have no part "
        f"in this.{lowest}{improving}{part}"
    )


def _improving_note(rows: pd.DataFrame, best: pd.DataFrame, measure: str) -> str:
    """Return in how many runs the last epoch was the best, so that more might have been better."""
    of_run = ["network", "split", "fold"]
    validation = rows[(rows["part"] == VALIDATION) & rows["value"].notna()]
    last = validation.groupby(of_run)["epoch"].max()
    if last.empty:
        return ""
    n = int((best.set_index(of_run)["epoch"] == last).sum())
    if not n:
        return ""
    return (
        f" In {n} of {len(last)} runs (a network and fold each) {VALIDATION} {measure} was still "
        "improving at the last epoch: more epochs might do better."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_loss_curves(
            read_scores(snakemake.input.history),
            fit=params.fit,
            measure=params.measure,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
