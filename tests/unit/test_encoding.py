"""Ridge encoding against scikit-learn, planted effects, and nulls."""

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge

from workflow.lib.errors import InputError
from workflow.lib.rsa import encoding
from workflow.lib.rsa.encoding import (
    fold_correlations,
    held_out_predictions,
    image_folds,
    permuted_scores,
    reliability_ceiling,
)
from workflow.lib.seeds import generator

N_IMAGES, N_FEATURES, N_CHANNELS = 60, 25, 8


@pytest.fixture
def data():
    """Features, responses that follow them, and folds."""
    rng = np.random.default_rng(5)
    features = rng.standard_normal((N_IMAGES, N_FEATURES)) + 3
    weights = rng.standard_normal((N_FEATURES, N_CHANNELS))
    responses = features @ weights + 3 * rng.standard_normal((N_IMAGES, N_CHANNELS)) + 10
    return features, responses, image_folds(N_IMAGES, 5, rng)


def test_predictions_are_those_of_ridge_with_an_intercept(data, monkeypatch):
    """The kernel form with one penalty equals scikit-learn's ridge on the features themselves."""
    features, responses, folds = data
    gram = features @ features.T
    penalty = 0.3
    monkeypatch.setattr(encoding, "ALPHAS", np.array([penalty]))
    expected = np.empty_like(responses)
    for test in folds:
        train = np.setdiff1d(np.arange(N_IMAGES), test)
        ridge = Ridge(alpha=penalty * np.diagonal(gram).mean()).fit(
            features[train], responses[train]
        )
        expected[test] = ridge.predict(features[test])
    np.testing.assert_allclose(held_out_predictions(gram, responses, folds), expected, atol=1e-8)


def test_no_prediction_depends_on_the_image_that_it_predicts(data):
    features, responses, folds = data
    gram = features @ features.T
    before = held_out_predictions(gram, responses, folds)
    spoiled = responses.copy()
    spoiled[folds[2]] += 100
    np.testing.assert_array_equal(
        held_out_predictions(gram, spoiled, folds)[folds[2]], before[folds[2]]
    )


def test_folds_hold_every_image_once():
    folds = image_folds(17, 5, np.random.default_rng(0))
    assert sorted(np.concatenate(folds)) == list(range(17))


def test_too_few_images_are_refused():
    with pytest.raises(InputError, match="found 10 images for 5 folds, expected at least 15"):
        image_folds(10, 5, np.random.default_rng(0))


def test_score_is_the_mean_of_pearson_r_within_folds(data):
    _, responses, folds = data
    predictions = np.random.default_rng(1).standard_normal(responses.shape)
    expected = [
        np.mean([pearsonr(predictions[fold, c], responses[fold, c]).statistic for fold in folds])
        for c in range(N_CHANNELS)
    ]
    np.testing.assert_allclose(fold_correlations(predictions, responses, folds), expected)


def test_constant_prediction_scores_zero(data):
    _, responses, folds = data
    assert (fold_correlations(np.ones_like(responses), responses, folds) == 0).all()


def test_layer_that_drives_the_responses_predicts_them_better_than_another(data):
    features, responses, folds = data
    other = np.random.default_rng(2).standard_normal((N_IMAGES, N_FEATURES))
    scores = [
        fold_correlations(held_out_predictions(x @ x.T, responses, folds), responses, folds).mean()
        for x in (features, other)
    ]
    assert scores[0] > 0.5
    assert abs(scores[1]) < 0.2


def test_permutation_p_is_uniform_for_unrelated_features():
    """Over 60 null data sets, p <= 0.1 occurs within its exact binomial bounds (99.9 %)."""
    n_sets, reached = 60, 0
    for number in range(n_sets):
        rng = generator(number, "null_encoding")
        features, responses = rng.standard_normal((40, 10)), rng.standard_normal((40, 4))
        folds = image_folds(40, 5, rng)
        predictions = held_out_predictions(features @ features.T, responses, folds)
        score = fold_correlations(predictions, responses, folds).mean()
        null = permuted_scores(predictions, responses, folds, 99, rng)
        reached += (np.sum(null >= score - 1e-9) + 1) / 100 <= 0.1
    # scipy.stats.binom.ppf((0.0005, 0.9995), 60, 0.1) = (0, 15)
    assert reached <= 15


def test_reliability_ceiling_is_what_the_true_signal_reaches():
    """With signal and noise known, the signal's own correlation with the mean of both halves."""
    rng = np.random.default_rng(3)
    signal = rng.standard_normal((4000, 6))
    halves = [signal + 1.5 * rng.standard_normal(signal.shape) for _ in range(2)]
    mean = (halves[0] + halves[1]) / 2
    reached = np.mean([pearsonr(signal[:, c], mean[:, c]).statistic for c in range(6)])
    assert reliability_ceiling(*halves) == pytest.approx(reached, abs=0.01)
