"""Whitened comparison against rsatoolbox, and against the inverse of the covariance itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare
from rsatoolbox.util.matrix import pairwise_contrast
from scipy.spatial.distance import pdist, squareform

from workflow.lib.rsa.comparators import compare
from workflow.lib.rsa.whitening import row_sums, whitened

NAMES = ["cosine_cov", "corr_cov"]
seeds = st.integers(0, 2**32 - 1)


def inverse_covariance(n):
    """Return the inverse of V, V_ab = (c_a'c_b)^2, of n^4 / 4 entries."""
    contrasts = pairwise_contrast(np.arange(n))
    return np.linalg.inv((contrasts @ contrasts.T) ** 2)


def brute_force(models, brains, name, n):
    """Return cosines with the inverse of V."""
    inverse = inverse_covariance(n)
    if name == "corr_cov":
        models, brains = (side - side.mean(axis=1, keepdims=True) for side in (models, brains))
    lengths = [np.sqrt(np.einsum("ri,ij,rj->r", side, inverse, side)) for side in (models, brains)]
    return models @ inverse @ brains.T / np.outer(*lengths)


def rdms(seed, n, kind):
    """Return three RDMs of n conditions: dense, of ratings, of clusters, or signed."""
    rng = np.random.default_rng(seed)
    n_pairs = n * (n - 1) // 2
    if kind == "clustered":
        apart = 4 * rng.integers(0, 3, n)[:, None]
        return np.stack([pdist(rng.standard_normal((n, 3)) + apart) for _ in range(3)])
    if kind == "tied":
        ratings = rng.integers(0, 3, (3, n_pairs)).astype(float)
        ratings[:, 0] += 4
        return ratings
    return rng.random((3, n_pairs)) if kind == "dense" else rng.standard_normal((3, n_pairs))


KINDS = st.sampled_from(["dense", "tied", "clustered", "signed"])


@given(seed=seeds, n=st.integers(3, 14), kind=KINDS, name=st.sampled_from(NAMES))
def test_equals_rsatoolbox_and_the_inverse_covariance(seed, n, kind, name):
    models, brains = rdms(seed, n, kind)[:2], rdms(seed + 1, n, kind)
    found = compare(models, brains, name)
    expected = rsatoolbox_compare(RDMs(models), RDMs(brains), method=name)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found, brute_force(models, brains, name, n), rtol=0, atol=1e-10)


@given(seed=seeds, n=st.integers(3, 10))
def test_products_are_those_of_the_inverse_covariance_not_only_their_cosines(seed, n):
    x, y, _ = rdms(seed, n, "dense")
    assert whitened(x).shape == (n * (n + 1) // 2,)
    expected = x @ inverse_covariance(n) @ y
    assert whitened(x) @ whitened(y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_is_linear_kernel_alignment_of_patterns(name):
    """The whitened cosine of squared Euclidean distances is the alignment of centred kernels."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((20, 5)), rng.standard_normal((20, 8))
    kernels = [(p - p.mean(axis=0)) @ (p - p.mean(axis=0)).T for p in (x, y)]
    alignment = np.sum(kernels[0] * kernels[1]) / np.prod([np.linalg.norm(k) for k in kernels])
    distances = [pdist(p, "sqeuclidean") for p in (x, y)]
    found = compare(*distances, name).item()
    if name == "cosine_cov":
        assert found == pytest.approx(alignment, abs=1e-12)
    else:
        assert found != pytest.approx(alignment, abs=1e-3)


def test_many_conditions_in_float32_equal_rsatoolbox_in_float64():
    # rsatoolbox takes another path from 100 conditions on.
    models, brains = rdms(4, 120, "clustered"), rdms(5, 120, "clustered")
    for name in NAMES:
        expected = rsatoolbox_compare(RDMs(models), RDMs(brains), method=name)
        found = compare(models, brains, name)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
        single = compare(models.astype(np.float32), brains.astype(np.float32), name)
        np.testing.assert_allclose(single, expected, rtol=0, atol=1e-6)


@given(seed=seeds, n=st.integers(2, 12))
def test_row_sums(seed, n):
    vector = np.random.default_rng(seed).random(n * (n - 1) // 2)
    np.testing.assert_allclose(row_sums(vector, n), squareform(vector).sum(axis=1), rtol=1e-12)
