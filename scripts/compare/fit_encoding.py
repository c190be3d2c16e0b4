"""Predict every channel's responses from each layer by ridge regression, on held-out images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.errors import InputError
from workflow.lib.inference.permutation import false_discovery_rate
from workflow.lib.jobs import script_job
from workflow.lib.patterns.preparation import condition_means
from workflow.lib.patterns.reading import Patterns
from workflow.lib.patterns.store import PatternStore
from workflow.lib.rdms.alignment import positions
from workflow.lib.rdms.gram_store import GramStore
from workflow.lib.rsa.encoding import (
    fold_correlations,
    held_out_predictions,
    image_folds,
    permuted_scores,
    reliability_ceiling,
)
from workflow.lib.seeds import generator
from workflow.lib.sources import MEAN_SESSION
from workflow.lib.tables import read_table, write_table

# What the table calls the score where RSA tables name their comparator.
ENCODING = "encoding"


def fit_encoding(
    store: PatternStore,
    models: Sequence[GramStore],
    images: Sequence[str],
    *,
    match: str,
    n_folds: int,
    n_permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Return the encoding score of every layer and ROI, in the columns of the RSA tables.

    Parameters
    ----------
    store : the subject's patterns
    models : Gram matrices of each model's layers over the common images
    images : matched names in the common order
    match : how names are matched
    n_folds : folds over images
    n_permutations : permutations of the held-out images; 0 for no test
    seed : seed of the run

    Returns
    -------
    DataFrame, a row per ROI, model and layer: similarity (Pearson r of predicted and measured
    responses to held-out images, averaged over folds and channels), one-sided p, q (over the
    subject's cells), ceiling (from split-half reliability, NaN without runs), n_channels,
    n_images, n_permutations.
    """
    check_images_of_models(models, images)
    subject, study = store.descriptors["subject"], store.descriptors["study"]
    folds = image_folds(len(images), n_folds, generator(seed, "encoding_folds", study))
    rows = []
    for roi in store.rois:
        patterns = store.patterns(roi)
        responses = responses_to(patterns, images, match, f"{subject}, {roi}")
        ceiling = split_half_ceiling(patterns, images, match)
        for model in models:
            for layer, grams in grams_by_layer(model).items():
                score, p = score_layer(
                    [model.gram(number) for number in grams],
                    responses,
                    folds,
                    n_permutations=n_permutations,
                    # Every cell sees the same permutations.
                    rng_purpose=(seed, "encoding_permutations", study),
                )
                rows.append(
                    {
                        "roi": roi,
                        "session": MEAN_SESSION,
                        "model": model.model,
                        "layer": layer,
                        "comparator": ENCODING,
                        "similarity": score,
                        "p": p,
                        "ceiling": ceiling,
                        "n_channels": responses.shape[1],
                    }
                )
    table = pd.DataFrame(rows).assign(
        study=study, subject=subject, n_images=len(images), n_permutations=n_permutations
    )
    return table.assign(q=false_discovery_rate(table["p"].to_numpy()))


def check_images_of_models(models: Sequence[GramStore], images: Sequence[str]) -> None:
    """Raise InputError unless every model's Gram matrices hold the common images in order."""
    for model in models:
        if model.names != list(images):
            raise InputError(
                f"{model.path.name}: found other images, or another order, than in images.csv, "
                "expected the same; both come from the same alignment: run again"
            )


def grams_by_layer(model: GramStore) -> dict[str, list[int]]:
    """Return the numbers of the Gram matrices (one per seed) of each layer."""
    numbers: dict[str, list[int]] = {}
    for number, labels in enumerate(model.labels):
        numbers.setdefault(labels["layer"], []).append(number)
    return numbers


def score_layer(
    grams: Sequence[np.ndarray],
    responses: np.ndarray,
    folds: list[np.ndarray],
    *,
    n_permutations: int,
    rng_purpose: tuple,
) -> tuple[float, float]:
    """Return the mean score over channels (and seeds of an untrained network), and its p."""
    scores, null = [], []
    for gram in grams:
        predictions = held_out_predictions(gram, responses, folds)
        scores.append(fold_correlations(predictions, responses, folds).mean())
        null.append(
            permuted_scores(predictions, responses, folds, n_permutations, generator(*rng_purpose))
        )
    score = float(np.mean(scores))
    reached = int((np.mean(null, axis=0) >= score - 1e-9).sum())
    return score, (reached + 1) / (n_permutations + 1) if n_permutations else np.nan


def responses_to(patterns: Patterns, images: Sequence[str], match: str, what: str) -> np.ndarray:
    """Return the mean response to each common image, float64 (n_images, n_channels)."""
    names, means = condition_means(patterns)
    return means[positions(images, names, match=match, what=what)]


def split_half_ceiling(patterns: Patterns, images: Sequence[str], match: str) -> float:
    """Return the reliability ceiling from odd and even runs; NaN if a half lacks an image."""
    runs = list(dict.fromkeys(patterns.runs or []))
    halves = []
    for half in (runs[::2], runs[1::2]):
        rows = [i for i, run in enumerate(patterns.runs or []) if run in half]
        part = patterns.of_observations(rows)
        if len(set(part.conditions)) < len(set(patterns.conditions)) or not rows:
            return np.nan
        halves.append(responses_to(part, images, match, "half of the runs"))
    return reliability_ceiling(*halves)


if __name__ == "__main__":
    with script_job(snakemake):
        images = list(read_table(snakemake.input.images)["name"])
        match = snakemake.params.match
        write_table(
            fit_encoding(
                PatternStore(snakemake.input.patterns),
                [GramStore(path, images, match) for path in snakemake.input.grams],
                images,
                match=match,
                n_folds=snakemake.params.n_folds,
                n_permutations=snakemake.params.n_permutations,
                seed=snakemake.params.seed,
            ),
            snakemake.output[0],
        )
