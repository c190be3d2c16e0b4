"""Infer from one subject's resamples which layers differ, which is best, and where they lie."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.inference.draw_store import CeilingStore, Draws, DrawStore
from workflow.lib.inference.layers import (
    best_layer_probability,
    ceiling_differences,
    interaction_test,
    layer_centres,
    layer_differences,
)
from workflow.lib.jobs import script_job
from workflow.lib.rsa.comparators import COMPARATORS
from workflow.lib.sources import MEAN_SESSION
from workflow.lib.tables import write_table


def infer_layers(
    store: DrawStore, ceiling: CeilingStore | None, *, ordered: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return what a subject's draws say about the layers of each ordered model.

    Parameters
    ----------
    store : the subject's draws
    ceiling : draws of the noise ceiling, with the same resamples; None for one subject. The joint
        RDM has no ceiling.
    ordered : models whose layers follow one another

    Returns
    -------
    layers : DataFrame, a row per comparator, model, ROI and layer
        p_best: share of the resamples in which it is the best; interaction, interaction_t and
        interaction_p (family-wise over the model's cells); below_ceiling with its interval and
        one-sided p_ceiling.
    differences : DataFrame, a row per comparator, model, ROI and pair of layers
        difference (first minus second) with its interval, p, and q over the pairs of the ROI.
    centres : DataFrame, a row per comparator, model and ROI
        centre of mass with its interval (NaN for cosines); interaction_p of the whole table.
    """
    rows = np.flatnonzero(store.rows["session"] == MEAN_SESSION)
    rois = store.rows["roi"].iloc[rows].to_list()
    n_drawn, subject = store.n_drawn, store.descriptors["subject"]
    tables: tuple[list, list, list] = ([], [], [])
    for comparator in store.comparators:
        draws = store.draws(comparator)
        for model in ordered:
            columns = np.flatnonzero(store.layers["model"] == model)
            part = draws.of_cells(rows, columns)
            names = store.layers["layer"].iloc[columns].to_list()
            found = (
                layer_rows(part, rois, names, n_drawn).assign(
                    **subject_ceiling_columns(part, ceiling, subject, comparator, n_drawn)
                ),
                difference_rows(part, rois, names, n_drawn),
                centre_rows(part, rois, comparator, n_drawn),
            )
            for table, piece in zip(tables, found, strict=True):
                piece.insert(0, "model", model)
                table.append(piece.assign(comparator=comparator, n_resamples=len(part.draws)))
    labels = {"study": store.descriptors["study"], "subject": subject}
    return tuple(
        pd.concat(table, ignore_index=True).assign(**labels, n_images=store.n_images)
        for table in tables
    )


def layer_rows(
    draws: Draws, rois: Sequence[str], layers: Sequence[str], n_drawn: int
) -> pd.DataFrame:
    """Return a row per ROI and layer."""
    interaction = interaction_test(draws.estimate, draws.draws, n_drawn=n_drawn)
    cells = pd.MultiIndex.from_product([rois, layers], names=["roi", "layer"]).to_frame(index=False)
    return cells.assign(
        similarity=draws.estimate.ravel(),
        p_best=best_layer_probability(draws.draws).ravel(),
        interaction=interaction.residual.ravel(),
        interaction_t=interaction.t.ravel(),
        interaction_p=interaction.p.ravel(),
    )


def subject_ceiling_columns(
    draws: Draws, ceiling: CeilingStore | None, subject: str, comparator: str, n_drawn: int
) -> dict[str, np.ndarray | float]:
    """Return how far each layer stays below the subject's lower ceiling.

    NaN for the joint RDM, for a single subject, and without exact resamples.
    """
    names = ("below_ceiling", "below_ceiling_low", "below_ceiling_high", "p_ceiling")
    if ceiling is None or subject not in ceiling.subjects:
        return dict.fromkeys(names, np.nan)
    bounds, number = ceiling.draws(comparator), ceiling.subjects.index(subject)
    n_paired = min(len(bounds.lower_draws), len(draws.exact))
    if n_paired < 2:
        return dict.fromkeys(names, np.nan)
    below = ceiling_differences(
        draws.estimate,
        draws.exact[:n_paired],
        ceiling=bounds.lower[:, number],
        ceiling_draws=bounds.lower_draws[:n_paired, :, number],
        n_drawn=n_drawn,
    )
    values = (below.intervals.estimate, below.intervals.lower, below.intervals.upper, below.p)
    return {name: value.ravel() for name, value in zip(names, values, strict=True)}


def difference_rows(
    draws: Draws, rois: Sequence[str], layers: Sequence[str], n_drawn: int
) -> pd.DataFrame:
    """Return a row per ROI and pair of layers."""
    found = layer_differences(draws.estimate, draws.draws, n_drawn=n_drawn)
    names = np.asarray(layers)
    n_pairs = len(found.first)
    return pd.DataFrame(
        {
            "roi": np.repeat(rois, n_pairs),
            "first": np.tile(names[found.first], len(rois)),
            "second": np.tile(names[found.second], len(rois)),
            "difference": found.intervals.estimate.ravel(),
            "se": found.intervals.se.ravel(),
            "low": found.intervals.lower.ravel(),
            "high": found.intervals.upper.ravel(),
            "p": found.p.ravel(),
            "q": found.q.ravel(),
        }
    )


def centre_rows(draws: Draws, rois: Sequence[str], comparator: str, n_drawn: int) -> pd.DataFrame:
    """Return a row per ROI; no centre where similarities of unrelated RDMs are not zero."""
    found = layer_centres(draws.estimate, draws.draws)
    bounds = {"centre": found.centre, "low": found.lower, "high": found.upper}
    if not COMPARATORS[comparator].zero_is_null:
        bounds = dict.fromkeys(bounds, np.nan)
    interaction = interaction_test(draws.estimate, draws.draws, n_drawn=n_drawn)
    return pd.DataFrame(
        {
            "roi": rois,
            **bounds,
            "n_undefined": found.n_undefined,
            "interaction_p": interaction.omnibus_p,
        }
    )


if __name__ == "__main__":
    with script_job(snakemake):
        tables = infer_layers(
            DrawStore(snakemake.input.draws),
            CeilingStore(snakemake.input.ceiling) if snakemake.input.get("ceiling") else None,
            ordered=snakemake.params.ordered,
        )
        for table, path in zip(tables, snakemake.output, strict=True):
            write_table(table, path)
