"""Models of pairs without a network: against scikit-learn and himalaya, planted truths, nulls."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from himalaya.ridge import Ridge as HimalayaRidge
from scipy.optimize import approx_fprime, nnls
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler

from scripts.dissimilarity.learning import least_squares, pair_features
from scripts.dissimilarity.learning.encoder import Code, Encoder, response_products
from scripts.dissimilarity.learning.pair_models import Items, Training, build
from scripts.dissimilarity.models.mahalanobis import LowRank
from tests.unit.pair_splits import make_splits
from workflow.lib.errors import InputError
from workflow.lib.pairs.sampling import PairSet
from workflow.lib.pairs.splits import CLEAN
from workflow.lib.seeds import generator

METRICS = ("correlation", "euclidean")
N_IMAGES = 60
# Every kind in every form, by the name that a failing test shows.
MODELS = {
    "mean": ("mean", {}),
    "additive": ("additive", {}),
    "raw_distance": ("raw_distance", {}),
    "ridge": ("ridge", {}),
    "ridge, all forms": ("ridge", {"forms": ["absolute", "squared", "product", "sum"]}),
    "svr": ("svr", {}),
    "mahalanobis, diagonal": ("mahalanobis", {}),
    "mahalanobis, low rank": ("mahalanobis", {"rank": 5}),
    "encode": ("encode", {}),
}


def standardised(values):
    return (values - values.mean(axis=0)) / values.std(axis=0)


def planted(seed, n_images=N_IMAGES, n_features=10, n_vertices=200, noise=1.5, effect=1.0):
    """Return features, responses that are a linear map of them plus noise, and without noise."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n_images, n_features)).astype(np.float32)
    # Some features matter more than others.
    weights = rng.standard_normal((n_features, n_vertices)) * rng.gamma(1, 1, (n_features, 1))
    signal = standardised(features @ weights)
    responses = effect * signal + noise * rng.standard_normal(signal.shape)
    return features, standardised(responses).astype(np.float32), signal


def of_unequal_vertices(data):
    """Return planted data in units and with means that differ between vertices."""
    features, responses, signal = data
    rng = np.random.default_rng(0)
    units, means = rng.lognormal(1, 0.8, signal.shape[1]), rng.standard_normal(signal.shape[1])
    return features, (responses * units + means).astype(np.float32), signal * units + means


def training(pairs, metric="correlation", validation=None, seed=0, purpose="test", **items):
    return Training(Items(**items), pairs, validation, metric, Path("unused"), purpose, seed)


def everything(values, n_images):
    return PairSet.among(values, n_images, np.arange(n_images))


def fitted(kind, options, train):
    model = build(kind, options)
    model.fit(train)
    return model


def items_of(features, responses, training_images):
    """Return the items of a split, as `fit_pair_model` makes them."""
    some = features[training_images]
    seen = np.full_like(responses, np.nan)
    seen[training_images] = responses[training_images]
    return {
        "features": (features - some.mean(axis=0)) / some.std(axis=0),
        "distances": pdist(features).astype(np.float32),
        "responses": seen,
    }


def clean_predictions(kind, options, data, metric, seed, validation_share=0.15, **known):
    """Return measured and predicted dissimilarities and those without noise, of each fold."""
    features, responses, signal = data
    values, noiseless = pdist(responses, metric), pdist(signal, metric)
    splits = make_splits(
        values,
        len(features),
        n_folds=5,
        validation_share=validation_share,
        rng=generator(seed, "splits"),
    )
    for split in (split for split in splits if split.name == CLEAN):
        items = items_of(features, responses, split.training_images) | known
        purpose = f"fold {split.fold}"
        model = fitted(
            kind,
            options,
            training(split.training, metric, split.validation, seed, purpose, **items),
        )
        first, second, measured = split.test.all()
        predicted = model.predict(Items(**items), first, second)
        yield measured, predicted, noiseless[split.test.index()]


