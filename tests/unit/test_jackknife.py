"""Infinitesimal jackknife: against derivatives of weighted statistics, and exact bootstraps."""

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare
from scipy.spatial.distance import pdist

from workflow.lib.bootstrap import bootstrap_similarities, group_counts, image_counts
from workflow.lib.comparators import COMPARATORS, compare
from workflow.lib.errors import InputError
from workflow.lib.jackknife import image_influence, linearised_draws, standard_error

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
    np.testing.assert_allclose(
        found, np.sqrt((n_images - 1) / n_images) * expected, rtol=0, atol=TIGHT
    )
