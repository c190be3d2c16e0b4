"""Inference on layers: against hand-computed tables, statsmodels, counting, and known truths."""

import itertools

import numpy as np
import pytest
import scipy.stats
from scipy.spatial.distance import pdist, squareform
from statsmodels.stats.multitest import multipletests

from workflow.lib.errors import InputError
from workflow.lib.inference.folds import rdm_folds
from workflow.lib.inference.held_out_layer import held_out_layers
from workflow.lib.inference.intervals import (
    draw_intervals,
    max_statistic_p,
    t_intervals,
    two_sided_p,
)
from workflow.lib.inference.layers import (
    best_layer_probability,
    ceiling_differences,
    double_centred,
    interaction_test,
    layer_centres,
    layer_differences,
)

N_IMAGES = 40


def measured_means(rng, truth, n=N_IMAGES, n_draws=400):
    """Return means of n normal observations per cell about the truth, and bootstraps of them.

    Cells share a part of their noise, as the cells of a table share images.
    """
    common = 2 * rng.standard_normal((n, 1, 1))
    observations = truth + common + rng.standard_normal((n, *truth.shape))
    counts = rng.multinomial(n, np.full(n, 1 / n), size=n_draws)
    draws = np.tensordot(counts, observations, axes=1) / n
    return observations.mean(axis=0), draws


def within_binomial(k, n, p):
    low, high = scipy.stats.binom.ppf([0.001, 0.999], n, p)
    return low <= k <= high


def test_t_interval_by_hand():
    """t(4) at 0.975 is 2.776: 1 +- 2.776 * 0.5."""
    found = t_intervals(np.array([1.0]), np.array([0.5]), dof=4)
    np.testing.assert_allclose([found.lower[0], found.upper[0]], [-0.388, 2.388], atol=5e-4)


def test_t_interval_of_draws_equals_scipy():
    rng = np.random.default_rng(1)
    estimate, draws = rng.standard_normal((2, 3)), rng.standard_normal((50, 2, 3))
    found = draw_intervals(estimate, draws, n_drawn=12, level=0.9)
    se = draws.std(axis=0, ddof=1) * np.sqrt(12 / 11)
    low, high = scipy.stats.t.interval(0.9, 11, loc=estimate, scale=se)
    np.testing.assert_allclose(found.lower, low)
    np.testing.assert_allclose(found.upper, high)


def test_percentile_interval_by_hand():
    draws = np.arange(101.0)[:, None]
    found = draw_intervals(np.array([3.0]), draws, n_drawn=9, level=0.8, kind="percentile")
    assert (found.lower[0], found.upper[0]) == pytest.approx((10, 90))


def test_p_is_half_the_level_at_the_bound():
    """An interval that ends at zero belongs to a p of one minus its level."""
    estimate = np.array([1.0])
    se = estimate / scipy.stats.t.ppf(0.975, 7)
    assert two_sided_p(t_intervals(estimate, se, dof=7), dof=7) == pytest.approx(0.05)


def test_max_statistic_p_equals_counting():
    rng = np.random.default_rng(2)
    statistic, null = rng.random((2, 5)), rng.random((30, 2, 5))
    null[3, 1, 2] = statistic[1, 4] - 1e-12
    found = max_statistic_p(statistic, null)
    for roi, layer in itertools.product(range(2), range(5)):
        k = sum(draw[roi].max() >= statistic[roi, layer] - 1e-9 for draw in null)
        assert found[roi, layer] == (k + 1) / 31


def test_double_centring_by_hand():
    """Row means 1 and 4, column means 1, 2.5 and 4, grand mean 2.5."""
    np.testing.assert_allclose(
        double_centred(np.array([[0.0, 1.0, 2.0], [2.0, 4.0, 6.0]])),
        [[0.5, 0.0, -0.5], [-0.5, 0.0, 0.5]],
    )


def test_interaction_of_an_additive_table_is_zero():
    rng = np.random.default_rng(3)
    additive = rng.random((3, 1)) + rng.random((1, 4))
    draws = additive + 0.01 * rng.standard_normal((99, 3, 4))
    found = interaction_test(additive, draws, n_drawn=20)
    np.testing.assert_allclose(found.t, 0, atol=1e-9)
    np.testing.assert_array_equal(found.p, 1)


def test_interaction_equals_counting():
    rng = np.random.default_rng(4)
    estimate, draws = rng.random((3, 4)), rng.random((60, 3, 4))
    found = interaction_test(estimate, draws, n_drawn=25)
    centred = np.stack([double_centred(draw) for draw in draws])
    se = centred.std(axis=0, ddof=1)
    null = np.abs((centred - centred.mean(axis=0)) / se).max(axis=(1, 2))
    t = double_centred(estimate) / se / np.sqrt(25 / 24)
    z = scipy.stats.norm.isf(scipy.stats.t.sf(np.abs(t), 24))
    expected = (1 + (null[:, None, None] >= z - 1e-9).sum(axis=0)) / 61
    np.testing.assert_array_equal(found.p, expected)
    np.testing.assert_allclose(found.t, t, atol=1e-12)
    assert found.omnibus_p == expected.min()


