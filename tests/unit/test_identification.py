"""Scores of reconstructions: brute force, scikit-image's definition, known chances, nulls."""

import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from workflow.lib.errors import InputError
from workflow.lib.inference.bootstrap import image_counts
from workflow.lib.scores.identification import (
    identification_null,
    identified,
    permutation_p,
    resampled_identification,
)
from workflow.lib.scores.images import (
    correlations,
    pixel_correlation,
    root_mean_square_error,
    structural_similarities,
)


def by_hand(similarities, groups, n_way):
    """Every set of others, and every way of picking one of the most similar."""
    shares = []
    for i, row in enumerate(similarities):
        others = [j for j in range(len(row)) if groups[j] != groups[i]]
        won = []
        for chosen in itertools.combinations(others, n_way - 1):
            values = [row[j] for j in chosen]
            best = max([row[i], *values])
            n_best = sum(value == best for value in [row[i], *values])
            won.append((row[i] == best) / n_best)
        shares.append(np.mean(won))
    return np.array(shares)


@pytest.mark.parametrize("n_way", [2, 3, 4])
@pytest.mark.parametrize("copies", [False, True])
def test_identification_counts_every_set_of_others(n_way, copies):
    rng = np.random.default_rng(0)
    groups = np.array([0, 1, 2, 3, 4, 0, 1]) if copies else np.arange(7)
    # Few values, so that many are equal.
    similarities = rng.integers(0, 4, (7, 7)).astype(float)
    np.testing.assert_allclose(
        identified(similarities, groups, n_way), by_hand(similarities, groups, n_way)
    )


def test_a_resample_is_the_images_that_are_drawn():
    """An image drawn twice stands twice in the set, and is its own copy."""
    rng = np.random.default_rng(1)
    similarities = rng.standard_normal((6, 6))
    groups = np.array([0, 1, 2, 3, 4, 4])
    counts = image_counts(6, 30, rng)
    drawn = [np.repeat(np.arange(6), count) for count in counts]
    for n_way in (2, 3):
        found = resampled_identification(similarities, groups, counts, n_way)
        for value, images in zip(found, drawn, strict=True):
            others = [(groups[images] != groups[i]).sum() for i in images]
            if min(others) >= n_way - 1:
                part = similarities[np.ix_(images, images)]
                assert value == pytest.approx(by_hand(part, groups[images], n_way).mean())
            else:
                assert np.isnan(value)


def exchanges_groups(order, groups):
    """Whether copies are taken for copies of one image, and in their order, which means nothing."""
    taken = groups[list(order)]
    return all(
        (groups[i] == groups[j]) == (taken[i] == taken[j])
        and (groups[i] != groups[j] or order[i] < order[j])
        for i, j in itertools.combinations(range(len(groups)), 2)
    )


@pytest.mark.parametrize("groups", [[0, 1, 2, 3, 4], [0, 1, 2, 3, 3], [0, 0, 1, 1, 2]])
def test_observed_value_is_the_first_of_its_null_and_others_are_of_exchanged_images(groups):
    groups = np.array(groups)
    rng = np.random.default_rng(2)
    similarities = rng.standard_normal((len(groups), len(groups)))
    null = identification_null(similarities, groups, n_way=3, n_permutations=200, rng=rng)
    assert null[0] == pytest.approx(identified(similarities, groups, 3).mean())

    def exchanged(order):
        """Reconstruction i is taken for one of image order[i]; others are no copies of that."""
        place = np.argsort(order)
        return by_hand(similarities[place], groups, 3).mean()

    orders = [o for o in itertools.permutations(range(5)) if exchanges_groups(o, groups)]
    np.testing.assert_allclose(sorted(null), sorted(exchanged(list(order)) for order in orders))


@pytest.mark.parametrize("n_copies", [1, 2], ids=["no copies", "two of each"])
def test_p_is_uniform_and_the_mean_is_chance_without_an_effect(n_copies):
    """Where there are copies, what is made of them is alike, too."""
    groups = np.repeat(np.arange(12 // n_copies), n_copies)
    p, values = [], []
    for seed in range(500):
        rng = np.random.default_rng(seed)
        made, true = rng.standard_normal((2, 12 // n_copies, 30))
        null = identification_null(
            correlations(made[groups], true[groups]), groups, n_way=2, n_permutations=199, rng=rng
        )
        p.append(permutation_p(null))
        values.append(null[0])
    assert np.mean(values) == pytest.approx(0.5, abs=3 * np.std(values) / np.sqrt(500))
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert kstest(p, "uniform").pvalue > 1e-3


def test_intervals_hold_the_truth_of_new_images():
    """The share of new images that are identified among new ones, at a known noise."""
    rng = np.random.default_rng(3)

    def draw(n):
        true = rng.standard_normal((n, 20))
        return correlations(true + 3 * rng.standard_normal((n, 20)), true)

    truth = np.mean([identified(draw(40), np.arange(40)).mean() for _ in range(300)])
    covered = []
    for _ in range(200):
        similarities = draw(40)
        draws = resampled_identification(similarities, np.arange(40), image_counts(40, 200, rng))
        half = 2.02 * np.sqrt(draws.var(ddof=1) * 40 / 39)
        covered.append(abs(identified(similarities, np.arange(40)).mean() - truth) <= half)
    assert np.mean(covered) >= 0.9


def test_too_few_images_for_the_sets_are_named():
    with pytest.raises(InputError, match=r"n_way: found 4 .* expected 2 to 3"):
        identified(np.eye(4), np.array([0, 1, 2, 2]), 4)


def test_scores_of_an_image_against_itself_and_its_negative():
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (3, 16, 16, 3), np.uint8)
    np.testing.assert_allclose(pixel_correlation(images, images), 1)
    np.testing.assert_allclose(pixel_correlation(images, 255 - images), -1)
    np.testing.assert_allclose(structural_similarities(images, images), 1)
    np.testing.assert_allclose(root_mean_square_error(images, images), 0)
    black, white = np.zeros_like(images), np.full_like(images, 255)
    np.testing.assert_allclose(root_mean_square_error(black, white), 1)
    np.testing.assert_array_equal(pixel_correlation(black, images), 0)


def test_correlations_are_numpys():
    rng = np.random.default_rng(5)
    left, right = rng.integers(0, 256, (2, 4, 8, 8, 3), np.uint8)
    for i, j in itertools.product(range(4), range(4)):
        expected = np.corrcoef(left[i].ravel(), right[j].ravel())[0, 1]
        assert correlations(left, right)[i, j] == pytest.approx(expected)


def test_structural_similarity_is_that_of_wang_et_al():
    """From the paper's formula, with Gaussian means, variances and covariances."""
    rng = np.random.default_rng(6)
    x = gaussian_filter(rng.uniform(0, 255, (24, 24)), 1)
    y = np.clip(x + rng.normal(0, 20, x.shape), 0, 255)
    x, y = x.astype(np.uint8), y.astype(np.uint8)

    def blur(values):
        return gaussian_filter(values.astype(float), 1.5, truncate=3.5)

    mx, my = blur(x), blur(y)
    vx, vy = blur(x.astype(float) ** 2) - mx**2, blur(y.astype(float) ** 2) - my**2
    cxy = blur(x.astype(float) * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ssim = (2 * mx * my + c1) * (2 * cxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    expected = ssim[5:-5, 5:-5].mean()
    grey = [np.repeat(image[np.newaxis, :, :, np.newaxis], 3, axis=3) for image in (x, y)]
    assert structural_similarities(*grey)[0] == pytest.approx(expected, abs=1e-6)
