"""Variance over images and subjects: against rsatoolbox, and against what repetition would give."""

import numpy as np
import pytest
import scipy.stats
from rsatoolbox.inference import Result
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare
from rsatoolbox.util.inference_util import extract_variances
from scipy.spatial.distance import pdist

from workflow.lib.errors import InputError
from workflow.lib.inference.bootstrap import bootstrap_similarities
from workflow.lib.inference.counts import image_counts, subject_counts
from workflow.lib.inference.variance import (
    combined_variance,
    draw_variance,
    interval,
    one_factor_variance,
    share_interval,
    two_factor_variance,
)
from workflow.lib.rsa.comparators import compare

TIGHT = 1e-10


def views(rng, points, n_rdms, noise):
    return np.stack(
        [pdist(points + noise * rng.standard_normal(points.shape)) for _ in range(n_rdms)]
    )


@pytest.mark.parametrize("n_subjects", [2, 3, 8])
@pytest.mark.parametrize("noise", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("name", ["pearson", "rho-a"])
def test_equals_rsatoolbox_on_the_same_resamples(name, noise, n_subjects):
    rng = np.random.default_rng(71)
    n_images, n_resamples = 12, 60
    points = rng.standard_normal((n_images, 4))
    models, subjects = views(rng, points, 2, 1.0), views(rng, points, n_subjects, noise)
    images = image_counts(n_images, n_resamples, rng)
    members = subject_counts(n_subjects, n_resamples, rng)

    # rsatoolbox, as its eval_dual_bootstrap does it, on the same resamples.
    evaluations = np.empty((3, n_resamples, 2))
    whole = [RDMs(side) for side in (models, subjects)]
    for row in range(n_resamples):
        drawn_images = np.repeat(np.arange(n_images), images[row])
        drawn_subjects = np.repeat(np.arange(n_subjects), members[row])
        model, all_subjects = (side.subsample_pattern("index", drawn_images) for side in whole)
        some = (all_subjects, whole[1])
        both, subject = (side.subsample("index", drawn_subjects) for side in some)
        method = {"pearson": "corr"}.get(name, name)
        for kind, sides in enumerate(((model, both), (whole[0], subject), (model, all_subjects))):
            evaluations[kind, row] = rsatoolbox_compare(*sides, method=method).mean(axis=1)
    covariances = np.stack([np.cov(evaluation.T) for evaluation in evaluations])
    expected, expected_difference, _ = extract_variances(
        covariances, nc_included=False, n_rdm=n_subjects, n_pattern=n_images
    )
    # But never below what either factor varies by alone, see the notes of `combined_variance`.
    r, p = n_subjects / (n_subjects - 1), n_images / (n_images - 1)
    alone = np.maximum(r * covariances[1], p * covariances[2])
    of_difference = [np.array([1, -1]) @ covariances[kind] @ np.array([1, -1]) for kind in (1, 2)]
    is_bound = np.diag(alone) > expected
    assert not is_bound.any() or noise < 10  # there, both factors matter
    expected = np.maximum(expected, np.diag(alone))
    expected_difference = np.maximum(
        expected_difference, max(r * of_difference[0], p * of_difference[1])
    )

    similarities = compare(models, subjects, name).T
    draws = bootstrap_similarities(models, subjects, name, images, n_images=n_images)
    draws = draws.transpose(0, 2, 1)
    found = two_factor_variance(similarities, draws, members, n_images=n_images)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=0)
    found = two_factor_variance(np.diff(similarities), np.diff(draws), members, n_images=n_images)
    np.testing.assert_allclose(found, expected_difference, rtol=1e-9, atol=0)

    # And the interval, through rsatoolbox's Result.
    result = Result(
        [ModelFixed(str(m), RDMs(models[[m]])) for m in range(2)],
        evaluations[0],
        method="corr",
        cv_method="dual_bootstrap",
        noise_ceiling=np.zeros(2),
        variances=covariances,
        dof=min(n_subjects, n_images) - 1,
        n_rdm=n_subjects,
        n_pattern=n_images,
    )
    variance = two_factor_variance(similarities, draws, members, n_images=n_images)
    as_there = ~is_bound
    np.testing.assert_allclose(np.sqrt(variance)[as_there], result.get_sem()[as_there], rtol=1e-9)
    limits = interval(evaluations[0].mean(axis=0), variance, min(n_subjects, n_images) - 1)
    half = np.abs(result.get_errorbars(eb_type="ci95")[0])
    np.testing.assert_allclose((np.ptp(limits, axis=0) / 2)[as_there], half[as_there], rtol=1e-9)


