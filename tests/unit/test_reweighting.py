"""Feature-reweighted RSA: against brute force over explicit pairs, rsatoolbox, and known truths."""

import itertools

import numpy as np
import pytest
import scipy.optimize
from rsatoolbox.model import ModelWeighted
from rsatoolbox.model.fitter import fit_regress_nn
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare
from scipy.spatial.distance import pdist, squareform

from workflow.lib.errors import InputError
from workflow.lib.inference.folds import (
    compare_varying,
    most_folds,
    pairs_among,
    pairs_between,
    rdm_folds,
)
from workflow.lib.inference.reweighting import nonnegative_weights, reweighted_similarities

N_IMAGES = 20


def random_rdms(rng, n_rdms, n_images=N_IMAGES):
    return np.stack([pdist(rng.standard_normal((n_images, 3))) for _ in range(n_rdms)])


def mixed_rdms(rng, models, weights, noise):
    mixed = weights @ models
    return mixed + noise * mixed.std() * rng.standard_normal(mixed.shape)


def among(vector, images):
    return squareform(vector)[np.ix_(images, images)][np.triu_indices(len(images), 1)]


def brute_force(models, target, brain, test):
    """Return weights and held-out r by NNLS on the explicit training pairs."""
    train = np.setdiff1d(np.arange(N_IMAGES), test)
    X = np.stack([among(model, train) for model in models])
    deviations = X.std(axis=1)
    X = (X - X.mean(axis=1, keepdims=True)) / deviations[:, np.newaxis]
    y = among(target, train)
    y = (y - y.mean()) / y.std()
    weights = scipy.optimize.nnls(X.T, y)[0]
    if not weights.any():
        return weights, 0.0
    prediction = (weights / deviations) @ np.stack([among(model, test) for model in models])
    return weights, np.corrcoef(prediction, among(brain, test))[0, 1]


@pytest.mark.parametrize("offset", [0.0, 1e4], ids=["as they are", "far from zero"])
def test_equals_nnls_on_explicit_pairs(offset):
    rng = np.random.default_rng(1)
    models = random_rdms(rng, 4) + offset
    brains = mixed_rdms(rng, models, rng.random((3, 4)), 1.0)
    folds = rdm_folds(N_IMAGES, 4, rng)
    found = reweighted_similarities(models, brains, "pearson", n_images=N_IMAGES, folds=folds)
    for (f, test), (b, brain) in itertools.product(enumerate(folds), enumerate(brains)):
        weights, r = brute_force(models, brain, brain, test)
        np.testing.assert_allclose(found.weights[f, b], weights, atol=1e-8)
        np.testing.assert_allclose(found.similarity[f, b], r, atol=1e-8)
        alone = [np.corrcoef(among(m, test), among(brain, test))[0, 1] for m in models]
        np.testing.assert_allclose(found.single[f, b], alone, atol=1e-10)


def test_across_subjects_equals_nnls_on_the_mean_of_the_others():
    rng = np.random.default_rng(2)
    models = random_rdms(rng, 3)
    subjects = mixed_rdms(rng, models, np.ones((4, 3)), 1.5) * rng.uniform(0.1, 9, (4, 1))
    folds = rdm_folds(N_IMAGES, 2, rng)
    found = reweighted_similarities(
        models, subjects, "pearson", n_images=N_IMAGES, folds=folds, across_subjects=True
    )
    for (f, test), subject in itertools.product(enumerate(folds), range(4)):
        train = np.setdiff1d(np.arange(N_IMAGES), test)
        scaled = [
            vector / among(vector, train).std() for s, vector in enumerate(subjects) if s != subject
        ]
        weights, r = brute_force(models, np.mean(scaled, axis=0), subjects[subject], test)
        np.testing.assert_allclose(found.weights[f, subject], weights, atol=1e-8)
        np.testing.assert_allclose(found.similarity[f, subject], r, atol=1e-8)


def test_cosine_fits_without_intercept_as_rsatoolbox():
    rng = np.random.default_rng(3)
    models = random_rdms(rng, 3)
    brain = mixed_rdms(rng, models, np.array([[1.0, 0.5, 0.0]]), 0.5)
    folds = rdm_folds(N_IMAGES, 2, rng)
    found = reweighted_similarities(models, brain, "cosine", n_images=N_IMAGES, folds=folds)
    train = folds[1]
    X = np.stack([among(model, train) for model in models])
    y = among(brain[0], train)
    reference = fit_regress_nn(ModelWeighted("mixture", RDMs(X)), RDMs(y[None]), method="cosine")
    weights = found.weights[0, 0] / np.sqrt((X**2).mean(axis=1))
    np.testing.assert_allclose(
        weights / np.linalg.norm(weights), reference / np.linalg.norm(reference), atol=1e-8
    )


