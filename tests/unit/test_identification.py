"""Scores of reconstructions: brute force, scikit-image's definition, known chances, nulls."""

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest
from skimage.metrics import structural_similarity
from torch import nn

from workflow.lib.errors import InputError
from workflow.lib.inference.counts import image_counts
from workflow.lib.inference.variance import one_factor_variance, share_interval
from workflow.lib.scores.copies import over_copies
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


def picked(own, others, n_way):
    """Every set of others, and every way of picking one of the most similar."""
    won = []
    for chosen in itertools.combinations(others, n_way - 1):
        values = [own, *chosen]
        won.append((own == max(values)) / values.count(max(values)))
    return np.mean(won)


def by_hand(similarities, groups, n_way, place=None, folds=None):
    """Of every image, or of each as if it were image place[i]; copies are one other image."""
    place = range(len(groups)) if place is None else place
    folds = np.zeros(len(groups)) if folds is None else folds
    return np.array(
        [
            picked(
                similarities[i][k],
                [
                    np.mean([similarities[i][j] for j in range(len(groups)) if groups[j] == other])
                    for other in sorted(set(groups[folds == folds[k]]) - {groups[k]})
                ],
                n_way,
            )
            for i, k in enumerate(place)
        ]
    )


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
    members = [np.flatnonzero(groups == group) for group in range(5)]
    counts = image_counts(5, 30, rng)
    for n_way in (2, 3):
        found = resampled_identification(similarities, groups, counts, n_way)
        for value, count in zip(found, counts, strict=True):
            drawn = np.repeat(np.arange(5), count)
            if min((drawn != group).sum() for group in drawn) < n_way - 1:
                assert np.isnan(value)
                continue
            shares = [
                np.mean(
                    [
                        picked(
                            similarities[i, i],
                            [similarities[i, members[k]].mean() for k in drawn if k != group],
                            n_way,
                        )
                        for i in members[group]
                    ]
                )
                for group in drawn
            ]
            assert value == pytest.approx(np.mean(shares))


@pytest.mark.parametrize("groups", [[0, 1, 2, 3, 4], [0, 1, 2, 3, 3], [0, 0, 1, 1, 2]])
def test_observed_value_is_the_first_of_its_null_and_others_are_of_exchanged_images(groups):
    groups = np.array(groups)
    n_different = len(set(groups))
    rng = np.random.default_rng(2)
    # Copies of an image are equal.
    similarities = rng.standard_normal((len(groups), n_different))[:, groups]
    null = identification_null(similarities, groups, n_way=3, n_permutations=200, rng=rng)
    sizes = np.bincount(groups)

    def exchanged(order):
        """Reconstructions of image g are taken for ones of image order[g]."""
        place = [np.flatnonzero(groups == order[group])[0] for group in groups]
        return np.sum(by_hand(similarities, groups, 3, place) / sizes[groups]) / n_different

    orders = list(itertools.permutations(range(n_different)))
    assert null[0] == pytest.approx(exchanged(orders[0]))
    np.testing.assert_allclose(sorted(null), sorted(map(exchanged, orders)))


def test_images_are_compared_and_change_places_within_folds():
    """By hand over the 3! * 2! orders of folds of three and two different images, with copies."""
    groups = np.array([0, 1, 2, 3, 4, 0, 3])
    folds = np.array([7, 7, 2, 2, 7, 7, 2])
    rng = np.random.default_rng(4)
    similarities = rng.standard_normal((7, 5))[:, groups]
    null = identification_null(
        similarities, groups, n_way=2, n_permutations=12, rng=rng, folds=folds
    )
    sizes = np.bincount(groups)
    found = []
    for first in itertools.permutations([0, 1, 4]):
        for second in itertools.permutations([2, 3]):
            order = dict(zip([0, 1, 4, 2, 3], [*first, *second], strict=True))
            place = [np.flatnonzero(groups == order[group])[0] for group in groups]
            shares = by_hand(similarities, groups, 2, place, folds)
            found.append(np.sum(shares / sizes[groups]) / 5)
    assert null[0] == pytest.approx(found[0])
    np.testing.assert_allclose(sorted(null), sorted(found))
    # Over all orders there are, chance is one among n to the last digit.
    assert null.mean() == pytest.approx(1 / 2, abs=1e-12)


def test_copies_of_an_image_are_in_one_fold():
    groups, folds = np.array([0, 0, 1, 2]), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match="different labels"):
        identification_null(
            np.eye(4), groups, n_way=2, n_permutations=1, rng=np.random.default_rng(0), folds=folds
        )


