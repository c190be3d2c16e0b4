"""Noise that vertices share is taken out of products of responses, and of predictions."""

import logging

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from scripts.dissimilarity.learning.pair_models import Items, Training
from scripts.dissimilarity.learning.shared_noise import without_shared_noise
from scripts.dissimilarity.models.encode import Model
from workflow.lib.pairs.sampling import PairSet

N_IMAGES, N_TRAINING = 120, 90


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def orthonormal(rng, n_images, n_components):
    values = rng.standard_normal((n_images, n_components))
    return np.linalg.qr(values - values.mean(axis=0))[0]


def test_products_are_those_of_responses_shrunk_vertex_by_vertex(rng):
    """The same with all vertices at hand: residuals, their SVD, and a matrix over vertices."""
    n_images, n_vertices, n_patterns = 40, 70, 3
    left = orthonormal(rng, n_images, 6)
    responses = rng.standard_normal((n_images, n_vertices)) + 5 * rng.standard_normal(
        (n_images, 3)
    ) @ rng.standard_normal((3, n_vertices))
    residuals = responses - responses.mean(axis=0)
    residuals -= left @ left.T @ residuals
    _, values, right = np.linalg.svd(residuals)
    shrunk = np.eye(n_vertices)
    for value, pattern in zip(values[:n_patterns], right[:n_patterns], strict=True):
        variance = value**2 / (n_images - 1 - 6)
        found = np.mean((left.T @ responses @ pattern) ** 2)
        shrunk -= min(1, variance / found) * np.outer(pattern, pattern)
    products = without_shared_noise(responses @ responses.T, left, n_patterns)
    expected = responses @ shrunk
    for power, other in ((1, responses), (2, expected)):
        found = products.times(np.eye(n_images), power)
        np.testing.assert_allclose(found, expected @ other.T, atol=1e-8)
        assert products.trace(power) == pytest.approx(np.trace(found))


@pytest.mark.parametrize(
    ("n_components", "n_patterns", "n_vertices"),
    [(5, 0, 30), (19, 4, 30), (0, 4, 30), (5, 4, 0), (5, 4, 30)],
    ids=["none wanted", "no freedom left", "no features", "no vertices", "nothing but features"],
)
def test_where_nothing_is_known_of_noise_products_stay_as_they_are(
    rng, n_components, n_patterns, n_vertices
):
    left = orthonormal(rng, 20, n_components) if n_components else np.zeros((20, 0))
    responses = rng.standard_normal((20, n_vertices))
    if n_patterns and n_components == 5:
        responses = left @ rng.standard_normal((5, n_vertices))
    gram = responses @ responses.T
    products = without_shared_noise(gram, left, n_patterns)
    for power in (1, 2):
        np.testing.assert_allclose(products.times(np.eye(20), power), gram, atol=1e-10)


def test_fewer_vertices_than_patterns_are_all_shrunk(rng):
    left = orthonormal(rng, 30, 4)
    responses = rng.standard_normal((30, 2))
    gram = responses @ responses.T
    products = without_shared_noise(gram, left, 10)
    found = left.T @ products.times(left, 2)
    assert np.isfinite(found).all()
    assert np.trace(found) < np.trace(left.T @ gram @ left)


def test_a_pattern_of_noise_goes_and_one_that_images_move_stays(rng):
    n_images, n_vertices = 200, 50
    left = orthonormal(rng, n_images, 30)
    patterns = np.linalg.qr(rng.standard_normal((n_vertices, 2)))[0].T
    moved = 2 * np.sqrt(n_images) * left @ rng.standard_normal(30)
    scores = np.array([3, 1]) * rng.standard_normal((n_images, 2))
    scores[:, 1] += moved
    responses = scores @ patterns + 0.1 * rng.standard_normal((n_images, n_vertices))
    once = without_shared_noise(responses @ responses.T, left, 2).times(left, 1)
    # Y M Y' is the sum over patterns of what each has left.
    unmixed = np.linalg.pinv(left.T @ responses @ patterns.T)
    noise, signal = np.diagonal(unmixed @ left.T @ once @ unmixed.T)
    assert noise < 0.5
    assert signal > 0.95


# What encoding makes of it


def planted(rng, *, shared, n_features=24, n_told=8, n_vertices=200):
    """Return features, measured and noiseless responses; half of the variance is noise."""
    features = rng.standard_normal((N_IMAGES, n_features)).astype(np.float32)
    signal = features[:, :n_told] @ rng.standard_normal((n_told, n_vertices)) / np.sqrt(n_told)
    patterns = rng.standard_normal((4, n_vertices)) / 2
    noise = np.sqrt(shared) * rng.standard_normal((N_IMAGES, 4)) @ patterns
    noise += np.sqrt(1 - shared) * rng.standard_normal(signal.shape)
    return features, (signal + noise).astype(np.float32), signal


def shares_of_ceiling(rng, metric, n_sets=6, features_of=lambda x: x, options=({},), **of_data):
    """Return Spearman's correlation on pairs of unseen images, over that of noiseless responses."""
    found = np.zeros((n_sets, len(options) + 1))
    for number in range(n_sets):
        features, measured, signal = planted(rng, **of_data)
        units = measured.mean(axis=0), measured.std(axis=0)
        values = pdist((measured - units[0]) / units[1], metric)
        train, test = np.split(np.arange(N_IMAGES), [N_TRAINING])
        first, second, truth = PairSet.among(values, N_IMAGES, test).all()
        seen = measured.copy()
        seen[test] = np.nan
        items = Items(features=features_of(features), responses=seen)
        for place, chosen in enumerate(options):
            model = Model(**chosen)
            pairs = PairSet.among(values, N_IMAGES, train)
            model.fit(Training(items, pairs, None, metric, None, f"set {number}", 0))
            predicted = model.predict(items, first, second)
            found[number, place] = spearmanr(truth, predicted).statistic
        ceiling = pdist((signal - signal.mean(axis=0)) / units[1], metric)
        of_test = PairSet.among(ceiling, N_IMAGES, test).all()[2]
        found[number, -1] = spearmanr(truth, of_test).statistic
    *scores, ceiling = found.mean(axis=0)
    return np.array(scores) / ceiling


@pytest.mark.parametrize("metric", ["correlation", "euclidean"])
def test_shared_noise_no_longer_keeps_encoding_from_the_ceiling(rng, metric):
    without, with_patterns = shares_of_ceiling(
        rng, metric, shared=0.85, options=({"n_patterns": 0}, {})
    )
    assert with_patterns > max(without + 0.03, 0.97)


@pytest.mark.parametrize("metric", ["correlation", "euclidean"])
def test_noise_of_each_vertex_alone_loses_nothing(rng, metric):
    without, with_patterns = shares_of_ceiling(
        rng, metric, shared=0.0, options=({"n_patterns": 0}, {})
    )
    assert with_patterns > without - 0.01


@pytest.mark.parametrize("n_features", [60, 89])
def test_as_many_features_as_images_are_no_worse_than_few(rng, n_features, caplog):
    """Of features that tell nothing, most are left out, and the log says how many and why."""
    with caplog.at_level(logging.WARNING):
        (found,) = shares_of_ceiling(rng, "correlation", shared=0.85, n_features=n_features)
    assert found > 0.85
    assert f"{n_features} features of 90 training images" in caplog.text
    assert "only the 45" in caplog.text


def test_few_features_are_all_used_and_nothing_is_said(rng, caplog):
    with caplog.at_level(logging.WARNING):
        shares_of_ceiling(rng, "correlation", shared=0.0, n_sets=1)
    assert not caplog.text
