"""Intervals of means over subjects are right whether subjects saw the same images or their own."""

from collections import ChainMap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform

from scripts.dissimilarity.evaluation.score_pair_models import ScoreSettings, score_pair_models
from scripts.dissimilarity.evaluation.tabulate_pair_scores import Fits
from scripts.dissimilarity.fits.pair_predictions import SplitPredictions
from workflow.lib.pairs.predictions import PairPredictions
from workflow.lib.pairs.splits import CLEAN

FIT = {"roi": "V1", "metric": "euclidean", "embedding": "", "variant": "", "split": CLEAN}
MODEL = {"model": "raw_distance", "kind": "raw_distance"}


@dataclass
class Model:
    """What a model predicts of a subject's pairs, as if read from its file."""

    labels: dict[str, str]
    names: list[str]
    tests: list[PairPredictions]

    def __iter__(self) -> Iterator[SplitPredictions]:
        yield SplitPredictions(FIT, self.tests, n_training_images=1)


def among(images, true, predicted):
    """Return all pairs among images, from square matrices."""
    first, second = (images[i] for i in np.triu_indices(len(images), 1))
    return PairPredictions(first, second, true[first, second], predicted[first, second])


def challenge_names(images: Sequence[int]) -> list[str]:
    """Return names as the challenge gives them: an image has another place in every subject."""
    return [f"train-{place:04d}_nsd-{image:05d}" for place, image in enumerate(images)]


def mean_over(subjects, *, n_bootstrap, seed=0, source="path", measure="spearman"):
    """Return the Fit to subjects: names and tests of each."""
    settings = ScoreSettings(
        n_bootstrap=n_bootstrap,
        n_permutations=1,
        seed=seed,
        deal="matched",
        labels="training",
        source=source,
    )
    tables, draws = [], []
    for number, (names, tests) in enumerate(subjects):
        labels = {"study": "scenes", "subject": f"subj{number:02d}", **MODEL}
        table, own = score_pair_models([Model(labels, names, tests)], settings)
        tables.append(table)
        draws.append(own)
    scores = pd.concat(tables, ignore_index=True)
    return Fits(scores, dict(ChainMap(*draws))).find(
        list(scores["subject"].unique()), {**FIT, **MODEL}, measure
    )


def width(fit):
    low, high = fit.over_images()
    return high - low


@pytest.mark.parametrize("source", ["path", "rsa"])
def test_a_second_subject_with_the_same_scores_of_the_same_images_says_nothing_new(source):
    n, rng = 30, np.random.default_rng(1)
    features = rng.standard_normal((n, 4))
    true, predicted = (squareform(pdist(features * scale)) for scale in (1, [1, 1, 0.3, 0]))

    def seen(images, names):
        """Return a subject who has the images in this order, under these names."""
        order = np.ix_(images, images)
        return names, [among(np.arange(n), true[order], predicted[order])]

    naming = challenge_names if source == "path" else lambda images: [f"face {i}" for i in images]
    order = rng.permutation(n)
    first = seen(np.arange(n), naming(range(n)))
    others = {n_own: naming([i + n * (i < n_own) for i in order]) for n_own in (0, 15, 30)}
    one = mean_over([first], n_bootstrap=2000, source=source)
    both = {
        n_own: mean_over([first, seen(order, names)], n_bootstrap=2000, source=source)
        for n_own, names in others.items()
    }
    np.testing.assert_allclose(both[0].over_images(), one.over_images())
    assert width(both[30]) < width(both[15]) < width(both[0])
    # Two independent scores vary by half as much in the mean.
    assert width(both[30]) / width(one) == pytest.approx(np.sqrt(0.5), rel=0.1)


def seen_by_subjects(n_subjects, n, share, rng):
    """Yield names and tests of subjects, who have so many of their n images in common."""
    n_shared = round(share * n)
    n_own = n - n_shared
    features = rng.standard_normal((n_shared + n_subjects * n_own, 6))
    for subject in range(n_subjects):
        own = n_shared + subject * n_own + np.arange(n_own)
        images = rng.permutation(np.concatenate([np.arange(n_shared), own]))
        known = features[images]
        measured = known + 0.4 * rng.standard_normal(known.shape)
        # Models see some of the features, with weights of their own.
        pairs = squareform(pdist(measured)), squareform(pdist(known * np.linspace(1, 0, 6)))
        folds = np.array_split(rng.permutation(n), 2)
        yield challenge_names(images), [among(np.sort(fold), *pairs) for fold in folds]


@pytest.mark.slow
@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_intervals_over_images_hold_the_mean_over_subjects(share):
    n_tests, found = 150, []
    for seed in range(n_tests):
        rng = np.random.default_rng([seed, round(10 * share)])
        subjects = seen_by_subjects(6, 40, share, rng)
        fit = mean_over(subjects, n_bootstrap=200, seed=seed)
        found.append([fit.mean, *fit.over_images()])
    value, low, high = np.transpose(found)
    # What 150 data sets tell to 0.02; draws of pairs vary by a sixth more than scores do.
    truth = value.mean()
    hits = (low <= truth) & (truth <= high)
    assert 0.9 <= hits.mean() <= 1, hits.mean()
    stated = np.sqrt(np.mean(((high - low) / 2 / 2.02) ** 2))
    assert 0.85 <= stated / value.std(ddof=1) <= 1.45, stated / value.std(ddof=1)