def r_squared(folds):
    measured, predicted, _ = (np.concatenate(part) for part in zip(*folds, strict=True))
    return 1 - ((measured - predicted) ** 2).sum() / ((measured - measured.mean()) ** 2).sum()


# What holds for every kind


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", MODELS)
def test_order_of_two_images_does_not_matter_to_the_last_bit(name, metric):
    kind, options = MODELS[name]
    features, responses, _ = planted(1)
    values = pdist(responses, metric)
    items = items_of(features, responses, np.arange(5, 50))
    pairs = PairSet.among(values, N_IMAGES, np.arange(5, 50))
    model = fitted(kind, options, training(pairs, metric, **items))
    # Two seen images, one, and none.
    first, second = np.triu_indices(N_IMAGES, 1)
    forward = model.predict(Items(**items), first, second)
    assert forward.dtype == np.float64
    np.testing.assert_array_equal(forward, model.predict(Items(**items), second, first))
    order = np.random.default_rng(0).permutation(first.size)
    shuffled = model.predict(Items(**items), first[order], second[order])
    np.testing.assert_allclose(shuffled, forward[order], rtol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_but_training_and_validation_pairs_is_looked_at(name):
    kind, options = MODELS[name]
    features, responses, _ = planted(2)
    values = pdist(responses, "correlation")
    split = make_splits(values, N_IMAGES, n_folds=5, validation_share=0.2, rng=generator(0, "s"))[0]
    known = np.concatenate([split.training.index(), split.validation.index()])
    spoiled = np.full_like(values, np.nan)
    spoiled[known] = values[known]
    items = items_of(features, responses, split.training_images)
    first, second, _ = split.test.all()
    found = []
    for some in (values, spoiled):
        train, check = (
            PairSet.among(some, N_IMAGES, part.images)
            for part in (split.training, split.validation)
        )
        model = fitted(kind, options, training(train, validation=check, **items))
        found.append(model.predict(Items(**items), first, second))
    assert np.isfinite(found[1]).all()
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", [name for name in MODELS if name != "mean"])
def test_nothing_is_predicted_where_images_have_no_effect(name, metric):
    kind, options = MODELS[name]
    correlations, shares = [], []
    for seed in range(4):
        data = planted(seed, n_images=100, effect=0, n_vertices=60)
        folds = list(clean_predictions(kind, options, data, metric, seed))
        # Folds differ in the mean of their training pairs, which says nothing of single pairs.
        varying = [fold for fold in folds if np.ptp(fold[1]) > 1e-9]
        correlations += [spearmanr(measured, predicted)[0] for measured, predicted, _ in varying]
        correlations += [0.0] * (len(folds) - len(varying))
        shares.append(r_squared(folds))
    # Over 40 other seeds, standard deviations between seeds were up to 0.07.
    assert abs(np.mean(correlations)) < 0.1
    assert -0.1 < np.mean(shares) < 0.02


@pytest.mark.parametrize("kind", ["additive", "raw_distance", "ridge", "svr", "mahalanobis"])
def test_random_pairs_do_for_all_of_them(kind):
    features, responses, _ = planted(3)
    values = pdist(responses, "euclidean")
    items = items_of(features, responses, np.arange(N_IMAGES))
    pairs = everything(values, N_IMAGES)
    first, second, _ = pairs.all()

    def predicted(max_pairs, seed):
        train = training(pairs, "euclidean", seed=seed, **items)
        model = fitted(kind, {"max_pairs": max_pairs}, train)
        return model.predict(Items(**items), first, second)

    drawn = predicted(1000, 1)
    np.testing.assert_array_equal(drawn, predicted(1000, 1))
    assert not np.array_equal(drawn, predicted(1000, 2))
    assert np.corrcoef(drawn, predicted(len(pairs), 1))[0, 1] > 0.8


@pytest.mark.parametrize("name", ["ridge", "mahalanobis, diagonal", "svr"])
def test_features_of_all_pairs_are_never_there_at_once(name):
    kind, options = MODELS[name]
    rng = np.random.default_rng(0)
    n_images, n_pairs, n_features = 600, 100_000, 50
    features = rng.standard_normal((n_images, n_features)).astype(np.float32)
    pairs = everything(pdist(features[:, :5]), n_images)
    # The map that a linear machine learns on is as large as it is told to be.
    few = {"n_components": 10, "costs": [1.0]} if kind == "svr" else {}
    tracemalloc.start()
    fitted(kind, {**options, **few, "max_pairs": n_pairs}, training(pairs, features=features))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n_pairs * n_features * 8


# Baselines


def test_mean_is_that_of_the_training_pairs():
    pairs = PairSet.listed(np.arange(45.0), 10, np.array([3, 4, 11]))
    model = fitted("mean", {}, training(pairs))
    np.testing.assert_allclose(model.predict(Items(), np.arange(3), np.arange(3) + 5), 6.0)


def test_additive_recovers_planted_effects_and_gives_others_the_mean_one():
    rng = np.random.default_rng(0)
    effects = rng.standard_normal(30)
    first, second = np.triu_indices(30, 1)
    values = 5 + effects[first] + effects[second]
    seen = np.arange(3, 28)
    model = fitted("additive", {"penalty": 0}, training(PairSet.among(values, 30, seen)))
    both = np.isin(first, seen) & np.isin(second, seen)
    np.testing.assert_allclose(
        model.predict(Items(), first[both], second[both]), values[both], atol=1e-8
    )
    mean = effects[seen].mean()
    np.testing.assert_allclose(
        model.predict(Items(), np.array([0, 5, 29]), np.array([1, 29, 20])),
        [5 + 2 * mean, 5 + effects[5] + mean, 5 + mean + effects[20]],
        atol=1e-8,
    )


def test_additive_is_ridge_regression_on_who_is_in_a_pair():
    rng = np.random.default_rng(1)
    values = rng.random(45)
    chosen = rng.permutation(45)[:20]
    model = fitted("additive", {"penalty": 2.0}, training(PairSet.listed(values, 10, chosen)))
    first, second = (side[chosen] for side in np.triu_indices(10, 1))
    has = np.zeros((20, 10))
    has[np.arange(20), first] = has[np.arange(20), second] = 1
    ridge = Ridge(alpha=2.0, fit_intercept=False).fit(has, values[chosen] - values[chosen].mean())
    expected = values[chosen].mean() + ridge.predict(has)
    np.testing.assert_allclose(model.predict(Items(), first, second), expected, atol=1e-8)


def test_raw_distance_is_the_line_through_the_training_pairs():
    rng = np.random.default_rng(0)
    distances, values = rng.random((2, 190))
    chosen = rng.permutation(190)[:50]
    train = training(PairSet.listed(values, 20, chosen), distances=distances)
    model = fitted("raw_distance", {}, train)
    first, second = np.triu_indices(20, 1)
    expected = np.polyval(np.polyfit(distances[chosen], values[chosen], 1), distances)
    np.testing.assert_allclose(model.predict(train.items, second, first), expected, atol=1e-12)


def test_a_distance_that_does_not_vary_predicts_the_mean():
    line = least_squares.Line.fit(np.ones(4), np.array([1.0, 2, 3, 6]))
    np.testing.assert_allclose(line(np.array([1.0, 7.0])), 3.0)


# Ridge regression


def pair_matrix(features, first, second):
    a, b = features[first].astype(np.float64), features[second].astype(np.float64)
    return np.hstack([np.abs(a - b), a * b])


def sklearn_ridge(features, pairs, penalty):
    """Return scikit-learn's predictions, as a function of pairs, from arrays of all pairs."""
    first, second, values = pairs
    matrix = pair_matrix(features, first, second)
    scaler = StandardScaler().fit(matrix)
    ridge = Ridge(alpha=penalty * values.size).fit(scaler.transform(matrix), values)
    return lambda a, b: ridge.predict(scaler.transform(pair_matrix(features, a, b)))


@pytest.mark.parametrize("block", [7, 64, 4096])
def test_ridge_is_that_of_scikit_learn_whatever_the_blocks(block, monkeypatch):
    monkeypatch.setattr(pair_features, "BLOCK", block)
    features, responses, _ = planted(4)
    pairs = PairSet.among(pdist(responses, "euclidean"), N_IMAGES, np.arange(40))
    model = fitted("ridge", {"penalties": [0.03]}, training(pairs, features=features))
    first, second = np.triu_indices(N_IMAGES, 1)
    expected = sklearn_ridge(features, pairs.all(), 0.03)(first, second)
    found = model.predict(Items(features=features), first, second)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_ridge_takes_the_penalty_that_predicts_validation_pairs_best():
    features, responses, _ = planted(5, noise=4)
    values = pdist(responses, "correlation")
    train, check = (PairSet.among(values, N_IMAGES, part) for part in np.split(np.arange(60), [40]))
    model = fitted("ridge", {}, training(train, validation=check, features=features))
    first, second, measured = check.all()
    errors = [
        ((measured - sklearn_ridge(features, train.all(), penalty)(first, second)) ** 2).sum()
        for penalty in model.penalties
    ]
    assert model.penalty == model.penalties[int(np.argmin(errors))]
    assert model.penalties[0] < model.penalty < model.penalties[-1]


def test_without_validation_pairs_it_takes_that_which_predicts_held_out_images_best(monkeypatch):
    features, responses, _ = planted(6, noise=4)
    values = pdist(responses, "correlation")
    folds = np.array_split(np.random.default_rng(0).permutation(N_IMAGES), 3)
    monkeypatch.setattr(least_squares, "image_folds", lambda *_: folds)
    train = training(everything(values, N_IMAGES), features=features)
    model = fitted("ridge", {}, train)
    errors = np.zeros(len(model.penalties))
    for fold in folds:
        others = np.setdiff1d(np.arange(N_IMAGES), fold)
        learned, tested = (PairSet.among(values, N_IMAGES, part).all() for part in (others, fold))
        for number, penalty in enumerate(model.penalties):
            predicted = sklearn_ridge(features, learned, penalty)(*tested[:2])
            errors[number] += ((tested[2] - predicted) ** 2).sum()
    assert model.penalty == model.penalties[int(errors.argmin())]


def test_a_feature_that_does_not_vary_changes_nothing():
    features, responses, _ = planted(7)
    pairs = everything(pdist(responses, "correlation"), N_IMAGES)
    more = np.hstack([features, np.zeros((N_IMAGES, 1), np.float32)])
    first, second, _ = pairs.all()
    found = [
        fitted("ridge", {"penalties": [0.1]}, training(pairs, features=these)).predict(
            Items(features=these), first, second
        )
        for these in (features, more)
    ]
    np.testing.assert_allclose(*found, rtol=1e-9)


# Support vector regression


def test_svr_without_free_errors_is_kernel_ridge_regression():
    """Squared errors and a landmark at every pair: the exact kernel, and a penalised intercept."""
    features, responses, _ = planted(8, n_images=20)
    pairs = everything(pdist(responses, "correlation"), 20)
    first, second, values = pairs.all()
    options = {"epsilon": 0.0, "costs": [0.5], "n_components": len(pairs), "gamma": 0.3}
    model = fitted("svr", options, training(pairs, features=features))
    matrix = StandardScaler().fit_transform(pair_matrix(features, first, second))
    kernel = rbf_kernel(matrix, gamma=0.3 / matrix.shape[1]) + 1
    target = (values - values.mean()) / values.std()
    expected = KernelRidge(alpha=1 / (2 * 0.5), kernel="precomputed").fit(kernel, target)
    np.testing.assert_allclose(
        model.predict(Items(features=features), first, second),
        values.mean() + values.std() * expected.predict(kernel),
        atol=1e-3 * values.std(),
    )


def test_svr_finds_what_no_line_can():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((80, 2)).astype(np.float32)
    distances = squareform(pdist(features))
    values = np.cos(2 * distances)[np.triu_indices(80, 1)]
    train, test = (PairSet.among(values, 80, part) for part in np.split(np.arange(80), [60]))
    first, second, measured = test.all()
    scores = {}
    for kind in ("svr", "ridge"):
        options = {"forms": ["absolute"], **({"gamma": 3.0} if kind == "svr" else {})}
        model = fitted(kind, options, training(train, features=features))
        predicted = model.predict(Items(features=features), first, second)
        scores[kind] = np.corrcoef(measured, predicted)[0, 1]
    assert scores["svr"] > 0.9
    assert scores["ridge"] < 0.6


# Learned metrics


@pytest.mark.parametrize("metric", METRICS)
def test_diagonal_metric_recovers_planted_weights(metric):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((40, 6)).astype(np.float32)
    weights = np.array([2.0, 0, 0.5, 1, 0, 3])
    squares = 4 + squareform(pdist(features * np.sqrt(weights), "sqeuclidean"))
    values = squares[np.triu_indices(40, 1)]
    pairs = everything(np.sqrt(values) if metric == "euclidean" else values, 40)
    model = fitted("mahalanobis", {}, training(pairs, metric, features=features))
    np.testing.assert_allclose(model.map.T @ model.map, np.diag(weights), atol=1e-5)
    assert model.line.intercept == pytest.approx(4, abs=1e-4)


def test_diagonal_metric_is_that_of_nonnegative_least_squares(monkeypatch):
    monkeypatch.setattr("scripts.dissimilarity.models.mahalanobis.DIAGONAL_PENALTIES", np.zeros(1))
    features, responses, _ = planted(9)
    values = pdist(responses, "correlation")
    pairs = everything(values, N_IMAGES)
    first, second, _ = pairs.all()
    matrix = (features[first].astype(np.float64) - features[second]) ** 2
    # An intercept of any sign is the difference of two that are not negative.
    ones = np.ones((len(pairs), 1))
    expected, _ = nnls(np.hstack([ones, -ones, matrix]), values)
    model = fitted("mahalanobis", {}, training(pairs, features=features))
    np.testing.assert_allclose((model.map**2).sum(axis=0), expected[2:], atol=1e-8)
    assert model.line.intercept == pytest.approx(expected[0] - expected[1])


@pytest.mark.parametrize("metric", METRICS)
def test_low_rank_metric_recovers_planted_map(metric):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((120, 8)).astype(np.float32)
    axes = rng.standard_normal((2, 8))
    values = 1 + pdist(features @ axes.T, "sqeuclidean")
    values = np.sqrt(values) if metric == "euclidean" else values
    train, test = (PairSet.among(values, 120, part) for part in np.split(np.arange(120), [90]))
    model = fitted("mahalanobis", {"rank": 3}, training(train, metric, features=features))
    found = model.line.slope * model.map.T @ model.map
    assert np.corrcoef(found.ravel(), (axes.T @ axes).ravel())[0, 1] > 0.999
    first, second, measured = test.all()
    predicted = model.predict(Items(features=features), first, second)
    assert np.corrcoef(predicted, measured)[0, 1] > 0.999


def test_gradient_of_a_low_rank_metric_is_that_of_finite_differences():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((12, 4))
    pairs = PairSet.listed(rng.random(66), 12, rng.permutation(66)[:30]).all()
    problem = LowRank(features, pairs)
    entries = rng.standard_normal(8)
    expected = approx_fprime(entries, lambda x: problem.loss(x, 2, 0.1)[0], 1e-7)
    np.testing.assert_allclose(problem.loss(entries, 2, 0.1)[1], expected, rtol=1e-4, atol=1e-4)


# Encoding


@pytest.mark.parametrize(("n_images", "n_features"), [(40, 6), (30, 80)])
def test_encoding_weights_are_those_of_himalaya(n_images, n_features):
    features, responses, _ = planted(10, n_images + 10, n_features)
    seen, alpha = np.arange(n_images), 0.1
    measured = standardised(responses[seen].astype(np.float64))
    gram = response_products(responses, seen, centre=False)
    np.testing.assert_allclose(gram, measured @ measured.T, rtol=1e-6, atol=1e-6)
    encoder = Encoder.of(features[seen].astype(np.float64), gram, seen)
    code = encoder.code(features.astype(np.float64), alpha)
    found = code.right @ (encoder.basis.T @ measured)
    some = features[seen].astype(np.float64)
    unit = ((some - some.mean(axis=0)) ** 2).sum() / n_images
    ridge = HimalayaRidge(alpha=alpha * unit, fit_intercept=True, solver_params={"warn": False})
    ridge.fit(some, measured)
    np.testing.assert_allclose(found, ridge.predict(features), atol=1e-6)


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("metric", METRICS)
def test_products_of_responses_give_their_rdm(metric, standardise):
    responses = of_unequal_vertices(planted(11))[1]
    gram = response_products(
        responses, np.arange(40), centre=metric == "correlation", standardise=standardise
    )
    squares = np.diagonal(gram)
    measured = responses[:40].astype(np.float64)
    expected = squareform(pdist(standardised(measured) if standardise else measured, metric))
    if metric == "correlation":
        np.testing.assert_allclose(
            1 - gram / np.sqrt(np.outer(squares, squares)), expected, atol=1e-9
        )
    else:
        between = squares[:, np.newaxis] + squares - 2 * gram
        np.testing.assert_allclose(np.sqrt(np.maximum(between, 0)), expected, atol=1e-5)


def test_products_of_predictions_are_free_of_the_bias_of_noise():
    """Without penalty their mean over many noises is the product of the true responses."""
    rng = np.random.default_rng(0)
    n_images, n_vertices = 30, 40
    features = rng.standard_normal((n_images, 5))
    signal = features @ rng.standard_normal((5, n_vertices))
    signal -= signal[:20].mean(axis=0)
    seen, found = np.arange(20), []
    for _ in range(3000):
        responses = signal + 2 * rng.standard_normal(signal.shape)
        responses = responses[seen]
        code = Encoder.of(features[seen], responses @ responses.T, seen).code(features, 1e-12)
        found.append(code.left @ code.right[20:].T)
    expected = signal @ signal[20:].T
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert np.abs((np.mean(found, axis=0) - expected) / error).max() < 4.5
    # Left in, noise would show: 4 per vertex, over 20 images for 6 weights.
    own = np.mean(found, axis=0)[20:].diagonal() - expected[20:].diagonal()
    assert np.abs(own).max() < 4 * n_vertices * 6 / 20 / 4


@pytest.mark.parametrize("metric", METRICS)
def test_encoding_comes_within_a_tenth_of_the_ceiling_and_beats_the_raw_distance(metric):
    for seed in range(3):
        data = planted(seed, n_images=150, n_vertices=300, noise=2)
        encoded, raw = (
            list(clean_predictions(kind, {}, data, metric, seed))
            for kind in ("encode", "raw_distance")
        )
        scores, ceilings, baseline = [], [], []
        for (measured, predicted, noiseless), (_, distance, _) in zip(encoded, raw, strict=True):
            scores.append(spearmanr(measured, predicted)[0])
            ceilings.append(spearmanr(measured, noiseless)[0])
            baseline.append(spearmanr(measured, distance)[0])
        assert 0.3 < np.mean(ceilings) < 0.95
        assert np.mean(scores) > 0.9 * np.mean(ceilings)
        assert np.mean(scores) > np.mean(baseline) + 0.05
        # Neither shrunk nor blown up: the squares of the correlation would allow no more.
        assert r_squared(encoded) > 0.8 * np.mean(ceilings) ** 2


@pytest.mark.parametrize("metric", METRICS)
def test_encoding_of_responses_as_they_are_predicts_their_rdm(metric):
    """Vertices that vary more count more, in what is predicted as in what is measured."""
    data = of_unequal_vertices(planted(4, n_images=150, n_vertices=300, noise=2))
    folds = list(clean_predictions("encode", {}, data, metric, 0, standardised=False))
    ceiling = np.mean([spearmanr(measured, noiseless)[0] for measured, _, noiseless in folds])
    score = np.mean([spearmanr(measured, predicted)[0] for measured, predicted, _ in folds])
    assert score > 0.9 * ceiling
    assert r_squared(folds) > 0.8 * ceiling**2


@pytest.mark.parametrize("metric", METRICS)
def test_what_was_measured_of_one_image_helps(metric):
    data = planted(12, n_images=150, n_vertices=300, noise=2)
    features, responses, _ = data
    values = pdist(responses, metric)
    splits = make_splits(values, 150, n_folds=5, validation_share=0.15, rng=generator(0, "splits"))
    scores = {}
    for split in splits[:2]:
        items = items_of(features, responses, split.training_images)
        model = fitted("encode", {}, training(split.training, metric, **items))
        first, second, measured = split.test.all()
        predicted = model.predict(Items(**items), first, second)
        scores[split.name] = np.corrcoef(measured, predicted)[0, 1]
    assert scores["one_seen"] > scores["clean"]


# Options


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("ridge", {"forms": ["concatenation"]}, "found concatenation, expected one or more of"),
        ("svr", {"forms": []}, "found none, expected"),
        ("encode", {"alphas": []}, "found n_patterns 10 and 0 alphas, expected"),
        ("additive", {"penalty": -1}, "found a penalty of -1, expected 0 or more"),
        ("mahalanobis", {"rank": 0}, "found the rank 0, expected 1 or more"),
        ("encode", {"n_folds": 1}, "two folds or more"),
        ("ridge", {"depth": 3}, "found the option 'depth'"),
    ],
)
def test_options_that_make_no_sense_are_refused(kind, options, message):
    features, responses, _ = planted(0)
    pairs = everything(pdist(responses, "correlation"), N_IMAGES)
    items = items_of(features, responses, np.arange(N_IMAGES))
    with pytest.raises(InputError, match=message):
        fitted(kind, options, training(pairs, **items))