@pytest.mark.parametrize(
    ("both", "subject", "image", "expected"),
    [
        # R = 3, P = 5: factors 3/2 and 5/4. 1.5 * 2 + 1.25 * 4 - 1.875 * (7 - 6) = 6.125.
        (7.0, 2.0, 4.0, 6.125),
        # 3 + 5 - 1.875 * (6.5 - 6) = 7.0625, not above the variance over both.
        (6.5, 2.0, 4.0, 6.5),
        # 3 + 5 - 1.875 * (10 - 6) = 0.5, not below that over images.
        (10.0, 2.0, 4.0, 5.0),
        # 6 + 0 - 1.875 * (9 - 4) = -3.375, not below that over subjects.
        (9.0, 4.0, 0.0, 6.0),
        # 6 + 0.25 - 1.875 * (4.2 - 4.2) = 6.25, not above 4.2, which is too small by itself.
        (4.2, 4.0, 0.2, 6.0),
    ],
)
def test_formula_and_bounds_by_hand(both, subject, image, expected):
    # Two draws a and -a have the variance 2 a^2.
    draws = [np.sqrt(v / 2) * np.array([1.0, -1.0]) for v in (both, subject, image)]
    found = combined_variance(
        both=draws[0], subject=draws[1], image=draws[2], n_subjects=3, n_images=5
    )
    assert found == pytest.approx(expected, abs=TIGHT)


def test_undefined_resamples_are_left_out_of_all_three():
    rng = np.random.default_rng(72)
    draws = rng.standard_normal((3, 50))
    holed = draws.copy()
    holed[0, 3], holed[1, 7], holed[2, 40] = np.nan, np.inf, np.nan
    sizes = {"n_subjects": 4, "n_images": 20}
    kept = np.delete(draws, [3, 7, 40], axis=1)
    found, expected = (
        combined_variance(both=both, subject=subject, image=image, **sizes)
        for both, subject, image in (holed, kept)
    )
    assert found == pytest.approx(expected, abs=TIGHT)
    assert draw_variance(holed[0]) == pytest.approx(np.nanvar(holed[0], ddof=1), abs=TIGHT)
    assert np.isnan(draw_variance(np.array([1.0, np.nan])))


def test_a_mean_is_as_sure_as_the_textbook_says():
    # The bootstrap variance of a mean of n is (n - 1)/n^2 s^2; that of a new sample s^2 / n.
    rng = np.random.default_rng(73)
    sample = rng.standard_normal(12)
    draws = image_counts(12, 40000, rng) @ sample / 12
    expected = sample.var(ddof=1) / 12
    assert one_factor_variance(draws, 12) == pytest.approx(expected, rel=0.03)


def test_additive_effects_of_subjects_and_images_are_recovered():
    # A table a_s + b_i + noise: the mean varies by var(a)/R + var(b)/P + var(noise)/(R P).
    rng = np.random.default_rng(74)
    n_subjects, n_images, n_tables = 6, 10, 400
    members = subject_counts(n_subjects, 2000, rng)
    images = image_counts(n_images, 2000, rng)
    found = np.empty(n_tables)
    for t in range(n_tables):
        table = rng.normal(0, 1.0, (n_subjects, 1)) + rng.normal(0, 1.5, n_images)
        table += rng.normal(0, 1.0, table.shape)
        draws = images @ table.T / n_images
        found[t] = two_factor_variance(table.mean(axis=1), draws, members, n_images=n_images)
    truth = 1 / n_subjects + 1.5**2 / n_images + 1 / (n_subjects * n_images)
    assert found.mean() == pytest.approx(truth, rel=0.08)


