"""Predict every channel's responses from each layer by ridge regression, on held-out images."""

import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from workflow.lib.errors import InputError
from workflow.lib.inference.folds import most_folds, rdm_folds
from workflow.lib.inference.multiple_tests import false_discovery_rate
from workflow.lib.inference.orders import EXCHANGED, image_orders, possible_permutations
from workflow.lib.jobs import script_job
from workflow.lib.patterns.preparation import condition_means
from workflow.lib.patterns.reading import Patterns
from workflow.lib.patterns.store import PatternStore
from workflow.lib.rdms.alignment import positions
from workflow.lib.rdms.gram_store import GramStore
from workflow.lib.rsa.encoding import (
    TIE_TOLERANCE,
    FoldModel,
    explainable_variance,
    explained_variance,
    fold_correlations,
    held_out_predictions,
    permuted_scores,
)
from workflow.lib.seeds import generator
from workflow.lib.sources import MEAN_SESSION
from workflow.lib.tables import read_table, write_table

# What the table calls the score where RSA tables name their comparator.
ENCODING = "encoding"
COLUMNS = (
    *("study", "subject", "roi", "session", "model", "layer", "comparator"),
    *("similarity", "channel_correlation", "p", "q", "ceiling"),
    *("n_channels", "n_images", "n_permutations"),
)

log = logging.getLogger("workflow")


def fit_encoding(
    store: PatternStore,
    models: Sequence[GramStore],
    images: pd.DataFrame,
    *,
    match: str,
    n_folds: int,
    n_permutations: int,
    permuted: str,
    resample: str,
    seed: int,
) -> pd.DataFrame:
    """Return the encoding score of every layer and ROI, in the columns of the RSA tables.

    Parameters
    ----------
    store : the subject's patterns
    models : Gram matrices of each model's layers over the common images
    images : name (matched) and group of each image, in the common order
    match : how names are matched
    n_folds : folds over images
    n_permutations : permutations of the images of the responses; 0 for no test
    permuted : what changes places, a key of `workflow.lib.inference.orders.EXCHANGED`
    resample : as in `workflow.lib.inference.study_resamples`; "groups" holds out whole groups
    seed : seed of the run

    Returns
    -------
    DataFrame, a row per ROI, model and layer: similarity (share of the variance of the responses
    to held-out images that is explained), with its one-sided p, q (over the subject's cells) and
    ceiling (the share that is signal, from runs; NaN without); channel_correlation (mean over
    channels of Pearson r, descriptive); n_channels, n_images, n_permutations (0, and no p, where
    nothing can change places: no two whole groups of one size). No rows, and a warning, where
    there are too few images for the folds.
    """
    names = list(images["name"])
    check_images_of_models(models, names)
    subject, study = store.descriptors["subject"], store.descriptors["study"]
    clusters = list(images["group"]) if resample == "groups" else None
    if n_folds > most_folds(len(names), clusters):
        log.warning(
            "%s, %s: found %d images, too few for encoding.folds: %d (three a fold); ridge "
            "encoding is left out",
            *(study, subject, len(names), n_folds),
        )
        return pd.DataFrame(columns=COLUMNS)
    rng = generator(seed, "encoding_folds", study)
    folds = rdm_folds(len(names), n_folds, rng, clusters=clusters)
    groups = list(images["group"])
    orders, n_orders = permuted_images(
        groups,
        permuted,
        possible_permutations(n_permutations, permuted, groups, f"{study}, {subject}"),
        generator(seed, "encoding_permutations", study),
    )
    rows = []
    for roi in store.rois:
        patterns = store.patterns(roi)
        responses = responses_to(patterns, names, match, f"{subject}, {roi}")
        of_roi = {"roi": roi, "n_channels": responses.shape[1]}
        of_roi["ceiling"] = ceiling_of(patterns, names, match)
        rows += [
            of_roi | cell | score_layer(grams, responses, folds, orders)
            for cell, grams in layers_of(models)
        ]
    labels = {"study": study, "subject": subject, "session": MEAN_SESSION, "comparator": ENCODING}
    table = pd.DataFrame(rows).assign(**labels, n_images=len(names), n_permutations=n_orders)
    table["q"] = false_discovery_rate(table["p"].to_numpy())
    return table[list(COLUMNS)]


