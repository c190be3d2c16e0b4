"""Fit independent contrasts of perception codes together: to every layer, or to every brain RDM.

snakemake --cores 1 results/demo/digits/tables/code_fit_layers.csv
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scripts.digits.code_contrasts import contrast_rdms, joint_coefficients, pair_weights
from scripts.digits.codes import kinds_of
from scripts.digits.compare_codes import category_interval, drawn
from scripts.infer.partition_variance import partition_rows, share_draws
from workflow.lib.inference.bootstrap import subject_counts
from workflow.lib.inference.permutation import PermutationTest, permute_prepared
from workflow.lib.inference.sign_flip import sign_flip_test
from workflow.lib.inference.study_resamples import n_drawn, stretched, study_counts
from workflow.lib.inference.variance import interval, two_factor_variance
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rdms.vectors import n_conditions
from workflow.lib.rsa.partial import MOST_MODELS, partial_prepare, partition_variance
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table


@dataclass(frozen=True)
class Fit:
    """Contrasts fitted to the RDMs of one file.

    Attributes
    ----------
    estimate : float64 array (n_contrasts, n_rdms)
        Coefficients, see `scripts.digits.code_contrasts.joint_coefficients`.
    draws : float64 array (n_resamples, n_contrasts, n_rdms)
        The same on resampled categories, see
        `workflow.lib.inference.study_resamples.stretched`.
    table : DataFrame, a row per RDM and contrast
    partition : DataFrame, a row per RDM and set of contrasts
    """

    estimate: np.ndarray
    draws: np.ndarray
    table: pd.DataFrame
    partition: pd.DataFrame


def fit_codes(
    store: RDMStore,
    codes: RDMStore,
    contrasts: Mapping[str, Mapping[str, float]],
    *,
    n_permutations: int,
    n_resamples: int,
    seed: int,
) -> Fit:
    """Return the coefficients of contrasts, and shares of variance, for the RDMs of a file.

    Parameters
    ----------
    store : RDMs of layers, or of a subject's ROIs; its groups are the kinds of the categories
    codes : RDMs of the codes over the same categories
    contrasts : as `scripts.digits.code_contrasts.contrast_rdms` takes them
    n_permutations : permutations of the categories
    n_resamples : bootstrap resamples of the categories, drawn as `compare_codes.drawn` says
    seed : seed of the run

    Returns
    -------
    Fit
        Its table has columns layer or roi, contrast, coefficient with its 95 % interval over
        categories (low, high), unique (what R^2 loses without the contrast), r_squared of the whole
        fit, p (two-sided), p_fwe (over the rows of the table) and how categories were permuted,
        see `joint_test`. Its partition is that of
        `scripts.infer.partition_variance`, without rows where there are more contrasts than
        `workflow.lib.rsa.partial.MOST_MODELS`.

    Raises
    ------
    InputError
        Contrasts that explain one another, or an RDM that they explain wholly.

    Notes
    -----
    A contrast and an RDM are tested with the other contrasts taken out of both, the contrast's
    residuals relabelled: an approximate test (Legendre 2000).
    """
    check_same_images([store, codes])
    names, vectors = contrast_rdms(codes, contrasts)
    what, rows = fitted_rows(store)
    rdms, resample = store.vectors(list(rows.values())), drawn(store)
    counts = study_counts(store, n_resamples=n_resamples, resample=resample, seed=seed)
    estimate = joint_coefficients(vectors, rdms)[0]
    draws = joint_coefficients(vectors, rdms, pair_weights(counts))
    low, high = category_interval(estimate, draws, store, resample)
    unique, r_squared = explained(vectors, rdms)
    columns = {
        "coefficient": estimate,
        "low": low,
        "high": high,
        "unique": unique,
        "r_squared": np.broadcast_to(r_squared, estimate.shape),
    } | joint_test(
        vectors,
        rdms,
        names,
        list(rows),
        kinds=store.groups,
        n_permutations=n_permutations,
        seed=(seed, store.descriptors["study"]),
    )
    cells = pd.MultiIndex.from_product([rows, names], names=[what, "contrast"])
    table = cells.to_frame(index=False).assign(
        **{name: values.T.ravel() for name, values in columns.items()},
        n_categories=store.n_images,
        n_pairs=store.n_pairs,
        n_permutations=n_permutations,
        n_resamples=n_resamples,
    )
    partition = partition_table(store, vectors, rdms, names, list(rows), counts)
    return Fit(
        estimate,
        stretched(draws, store, resample),
        table,
        partition.rename(columns={"roi": what, "models": "contrasts", "n_models": "n_contrasts"}),
    )


def fitted_rows(store: RDMStore) -> tuple[str, dict[str, int]]:
    """Return what the RDMs of a file are of, and the row of each to be fitted.

    Those of ROIs are means over sessions.
    """
    if "roi" in store.labels:
        return "roi", store.mean_session_rows()
    return "layer", store.first_rows("layer")


def joint_test(
    contrasts: np.ndarray,
    rdms: np.ndarray,
    names: Sequence[str],
    labels: Sequence[str],
    *,
    kinds: Sequence[str],
    n_permutations: int,
    seed: tuple[int, str],
) -> dict[str, np.ndarray]:
    """Return two-sided tests of every contrast, with the others taken out, in every RDM.

    Parameters
    ----------
    contrasts : float array (n_contrasts, n_pairs)
    rdms : float array (n_rdms, n_pairs)
    names, labels : what errors call them
    kinds : kind of each category
    n_permutations : permutations of the categories
    seed : seed of the run, and name of the study

    Returns
    -------
    dict of arrays (n_contrasts, n_rdms)
        p; p_fwe, over all cells; permuted, "within kinds" or "all".

    Notes
    -----
    Dissimilarities between digits, between objects and between the two differ in spread, so that
    categories of two kinds cannot change places under the null that a contrast among digits is
    nothing: of RDMs without any, in which digits resembled one another closely, 21 % were
    significant at 5 %. Categories change places within their kind wherever that changes the
    contrast, and all of them only for contrasts between kinds. Cells of the two ways of permuting
    are each corrected by the largest, and then by Bonferroni.

    With few categories few orders differ: six halved into three and three have ten, and p is no
    less than 0.1.
    """
    within = np.array([varies_within(vector, kinds) for vector in contrasts])
    p, p_fwe = np.empty((2, len(names), len(labels)))
    for chosen in (within, ~within):
        if not chosen.any():
            continue
        test = _tested_alike(
            contrasts,
            rdms,
            names,
            labels,
            numbers=np.flatnonzero(chosen),
            groups=kinds if within[chosen].all() else None,
            n_permutations=n_permutations,
            seed=seed,
        )
        n_ways = 1 + (within.any() and not within.all())
        p[chosen], p_fwe[chosen] = test.p, np.minimum(n_ways * test.family_wise_p(), 1)
    permuted = np.where(within, "within kinds", "all")
    return {"p": p, "p_fwe": p_fwe, "permuted": np.repeat(permuted[:, np.newaxis], len(labels), 1)}


def varies_within(contrast: np.ndarray, kinds: Sequence[str]) -> bool:
    """Return whether a contrast (n_pairs,) differs between pairs of the same two kinds."""
    first, second = np.triu_indices(len(kinds), 1)
    blocks: dict[frozenset, set] = {}
    for i, j, value in zip(first, second, contrast, strict=True):
        blocks.setdefault(frozenset((kinds[i], kinds[j])), set()).add(float(value))
    return any(len(values) > 1 for values in blocks.values())


def _tested_alike(
    contrasts: np.ndarray,
    rdms: np.ndarray,
    names: Sequence[str],
    labels: Sequence[str],
    *,
    numbers: Sequence[int],
    groups: Sequence[str] | None,
    n_permutations: int,
    seed: tuple[int, str],
) -> PermutationTest:
    """Return the test of some contrasts under the same orders, of sizes of partial correlations."""
    tests = []
    for number in numbers:
        left, right = partial_prepare(
            contrasts[[number]],
            rdms,
            np.delete(contrasts, number, axis=0),
            "pearson",
            model_names=[names[number]],
            brain_names=labels,
            control_names=[name for name in names if name != names[number]],
        )
        test = permute_prepared(
            left,
            right,
            n_images=n_conditions(contrasts.shape[1]),
            n_permutations=n_permutations,
            # Anew for each contrast: each order then has one largest.
            rng=generator(seed[0], "contrasts", seed[1]),
            groups=groups,
        )
        tests.append(test)
    return PermutationTest(
        np.abs(np.concatenate([test.similarity for test in tests])),
        np.abs(np.concatenate([test.null for test in tests], axis=1)),
        tests[0].tolerance,
        tests[0].complete,
    )


def explained(contrasts: np.ndarray, rdms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what R^2 loses without each contrast (n_contrasts, n_rdms), and R^2 (n_rdms,)."""
    whole = _r_squared(contrasts, rdms)
    without = [_r_squared(np.delete(contrasts, row, axis=0), rdms) for row in range(len(contrasts))]
    return whole - np.stack(without), whole


