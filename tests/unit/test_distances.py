"""Distances between patterns equal scipy's and rsatoolbox's; noise and crossnobis rsatoolbox's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import cov_from_residuals, prec_from_residuals
from rsatoolbox.rdm import calc_rdm
from scipy.spatial.distance import pdist, squareform

from workflow.lib.errors import InputError
from workflow.lib.rdms import distances
from workflow.lib.rdms.distances import (
    METRICS,
    crossnobis_distances,
    distances_from_gram,
    mahalanobis_distances,
    pattern_distances,
)
from workflow.lib.rdms.noise import noise_covariance, noise_normalised

SCIPY_NAMES = {"sq_euclidean": "sqeuclidean"}
seeds = st.integers(0, 2**32 - 1)


@given(
    seed=seeds,
    metric=st.sampled_from(METRICS),
    n_conditions=st.integers(2, 9),
    n_channels=st.integers(2, 30),
    offset=st.sampled_from([0, 3, 1000]),
)
def test_distances_equal_those_of_scipy(seed, metric, n_conditions, n_channels, offset):
    rng = np.random.default_rng(seed)
    patterns = rng.standard_normal((n_conditions, n_channels)) + offset
    expected = pdist(patterns, SCIPY_NAMES.get(metric, metric))
    np.testing.assert_allclose(pattern_distances(patterns, metric), expected, rtol=0, atol=1e-10)


def planted(seed, kind, n_conditions, n_channels):
    """Return patterns that are dense, rounded to a few values, or in three clusters."""
    rng = np.random.default_rng(seed)
    patterns = rng.standard_normal((n_conditions, n_channels))
    if kind == "tied":
        return np.round(2 * patterns) + np.eye(n_conditions, n_channels)
    if kind == "clustered":
        centres = 5 * rng.standard_normal((3, n_channels))
        return patterns + centres[rng.integers(0, 3, n_conditions)]
    return patterns


KINDS = ["dense", "tied", "clustered"]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_conditions", [3, 4, 31])
@pytest.mark.parametrize("rows", [1, 7, 256])
def test_blocks_of_rows_meet(metric, kind, n_conditions, rows, monkeypatch):
    monkeypatch.setattr(distances, "ROWS", rows)
    patterns = planted(5, kind, n_conditions, 40)
    expected = pdist(patterns, SCIPY_NAMES.get(metric, metric))
    np.testing.assert_allclose(pattern_distances(patterns, metric), expected, rtol=0, atol=1e-10)
    centred = distances.centred_for(patterns, metric)
    from_gram = distances_from_gram(centred @ centred.T, metric)
    np.testing.assert_allclose(from_gram, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offset", [0, 100])
def test_float32_distances_are_right_to_a_millionth_of_the_largest(metric, kind, offset):
    patterns = (planted(6, kind, 300, 60) + offset).astype(np.float32)
    expected = pdist(patterns.astype(np.float64), SCIPY_NAMES.get(metric, metric))
    found = pattern_distances(patterns, metric, dtype=np.float32)
    assert found.dtype == np.float32
    # The root of a small difference between large squares holds half their digits.
    tolerance = 1e-6 if metric != "euclidean" else 1e-3
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(1, expected.max()))


def test_distances_by_hand():
    patterns = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [3.0, 0.0, 4.0]])
    expected = {
        "cosine": [1, 1 - 3 / 5, 1],
        "sq_euclidean": [2, 20, 26],
        "euclidean": np.sqrt([2, 20, 26]),
        # Centred and times 3: (2, -1, -1), (-1, 2, -1), (2, -7, 5).
        "correlation": [1.5, 1 - 6 / np.sqrt(6 * 78), 1 + 21 / np.sqrt(6 * 78)],
    }
    for metric, values in expected.items():
        np.testing.assert_allclose(pattern_distances(patterns, metric), values, atol=1e-12)


def test_correlation_distances_equal_those_of_rsatoolbox():
    patterns = np.random.default_rng(0).standard_normal((7, 40))
    expected = calc_rdm(Dataset(patterns), method="correlation").dissimilarities[0]
    np.testing.assert_allclose(pattern_distances(patterns, "correlation"), expected, atol=1e-10)


def test_rsatoolbox_divides_squared_distances_by_the_number_of_channels():
    patterns = np.random.default_rng(0).standard_normal((7, 40))
    expected = calc_rdm(Dataset(patterns), method="euclidean").dissimilarities[0]
    ours = pattern_distances(patterns, "sq_euclidean") / 40
    np.testing.assert_allclose(ours, expected, atol=1e-10)


@pytest.mark.parametrize("metric", ["correlation", "cosine"])
def test_a_pattern_without_direction_is_refused(metric):
    patterns = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(InputError, match=r"found 1 of 3 patterns.*expected none.*drop"):
        pattern_distances(patterns, metric)


def test_an_unknown_metric_is_refused():
    with pytest.raises(InputError, match="found the metric 'manhattan', expected one of"):
        pattern_distances(np.eye(3), "manhattan")


# Crossnobis.


def observations(seed, n_runs, n_conditions, n_channels, most_repeats=1):
    """Return runs x conditions with one or more observations each, in random order."""
    rng = np.random.default_rng(seed)
    repeats = rng.integers(1, most_repeats + 1, (n_runs, n_conditions))
    cells = [(r, c) for r, c in np.ndindex(repeats.shape) for _ in range(repeats[r, c])]
    runs, conditions = np.array(cells)[rng.permutation(len(cells))].T
    signal = rng.standard_normal((n_conditions, n_channels))
    values = signal[conditions] + rng.standard_normal((len(cells), n_channels)) + 5
    return values, runs, conditions


def means_and_counts(values, runs, conditions):
    shape = (runs.max() + 1, conditions.max() + 1)
    cells = {(r, c): (runs == r) & (conditions == c) for r, c in np.ndindex(shape)}
    counts = np.array([cell.sum() for cell in cells.values()]).reshape(shape)
    means = np.array([values[cell].mean(axis=0) for cell in cells.values()])
    return means.reshape(*shape, -1), counts


def rsatoolbox_crossnobis(values, runs, conditions, noise=None):
    dataset = Dataset(values, obs_descriptors={"condition": conditions, "run": runs})
    rdm = calc_rdm(dataset, "crossnobis", "condition", noise=noise, cv_descriptor="run")
    assert list(rdm.pattern_descriptors["condition"]) == sorted(set(conditions))
    return rdm.dissimilarities[0]


def test_pattern_that_does_not_vary_is_named_and_a_copy_counts():
    patterns = np.random.default_rng(0).standard_normal((6, 5))
    patterns[[2, 4]] = 3
    message = r"2 of 6 patterns .*\(the first is that of 'c'\)"
    with pytest.raises(InputError, match=message):
        pattern_distances(patterns, "correlation", names=list("abcdef"))


@given(
    seed=seeds,
    n_runs=st.integers(2, 5),
    n_conditions=st.integers(2, 6),
    n_channels=st.integers(1, 15),
    most_repeats=st.integers(1, 3),
)
def test_crossnobis_equals_that_of_rsatoolbox(seed, n_runs, n_conditions, n_channels, most_repeats):
    data = observations(seed, n_runs, n_conditions, n_channels, most_repeats)
    means, counts = means_and_counts(*data)
    np.testing.assert_allclose(
        crossnobis_distances(means, counts), rsatoolbox_crossnobis(*data), rtol=0, atol=1e-10
    )


def test_crossnobis_by_hand():
    # One channel, three runs: differences 1, 2 and 6 between the two conditions.
    means = np.array([[[1.0], [0.0]], [[2.0], [0.0]], [[6.0], [0.0]]])
    expected = (1 * (2 + 6) / 2 + 2 * (1 + 6) / 2 + 6 * (1 + 2) / 2) / 3
    assert crossnobis_distances(means) == pytest.approx([expected])


def test_crossnobis_without_noise_is_the_squared_distance_per_channel():
    patterns = np.random.default_rng(0).standard_normal((6, 20))
    np.testing.assert_allclose(
        crossnobis_distances(np.stack([patterns] * 4)),
        pattern_distances(patterns, "sq_euclidean") / 20,
        atol=1e-12,
    )


def test_crossnobis_of_equal_patterns_is_zero_on_average():
    """Noise makes plain distances large; crossnobis scatters around zero, half of it below."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((200, 4, 2, 30))
    distances = np.concatenate([crossnobis_distances(means) for means in noise])
    plain = np.concatenate(
        [pattern_distances(means.mean(axis=0), "sq_euclidean") / 30 for means in noise]
    )
    standard_error = distances.std(ddof=1) / np.sqrt(200)
    assert abs(distances.mean()) < 3 * standard_error
    assert 0.3 < (distances < 0).mean() < 0.7
    assert plain.mean() == pytest.approx(0.5, rel=0.1)  # twice the variance over four runs