def test_interaction_null_is_kept_and_a_planted_one_is_found():
    rng = np.random.default_rng(5)
    additive = np.array([[0.0], [3.0], [1.0]]) + np.array([[0.0, 1.0, 2.0, -1.0]])
    planted = additive + np.zeros((3, 4))
    planted[1, 2] += 2.0
    n_tests, n = 400, 100
    found = [
        interaction_test(
            *measured_means(rng, additive + np.zeros((3, 4)), n=n, n_draws=199), n_drawn=n
        )
        for _ in range(n_tests)
    ]
    assert within_binomial(sum(result.omnibus_p <= 0.05 for result in found), n_tests, 0.05)
    result = interaction_test(*measured_means(rng, planted, n=n), n_drawn=n)
    assert np.unravel_index(np.abs(result.t).argmax(), (3, 4)) == (1, 2)
    assert result.t[1, 2] > 0
    assert result.omnibus_p == 1 / 401


@pytest.mark.parametrize("n", [8, 12])
def test_null_of_an_interaction_is_kept_with_few_images(n):
    """Or with few groups of them. A bootstrap of 8 is a rough one; without degrees of freedom,
    28 % are found."""
    rng = np.random.default_rng(11)
    n_tests = 300
    tables = (measured_means(rng, np.zeros((3, 4)), n=n, n_draws=199) for _ in range(n_tests))
    found = sum(interaction_test(*table, n_drawn=n).omnibus_p <= 0.05 for table in tables)
    assert found / n_tests < 0.1


@pytest.mark.parametrize("shape", [(1, 4), (3, 1)])
def test_one_roi_or_layer_has_no_interaction(shape):
    rng = np.random.default_rng(6)
    found = interaction_test(rng.random(shape), rng.random((20, *shape)), n_drawn=20)
    assert np.isnan(found.p).all()
    assert np.isnan(found.omnibus_p)


def test_a_layer_given_twice_does_not_differ_from_itself():
    rng = np.random.default_rng(7)
    estimate, draws = rng.random((2, 2)), rng.random((50, 2, 2))
    twice = layer_differences(estimate[:, [0, 0, 1]], draws[..., [0, 0, 1]], n_drawn=20)
    np.testing.assert_array_equal(twice.p[:, 0], 1)
    assert (twice.p[:, 1] < 1).all()


def test_layer_differences_equal_scipy_and_statsmodels():
    """With the standard error of a mean in place of the bootstrap's, this is the paired t-test."""
    rng = np.random.default_rng(8)
    n = 15
    x = rng.standard_normal((n, 3)) + np.array([0.0, 0.3, 1.0])
    # Draws about the mean with the very covariance of the mean.
    root = np.linalg.cholesky(np.cov(x.T) / n)
    basis = rng.standard_normal((500, 3))
    basis -= basis.mean(axis=0)
    white = basis @ np.linalg.inv(np.linalg.cholesky(np.cov(basis.T))).T
    draws = x.mean(axis=0) + np.sqrt((n - 1) / n) * white @ root.T
    found = layer_differences(x.mean(axis=0)[None], draws[:, None], n_drawn=n)
    assert list(zip(found.first, found.second, strict=True)) == [(0, 1), (0, 2), (1, 2)]
    reference = [scipy.stats.ttest_rel(x[:, a], x[:, b]) for a, b in [(0, 1), (0, 2), (1, 2)]]
    np.testing.assert_allclose(found.p[0], [result.pvalue for result in reference])
    bounds = [result.confidence_interval() for result in reference]
    np.testing.assert_allclose(found.intervals.lower[0], [bound.low for bound in bounds])
    np.testing.assert_allclose(found.intervals.upper[0], [bound.high for bound in bounds])
    q = multipletests(found.p[0], method="fdr_bh")[1]
    np.testing.assert_allclose(found.q[0], q)


def test_one_layer_has_nothing_to_be_compared_with():
    with pytest.raises(InputError, match="one layer"):
        layer_differences(np.zeros((2, 1)), np.zeros((9, 2, 1)), n_drawn=9)


