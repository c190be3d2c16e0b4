"""Decode the category of every picture by logistic regression, the linear baseline.

snakemake --cores 2 results/demo/pictures/models/semantics_linear_01.h5
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from scripts.reconstruction.decoders.clusters import read_clusters
from scripts.reconstruction.decoders.decoder_job import open_job
from scripts.reconstruction.decoders.held_out_fits import Fit, Predictor
from scripts.reconstruction.decoders.penalties import PENALTY, inner_folds, warn_at_edge
from scripts.reconstruction.decoders.samples import ImageSamples
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.sources import TRAINING

MAX_ITERATIONS = 500


def logistic_of_categories(
    codes: np.ndarray,
    groups: np.ndarray,
    n_categories: int,
    *,
    penalties: Sequence[float],
    n_inner_folds: int,
    seed: int,
    purpose: str,
) -> Fit:
    """Return how categories are fitted to responses.

    Of each image it is told, beside the probabilities, by which C it was predicted.

    Parameters
    ----------
    codes : int array (n_images,)
        Category of each training image.
    groups : int array (n_images,)
        Copies of one image.
    n_categories : int
    penalties : sequence of float
        Values of C, scikit-learn's inverse strength of the penalty, to choose from by the mean log
        loss of held-out images.
    n_inner_folds : int
    seed : int
    purpose : str
        Seeds of the inner folds follow from it.
    """

    def fit(training: ImageSamples, validation: ImageSamples, name: str) -> Predictor:
        # Nothing is stopped: the validation images are learned from, too.
        image = np.concatenate([training.image, validation.image])
        features = np.concatenate([training.responses, validation.responses]).astype(np.float64)
        rng = generator(seed, "reconstruction", "inner folds", purpose, name)
        parts = inner_folds(groups[image], n_inner_folds, int(rng.integers(2**31)))
        own = codes[image]
        losses = [
            np.mean(
                [
                    log_loss(
                        own[test],
                        _probabilities(
                            features[train], own[train], features[test], C, n_categories
                        ),
                        labels=np.arange(n_categories),
                    )
                    for train, test in parts
                ]
            )
            for C in penalties
        ]
        best = penalties[int(np.argmin(losses))]
        warn_at_edge(best, penalties, f"{purpose}, {name}, C")

        def predict(others: np.ndarray) -> dict[str, np.ndarray]:
            found = _probabilities(features, own, others, best, n_categories)
            return {
                "predicted": found,
                "probabilities": found,
                PENALTY: np.full(len(others), best, float),
            }

        return predict

    return fit


def _probabilities(
    features: np.ndarray, codes: np.ndarray, others: np.ndarray, C: float, n_categories: int
) -> np.ndarray:
    """Return the probability of every category, 0 of those that were not learned from."""
    found = np.zeros((len(others), n_categories))
    learned = np.unique(codes)
    if learned.size == 1:
        # A rare category may be missing from an inner fold: nothing is left to tell apart.
        found[:, learned] = 1
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=C, max_iter=MAX_ITERATIONS).fit(features, codes)
    found[:, model.classes_] = model.predict_proba(others)
    return found


if __name__ == "__main__":
    with script_job(snakemake):
        job = open_job(snakemake)
        clusters = read_clusters(Path(snakemake.input.clusters))
        job.write_predictions(
            Path(snakemake.output[0]),
            logistic_of_categories(
                clusters.codes(TRAINING, job.images.names),
                job.images.groups,
                clusters.n_clusters,
                penalties=job.decoder["logistic"]["C"],
                n_inner_folds=job.decoder["logistic"]["n_inner_folds"],
                seed=job.seed,
                purpose=job.purpose,
            ),
        )
