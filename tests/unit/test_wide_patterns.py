"""RDMs of many channels against scikit-learn's scaler with scipy, and against rsatoolbox."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm
from scipy.spatial.distance import pdist
from sklearn.preprocessing import StandardScaler

from workflow.lib.errors import InputError
from workflow.lib.rdms import wide_patterns
from workflow.lib.rdms.distances import METRICS
from workflow.lib.rdms.wide_patterns import standardise_channels, wide_distances

SCIPY = {metric: metric for metric in METRICS} | {"sq_euclidean": "sqeuclidean"}


def responses(n=60, n_channels=500, seed=1, dtype=np.float32):
    """Responses with a common level per image, and channels of very different scale and offset."""
    rng = np.random.default_rng(seed)
    patterns = rng.standard_normal((n, n_channels)) + 3 * rng.standard_normal((n, 1))
    return (patterns * 10 ** rng.uniform(-2, 2, n_channels) + rng.normal(0, 50, n_channels)).astype(
        dtype
    )


def found(patterns, metrics=METRICS):
    return wide_distances(standardise_channels(patterns.copy()), metrics)


def test_standardised_as_by_scikit_learn():
    patterns = responses()
    expected = StandardScaler().fit_transform(patterns.astype(np.float64))
    np.testing.assert_allclose(standardise_channels(patterns), expected, atol=2e-5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 3e-6)])
def test_distances_are_those_of_scipy(metric, dtype, tolerance):
    patterns = responses(dtype=dtype)
    standardised = StandardScaler().fit_transform(patterns.astype(np.float64))
    expected = pdist(standardised, SCIPY[metric])
    np.testing.assert_allclose(
        found(patterns)[metric], expected, rtol=0, atol=tolerance * expected.max()
    )


def test_distances_are_those_of_rsatoolbox():
    patterns = responses(dtype=np.float64)
    dataset = Dataset(StandardScaler().fit_transform(patterns))
    ours = found(patterns)
    correlation = calc_rdm(dataset, method="correlation").dissimilarities[0]
    np.testing.assert_allclose(ours["correlation"], correlation, atol=1e-10)
    # What rsatoolbox calls "euclidean" is squared and divided by the number of channels.
    squares = calc_rdm(dataset, method="euclidean").dissimilarities[0] * patterns.shape[1]
    np.testing.assert_allclose(ours["euclidean"] ** 2, squares, rtol=1e-10)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(2, 40),
    n_channels=st.integers(2, 60),
    rows=st.integers(1, 50),
    channels=st.integers(1, 70),
    tile=st.integers(1, 70),
)
def test_sizes_of_blocks_change_nothing(n, n_channels, rows, channels, tile):
    patterns = responses(n, n_channels, seed=n * n_channels, dtype=np.float64)
    expected = {m: pdist(StandardScaler().fit_transform(patterns), SCIPY[m]) for m in METRICS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wide_patterns, "ROWS", rows)
        patch.setattr(wide_patterns, "PRODUCT_CHANNELS", channels)
        patch.setattr(wide_patterns, "TILE_CHANNELS", tile)
        for metric, distances in found(patterns).items():
            np.testing.assert_allclose(distances, expected[metric], atol=1e-6, err_msg=metric)


def test_a_level_that_an_image_has_in_all_channels_does_not_round_its_correlations_away():
    """Without centring before the products, errors would grow with the square of the level."""
    rng = np.random.default_rng(2)
    patterns = rng.standard_normal((40, 3000)) + 300 * rng.standard_normal((40, 1))
    standardised = StandardScaler().fit_transform(patterns.astype(np.float32).astype(np.float64))
    distances = found(patterns.astype(np.float32))["correlation"]
    np.testing.assert_allclose(distances, pdist(standardised, "correlation"), atol=2e-4)


def test_channels_that_do_not_vary_are_left_out():
    patterns = responses(dtype=np.float64)
    constant = np.full((len(patterns), 1), 7.1)
    wider = np.concatenate([constant, patterns[:, :200], constant, patterns[:, 200:]], axis=1)
    assert standardise_channels(wider.copy()).shape == patterns.shape
    for metric, expected in found(patterns).items():
        np.testing.assert_allclose(found(wider)[metric], expected, atol=1e-10)


@pytest.mark.parametrize("metric", METRICS)
def test_equal_patterns_are_at_distance_zero(metric):
    patterns = responses(40, 5000)
    patterns[17] = patterns[3]
    square = np.zeros((40, 40))
    square[np.triu_indices(40, 1)] = found(patterns)[metric]
    assert square[3, 17] == 0
    assert (square[np.triu_indices(40, 1)] > 0).sum() == 40 * 39 // 2 - 1


def test_beside_the_patterns_nothing_of_their_size_is_held():
    patterns = responses(128, 40_000)
    tracemalloc.start()
    wide_distances(standardise_channels(patterns), ("correlation", "euclidean"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < patterns.nbytes / 5


def test_bad_input_is_named():
    with pytest.raises(InputError, match="no channel that varies over 4 conditions"):
        found(np.ones((4, 5), np.float32))
    with pytest.raises(InputError, match="manhattan"):
        found(responses(5, 8), ["manhattan"])
    # One channel alone leaves nothing when a pattern's mean is taken off.
    with pytest.raises(InputError, match="do not vary"):
        found(responses(5, 1), ["correlation"])
    assert found(responses(5, 1), ["euclidean"])["euclidean"].shape == (10,)