@pytest.mark.parametrize("name", ["spearman", "rho-a"])
def test_other_comparators_score_the_same_mixture(name):
    rng = np.random.default_rng(4)
    models = random_rdms(rng, 3)
    brains = mixed_rdms(rng, models, rng.random((2, 3)), 0.5)
    folds = rdm_folds(N_IMAGES, 2, rng)
    arguments = {"n_images": N_IMAGES, "folds": folds}
    by_rank = reweighted_similarities(models, brains, name, **arguments)
    pearson = reweighted_similarities(models, brains, "pearson", **arguments)
    np.testing.assert_array_equal(by_rank.weights, pearson.weights)
    assert not np.allclose(by_rank.similarity, pearson.similarity)


def test_planted_weights_are_found_and_a_mixture_beats_every_single_model():
    rng = np.random.default_rng(5)
    n = 60
    models = random_rdms(rng, 3, n)
    models /= models.std(axis=1, keepdims=True)
    brain = mixed_rdms(rng, models, np.array([[2.0, 0.0, 1.0]]), 0.3)
    folds = rdm_folds(n, 5, rng)
    found = reweighted_similarities(models, brain, "pearson", n_images=n, folds=folds)
    weights = found.weights.mean(axis=0)[0]
    assert weights[0] / weights[2] == pytest.approx(2, rel=0.1)
    assert weights[1] < 0.05
    assert found.similarity.mean() > found.single.mean(axis=0).max() + 0.05


def test_no_better_than_chance_on_unrelated_models():
    rng = np.random.default_rng(6)
    means = []
    for _ in range(300):
        models, brain = random_rdms(rng, 5), random_rdms(rng, 1)
        folds = rdm_folds(N_IMAGES, 2, rng)
        found = reweighted_similarities(models, brain, "pearson", n_images=N_IMAGES, folds=folds)
        means.append(found.similarity.mean())
    error = np.std(means) / np.sqrt(len(means))
    assert abs(np.mean(means)) < 3.3 * error
    assert error < 0.02


def test_nothing_positive_gives_no_weight_and_similarity_zero():
    rng = np.random.default_rng(7)
    model = random_rdms(rng, 1)
    folds = rdm_folds(N_IMAGES, 2, rng)
    found = reweighted_similarities(model, -model, "pearson", n_images=N_IMAGES, folds=folds)
    np.testing.assert_array_equal(found.weights, 0)
    np.testing.assert_array_equal(found.similarity, 0)
    np.testing.assert_allclose(found.single, -1)


def test_two_copies_of_a_model_predict_what_one_does():
    rng = np.random.default_rng(8)
    models = random_rdms(rng, 2)
    brain = mixed_rdms(rng, models, np.array([[1.0, 1.0]]), 1.0)
    folds = rdm_folds(N_IMAGES, 2, rng)
    once, twice = (
        reweighted_similarities(stack, brain, "pearson", n_images=N_IMAGES, folds=folds)
        for stack in (models, models[[0, 1, 1]])
    )
    np.testing.assert_allclose(twice.similarity, once.similarity, atol=1e-8)


def test_an_rdm_constant_over_the_training_pairs_gets_no_weight():
    rng = np.random.default_rng(9)
    models = random_rdms(rng, 2)
    folds = [np.arange(10), np.arange(10, 20)]
    flat = models[1]
    flat[pairs_among(folds[1], N_IMAGES)] = 0.7
    brain = mixed_rdms(rng, models, np.array([[1.0, 1.0]]), 0.1)
    brain[0, pairs_among(folds[1], N_IMAGES)] = models[0, pairs_among(folds[1], N_IMAGES)]
    found = reweighted_similarities(models, brain, "pearson", n_images=N_IMAGES, folds=folds)
    np.testing.assert_allclose(found.weights[0, 0], [1, 0], atol=1e-9)
    # Over the test pairs of the other fold it tells no pair from another.
    assert found.single[1, 0, 1] == 0


