"""Draw the learning curves of a network of pairs: training and validation loss of every fold."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import MaxNLocator

from scripts.dissimilarity.pair_figures import (
    SPLITS,
    in_order,
    say_not_applicable,
)
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, legend_below, titled, use_style, write_figure
from workflow.lib.tables import read_table
from workflow.lib.training.history import TRAINING, VALIDATION

# Networks of one model: embeddings times variants can be many.
MAX_NETWORKS = 6
STYLES = {
    TRAINING: {"color": "0.45", "ls": "--"},
    VALIDATION: {"color": "#0173b2", "ls": "-"},
}


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
    history : DataFrame, `{subject}_{model}_history.csv`
        epoch, part, measure, value, roi, metric, embedding, variant, split, fold.
    fit : subject, model, roi and metric that are shown
    measure : measure of the history, as "loss"
    title : name of the study
    simulated : whether the data is simulated
    """
    rows = history[
        (history["measure"] == measure)
        & (history["roi"] == fit["roi"])
        & (history["metric"] == fit["metric"])
    ]
    rows = rows.assign(network=_networks(rows))
    n_networks = rows["network"].nunique()
    networks = _shown_networks(rows)
    rows = rows[rows["network"].isin(networks)]
    splits = in_order(rows["split"], SPLITS)
    use_style()
    figure, axes = plt.subplots(
        max(1, len(networks)),
        max(1, len(splits)),
        figsize=(PAGE_WIDTH, 1.35 * max(1, len(networks)) + 1.0),
        sharex=True,
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for axis, split in zip(axes[0], splits, strict=False):
        axis.set_title(SPLITS.get(split, split))
    for line, network in zip(axes, networks, strict=False):
        for axis, split in zip(line, splits, strict=False):
            _draw(axis, rows[(rows["network"] == network) & (rows["split"] == split)])
        line[0].set_ylabel(f"{network}\n{measure}" if network else measure)
    for axis in axes[-1]:
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if rows.empty:
        say_not_applicable(axes[0, 0], "this model has no learning curve")
    else:
        legend_below(figure, axes[0, 0], 3)
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: {fit['model']}, {fit['subject']}, {fit['roi']}, "
        f"{fit['metric']}"
    )
    return figure, _caption(rows, fit, measure, n_networks)


def _networks(rows: pd.DataFrame) -> pd.Series:
    """Return what tells the networks of one model apart."""
    parts = rows[["embedding", "variant"]].fillna("").astype(str)
    return parts["embedding"].str.cat(parts["variant"], sep=" ").str.strip()


def _shown_networks(rows: pd.DataFrame) -> list[str]:
    """Return the networks to show, in their order: those of the lowest validation losses."""
    lowest = best_epochs(rows).groupby("network")["value"].mean().nsmallest(MAX_NETWORKS).index
    return [name for name in dict.fromkeys(rows["network"]) if name in set(lowest)]


def best_epochs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the epoch with the lowest validation loss of every fold.

    Parameters
    ----------
    rows : DataFrame of one measure, with network, split, fold, epoch, part, value

    Returns
    -------
    DataFrame, the rows of `VALIDATION` at that epoch
    """
    validation = rows[rows["part"] == VALIDATION].reset_index(drop=True)
    return validation.loc[validation.groupby(["network", "split", "fold"])["value"].idxmin()]


def _draw(axis: plt.Axes, rows: pd.DataFrame) -> None:
    for part, style in STYLES.items():
        of_part = rows[rows["part"] == part]
        for _, fold in of_part.groupby("fold"):
            axis.plot(fold["epoch"], fold["value"], lw=0.6, alpha=0.45, **style)
        mean = of_part.groupby("epoch")["value"].mean()
        axis.plot(mean.index, mean, lw=1.8, label=f"{part}, mean of folds", **style)
    best = best_epochs(rows)
    axis.plot(
        best["epoch"],
        best["value"],
        ls="",
        marker="o",
        ms=3.6,
        mfc="white",
        mec="#d55e00",
        label="lowest validation loss of a fold",
    )


def _caption(rows: pd.DataFrame, fit: Mapping[str, str], measure: str, n_networks: int) -> str:
    who = f"{fit['model']}, {fit['subject']} (a single case), {fit['roi']}, {fit['metric']}"
    if rows.empty:
        return f"No learning curve: {who} is not trained by epochs, or was not applicable."
    best = best_epochs(rows)
    said = "; ".join(
        f"{split}: epoch {group['epoch'].median():g} (median)"
        for split, group in best.groupby("split", sort=False)
    )
    n_shown = rows["network"].nunique()
    part = (
        f" {n_shown} of {n_networks} networks, those of the lowest validation loss, are shown."
        if n_shown < n_networks
        else ""
    )
    lowest = f" Circles: each fold's lowest validation loss, {said}." if said else ""
    return (
        f"Learning curves of {who}: {measure} over {int(rows['epoch'].max())} epochs, "
        f"n = {rows['fold'].nunique()} folds (thin lines). Dashed: mean over the training steps of "
        "an epoch, taken while the network changes; solid: on validation pairs after it, which in "
        "clean and one-seen splits share no image with training pairs; in leaked splits they do. "
        f"Test pairs have no part in this.{lowest}{part}"
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_loss_curves(
            read_table(snakemake.input.history),
            fit=params.fit,
            measure=params.measure,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