@given(seed=seeds)
def test_crossnobis_does_not_see_what_all_conditions_of_a_run_share(seed):
    means, counts = means_and_counts(*observations(seed, 4, 5, 12))
    offsets = np.random.default_rng(seed + 1).standard_normal((4, 1, 12))
    np.testing.assert_allclose(
        crossnobis_distances(means + 100 * offsets, counts),
        crossnobis_distances(means, counts),
        rtol=0,
        atol=1e-9,
    )


def test_crossnobis_needs_two_runs():
    with pytest.raises(InputError, match=r"found 1 run.*expected at least 2.*another metric"):
        crossnobis_distances(np.zeros((1, 3, 4)))


# Noise.


def residuals(seed, n, n_channels):
    """Return noise that is correlated between channels, of mean zero."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((n_channels, n_channels)) / 5 + np.eye(n_channels)
    values = rng.standard_normal((n, n_channels)) @ mixing
    return values - values.mean(axis=0)


@given(seed=seeds, n=st.integers(4, 40), n_channels=st.integers(2, 25), lost=st.integers(0, 2))
def test_the_shrunk_covariance_equals_that_of_rsatoolbox(seed, n, n_channels, lost):
    values, dof = residuals(seed, n, n_channels), n - 1 - lost
    expected = cov_from_residuals(values, dof=dof, method="shrinkage_diag")
    ours = noise_covariance(values, dof=dof)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("method", "theirs"), [("diagonal", "diag"), ("shrinkage", "shrinkage_diag")]
)
def test_noise_normalised_distances_are_mahalanobis_distances(method, theirs):
    values, runs, conditions = observations(3, 4, 5, 30, most_repeats=3)
    means, counts = means_and_counts(values, runs, conditions)
    noise = residuals(4, 60, 30)
    precision = prec_from_residuals(noise, dof=50, method=theirs)
    normalised = noise_normalised(means, noise, dof=50, method=method)
    np.testing.assert_allclose(
        crossnobis_distances(normalised, counts),
        rsatoolbox_crossnobis(values, runs, conditions, noise=precision),
        rtol=0,
        atol=1e-10,
    )
    dataset = Dataset(means[0])
    expected = calc_rdm(dataset, "mahalanobis", noise=precision).dissimilarities[0]
    ours = pattern_distances(normalised[0], "sq_euclidean") / 30
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10)


@given(
    seed=seeds,
    n_conditions=st.integers(2, 8),
    n_channels=st.integers(2, 20),
    method=st.sampled_from(["diagonal", "shrinkage"]),
)
def test_mahalanobis_distances_are_those_of_scipy_and_rsatoolbox(
    seed, n_conditions, n_channels, method
):
    patterns = np.random.default_rng(seed).standard_normal((n_conditions, n_channels))
    noise = residuals(seed + 1, 80, n_channels)
    found = mahalanobis_distances(patterns, noise, dof=79, method=method)
    theirs = {"diagonal": "diag", "shrinkage": "shrinkage_diag"}[method]
    precision = prec_from_residuals(noise, dof=79, method=theirs)
    np.testing.assert_allclose(
        found, pdist(patterns, "mahalanobis", VI=precision), rtol=1e-10, atol=1e-10
    )
    expected = calc_rdm(Dataset(patterns), "mahalanobis", noise=precision).dissimilarities[0]
    np.testing.assert_allclose(found**2 / n_channels, expected, rtol=1e-10, atol=1e-10)


@given(seed=seeds, n=st.integers(4, 40), n_channels=st.integers(2, 25))
def test_diagonal_normalisation_is_that_of_rsatoolbox(seed, n, n_channels):
    noise = residuals(seed, n, n_channels)
    patterns = np.random.default_rng(seed + 1).standard_normal((5, n_channels))
    variances = np.diagonal(cov_from_residuals(noise, dof=n - 1, method="diag"))
    found = noise_normalised(patterns, noise, dof=n - 1, method="diagonal")
    np.testing.assert_allclose(found, patterns / np.sqrt(variances), rtol=1e-10)


def test_normalised_noise_has_variance_one():
    noise = residuals(0, 4000, 8)
    univariate = noise_normalised(noise, noise, dof=3999, method="diagonal")
    np.testing.assert_allclose(univariate.var(axis=0, ddof=1), 1)
    multivariate = noise_normalised(noise, noise, dof=3999, method="shrinkage")
    # With many observations next to nothing is shrunk.
    np.testing.assert_allclose(np.cov(multivariate.T), np.eye(8), atol=0.05)


def test_no_normalisation_changes_nothing():
    patterns = np.random.default_rng(0).standard_normal((3, 4))
    same = noise_normalised(patterns, np.empty((0, 4)), dof=0, method="none")
    np.testing.assert_array_equal(same, patterns)


def test_one_channel_is_not_shrunk():
    noise = residuals(0, 10, 1)
    assert noise_covariance(noise, dof=9) == pytest.approx(noise.var(ddof=1))


def test_noise_needs_repeats():
    with pytest.raises(InputError, match=r"one observation of each condition.*to none"):
        noise_normalised(np.ones((2, 3)), np.zeros((6, 3)), dof=0, method="diagonal")


def test_every_channel_needs_noise():
    noise = residuals(0, 20, 4) * [1, 1, 0, 1]
    with pytest.raises(InputError, match="found 1 of 4 channels that never vary"):
        noise_normalised(np.ones((2, 4)), noise, dof=19, method="diagonal")


def test_copies_of_a_channel_have_no_inverse():
    # Nothing is shrunk where the correlation is certain.
    noise = np.tile([[1.0, 1.0], [-1.0, -1.0]], (500, 1))
    with pytest.raises(InputError, match=r"found 1 of 2 dimensions.*expected noise in all"):
        noise_normalised(np.ones((2, 2)), noise, dof=999, method="shrinkage")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n_channels", "n_conditions"), [(50, 24), (500, 300), (5_000, 300), (50_000, 80)]
)
@pytest.mark.parametrize("metric", METRICS)
def test_equal_patterns_are_at_distance_zero_and_tie(metric, n_channels, n_conditions, dtype):
    """A rounding of 1e-16 would rank the pairs of equal patterns among themselves."""
    rng = np.random.default_rng(12)
    half = np.maximum(rng.standard_normal((n_conditions // 2, n_channels)), 0) + 3
    distances = pattern_distances(np.concatenate([half, half]), metric, dtype=dtype)
    square = squareform(distances)
    n = n_conditions // 2
    assert (np.diagonal(square, n) == 0).all()
    assert (squareform(square[:n, :n]) > 0).all()
    for rows, columns in ((slice(n, None), slice(n, None)), (slice(n), slice(n, None))):
        np.testing.assert_array_equal(square[rows, columns], square[:n, :n])
    expected = pdist(half, SCIPY_NAMES.get(metric, metric))
    tolerance = {np.float32: 1e-5, np.float64: 1e-10}[dtype] * max(expected.max(), 1)
    np.testing.assert_allclose(squareform(square[:n, :n]), expected, rtol=0, atol=tolerance)


def test_zero_has_no_sign():
    rng = np.random.default_rng(13)
    patterns = rng.standard_normal((7, 9))
    patterns[4], patterns[:, 0] = patterns[1], 0
    patterns[4, 0] = -0.0
    found = squareform(pattern_distances(patterns, "euclidean"))
    assert found[1, 4] == 0
    np.testing.assert_array_equal(np.delete(found[1], [1, 4]), np.delete(found[4], [1, 4]))