def test_ceiling_differences_pair_the_resamples():
    """Ceiling and layer move together: their difference is certain, though neither is."""
    rng = np.random.default_rng(10)
    shared = rng.standard_normal((200, 2))
    estimate, ceiling = np.array([[0.3, 0.6], [0.2, 0.5]]), np.array([0.6, 0.4])
    draws = estimate + shared[..., None] + 0.01 * rng.standard_normal((200, 2, 2))
    found = ceiling_differences(
        estimate, draws, ceiling=ceiling, ceiling_draws=ceiling + shared, n_drawn=50
    )
    np.testing.assert_allclose(found.intervals.estimate, [[0.3, 0.0], [0.2, -0.1]], atol=1e-12)
    np.testing.assert_allclose(found.intervals.se, 0.01, rtol=0.2)
    assert (found.p[:, 0] < 1e-10).all()
    assert found.p[0, 1] == pytest.approx(0.5)
    assert found.p[1, 1] > 0.99


def test_ceiling_of_other_resamples_is_refused():
    with pytest.raises(InputError, match="5 draws of the ceiling and 9"):
        ceiling_differences(
            np.zeros((1, 2)),
            np.zeros((9, 1, 2)),
            ceiling=np.zeros(1),
            ceiling_draws=np.zeros((5, 1)),
            n_drawn=20,
        )


def test_layer_centres_by_hand():
    """Weights 1, 0, 3 lie at (1 + 9) / 4; a draw without any weight has no centre."""
    estimate = np.array([[1.0, -5.0, 3.0]])
    draws = np.array([[[1.0, 0, 0]], [[0, 1.0, 0]], [[0, 0, 1.0]], [[-1.0, -1, -1]]])
    found = layer_centres(estimate, draws, level=0.5)
    assert (found.centre[0], found.lower[0], found.upper[0]) == (2.5, 1.5, 2.5)
    assert found.n_undefined[0] == 1


def test_a_roi_that_no_layer_resembles_has_no_centre():
    estimate, draws = -np.ones((2, 3)), -np.ones((7, 2, 3))
    found = layer_centres(estimate, draws)
    assert np.isnan([found.centre, found.lower, found.upper]).all()
    np.testing.assert_array_equal(found.n_undefined, 7)


def test_no_centre_has_no_interval_though_some_draws_have_one():
    draws = np.array([[[-1.0, 2, -1]], [[-1, -1, 1]], [[-2, -2, -2]]])
    found = layer_centres(np.array([[-0.1, -0.2, -0.1]]), draws)
    assert np.isnan([found.centre, found.lower, found.upper]).all()
    assert found.n_undefined[0] == 1


def test_planted_order_of_rois_is_found():
    rng = np.random.default_rng(12)
    layers = np.arange(5)
    truth = np.stack([3 + 2 * np.exp(-((layers - place) ** 2)) for place in (0, 0, 4)])
    found = layer_centres(*measured_means(rng, truth, n=200))
    assert (found.upper[:2] < found.lower[2]).all()
    assert max(found.lower[:2]) < min(found.upper[:2])


def test_best_layer_probability_equals_counting():
    rng = np.random.default_rng(13)
    draws = rng.integers(0, 4, (300, 3, 4)) / 10
    draws[0, 0] = [0.1 + 0.2, 0.3, 0.0, 0.0]
    found = best_layer_probability(draws)
    expected = np.zeros((3, 4))
    for draw, roi in itertools.product(np.round(draws, 6), range(3)):
        winners = np.flatnonzero(draw[roi] == draw[roi].max())
        expected[roi, winners] += 1 / len(winners) / len(draws)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        (np.zeros((9, 2, 2)), "expected draws of the same table"),
        (np.zeros((1, 2, 3)), "found 1 of 1"),
        (np.where(np.arange(9)[:, None, None] < 8, np.nan, np.ones((9, 2, 3))), "found 1 of 9"),
    ],
)
def test_draws_that_cannot_be_used_are_refused(draws, message):
    with pytest.raises(InputError, match=message):
        draw_intervals(np.zeros((2, 3)), draws, n_drawn=9)


def test_resamples_with_an_undefined_similarity_are_left_out_of_all_cells():
    rng = np.random.default_rng(19)
    estimate, draws = rng.random((2, 3)), rng.random((40, 2, 3))
    holed = draws.copy()
    holed[:5, 1, 2] = np.nan
    for test in (interaction_test, layer_differences):
        with_holes = test(estimate, holed, n_drawn=20)
        np.testing.assert_array_equal(with_holes.p, test(estimate, draws[5:], n_drawn=20).p)
    np.testing.assert_array_equal(best_layer_probability(holed), best_layer_probability(draws[5:]))
    np.testing.assert_array_equal(
        layer_centres(estimate, holed).lower, layer_centres(estimate, draws[5:]).lower
    )


# --- the best layer on held-out images ---------------------------------------------------------