def permuted_images(
    groups: Sequence[str], permuted: str, n_permutations: int, rng: np.random.Generator
) -> tuple[list[np.ndarray], int]:
    """Return orders of the images, their own first, and how many are told.

    None for no test. Every cell and every subject sees the same ones.
    """
    if not n_permutations:
        return [], 0
    exchanged = EXCHANGED[permuted](groups)
    orders, complete = image_orders(len(groups), n_permutations, rng, **exchanged)
    orders = list(orders)
    return orders, len(orders) - (not complete)


def check_images_of_models(models: Sequence[GramStore], images: Sequence[str]) -> None:
    """Raise InputError unless every model's Gram matrices hold the common images in order."""
    for model in models:
        if model.names != list(images):
            raise InputError(
                f"{model.path.name}: found other images, or another order, than in images.csv, "
                "expected the same; both come from the same alignment: run again"
            )


def layers_of(
    models: Sequence[GramStore],
) -> Iterator[tuple[dict[str, str], Iterator[np.ndarray]]]:
    """Yield every layer with its Gram matrices, one per seed of an untrained network."""
    for model in models:
        numbers: dict[str, list[int]] = {}
        for number, labels in enumerate(model.labels):
            numbers.setdefault(labels["layer"], []).append(number)
        for layer, of_layer in numbers.items():
            yield {"model": model.model, "layer": layer}, map(model.gram, of_layer)


def score_layer(
    grams: Iterable[np.ndarray],
    responses: np.ndarray,
    folds: Sequence[np.ndarray],
    orders: Sequence[np.ndarray],
) -> dict[str, float]:
    """Return similarity, channel_correlation and p of a layer, means over seeds.

    Parameters
    ----------
    grams : float64 arrays (n_images, n_images), one per seed
    responses : float64 array (n_images, n_channels)
    folds : test images of each fold
    orders : orders of the images, of which the first is their own; none for no test
    """
    similarities, correlations, null = [], [], []
    for gram in grams:
        models = [FoldModel.without(fold, gram) for fold in folds]
        predictions = held_out_predictions(models, responses)
        similarities.append(explained_variance(predictions, responses, folds))
        correlations.append(fold_correlations(predictions, responses, folds).mean())
        if orders:
            null.append(permuted_scores(models, responses, orders))
    p = np.nan
    if orders:
        mean = np.mean(null, axis=0)
        p = np.mean(mean >= mean[0] - TIE_TOLERANCE)
    return {
        "similarity": float(np.mean(similarities)),
        "channel_correlation": float(np.mean(correlations)),
        "p": float(p),
    }


def responses_to(patterns: Patterns, images: Sequence[str], match: str, what: str) -> np.ndarray:
    """Return the mean response to each common image, float64 (n_images, n_channels)."""
    names, means = condition_means(patterns)
    return means[positions(images, names, match=match, what=what)]


def ceiling_of(patterns: Patterns, images: Sequence[str], match: str) -> float:
    """Return the share of variance that a perfect model explains; NaN where runs do not tell.

    From single runs where each holds every image, else from odd and even runs where these do.
    """
    runs = list(dict.fromkeys(patterns.runs or []))
    if len(runs) < 2:
        return np.nan
    for parts in ([[run] for run in runs], [runs[::2], runs[1::2]]):
        repeats = [_of_runs(patterns, part) for part in parts]
        complete = [len(set(part.conditions)) == len(set(patterns.conditions)) for part in repeats]
        if all(complete):
            what = "part of the runs"
            return explainable_variance(
                np.stack([responses_to(part, images, match, what) for part in repeats]),
                [len(part) for part in parts],
            )
    return np.nan


def _of_runs(patterns: Patterns, runs: Sequence[str]) -> Patterns:
    return patterns.of_observations([i for i, run in enumerate(patterns.runs) if run in runs])


if __name__ == "__main__":
    with script_job(snakemake):
        images = read_table(snakemake.input.images)
        match = snakemake.params.match
        write_table(
            fit_encoding(
                PatternStore(snakemake.input.patterns),
                [GramStore(path, list(images["name"]), match) for path in snakemake.input.grams],
                images,
                match=match,
                n_folds=snakemake.params.n_folds,
                n_permutations=snakemake.params.n_permutations,
                permuted=snakemake.params.permuted,
                resample=snakemake.params.resample,
                seed=snakemake.params.seed,
            ),
            snakemake.output[0],
        )