def test_images_without_responses_cannot_be_encoded():
    features, responses, _ = planted(0)
    pairs = everything(pdist(responses, "correlation"), N_IMAGES)
    items = items_of(features, responses, np.arange(5))
    with pytest.raises(InputError, match="found 5 images with responses"):
        fitted("encode", {}, training(pairs, **items))


def test_images_of_which_nothing_is_predicted_are_as_unlike_as_any():
    """Neither signal nor noise: no correlation, and no NaN."""
    code = Code(np.zeros((4, 2)), np.zeros((4, 2)), np.zeros(4), np.zeros(4, bool))
    first, second = np.triu_indices(4, 1)
    assert np.array_equal(code.distances(first, second, "correlation"), np.ones(6))


def test_metrics_of_rdms_that_are_not_known_are_taken_for_squared_distances():
    features, responses, _ = planted(4)
    values = pdist(responses, "correlation")
    first, second = np.triu_indices(N_IMAGES, 1)
    found = [
        fitted(
            "mahalanobis",
            {},
            training(everything(values, N_IMAGES), metric, features=standardised(features)),
        ).predict(Items(features=standardised(features)), first, second)
        for metric in ("correlation", "as published")
    ]
    assert np.array_equal(*found)


def test_what_a_model_computes_is_no_option():
    with pytest.raises(InputError, match="penalty"):
        build("ridge", {"penalty": 1.0})