def test_intervals_hold_the_truth_as_often_as_they_say():
    # Subjects whose similarities differ, all seen with the same images: the interval over both
    # covers the mean of the population; that over images alone, as if these subjects were all,
    # does not.
    rng = np.random.default_rng(75)
    n_subjects, n_images, n_tables = 5, 12, 500
    members = subject_counts(n_subjects, 500, rng)
    images = image_counts(n_images, 500, rng)
    covered = np.zeros(2)
    for _ in range(n_tables):
        table = rng.normal(0, 1.0, (n_subjects, 1)) + rng.normal(0, 1.0, (n_subjects, n_images))
        draws = images @ table.T / n_images
        both = two_factor_variance(table.mean(axis=1), draws, members, n_images=n_images)
        image = one_factor_variance(draws.mean(axis=1), n_images)
        for kind, (variance, dof) in enumerate(((both, n_subjects - 1), (image, n_images - 1))):
            lower, upper = interval(table.mean(), variance, dof)
            covered[kind] += lower < 0 < upper
    share = covered / n_tables
    # Binomial error of 500 tables at 0.95: 0.0097.
    assert share[0] > 0.95 - 4 * 0.0097
    assert share[1] < 0.7


@pytest.mark.parametrize("n_subjects", [2, 3, 5])
def test_where_subjects_alone_differ_an_interval_is_that_of_their_mean(n_subjects):
    """So many images that they add nothing: Student's t of the subjects, which holds exactly."""
    rng = np.random.default_rng(76)
    members = subject_counts(n_subjects, 4000, rng)
    images = image_counts(3000, 4000, rng)
    of_subjects = rng.standard_normal(n_subjects)
    table = of_subjects[:, None] + 0.01 * rng.standard_normal((n_subjects, 3000))
    found = two_factor_variance(of_subjects, images @ table.T / 3000, members, n_images=3000)
    assert found == pytest.approx(of_subjects.var(ddof=1) / n_subjects, rel=0.05)


def test_interval_is_students():
    lower, upper = interval(np.array([0.2, 0.5]), np.array([0.01, 0.04]), 2, level=0.9)
    half = scipy.stats.t.ppf(0.95, 2) * np.array([0.1, 0.2])
    np.testing.assert_allclose(lower, np.array([0.2, 0.5]) - half, atol=TIGHT)
    np.testing.assert_allclose(upper, np.array([0.2, 0.5]) + half, atol=TIGHT)
    # Two subjects: one degree of freedom, 12.7 standard errors each way.
    assert interval(0.0, 1.0, 1)[1] == pytest.approx(12.706, abs=1e-3)


@pytest.mark.parametrize(("n_subjects", "n_images", "what"), [(1, 9, "subject"), (4, 1, "image")])
def test_a_factor_of_one_is_refused(n_subjects, n_images, what):
    draws = np.zeros(5)
    with pytest.raises(InputError, match=f"found 1 {what}, expected at least two"):
        combined_variance(
            both=draws, subject=draws, image=draws, n_subjects=n_subjects, n_images=n_images
        )


@pytest.mark.parametrize(("dof", "level"), [(0, 0.95), (3, 1.0), (3, 95)])
def test_an_interval_without_meaning_is_refused(dof, level):
    with pytest.raises(InputError, match="expected at least 1 and a level between 0 and 1"):
        interval(0.0, 1.0, dof, level)


# Shares.


def test_the_interval_of_a_share_of_yes_or_no_is_wilsons():
    """With so many answers t is normal."""
    n = 100_000
    yes = np.array([0, 3, 40_000, n])
    share = yes / n
    lower, upper = share_interval(share, share * (1 - share) / n, n)
    for k, low, high in zip(yes, lower, upper, strict=True):
        wilson = scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((wilson.low, wilson.high), rel=1e-3, abs=1e-9)


@pytest.mark.parametrize(("share", "variance"), [(0.9, 0.004), (0.5, 0.1), (0.2, 1.0)])
def test_limits_of_a_share_are_where_a_test_of_scores_just_rejects(share, variance):
    limits = share_interval(share, variance, 12)
    answers = share * (1 - share) / variance
    for limit in limits:
        error = np.sqrt(limit * (1 - limit) / answers)
        assert abs(share - limit) / error == pytest.approx(scipy.stats.t.ppf(0.975, 11))
    assert 0 < limits[0] < share < limits[1] < 1


def test_a_share_that_does_not_vary_still_has_an_interval():
    for n in (4, 20):
        (low_none, low_all), (high_none, high_all) = share_interval([0, 1], [0, 0], n)
        assert (low_none, high_all) == pytest.approx((0, 1), abs=1e-12)
        # As if each image had been a yes or a no: none of n is no proof of less than 1 / n.
        assert high_none > 1 / n
        assert low_all == pytest.approx(1 - high_none)
    with pytest.raises(InputError, match="found 0 degrees of freedom"):
        share_interval(0.5, 0.1, 1)
