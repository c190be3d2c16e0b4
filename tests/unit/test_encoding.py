"""Ridge encoding against other libraries, planted effects, nulls, and perfect models."""

import logging
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from himalaya.kernel_ridge import KernelRidgeCV
from scipy.stats import binom, pearsonr
from sklearn.linear_model import Ridge
from sklearn.preprocessing import KernelCenterer

from scripts.compare.fit_encoding import (
    ceiling_of,
    fit_encoding,
    permuted_images,
    score_layer,
)
from scripts.figures.plot_encoding import plot_encoding
from workflow.lib.inference.folds import rdm_folds
from workflow.lib.patterns.reading import Patterns
from workflow.lib.rsa import encoding
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

N_IMAGES, N_FEATURES, N_CHANNELS = 60, 25, 8


def simulated(rng, *, snr, n_images=N_IMAGES, n_features=N_FEATURES, n_channels=N_CHANNELS):
    """Return features, and responses that follow them with unit noise."""
    features = rng.standard_normal((n_images, n_features)) + 3
    signal = features @ rng.standard_normal((n_features, n_channels))
    signal = (signal - signal.mean(axis=0)) / signal.std(axis=0)
    return features, snr * signal + rng.standard_normal(signal.shape) + 10


@pytest.fixture
def data():
    """Features, responses that follow them, and folds."""
    rng = np.random.default_rng(5)
    return *simulated(rng, snr=2), rdm_folds(N_IMAGES, 5, rng)


def models_of(features, folds):
    """Return the model of every fold."""
    return [FoldModel.without(fold, features @ features.T) for fold in folds]


# Prediction.


def test_predictions_are_those_of_ridge_with_an_intercept(data, monkeypatch):
    """The kernel form with one penalty equals scikit-learn's ridge on the features themselves."""
    features, responses, folds = data
    penalty = 0.3
    monkeypatch.setattr(encoding, "ALPHAS", np.array([penalty]))
    scale = (features**2).sum(axis=1).mean()
    expected = np.empty_like(responses)
    for test in folds:
        train = np.setdiff1d(np.arange(N_IMAGES), test)
        ridge = Ridge(alpha=penalty * scale).fit(features[train], responses[train])
        expected[test] = ridge.predict(features[test])
    found = held_out_predictions(models_of(features, folds), responses)
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("n_features", [5, 200])
def test_penalty_is_the_one_of_least_generalised_cross_validation_error(n_features):
    """From scikit-learn's fits: squared residuals over squared residual degrees of freedom."""
    rng = np.random.default_rng(2)
    features, responses = simulated(rng, snr=0.7, n_features=n_features)
    test, train = np.arange(12), np.arange(12, N_IMAGES)
    scale = (features**2).sum(axis=1).mean()
    errors, predictions = [], []
    for alpha in encoding.ALPHAS:
        ridge = Ridge(alpha=alpha * scale, solver="svd")
        hat = ridge.fit(features[train], np.eye(len(train))).predict(features[train])
        ridge.fit(features[train], responses[train])
        residuals = responses[train] - ridge.predict(features[train])
        errors.append((residuals**2).sum(axis=0) / (len(train) - np.trace(hat)) ** 2)
        predictions.append(ridge.predict(features[test]))
    chosen = np.argmin(errors, axis=0)
    expected = np.array(predictions)[chosen, :, np.arange(N_CHANNELS)].T
    (model,) = models_of(features, [test])
    np.testing.assert_allclose(model.predictions(responses), expected, atol=1e-6)
    assert len(set(chosen)) > 1