@pytest.mark.parametrize("name", ["cosine", "cosine_cov"])
def test_constant_rdms_have_a_cosine_and_rdms_of_zeros_have_none(name):
    brains = random_rdms(np.random.default_rng(11), 3)
    brains[2] = 0
    models = np.stack([np.full(brains.shape[1], 0.7), np.zeros(brains.shape[1])])
    found = compare_varying(models, brains, name)
    expected = rsatoolbox_compare(RDMs(models[:1]), RDMs(brains[:2]), method=name)
    np.testing.assert_allclose(found[0, :2], expected[0])
    assert (found[0, :2] > 0.5).all()
    assert (found[1, :2] == 0).all()
    assert np.isnan(found[:, 2]).all()
    # A constant brain RDM has one, too.
    assert compare_varying(brains[:1], models[:1], name).item() == pytest.approx(found[0, 0])


@pytest.mark.parametrize("name", ["pearson", "rho-a"])
def test_constant_rdms_correlate_with_none(name):
    brains = random_rdms(np.random.default_rng(11), 2)
    flat = np.full((1, brains.shape[1]), 0.7)
    assert (compare_varying(flat, brains, name) == 0).all()
    assert np.isnan(compare_varying(brains, flat, name)).all()


def test_nonnegative_weights_satisfy_the_conditions_of_the_optimum():
    """Karush-Kuhn-Tucker: no gradient where a weight is positive, none downhill where it is 0."""
    rng = np.random.default_rng(10)
    for _ in range(50):
        X, y = rng.standard_normal((12, 5)), rng.standard_normal(12)
        X[:, 4] = X[:, 0] + X[:, 1]
        weights = nonnegative_weights(X.T @ X, X.T @ y)
        gradient = X.T @ (X @ weights - y)
        assert (weights >= 0).all()
        assert (gradient > -1e-8).all()
        assert abs(gradient @ weights) < 1e-8


def test_nonnegative_weights_of_models_that_never_vary():
    np.testing.assert_array_equal(nonnegative_weights(np.zeros((2, 2)), np.zeros(2)), 0)


def test_folds_hold_every_image_once_and_groups_evenly():
    groups = ["a"] * 12 + ["b"] * 6
    folds = rdm_folds(18, 3, np.random.default_rng(11), strata=groups)
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(18))
    for fold in folds:
        assert [groups[image] for image in fold].count("a") == 4


def test_folds_part_no_cluster():
    clusters = np.repeat(list("dacb"), [1, 4, 5, 2])
    folds = rdm_folds(12, 2, np.random.default_rng(12), clusters=clusters)
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(12))
    assert set(clusters[folds[0]]).isdisjoint(clusters[folds[1]])


@pytest.mark.parametrize(
    ("clusters", "expected"),
    [
        (None, 4),
        (list("aaabbbcccddd"), 4),
        # Of groups of one and two images two may be needed for a fold of three.
        (list("abbcccddddee"), 2),
        (list("abcdefghhhhh"), 2),
        (["all"] * 12, 1),
    ],
)
def test_as_many_folds_as_have_three_images_each(clusters, expected):
    assert most_folds(12, clusters) == expected
    if expected > 1:
        for seed in range(20):
            folds = rdm_folds(12, expected, np.random.default_rng(seed), clusters=clusters)
            assert min(map(len, folds)) >= 3
    with pytest.raises(InputError, match="folds"):
        rdm_folds(12, expected + 1, np.random.default_rng(0), clusters=clusters)


def test_pairs_of_two_folds_make_up_the_rdm():
    left, right = np.array([0, 3, 4]), np.array([1, 2, 5, 6])
    parts = [pairs_among(left, 7), pairs_among(right, 7), pairs_between(left, right, 7)]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(21))
    square = squareform(np.arange(21.0))
    np.testing.assert_array_equal(parts[2], square[np.ix_(left, right)].ravel())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": [np.arange(10), np.arange(9, 20)]}, "each of 20 images"),
        ({"across_subjects": True}, "1 subject"),
    ],
)
def test_refuses(change, message):
    rng = np.random.default_rng(12)
    arguments = {"n_images": N_IMAGES, "folds": rdm_folds(N_IMAGES, 2, rng)} | change
    with pytest.raises(InputError, match=message):
        reweighted_similarities(random_rdms(rng, 2), random_rdms(rng, 1), "pearson", **arguments)


@pytest.mark.parametrize(("n_images", "n_folds"), [(20, 1), (8, 3)])
def test_refuses_folds_without_a_correlation(n_images, n_folds):
    with pytest.raises(InputError, match=f"{n_images} images for {n_folds} folds"):
        rdm_folds(n_images, n_folds, np.random.default_rng(0))
