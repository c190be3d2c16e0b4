"""Infer over subjects and images: two-factor intervals, sign-flips, distance from the ceiling."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.inference.counts import subject_counts
from workflow.lib.inference.draw_store import CeilingDraws, CeilingStore, Draws, DrawStore
from workflow.lib.inference.layers import ceiling_differences
from workflow.lib.inference.sign_flip import sign_flip_test
from workflow.lib.inference.variance import interval, one_factor_variance, two_factor_variance
from workflow.lib.jobs import script_job
from workflow.lib.rsa.comparators import COMPARATORS
from workflow.lib.seeds import generator
from workflow.lib.sources import MEAN_SESSION
from workflow.lib.tables import write_table


def infer_group(stores: Sequence[DrawStore], ceiling: CeilingStore, *, seed: int) -> pd.DataFrame:
    """Return what the subjects say together about every layer and ROI.

    Parameters
    ----------
    stores : the draws of every subject, of the same resamples of images
    ceiling : draws of the noise ceiling, of the same resamples
    seed : seed of the run

    Returns
    -------
    DataFrame, a row per comparator, ROI, model and layer: similarity, the mean over subjects; its
    standard error se for new subjects and images, and of these se_images and se_subjects alone;
    low to high, the 95 % interval with dof degrees of freedom; p_subjects and p_subjects_fwe of the
    sign-flip test over subjects (NaN for fewer than six, and for cosines, see `Comparator`);
    ceiling_low and ceiling_high, the noise ceiling; below_ceiling, its lower bound less the
    similarity, with the interval over images and one-sided p_ceiling.
    """
    first = stores[0]
    rows = np.flatnonzero(first.rows["session"] == MEAN_SESSION)
    layers = np.arange(len(first.layers))
    cells = first.rows["roi"].iloc[rows].to_frame().merge(first.layers, how="cross")
    n_drawn, study = first.n_drawn, first.descriptors["study"]
    tables = []
    for comparator in first.comparators:
        parts = [store.draws(comparator).of_cells(rows, layers) for store in stores]
        columns = group_columns(
            np.stack([part.estimate for part in parts]),
            np.stack([part.draws for part in parts], axis=1),
            n_drawn=n_drawn,
            zero_is_null=COMPARATORS[comparator].zero_is_null,
            seed=(seed, study),
        )
        columns |= group_ceiling_columns(parts, ceiling.draws(comparator), n_drawn)
        values = {name: np.ravel(value) for name, value in columns.items()}
        tables.append(cells.assign(comparator=comparator, **values))
    table = pd.concat(tables, ignore_index=True).assign(
        dof=min(len(stores), n_drawn) - 1, n_subjects=len(stores), n_images=first.n_images
    )
    table.insert(0, "study", study)
    return table


def group_columns(
    estimate: np.ndarray,
    draws: np.ndarray,
    *,
    n_drawn: int,
    zero_is_null: bool,
    seed: tuple[int, str],
) -> dict[str, np.ndarray]:
    """Return mean, standard errors, interval and sign-flip test, each (n_rois, n_layers).

    Parameters
    ----------
    estimate : float array (n_subjects, n_rois, n_layers)
    draws : float array (n_resamples, n_subjects, n_rois, n_layers)
    n_drawn : images, or groups of them, that a resample draws
    zero_is_null : whether a sign-flip test has a null, see `Comparator`
    seed : seed of the run, and name of the study
    """
    n_subjects = len(estimate)
    counts = subject_counts(n_subjects, len(draws), generator(seed[0], "subjects", seed[1]))
    variance = two_factor_variance(estimate, draws, counts, n_images=n_drawn)
    mean = estimate.mean(axis=0)
    low, high = interval(mean, variance, min(n_subjects, n_drawn) - 1)
    p = dict.fromkeys(("p_subjects", "p_subjects_fwe"), np.full(mean.shape, np.nan))
    if zero_is_null:
        flips = sign_flip_test(estimate, rng=generator(seed[0], "sign_flips", seed[1]))
        p = {"p_subjects": flips.p, "p_subjects_fwe": flips.p_max}
    return {
        "similarity": mean,
        "se": np.sqrt(variance),
        "low": low,
        "high": high,
        "se_images": np.sqrt(one_factor_variance(draws.mean(axis=1), n_drawn)),
        "se_subjects": estimate.std(axis=0, ddof=1) / np.sqrt(n_subjects),
    } | p


def group_ceiling_columns(
    parts: Sequence[Draws], ceiling: CeilingDraws, n_drawn: int
) -> dict[str, np.ndarray]:
    """Return the ceilings and how far below the lower one each cell lies, (n_rois, n_layers)."""
    shape = parts[0].estimate.shape
    lower, upper = (
        np.broadcast_to(bound.mean(axis=1, keepdims=True), shape)
        for bound in (ceiling.lower, ceiling.upper)
    )
    columns = {"ceiling_low": lower, "ceiling_high": upper}
    names = ("below_ceiling", "below_ceiling_low", "below_ceiling_high", "p_ceiling")
    n_paired = min(len(ceiling.lower_draws), *(len(part.exact) for part in parts))
    if n_paired < 2:
        return columns | {name: np.full(shape, np.nan) for name in names}
    below = ceiling_differences(
        np.mean([part.estimate for part in parts], axis=0),
        np.mean([part.exact[:n_paired] for part in parts], axis=0),
        ceiling=ceiling.lower.mean(axis=1),
        ceiling_draws=ceiling.lower_draws[:n_paired].mean(axis=2),
        n_drawn=n_drawn,
    )
    values = (below.intervals.estimate, below.intervals.lower, below.intervals.upper, below.p)
    return columns | dict(zip(names, values, strict=True))


if __name__ == "__main__":
    with script_job(snakemake):
        write_table(
            infer_group(
                [DrawStore(path) for path in snakemake.input.draws],
                CeilingStore(snakemake.input.ceiling),
                seed=snakemake.params.seed,
            ),
            snakemake.output[0],
        )