def related_rdms(rng, n_layers, n_images, noise):
    """Return layer RDMs that resemble one brain RDM the less the larger their noise."""
    signal = rng.standard_normal((n_images, 4))
    brain = pdist(signal + 0.5 * rng.standard_normal(signal.shape))
    layers = [
        pdist(signal + level * rng.standard_normal(signal.shape))
        for level in np.broadcast_to(noise, n_layers)
    ]
    return np.stack(layers), brain[None]


@pytest.mark.parametrize(("name", "r"), [("pearson", "pearsonr"), ("spearman", "spearmanr")])
def test_held_out_layers_equal_a_loop_over_folds(name, r):
    rng = np.random.default_rng(14)
    n, groups = 24, list("ab") * 12
    models, _ = related_rdms(rng, 3, n, [0.5, 1, 2])
    brains = np.concatenate(
        [related_rdms(rng, 1, n, 1)[1], models[:1] + rng.random(models.shape[1])]
    )
    folds = [fold for _ in range(2) for fold in rdm_folds(n, 3, rng, strata=groups)]
    found = held_out_layers(models, brains, name, n_images=n, folds=folds)

    def score(model, brain, images):
        cells = np.ix_(images, images)
        among = np.triu_indices(len(images), 1)
        left, right = squareform(model)[cells][among], squareform(brain)[cells][among]
        return getattr(scipy.stats, r)(left, right)[0]

    for split, test in enumerate(folds):
        train = [image for image in range(n) if image not in test]
        for b, brain in enumerate(brains):
            best = np.argmax([score(model, brain, train) for model in models])
            assert found.chosen[split, b] == best
            expected = score(models[best], brain, test)
            np.testing.assert_allclose(found.held_out[split, b], expected, atol=1e-10)
    np.testing.assert_allclose(found.similarity, found.held_out.mean(axis=0))
    np.testing.assert_allclose(found.frequency.sum(axis=1), 1)


def test_held_out_similarity_is_unbiased_where_the_largest_is_not():
    """Twelve layers that have nothing to do with the brain: the truth is zero."""
    rng = np.random.default_rng(15)
    n = 16
    found = []
    for _ in range(250):
        models = np.stack([pdist(rng.standard_normal((n, 4))) for _ in range(12)])
        brain = pdist(rng.standard_normal((n, 4)))[None]
        folds = rdm_folds(n, 2, rng)
        found.append(held_out_layers(models, brain, "pearson", n_images=n, folds=folds))
    held_out = np.array([result.similarity[0] for result in found])
    optimistic = np.array([result.optimistic[0] for result in found])
    error = held_out.std() / np.sqrt(len(held_out))
    assert abs(held_out.mean()) < 3.3 * error
    assert optimistic.mean() > 20 * error


def test_planted_best_layer_is_chosen():
    rng = np.random.default_rng(16)
    models, brain = related_rdms(rng, 4, 60, [3.0, 3.0, 0.3, 3.0])
    folds = rdm_folds(60, 5, rng)
    found = held_out_layers(models, brain, "spearman", n_images=60, folds=folds)
    np.testing.assert_array_equal(found.frequency, [[0, 0, 1, 0]])


def test_members_of_a_layer_are_averaged_before_the_choice():
    rng = np.random.default_rng(17)
    models, brain = related_rdms(rng, 3, 60, [0.2, 6.0, 0.6])
    # The best member shares its layer with a bad one.
    found = held_out_layers(
        models,
        brain,
        "pearson",
        n_images=60,
        folds=rdm_folds(60, 2, rng),
        averaged=lambda values: np.stack([values[:2].mean(axis=0), values[2]]),
    )
    np.testing.assert_array_equal(found.chosen, 1)
    assert found.frequency.shape == (1, 2)


def test_folds_in_which_a_brain_rdm_does_not_vary_choose_nothing():
    """All that varies in the second brain RDM are pairs of image 0, of which folds hold few."""
    rng = np.random.default_rng(18)
    models, brain = related_rdms(rng, 3, 12, [3.0, 0.2, 3.0])
    flat = np.full_like(brain, 0.7)
    flat[0, :11] = models[1, :11]
    folds = np.split(np.arange(12), 3)
    found = held_out_layers(
        models, np.concatenate([brain, flat]), "pearson", n_images=12, folds=folds
    )
    # Training images lack image 0 in the first fold, test images in the others.
    assert found.chosen[0, 1] == -1
    assert (found.chosen[1:, 1] == 1).all()
    assert np.isnan(found.held_out[:, 1]).all()
    assert np.isnan([found.similarity[1], found.optimistic[1]]).all()
    np.testing.assert_array_equal(found.frequency[1], [0, 1, 0])
    alone = held_out_layers(models, brain, "pearson", n_images=12, folds=folds)
    assert found.similarity[0] == pytest.approx(alone.similarity[0])