@pytest.mark.parametrize(("n_features", "snr"), [(20, 1), (500, 1), (500, 0.5)])
def test_penalties_predict_no_worse_than_those_of_inner_folds(n_features, snr):
    """Against himalaya's choice over five folds within the training images, spectra of 1/f."""
    scores = []
    for number in range(10):
        rng = np.random.default_rng(number)
        features = rng.standard_normal((N_IMAGES, n_features)) / np.sqrt(
            np.arange(1, n_features + 1)
        )
        signal = features @ rng.standard_normal((n_features, 60))
        responses = snr * signal / signal.std(axis=0) + rng.standard_normal(signal.shape)
        folds = rdm_folds(N_IMAGES, 5, rng)
        both = (
            held_out_predictions(models_of(features, folds), responses),
            predicted_by_himalaya(features @ features.T, responses, folds),
        )
        scores.append([explained_variance(found, responses, folds).item() for found in both])
    own, other = np.mean(scores, axis=0)
    assert own > other - 0.01
    assert other > 0.01


def predicted_by_himalaya(gram, responses, folds):
    """Return held-out predictions with penalties from five folds within the training images."""
    gram, predictions = gram / np.diagonal(gram).mean(), np.empty_like(responses)
    for test in folds:
        train = np.setdiff1d(np.arange(len(gram)), test)
        kernel, mean = gram[np.ix_(train, train)], responses[train].mean(axis=0)
        centre = KernelCenterer().fit(kernel)
        ridge = KernelRidgeCV(alphas=encoding.ALPHAS, kernel="precomputed", cv=5, warn=False)
        ridge.fit(centre.transform(kernel), responses[train] - mean)
        predictions[test] = ridge.predict(centre.transform(gram[np.ix_(test, train)])) + mean
    return predictions


def test_no_prediction_depends_on_the_image_that_it_predicts(data):
    features, responses, folds = data
    models = models_of(features, folds)
    before = held_out_predictions(models, responses)
    spoiled = responses.copy()
    spoiled[folds[2]] += 100
    np.testing.assert_array_equal(held_out_predictions(models, spoiled)[folds[2]], before[folds[2]])


def test_features_that_do_not_vary_predict_the_mean(data):
    _, responses, folds = data
    for features in (np.zeros((N_IMAGES, 3)), np.ones((N_IMAGES, 3))):
        predictions = held_out_predictions(models_of(features, folds), responses)
        for fold in folds:
            train = np.setdiff1d(np.arange(N_IMAGES), fold)
            expected = np.broadcast_to(responses[train].mean(axis=0), predictions[fold].shape)
            np.testing.assert_allclose(predictions[fold], expected, atol=1e-8)


# Score.


@pytest.mark.parametrize("sign", [1, -1])
def test_score_is_squared_r_over_images_and_standardised_channels(data, sign):
    _, responses, folds = data
    predictions = sign * responses + np.random.default_rng(1).standard_normal(responses.shape)
    left, right = predictions.copy(), responses.copy()
    for fold in folds:
        left[fold] -= left[fold].mean(axis=0)
        right[fold] -= right[fold].mean(axis=0)
    deviation = right.std(axis=0)
    r = pearsonr((left / deviation).ravel(), (right / deviation).ravel()).statistic
    expected = sign * r**2
    assert explained_variance(predictions, responses, folds).item() == pytest.approx(expected)
    both = [np.hstack([values, -values]) for values in (predictions, responses)]
    np.testing.assert_allclose(explained_variance(*both, folds, 2), [expected, expected])


def test_score_does_not_depend_on_units_of_channels(data):
    _, responses, folds = data
    predictions = responses + np.random.default_rng(1).standard_normal(responses.shape)
    units, offsets = np.logspace(-3, 3, N_CHANNELS), np.arange(N_CHANNELS) * 100
    np.testing.assert_allclose(
        explained_variance(predictions * units + offsets, responses * units, folds),
        explained_variance(predictions, responses, folds),
    )


def test_correlation_of_channels_is_the_mean_of_pearson_r_within_folds(data):
    _, responses, folds = data
    predictions = np.random.default_rng(1).standard_normal(responses.shape)
    expected = [
        np.mean([pearsonr(predictions[fold, c], responses[fold, c]).statistic for fold in folds])
        for c in range(N_CHANNELS)
    ]
    np.testing.assert_allclose(fold_correlations(predictions, responses, folds), expected)


