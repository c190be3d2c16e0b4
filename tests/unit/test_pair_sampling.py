"""Sets of pairs hold the pairs that they should, each as often as any other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import squareform

from workflow.lib.errors import InputError
from workflow.lib.pairs.sampling import PairSet, condensed_pairs, images_of, pairs_outside


def rdm(n, seed=0):
    return np.random.default_rng(seed).random(n * (n - 1) // 2)


@given(st.integers(2, 60))
def test_positions_in_an_rdm_are_those_of_the_upper_triangle(n):
    first, second = condensed_pairs(np.arange(n * (n - 1) // 2), n)
    np.testing.assert_array_equal([first, second], np.triu_indices(n, 1))


@pytest.mark.parametrize("n", [9841, 73000, 3_000_000])
def test_positions_are_exact_where_rows_begin_and_end(n):
    # Row i begins behind the pairs of the rows before it: whole numbers of any size in Python.
    starts = [i * (2 * n - i - 1) // 2 for i in [0, 1, n // 3, n // 2, n - 3, n - 2]]
    index = np.array([k + d for k in starts for d in (-1, 0, 1) if 0 <= k + d < n * (n - 1) // 2])
    for k, i, j in zip(
        index.tolist(), *(a.tolist() for a in condensed_pairs(index, n)), strict=True
    ):
        assert 0 <= i < j < n
        assert i * (2 * n - i - 1) // 2 + j - i - 1 == k


def sets(n, values, rng):
    images = rng.permutation(n)
    cut = rng.integers(1, n)
    index = rng.permutation(values.size)[: rng.integers(1, values.size + 1)]
    pairs = list(zip(*np.triu_indices(n, 1), strict=True))
    some = set(images[: cut + 1].tolist())
    left, right = set(images[:cut].tolist()), set(images[cut:].tolist())
    return [
        (
            PairSet.among(values, n, images[: cut + 1]),
            {frozenset(pair) for pair in pairs if set(pair) <= some},
        ),
        (
            PairSet.between(values, n, images[:cut], images[cut:]),
            {frozenset((a, b)) for a in left for b in right},
        ),
        (PairSet.listed(values, n, index), {frozenset(pairs[k]) for k in index}),
    ]


@given(st.integers(3, 15), st.integers(0, 1000))
def test_sets_hold_the_pairs_that_brute_force_finds(n, seed):
    values = rdm(n, seed)
    square = squareform(values)
    for found, expected in sets(n, values, np.random.default_rng(seed)):
        first, second, dissimilarities = found.all()
        assert len(found) == len(first) == len(expected)
        assert {frozenset(pair) for pair in zip(first, second, strict=True)} == expected
        np.testing.assert_array_equal(dissimilarities, square[first, second])
        np.testing.assert_array_equal(found.images, sorted(set().union(*expected)))
        np.testing.assert_array_equal(values[found.index()], dissimilarities)
        blocks = [np.concatenate(part) for part in zip(*found.blocks(7), strict=True)]
        np.testing.assert_array_equal(blocks, [first, second, dissimilarities])


def test_draws_take_every_pair_in_either_order_equally_often():
    n, size = 6, 60_000
    for found, expected in sets(n, rdm(n), np.random.default_rng(3)):
        first, second, values = found.draw(np.random.default_rng(5), size)
        np.testing.assert_array_equal(values, squareform(rdm(n))[first, second])
        table = np.zeros((n, n))
        np.add.at(table, (first, second), 1)
        counts = np.array(
            [table[a, b] for pair in expected for a, b in [tuple(pair), tuple(pair)[::-1]]]
        )
        mean = size / counts.size
        assert counts.sum() == size
        # Chi square of as many cells, far beyond its 99.99 % point for all of them.
        assert ((counts - mean) ** 2 / mean).sum() < counts.size + 5 * np.sqrt(2 * counts.size)


@given(st.integers(3, 12), st.integers(0, 1000))
def test_pairs_outside_some_images_are_those_that_brute_force_finds(n, seed):
    rng = np.random.default_rng(seed)
    images = rng.permutation(n)[: rng.integers(0, n)]
    inside = set(images.tolist())
    expected = [
        k
        for k, pair in enumerate(zip(*np.triu_indices(n, 1), strict=True))
        if not set(pair) <= inside
    ]
    found = pairs_outside(images, n, len(expected), rng)
    np.testing.assert_array_equal(np.sort(found), expected)
    occurring = np.unique(np.transpose(np.triu_indices(n, 1))[expected])
    np.testing.assert_array_equal(images_of(found, n), occurring)


def test_pairs_outside_are_drawn_once_and_each_as_often():
    n, size, n_draws = 9, 8, 4000
    images, rng = np.array([1, 4, 7, 8]), np.random.default_rng(2)
    times = np.zeros(n * (n - 1) // 2)
    firsts = np.zeros_like(times)
    for _ in range(n_draws):
        drawn = pairs_outside(images, n, size, rng)
        assert np.unique(drawn).size == size
        times[drawn] += 1
        firsts[drawn[0]] += 1
    # Of 36 pairs, six are among the images.
    for counts, per_draw in ((times, size), (firsts, 1)):
        possible = counts[counts > 0]
        assert possible.size == 30
        mean = n_draws * per_draw / 30
        assert ((possible - mean) ** 2 / mean).sum() < 29 + 5 * np.sqrt(2 * 29)


@pytest.mark.parametrize(
    ("images", "message"), [([0, 1, 1], "of which 2 differ"), ([0, 5], "images 0 to 5")]
)
def test_images_that_are_not_there_or_twice_are_refused(images, message):
    with pytest.raises(InputError, match=message):
        PairSet.among(rdm(5), 5, np.array(images))


def test_an_rdm_of_other_images_is_refused():
    with pytest.raises(InputError, match=r"for 6 images, expected \(15,\)"):
        PairSet.among(rdm(5), 6, np.arange(5))


def test_an_image_on_both_sides_is_refused():
    with pytest.raises(InputError, match="of which 3 differ"):
        PairSet.between(rdm(5), 5, np.array([0, 1]), np.array([1, 2]))
