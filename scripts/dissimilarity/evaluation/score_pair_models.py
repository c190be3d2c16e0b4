"""Score what the models of a subject predict of pairs of seen and of unseen images.

snakemake --cores 1 results/demo/scenes/tables/pair_scores_subj01.csv
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from scripts.dissimilarity.evaluation.pair_draws import OF_DRAWS, write_draws
from scripts.dissimilarity.evaluation.same_images import IDENTITIES
from scripts.dissimilarity.fits.pair_predictions import (
    ModelPredictions,
    SplitPredictions,
    read_predictions,
)
from workflow.lib.inference.counts import counts_by_name
from workflow.lib.inference.held_out_null import WIDENING
from workflow.lib.jobs import script_job
from workflow.lib.pairs.evaluation import PairScores, evaluate
from workflow.lib.pairs.predictions import joined
from workflow.lib.pairs.resampling import MEASURES
from workflow.lib.pairs.splits import LEAKED, RANDOM_PAIRS
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

FITTED, NOT_APPLICABLE = "fitted", "not applicable"
OF_FIT = ("study", "subject", "roi", "metric", "model", "kind", "embedding", "variant")
SCORES = (
    *(*OF_FIT, "split", "deal", "labels", "status", "reason", "measure", "value", "low", "high"),
    *("p", "n_images", "n_pairs", "n_folds", "n_training_images", "n_training_pairs"),
    "symmetry_error",
)


@dataclass(frozen=True)
class ScoreSettings:
    """How predictions are scored.

    Attributes
    ----------
    n_bootstrap, n_permutations, seed : int
    deal : "matched" or "random_pairs"
        How leaked pairs were dealt out.
    labels : "training", "all", "none" or "as published"
        By which images responses were standardised.
    source : key of `IDENTITIES`
        Of the entry; it says by what an image is known again in another subject.
    """

    n_bootstrap: int
    n_permutations: int
    seed: int
    deal: str
    labels: str
    source: str

    def of_all(self, split: str) -> bool:
        """Return whether the test pairs of all folds together are those of one RDM.

        Random pairs of one fold are no RDM, of which images can be permuted.
        """
        return split == LEAKED and self.deal == RANDOM_PAIRS

    def labels_of(self, split: str) -> str:
        """Return by which images the labels of a split are standardised."""
        return "all" if self.of_all(split) and self.labels == "training" else self.labels


def score_pair_models(
    models: Iterable[ModelPredictions], settings: ScoreSettings
) -> tuple[pd.DataFrame, dict[tuple[str, ...], np.ndarray]]:
    """Return the scores of models of a subject, and those in resamples of its images.

    Parameters
    ----------
    models : iterable of ModelPredictions
    settings : ScoreSettings

    Returns
    -------
    scores : DataFrame with the columns `SCORES`
        n_training_images and n_training_pairs are the fewest of a fold.
    draws : dict, values of `OF_DRAWS` -> float64 array (n_resamples, n_measures)
        Of fits to all training images. All models see the same resamples, and all subjects the
        same of the images that they saw, so that draws of different ones can be paired.
    """
    tables, draws = [], {}
    for model in models:
        images = map(IDENTITIES[settings.source], model.names)
        # No stream of a subject's: its images are drawn as often in others who saw them.
        rng_of = partial(generator, settings.seed, "pairs", "resample", model.labels["study"])
        counts = counts_by_name(images, settings.n_bootstrap, rng_of)
        for found in model:
            labels = {**model.labels, **found.labels}
            if found.reason:
                tables.append(_not_applicable(found, labels, settings))
                continue
            scores = _scores(found, labels, counts, settings)
            tables.append(_table(found, scores, labels, settings))
            if found.asked is None:
                draws[tuple(labels[name] for name in OF_DRAWS)] = scores.draws
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return table.reindex(columns=list(SCORES)), draws


def _scores(
    found: SplitPredictions, labels: dict[str, str], counts: np.ndarray, settings: ScoreSettings
) -> PairScores:
    purpose = ("permute", *(labels[name] for name in OF_FIT), labels["split"], str(found.asked))
    return evaluate(
        [joined(found.tests)] if settings.of_all(labels["split"]) else found.tests,
        counts=counts,
        n_permutations=settings.n_permutations,
        rng=generator(settings.seed, *purpose),
        widening=WIDENING,
    )


def _table(
    found: SplitPredictions, scores: PairScores, labels: dict[str, str], settings: ScoreSettings
) -> pd.DataFrame:
    of_fits = {
        "n_folds": len(found.tests),
        "n_training_images": found.n_training_images,
        "n_training_pairs": found.n_training_pairs,
        "symmetry_error": found.symmetry_error,
    }
    return scores.table.assign(**_said(labels, settings), status=FITTED, reason="", **of_fits)


def _not_applicable(
    found: SplitPredictions, labels: dict[str, str], settings: ScoreSettings
) -> pd.DataFrame:
    said = {**_said(labels, settings), "status": NOT_APPLICABLE, "reason": found.reason}
    return pd.DataFrame({"measure": MEASURES}).assign(**said)


def _said(labels: dict[str, str], settings: ScoreSettings) -> dict[str, Any]:
    """Return the labels of a fit, and what is said of its split."""
    return {**labels, "deal": settings.deal, "labels": settings.labels_of(labels["split"])}


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        settings = ScoreSettings(
            n_bootstrap=params.inference["n_bootstrap"],
            n_permutations=params.inference["n_permutations"],
            seed=params.seed,
            deal=params.deal,
            labels=params.labels,
            source=params.source,
        )
        models = map(read_predictions, snakemake.input.predictions)
        scores, draws = score_pair_models(models, settings)
        write_table(scores, snakemake.output.scores)
        write_draws(draws, snakemake.output.draws)