def test_constant_prediction_scores_zero(data):
    _, responses, folds = data
    constant = np.ones_like(responses)
    assert (fold_correlations(constant, responses, folds) == 0).all()
    assert explained_variance(constant, responses, folds) == 0
    assert explained_variance(responses, constant, folds) == 0


def test_layer_that_drives_the_responses_predicts_them_better_than_another(data):
    features, responses, folds = data
    other = np.random.default_rng(2).standard_normal((N_IMAGES, N_FEATURES))
    scores = [
        explained_variance(
            held_out_predictions(models_of(layer, folds), responses), responses, folds
        ).item()
        for layer in (features, other)
    ]
    assert scores[0] > 0.5
    assert abs(scores[1]) < 0.2


# Test.


def test_permuting_refits_every_fold(data):
    """Scores are those of models fitted to responses in another order, in float64, one by one."""
    features, responses, folds = data
    rng = np.random.default_rng(3)
    orders = [np.arange(N_IMAGES), *(rng.permutation(N_IMAGES) for _ in range(30))]
    models = models_of(features, folds)
    expected = [
        explained_variance(held_out_predictions(models, moved), moved, folds).item()
        for moved in (responses[order] for order in orders)
    ]
    found = permuted_scores(models, 1e3 + 1e-2 * responses, orders)
    np.testing.assert_allclose(found * np.abs(found), expected, atol=1e-6)


def test_blocks_of_permutations_do_not_change_scores(data, monkeypatch):
    features, responses, folds = data
    rng = np.random.default_rng(3)
    orders = [rng.permutation(N_IMAGES) for _ in range(11)]
    found = permuted_scores(models_of(features, folds), responses, orders)
    monkeypatch.setattr(encoding, "BLOCK_COLUMNS", 3 * N_CHANNELS)
    again = permuted_scores(models_of(features, folds), responses, orders)
    np.testing.assert_allclose(again, found, atol=1e-6)


def rejections(n_sets, *, snr, level, purpose):
    """Return in what share of simulated data sets p is at most a level."""
    rejected = 0
    for number in range(n_sets):
        rng = generator(number, purpose)
        features, responses = simulated(rng, snr=snr, n_images=40, n_features=20, n_channels=30)
        orders = [np.arange(40), *(rng.permutation(40) for _ in range(99))]
        null = permuted_scores(models_of(features, rdm_folds(40, 5, rng)), responses, orders)
        rejected += np.mean(null >= null[0] - TIE_TOLERANCE) <= level
    return rejected / n_sets


@pytest.mark.slow
def test_false_positives_are_as_rare_as_stated():
    """Of 2,000 data sets without effect; relabelling predictions after the fit finds 0.11.

    scipy.stats.binom.ppf((0.0001, 0.9999), 2000, 0.05) / 2000 = (0.033, 0.069)
    """
    assert 0.03 <= rejections(2000, snr=0, level=0.05, purpose="null_encoding") <= 0.07


def test_planted_effect_is_found():
    assert rejections(40, snr=0.6, level=0.05, purpose="planted_encoding") > 0.9


# Ceiling.

PROFILES = {
    "all at 1": (1.0, 1.0),
    "all at 0.1": (0.1, 0.1),
    "half at 2, half at 0.1": (2.0, 0.1),
    "half at 1, half without signal": (1.0, 0.0),
    "no signal": (0.0, 0.0),
}


