"""The widened null holds where folds learn from one another, and the plain one does not."""

import numpy as np
import pytest
from scipy.stats import binom

from workflow.lib.inference.held_out_null import WIDENING, widened, widened_p

N_FOLDS, N_ITEMS, N_FEATURES = 4, 10, 20


def scores(seed, n_shuffles=99):
    """Return the mean score of folds, and scores with labels shuffled after fitting.

    Each fold is predicted by sums over the labels of the others, of features that have nothing to
    do with the labels.
    """
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((N_FOLDS, N_ITEMS, N_FEATURES))
    labels = rng.choice([-1.0, 1.0], (N_FOLDS, N_ITEMS))
    weights = np.einsum("kif,ki->kf", features, labels)
    predicted = np.einsum("kif,kf->ki", features, weights.sum(axis=0) - weights)
    shuffled = rng.choice([-1.0, 1.0], (n_shuffles, N_FOLDS, N_ITEMS))
    return (labels * predicted).mean(), (shuffled * predicted).mean(axis=(1, 2))


def test_scores_without_an_effect_vary_twice_as_much_as_under_shuffles():
    found = [scores(seed) for seed in range(1000)]
    true = np.var([score for score, _ in found])
    of_shuffles = np.mean([null.var() for _, null in found])
    assert true / of_shuffles == pytest.approx(WIDENING**2, rel=0.15)


def test_p_is_uniform_with_the_widened_null_and_too_small_without():
    found = [scores(seed) for seed in range(400)]
    wide = np.array([widened_p(score, null, 0.0) for score, null in found])
    plain = np.array([np.mean(np.append(null, score) >= score) for score, null in found])
    low, high = binom.interval(0.999, len(found), 0.05)
    assert low <= np.sum(wide <= 0.05) <= high
    assert np.sum(plain <= 0.05) > high


def test_null_is_drawn_out_around_its_centre():
    null = np.array([0.1, 0.2, 0.3, 0.4])
    found = widened(null, 0.5)
    assert found.mean() == pytest.approx(0.5)
    assert found.std() == pytest.approx(np.sqrt(2) * null.std())
    np.testing.assert_array_equal(np.argsort(found), np.arange(4))


def test_the_own_labelling_counts_and_ties_reach_it():
    null = np.array([-1.0, 0.0, 1.0])
    assert widened_p(2.0, null, 0.0) == 1 / 4
    assert widened_p(np.sqrt(2), null, 0.0) == 2 / 4
    assert widened_p(-2.0, null, 0.0) == 1
