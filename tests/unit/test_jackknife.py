"""Infinitesimal jackknife: against derivatives of weighted statistics, and exact bootstraps."""

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare
from scipy.spatial.distance import pdist

from workflow.lib.errors import InputError
from workflow.lib.inference.bootstrap import bootstrap_similarities
from workflow.lib.inference.counts import group_counts, image_counts
from workflow.lib.inference.jackknife import image_influence, linearised_draws, standard_error
from workflow.lib.rsa.comparators import COMPARATORS, compare

METHODS = {
    "pearson": "corr",
    "cosine": "cosine",
    "spearman": "spearman",
    "rho-a": "rho-a",
    "tau-a": "tau-a",
    "tau-b": "tau-b",
    "cosine_cov": "cosine_cov",
    "corr_cov": "corr_cov",
}
WEIGHTED = [name for name in METHODS if not name.endswith("_cov")]
TIGHT = 1e-10


def random_rdms(rng, n_rdms, n_images):
    return rng.random((n_rdms, n_images * (n_images - 1) // 2))


def tied_rdms(rng, n_rdms, n_images):
    return rng.integers(0, 4, (n_rdms, n_images * (n_images - 1) // 2)).astype(float)


def category_rdms(rng, n_rdms, n_images):
    """One within two categories, zero between: two values only."""
    labels = np.stack([rng.permutation(np.arange(n_images) % 2) for _ in range(n_rdms)])
    return np.stack([pdist(row[:, None], "hamming") for row in labels])


def clustered_rdms(rng, n_rdms, n_images):
    """Noisy views of one geometry of three clusters."""
    points = 3 * rng.standard_normal((3, 4))[rng.integers(0, 3, n_images)]
    return np.stack(
        [pdist(points + 1.5 * rng.standard_normal((n_images, 4))) for _ in range(n_rdms)]
    )


def hub_rdms(rng, n_rdms, n_images):
    """Noisy views of one geometry in which a few images are far from all others."""
    far = rng.exponential(size=(n_images, 1)) ** 2
    points = far * rng.standard_normal((n_images, 5))
    return np.stack([pdist(points + rng.standard_normal((n_images, 5))) for _ in range(n_rdms)])


KINDS = [random_rdms, tied_rdms, category_rdms, clustered_rdms, hub_rdms]


def weighted_statistic(name, x, y, w):
    """Return a similarity in which pair p occurs w_p times; any, even complex, w_p."""
    n = w.sum()

    def above_less_below(values):
        return np.sign(values[:, None] - values) @ w

    def moment(u, v):
        return (w * u * v).sum()

    def concordance(u, v):
        signs = np.sign(u[:, None] - u) * np.sign(v[:, None] - v)
        return w @ signs @ w / 2

    def correlation(u, v, product):
        return product(u, v) / np.sqrt(product(u, u) * product(v, v))

    if name in ("spearman", "rho-a"):
        x, y = above_less_below(x) / 2, above_less_below(y) / 2
    if name == "pearson":
        x, y = x - (w @ x) / n, y - (w @ y) / n
    if name == "rho-a":
        return 12 * moment(x, y) / (n**3 - n)
    if name == "tau-a":
        return concordance(x, y) / (n * (n - 1) / 2)
    return correlation(x, y, concordance if name == "tau-b" else moment)


def slopes(name, x, y, n_images):
    """Return the derivatives in the count of each image, by complex steps: to rounding."""
    first, second = np.triu_indices(n_images, 1)
    found = np.empty(n_images)
    for image in range(n_images):
        counts = np.ones(n_images, complex)
        counts[image] += 1e-30j
        found[image] = weighted_statistic(name, x, y, counts[first] * counts[second]).imag / 1e-30
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("n_images", [6, 13])
@pytest.mark.parametrize("name", WEIGHTED)
def test_influences_are_slopes_of_the_weighted_statistic(name, n_images, kind):
    rng = np.random.default_rng(51)
    models, brains = kind(rng, 2, n_images), kind(rng, 3, n_images)
    found = image_influence(models, brains, name, n_images)
    assert found.shape == (n_images, 2, 3)
    for m, model in enumerate(models):
        for b, brain in enumerate(brains):
            expected = slopes(name, model, brain, n_images)
            np.testing.assert_allclose(
                found[:, m, b], expected - expected.mean(), rtol=0, atol=TIGHT
            )


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_weighted_statistic_is_the_resampled_one(kind, name):
    # The oracle above, held to rsatoolbox on resampled RDMs: its slopes are those of a bootstrap.
    rng = np.random.default_rng(52)
    x, y = kind(rng, 2, 10)
    first, second = np.triu_indices(10, 1)
    for count in image_counts(10, 5, rng):
        images = np.repeat(np.arange(10), count)
        sides = [RDMs(v[np.newaxis]).subsample_pattern("index", images) for v in (x, y)]
        expected = rsatoolbox_compare(*sides, method=METHODS[name]).item()
        found = weighted_statistic(name, x, y, (count[first] * count[second]).astype(float))
        assert found == pytest.approx(expected, abs=TIGHT)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", ["cosine_cov", "corr_cov"])
def test_whitened_influences_are_those_of_leaving_out_each_image(name, kind):
    rng = np.random.default_rng(53)
    n_images = 11
    models, brains = kind(rng, 2, n_images), kind(rng, 3, n_images)
    left_out = []
    for image in range(n_images):
        rest = np.delete(np.arange(n_images), image)
        sides = [RDMs(side).subset_pattern("index", rest) for side in (models, brains)]
        left_out.append(rsatoolbox_compare(*sides, method=METHODS[name]))
    expected = np.mean(left_out, axis=0) - left_out
    found = image_influence(models, brains, name, n_images)
    np.testing.assert_allclose(found, (n_images - 1) / n_images * expected, rtol=0, atol=TIGHT)
    jackknife = (n_images - 1) / n_images * (expected**2).sum(axis=0)
    np.testing.assert_allclose(standard_error(found) ** 2, jackknife, rtol=1e-10, atol=1e-20)


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, clustered_rdms) for name in ("pearson", "cosine", "spearman", "rho-a")]
    # A hub that is drawn or not moves pearson and cosine by more than its slope says.
    + [(name, hub_rdms) for name in ("spearman", "rho-a")],
    ids=lambda case: getattr(case, "__name__", case),
)
@pytest.mark.parametrize("n_images", [60, 240])
def test_standard_error_is_that_of_an_exact_bootstrap(name, kind, n_images):
    rng = np.random.default_rng(54)
    views = kind(rng, 4, n_images)
    counts = image_counts(n_images, 400, rng)
    draws = bootstrap_similarities(views[:2], views[2:], name, counts, n_images=n_images)
    influence = image_influence(views[:2], views[2:], name, n_images)
    # The standard deviation of 400 draws is itself sure to 1 / sqrt(800), 3.5 %; a bootstrap
    # also varies by what pairs of images add.
    ratio = standard_error(influence) / draws.std(axis=0)
    np.testing.assert_allclose(ratio, 1, atol=0.12)
    # Differences of layers, from differences of influences.
    difference = influence[:, 0] - influence[:, 1]
    ratio = standard_error(difference) / (draws[:, 0] - draws[:, 1]).std(axis=0)
    np.testing.assert_allclose(ratio, 1, atol=0.15)


@pytest.mark.parametrize("name", ["tau-a", "tau-b", "cosine_cov", "corr_cov"])
def test_standard_error_is_that_of_rsatoolbox_bootstrap(name):
    rng = np.random.default_rng(55)
    n_images = 40
    views = clustered_rdms(rng, 2, n_images)
    draws = []
    for count in image_counts(n_images, 300, rng):
        images = np.repeat(np.arange(n_images), count)
        sides = [RDMs(view[np.newaxis]).subsample_pattern("index", images) for view in views]
        draws.append(rsatoolbox_compare(*sides, method=METHODS[name]).item())
    found = standard_error(image_influence(views[0], views[1], name, n_images))
    np.testing.assert_allclose(found.item() / np.std(draws), 1, atol=0.15)


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_noise_of_pairs_alone_is_overstated_by_known_factors(name):
    # Independent pairs: r has the variance 1/P. Pair weights w_i w_j vary by 3, 2 of it linearly.
    rng = np.random.default_rng(56)
    n_images = 60
    truth = 1 / np.sqrt(n_images * (n_images - 1) / 2)
    models, brains = random_rdms(rng, 10, n_images), random_rdms(rng, 12, n_images)
    found = standard_error(image_influence(models, brains, name, n_images))
    assert np.sqrt((found**2).mean()) == pytest.approx(np.sqrt(2) * truth, rel=0.05)
    counts = image_counts(n_images, 300, rng)
    draws = bootstrap_similarities(models, brains, name, counts, n_images=n_images)
    assert np.sqrt(draws.var(axis=0).mean()) == pytest.approx(np.sqrt(3) * truth, rel=0.07)


def test_strata_and_clusters_vary_as_new_images_do():
    """The variance of a sum is k var(ddof=1) in each stratum of k independent images."""
    rng = np.random.default_rng(57)
    influence = rng.standard_normal((12, 2, 3))
    groups = np.array(list("aaaabbccccdd"))
    parts = [influence[groups == name] for name in "abcd"]
    within = sum(len(part) * part.var(axis=0, ddof=1) for part in parts)
    np.testing.assert_allclose(standard_error(influence, strata=groups) ** 2, within)
    sums = np.stack([part.sum(axis=0) for part in parts])
    found = standard_error(influence, clusters=groups)
    np.testing.assert_allclose(found**2, 4 * sums.var(axis=0, ddof=1))
    alike = standard_error(influence) ** 2
    np.testing.assert_allclose(alike, 12 * influence.var(axis=0, ddof=1))


@pytest.mark.parametrize("keyword", ["strata", "clusters"])
def test_strata_and_clusters_vary_as_their_bootstraps_do(keyword):
    rng = np.random.default_rng(57)
    influence = rng.standard_normal((12, 2, 3))
    groups = list("aaabbbcccddd")
    # A bootstrap from three images, or from four groups, varies by 2/3, or by 3/4, of new ones.
    draw, short = {
        "strata": (lambda: image_counts(12, 40000, rng, groups), 2 / 3),
        "clusters": (lambda: group_counts(groups, 40000, rng), 3 / 4),
    }[keyword]
    draws = linearised_draws(np.zeros((2, 3)), influence, draw())
    found = standard_error(influence, **{keyword: groups})
    np.testing.assert_allclose(draws.var(axis=0), short * found**2, rtol=0.06)


def test_linearised_draws_vary_by_the_standard_error_around_the_estimate():
    rng = np.random.default_rng(58)
    views = clustered_rdms(rng, 4, 30)
    estimate = compare(views[:2], views[2:], "spearman")
    influence = image_influence(views[:2], views[2:], "spearman", 30)
    draws = linearised_draws(estimate, influence, image_counts(30, 20000, rng))
    np.testing.assert_allclose(draws.mean(axis=0), estimate, atol=0.005)
    drawn = np.sqrt(29 / 30) * standard_error(influence)
    np.testing.assert_allclose(draws.std(axis=0), drawn, rtol=0.02)
    ones = np.ones((1, 30), int)
    np.testing.assert_allclose(linearised_draws(estimate, influence, ones)[0], estimate)


@pytest.mark.parametrize("name", METHODS)
def test_sides_parts_and_blocks_do_not_matter(name):
    # More RDMs than are held at a time, more images than a block of rows.
    rng = np.random.default_rng(59)
    models, brains = clustered_rdms(rng, 11, 70), clustered_rdms(rng, 12, 70)
    found = image_influence(models, brains, name, 70)
    swapped = image_influence(brains, models, name, 70)
    np.testing.assert_allclose(found, swapped.transpose(0, 2, 1), rtol=0, atol=TIGHT)
    alone = image_influence(models[10], brains[11], name, 70)
    np.testing.assert_allclose(found[:, 10:, 11:], alone, rtol=0, atol=TIGHT)
    in_float32 = image_influence(
        models[:2].astype(np.float32), brains[:2].astype(np.float32), name, 70
    )
    np.testing.assert_allclose(in_float32, found[:, :2, :2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_an_rdm_agrees_with_itself_whatever_is_drawn(name):
    rdm = random_rdms(np.random.default_rng(60), 1, 12)
    found = image_influence(rdm, rdm, name, 12)
    np.testing.assert_allclose(found, 0, atol=TIGHT)


def test_what_has_no_variance_is_refused():
    rdms = random_rdms(np.random.default_rng(0), 1, 3)
    with pytest.raises(InputError, match="found 3 images, expected at least four"):
        image_influence(rdms, rdms, "pearson", 3)
    with pytest.raises(InputError, match="found the comparator 'kendall', expected one of"):
        image_influence(rdms, rdms, "kendall", 5)
    with pytest.raises(InputError, match="found 2 group labels, expected one for each of 6"):
        standard_error(np.zeros((6, 1)), strata=["a", "b"])


def test_every_comparator_has_an_influence():
    assert set(COMPARATORS) == set(METHODS)