@pytest.mark.parametrize("n_repeats", [2, 5])
@pytest.mark.parametrize("profile", PROFILES)
def test_perfect_model_lies_at_the_ceiling(profile, n_repeats):
    """Predictions that are the signal itself, over 60 data sets; runs have offsets of their own."""
    rng = np.random.default_rng(11)
    n_images, n_channels = 92, 200
    snr = np.repeat(PROFILES[profile], n_channels // 2)
    folds = rdm_folds(n_images, 5, rng)
    differences = []
    for _ in range(60):
        signal = snr * rng.standard_normal((n_images, n_channels))
        noise = rng.standard_normal((n_repeats, n_images, n_channels))
        repeats = signal + noise + 3 * rng.standard_normal((n_repeats, 1, n_channels))
        reached = explained_variance(signal, repeats.mean(axis=0), folds).item()
        differences.append(explainable_variance(repeats) - reached)
    error = np.std(differences) / np.sqrt(len(differences))
    # Small samples of images bias either side by about 1 in n.
    assert abs(np.mean(differences)) < 3 * error + 0.5 / n_images


def test_ceiling_of_halves_of_three_runs_is_that_of_their_mean():
    """The noise of three runs is a third of that of one, however they are put together."""
    rng = np.random.default_rng(5)
    runs = rng.standard_normal((400, 20)) + rng.standard_normal((3, 400, 20))
    halves = np.stack([runs[::2].mean(axis=0), runs[1]])
    found = explainable_variance(halves, [2, 1])
    # Of a variance of 1 + 1/3; by halves of equal weight it would be 1 of 1.375, or 0.727.
    assert found == pytest.approx(0.75, abs=0.01)
    assert explainable_variance(runs) == pytest.approx(found, abs=0.01)


def test_runs_give_the_ceiling_where_each_holds_every_image_else_two_halves():
    rng = np.random.default_rng(4)
    signal = rng.standard_normal((12, 30))
    repeats = signal + rng.standard_normal((4, 12, 30))
    names = [f"image{i}" for i in range(12)]

    def patterns(cells):
        return Patterns(
            measurements=np.stack([repeats[run, image] for run, image in cells]),
            conditions=[names[image] for _, image in cells],
            runs=[str(run) for run, _ in cells],
            channels={},
        )

    every = [(run, image) for run in range(4) for image in range(12)]
    of_runs = ceiling_of(patterns(every), names, "exact")
    assert of_runs == pytest.approx(explainable_variance(repeats))
    # An image that the first run lacks is in the third, the other odd one.
    halves = np.stack([repeats[::2].mean(axis=0), repeats[1::2].mean(axis=0)])
    halves[0, 0] = repeats[2, 0]
    of_halves = ceiling_of(patterns(every[1:]), names, "exact")
    assert of_halves == pytest.approx(explainable_variance(halves))
    assert np.isnan(ceiling_of(patterns(every[:13]), names, "exact"))
    assert np.isnan(ceiling_of(patterns(every[:12]), names, "exact"))


# Table and figure.


def fitted(n_images, n_folds, groups=("a", "b"), **keys):
    """Return the table of a subject whose responses follow the second of two layers."""
    rng = np.random.default_rng(6)
    features, responses = simulated(rng, snr=2, n_images=n_images)
    names = [f"image{i}" for i in range(n_images)]
    other = rng.standard_normal((n_images, 10))
    patterns = Patterns(measurements=responses, conditions=names, runs=None, channels={})
    store = SimpleNamespace(
        descriptors={"subject": "s1", "study": "lab"}, rois=["V1"], patterns=lambda roi: patterns
    )
    grams = [other @ other.T, features @ features.T]
    model = SimpleNamespace(
        model="net",
        names=names,
        labels=[{"layer": "first"}, {"layer": "second"}],
        gram=lambda number: grams[number],
    )
    images = pd.DataFrame({"name": names, "group": np.resize(groups, n_images)})
    settings = {"n_permutations": 99, "permuted": "images", "resample": "images"} | keys
    return fit_encoding(store, [model], images, match="exact", n_folds=n_folds, seed=1, **settings)


@pytest.mark.parametrize("permuted", ["images", "within_groups"])
def test_layer_that_drives_the_responses_is_significant(permuted):
    first, second = fitted(40, 5, permuted=permuted).to_dict("records")
    assert second["similarity"] > 0.4 > 0.1 > abs(first["similarity"])
    assert second["p"] == 0.01 < first["p"]
    assert (second["n_permutations"], second["n_images"], second["n_channels"]) == (99, 40, 8)
    assert np.isnan(second["ceiling"])


def null_of_groups(rng, n_groups=10, size=6):
    """Return the p of unrelated features and responses, each alike within the same groups."""
    n_images = n_groups * size

    def alike_within_groups(n_columns):
        centres = rng.standard_normal((n_groups, n_columns)).repeat(size, axis=0)
        return centres + 0.5 * rng.standard_normal(centres.shape)

    features, responses = alike_within_groups(8), alike_within_groups(4)
    groups = [f"group{i // size}" for i in range(n_images)]
    folds = rdm_folds(n_images, 2, rng, clusters=groups)
    p = {}
    for permuted in ("images", "groups"):
        orders, _ = permuted_images(groups, permuted, 39, rng)
        p[permuted] = score_layer([features @ features.T], responses, folds, orders)["p"]
    return p


def test_null_of_groups_permutes_whole_groups():
    """Of 150 data sets 5 % have p <= 0.05, within the central 99.99 % of a binomial count."""
    rng = np.random.default_rng(8)
    p = pd.DataFrame([null_of_groups(rng) for _ in range(150)])
    low, high = binom.interval(0.9999, len(p), 0.05)
    rejected = (p <= 0.05).sum()
    assert low <= rejected["groups"] <= high
    # Single images are too many.
    assert rejected["images"] > high


def test_groups_that_are_all_of_another_size_have_no_p_and_a_warning(caplog):
    groups = ["a"] * 15 + ["b"] * 25
    with caplog.at_level(logging.WARNING):
        table = fitted(40, 2, resample="groups", permuted="groups", groups=groups)
    assert table[["p", "q"]].isna().all(axis=None)
    assert table["similarity"].notna().all()
    assert set(table["n_permutations"]) == {0}
    assert "lab, s1: nothing is tested by permutation, for whole groups" in caplog.text
    assert "of 15, 25 images" in caplog.text


def test_without_permutations_there_is_no_p():
    table = fitted(40, 5, n_permutations=0)
    assert table[["p", "q"]].isna().all(axis=None)
    assert set(table["n_permutations"]) == {0}


def test_groups_are_held_out_whole_where_they_are_drawn_whole(caplog):
    assert fitted(40, 2, resample="groups")["similarity"].iloc[1] > 0.3
    assert fitted(40, 3, resample="groups").empty


def test_too_few_images_give_a_table_without_rows_and_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        table = fitted(14, 5)
    assert table.empty
    assert list(table.columns) == list(fitted(16, 5).columns)
    assert "lab, s1: found 14 images, too few for encoding.folds: 5 (three a fold)" in caplog.text


def cells(values, **columns):
    """Return a table of an ROI per row and a layer per column."""
    return pd.DataFrame(
        [
            {"roi": roi, "model": "net", "layer": layer, "similarity": value, "ceiling": 0.7}
            for roi, row in values.items()
            for layer, value in zip(("first", "second"), row, strict=True)
        ]
    ).assign(n_images=8, comparator="pearson", **columns)


def drawn(encoding_tables):
    """Return the texts of the figure, and its caption."""
    rsa = [cells({"V1": (0.5, 0.1), "IT": (0.1, 0.5), "TE": (0.3, 0.2)})] * 2
    study = {"title": "Lab", "simulated": False, "called": "images"}
    figure, caption = plot_encoding(rsa, encoding_tables, **study, n_folds=5)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    return texts, caption


def test_figure_says_which_layer_each_method_prefers_and_whether_they_agree():
    first = cells({"V1": (0.4, 0.2), "IT": (0.2, 0.1), "TE": (-0.1, -0.2)})
    second = cells({"V1": (0.4, 0.2), "IT": (0.2, 0.6), "TE": (-0.1, -0.2)})
    texts, caption = drawn([first, second])
    assert [text for text in texts if "subjects" in text] == [
        "first: yes (2 of 2 subjects)",
        "second: yes (1 of 2 subjects)",
        "none above zero: no (0 of 2 subjects)",
    ]
    assert "same one in 2 of 3 ROIs" in caption


def test_figure_says_that_images_were_too_few():
    texts, caption = drawn([cells({"V1": (0, 0)}).iloc[:0]] * 2)
    assert "too few images for 5 folds" in texts[0]
    assert "n = 8 images" in caption
