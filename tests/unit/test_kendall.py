"""Kendall's tau against scipy, rsatoolbox and counting every pair of dissimilarities."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare

from workflow.lib.errors import InputError
from workflow.lib.rsa.kendall import RankedRDM, SortedRDM, kendall_table, tau_a, tau_b
from workflow.lib.rsa.ranking import midranks

TIGHT = 1e-12
# The first example waits for the compiler.
compiled = settings(deadline=None)
# Sizes about where parts of a sequence are sorted by insertion, and beyond.
SIZES = st.one_of(st.integers(3, 60), st.integers(200, 400))
# Few values, or as many as there are dissimilarities, or most of them one value.
LEVELS = st.sampled_from([2, 3, 10, 1000, 10**6])


def vectors(seed, size, *levels):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, n, size).astype(float) for n in levels]


def counted(x, y):
    """Return concordant less discordant pairs of dissimilarities, by looking at each pair."""
    pairs = itertools.combinations(range(len(x)), 2)
    return sum(int(np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])) for i, j in pairs)


@compiled
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(3, 45), levels=st.tuples(LEVELS, LEVELS))
def test_tau_a_equals_the_count_of_every_pair(seed, size, levels):
    x, y = vectors(seed, size, *levels)
    expected = counted(x, y) / (size * (size - 1) / 2)
    assert kendall_table(x[None], y[None], tau_a).item() == pytest.approx(expected, abs=TIGHT)


@compiled
@given(seed=st.integers(0, 2**32 - 1), size=SIZES, levels=st.tuples(LEVELS, LEVELS))
def test_tau_b_is_scipys(seed, size, levels):
    x, y = vectors(seed, size, *levels)
    found = kendall_table(x[None], y[None], tau_b).item()
    if np.ptp(x) and np.ptp(y):
        assert found == pytest.approx(scipy.stats.kendalltau(x, y).statistic, abs=TIGHT)
    else:
        assert np.isnan(found)


@pytest.mark.parametrize(("statistic", "method"), [(tau_a, "tau-a"), (tau_b, "tau-b")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 5), (4, 3)])
def test_tables_of_many_dissimilarities_are_those_of_rsatoolbox(statistic, method, dtype, shape):
    """Of 300 images, by a tied, a category-like, and a dense side; the smaller side is kept."""
    rng = np.random.default_rng(1)
    n_pairs = 300 * 299 // 2
    dense = rng.standard_normal((sum(shape), n_pairs))
    dense[1] = dense[-1] > 1
    dense[2] = np.round(2 * (dense[-2] + dense[2]))
    dense = dense.astype(dtype)
    models, brains = dense[: shape[0]], dense[shape[0] :]
    found = kendall_table(models, brains, statistic)
    expected = rsatoolbox_compare(RDMs(models), RDMs(brains), method=method)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TIGHT)


def test_counts_are_exact_at_four_million_dissimilarities():
    """The numbers of 2,985 images: pairs of pairs reach 10^13, past 32 bits and float32."""
    n = 2985 * 2984 // 2
    rising = np.arange(n, dtype=np.float32)
    halves = (rising >= n // 2).astype(np.float32)
    table = kendall_table(np.stack([rising, -rising]), halves[None], tau_a)
    # Pairs of one half are tied; of the rest all are concordant with the rising side.
    expected = (n // 2) * (n - n // 2) / (n * (n - 1) // 2)
    np.testing.assert_array_equal(table, [[expected], [-expected]])


def test_hand_worked_values():
    # Pairs of (1, 2, 2, 3) and (1, 3, 2, 3): 4 concordant, one tied in x, one tied in y.
    x, y = np.array([[1.0, 2, 2, 3]]), np.array([[1.0, 3, 2, 3]])
    assert kendall_table(x, y, tau_a).item() == pytest.approx(4 / 6)
    assert kendall_table(x, y, tau_b).item() == pytest.approx(4 / 5)


def test_an_rdm_is_sorted_with_its_ties():
    found = SortedRDM.of(np.array([0.5, -1, 0.5, 2, 0.5, -1]))
    np.testing.assert_array_equal(found.ordered, [0, 0, 2, 2, 2, 5])
    np.testing.assert_array_equal(found.ranks(), [2, 0, 2, 5, 2, 0])
    assert found.n_tied == 1 + 3
    assert RankedRDM.of(np.array([0.0, -0.0, 1])).n_tied == 1


def test_threads_do_not_change_the_table(monkeypatch):
    rng = np.random.default_rng(2)
    models, brains = rng.random((3, 190)), rng.random((5, 190))
    tables = []
    for threads in ("1", "4"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        tables.append(kendall_table(models, brains, tau_b))
    np.testing.assert_array_equal(*tables)


# Ranks.

FLOAT32 = st.one_of(st.sampled_from([0.0, -0.0, 1.0, -1.0]), st.floats(width=32, allow_nan=False))


@compiled
@given(arrays(np.float32, st.integers(1, 80), elements=FLOAT32))
def test_midranks_of_any_float32_are_scipys(values):
    expected = scipy.stats.rankdata(values)
    np.testing.assert_array_equal(midranks(values), expected)
    compact = midranks(values, np.float32)
    assert compact.dtype == np.float32
    np.testing.assert_array_equal(compact, expected)


def test_float32_tells_apart_the_ranks_of_4096_images_and_no_more():
    n = 4096 * 4095 // 2
    tied = np.arange(n, dtype=np.float64)
    tied[-1] = tied[-2]
    ranks = midranks(tied, np.float32)
    np.testing.assert_array_equal(ranks[-3:].astype(np.float64), [n - 2, n - 0.5, n - 0.5])
    with pytest.raises(InputError, match=r"expected at most 8388608.*rank them in float64"):
        midranks(np.zeros(4097 * 4096 // 2, np.float32), np.float32)