def test_a_resample_goes_without_the_folds_of_which_it_draws_too_little():
    rng = np.random.default_rng(5)
    similarities = rng.standard_normal((6, 6))
    groups, folds = np.arange(6), np.array([0, 0, 0, 1, 1, 1])
    counts = image_counts(6, 200, rng)
    found = resampled_identification(similarities, groups, counts, 2, folds)
    n_short = 0
    for value, count in zip(found, counts, strict=True):
        shares = []
        for fold in (0, 1):
            drawn = np.repeat(groups, count * (folds == fold))
            if len(set(drawn)) > 1:
                shares += [
                    picked(similarities[i, i], [similarities[i, k] for k in drawn if k != i], 2)
                    for i in drawn
                ]
            n_short += len(set(drawn)) == 1
        assert value == pytest.approx(np.mean(shares) if shares else np.nan, nan_ok=True)
    assert n_short > 0


@pytest.mark.parametrize("n_way", [2, 3, 5])
@pytest.mark.parametrize("near", [0.0, 0.1], ids=["copies", "near-copies"])
def test_chance_is_one_among_n_however_many_copies_an_image_has(n_way, near):
    """What resembles all images the same way, such as their mean, is at chance in any set."""
    groups = np.r_[np.zeros(10, int), np.arange(1, 31)]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        true = rng.standard_normal((31, 20))[groups] + near * rng.standard_normal((40, 20))
        mean = np.tile(true.mean(axis=0), (40, 1))
        shares = over_copies(identified(correlations(mean, true), groups, n_way), groups)
        null = identification_null(
            correlations(rng.standard_normal(true.shape), true),
            groups,
            n_way=n_way,
            n_permutations=2000,
            rng=rng,
        )
        if near == 0:
            assert shares.mean() == pytest.approx(1 / n_way, abs=1e-12)
        else:
            assert shares.mean() == pytest.approx(1 / n_way, abs=0.03)
        assert null.mean() == pytest.approx(1 / n_way, abs=5 * null.std() / np.sqrt(2000))


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


@pytest.mark.parametrize(
    ("n_images", "n_way", "noise"),
    # The truths are about 0.84, 0.5, 0.62, 0.2 and 0.995: one set of images in three is told apart
    # without an error, so that nothing varies.
    [(40, 2, 3), (10, 2, 1e6), (20, 5, 3), (8, 5, 1e6), (20, 2, 1)],
)
def test_intervals_hold_the_truth_of_new_images(n_images, n_way, noise):
    """The share of new images that are identified among new ones, at a known noise."""
    rng = np.random.default_rng(3)
    groups = np.arange(n_images)

    def draw():
        true = rng.standard_normal((n_images, 20))
        return correlations(true + noise * rng.standard_normal((n_images, 20)), true)

    truth = np.mean([identified(draw(), groups, n_way).mean() for _ in range(1000)])
    covered = []
    for _ in range(200):
        similarities = draw()
        counts = image_counts(n_images, 200, rng)
        draws = resampled_identification(similarities, groups, counts, n_way)
        variance = one_factor_variance(draws, n_images)
        share = identified(similarities, groups, n_way).mean()
        low, high = share_interval(share, variance, n_images)
        assert 0 <= low <= share <= high <= 1
        covered.append(low <= truth <= high)
    # 2.6 standard errors of 200 sets.
    assert np.mean(covered) >= 0.91


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
    x = gaussian_filter(rng.uniform(0, 255, (425, 425)), 1)
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


@pytest.mark.parametrize("side", [4, 64])
def test_structural_similarity_is_that_of_published_reconstructions(side):
    """In grey at 425 pixels: PyTorch's resizing, and weights of colours by hand."""
    rng = np.random.default_rng(7)
    images = torch.from_numpy(rng.integers(0, 256, (2, 3, side, side), np.uint8))
    images[1] = (0.7 * images[1] + 0.3 * images[0]).to(torch.uint8)
    resized = nn.functional.interpolate(images / 255.0, (425, 425), mode="bilinear").numpy()
    grey = np.einsum("c,ncij->nij", [0.2125, 0.7154, 0.0721], resized)
    expected = structural_similarity(
        *grey, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    found = structural_similarities(*images.numpy().transpose(0, 2, 3, 1)[:, np.newaxis])
    assert found[0] == pytest.approx(expected, abs=1e-4)
    # Colours of equal brightness are equal.
    red, blue = (np.full((1, 8, 8, 3), colour, np.uint8) for colour in ((85, 0, 0), (0, 0, 251)))
    assert structural_similarities(red, blue)[0] == pytest.approx(1, abs=1e-3)