def _r_squared(contrasts: np.ndarray, rdms: np.ndarray) -> np.ndarray:
    design = np.column_stack([np.ones(rdms.shape[1]), contrasts.T])
    rest = rdms.T - design @ np.linalg.lstsq(design, rdms.T)[0]
    return 1 - rest.var(axis=0) / rdms.var(axis=1)


def partition_table(
    store: RDMStore,
    contrasts: np.ndarray,
    rdms: np.ndarray,
    names: Sequence[str],
    labels: Sequence[str],
    counts: np.ndarray,
) -> pd.DataFrame:
    """Return what sets of contrasts share of the variance of each RDM, with intervals."""
    if len(names) > MOST_MODELS:
        return pd.DataFrame(columns=["roi", "models", "n_models", "r_squared", "share"])
    resample = drawn(store)
    found = partition_variance(contrasts, rdms, "pearson", model_names=names)
    draws = [
        stretched(part, store, resample)
        for part in share_draws(contrasts, rdms, "pearson", counts, exact=True)
    ]
    return partition_rows(found, draws, labels, n_drawn(store, resample))


def group_table(fits: Sequence[Fit], *, n_categories: int, seed: tuple[int, str]) -> pd.DataFrame:
    """Return the mean coefficients over subjects, for new subjects and new categories.

    Parameters
    ----------
    fits : of each subject, of the same ROIs
    n_categories : independent ones that resamples draw, see
        `workflow.lib.inference.study_resamples.n_drawn`
    seed : seed of the run, and name of the study

    Returns
    -------
    DataFrame, a row per ROI and contrast: coefficient, low and high (95 %, two-factor variance),
    p_subjects and p_subjects_fwe of two-sided sign-flips, n_subjects, and reason, why there is no
    test. A single subject has no interval either: it is a single case.
    """
    estimates = np.stack([fit.estimate for fit in fits])
    draws = np.stack([fit.draws for fit in fits], axis=1)
    n_subjects, mean = len(fits), estimates.mean(axis=0)
    low, high = np.full((2, *mean.shape), np.nan)
    if n_subjects > 1:
        counts = subject_counts(n_subjects, len(draws), generator(seed[0], "subjects", seed[1]))
        variance = two_factor_variance(estimates, draws, counts, n_images=n_categories)
        low, high = interval(mean, variance, min(n_subjects, n_categories) - 1)
    flips = sign_flip_test(
        estimates, rng=generator(seed[0], "sign_flips", seed[1]), alternative="two-sided"
    )
    columns = {
        "coefficient": mean,
        "low": low,
        "high": high,
        "p_subjects": flips.p,
        "p_subjects_fwe": flips.p_max,
    }
    return (
        fits[0]
        .table[["roi", "contrast"]]
        .assign(
            **{name: values.T.ravel() for name, values in columns.items()},
            n_subjects=n_subjects,
            reason=flips.reason,
        )
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params, output, study = snakemake.params, snakemake.output, snakemake.wildcards.study
        codes = RDMStore(snakemake.input.codes)
        stores = [RDMStore(path) for path in snakemake.input.rdms]
        kinds = kinds_of(params.categories)
        for store in stores:
            # The study of the brain may group its images otherwise, or not at all.
            store.groups = [kinds[name] for name in store.names]
        fits = {
            store.descriptors.get("subject", store.descriptors.get("model")): fit_codes(
                store,
                codes,
                params.contrasts,
                n_permutations=params.n_permutations,
                n_resamples=params.n_resamples,
                seed=params.seed,
            )
            for store in stores
        }
        for name in ("table", "partition"):
            # What is fitted: a subject's ROIs, or the layers of a model.
            parts = {who: getattr(fit, name) for who, fit in fits.items()}
            kind = "subject" if "subject" in stores[0].descriptors else "model"
            table = pd.concat(parts, names=[kind]).reset_index(level=0)
            table.insert(0, "study", study)
            write_table(table, output[name])
        if "group" in output.keys():  # noqa: SIM118 (a named list, not a dict)
            n_categories = n_drawn(stores[0], drawn(stores[0]))
            group = group_table(
                list(fits.values()), n_categories=n_categories, seed=(params.seed, study)
            )
            group.insert(0, "study", study)
            write_table(group, output.group)
