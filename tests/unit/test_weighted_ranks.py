"""Ranks of resampled RDMs from counts: against ranks of the resampled RDMs themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from workflow.lib.errors import InputError
from workflow.lib.inference import weighted_ranks
from workflow.lib.inference.weighted_ranks import (
    MAX_IMAGES,
    drawn_pairs,
    pooled_ranks,
    resampled_ranks,
    sorted_pairs,
    weighted_products,
    weighted_squares,
)


def pair_weights(counts):
    first, second = np.triu_indices(counts.size, 1)
    return counts[first] * counts[second]


def reference_ranks(values, weights):
    """Return centred, doubled midranks of drawn pairs, from every copy written out."""
    drawn = np.flatnonzero(weights)
    copies = np.repeat(values[drawn], weights[drawn])
    last_copy = np.cumsum(weights[drawn]) - 1
    return (2 * rankdata(copies) - (copies.size + 1))[last_copy] if drawn.size else copies


def drawn_counts(rng, n_images):
    return rng.multinomial(n_images, np.full(n_images, 1 / n_images))


@st.composite
def rdm_and_counts(draw):
    n_images = draw(st.integers(2, 7))
    few_values = st.integers(-2, 3).map(float)
    values = st.one_of(few_values, st.floats(-1e300, 1e300))
    vector = draw(arrays(np.float64, n_images * (n_images - 1) // 2, elements=values))
    counts = draw(arrays(np.int64, n_images, elements=st.integers(0, 4)))
    return vector, counts


@settings(max_examples=200, deadline=None)
@given(rdm_and_counts())
def test_ranks_are_those_of_the_copies_written_out(case):
    vector, counts = case
    drawn = drawn_pairs(counts)
    weights = pair_weights(counts)
    np.testing.assert_array_equal(drawn.weights, weights[weights > 0])
    assert drawn.n_pairs == weights.sum()
    found = resampled_ranks(sorted_pairs(vector[np.newaxis], counts.size), drawn)[0]
    np.testing.assert_array_equal(found, reference_ranks(vector, weights))


@pytest.mark.parametrize("levels", [1, 2, 60, 10**6], ids="{} levels".format)
@pytest.mark.parametrize("n_images", [64, 65, 130])
def test_runs_of_ties_reach_over_chunks(n_images, levels):
    # 64 images have 2016 pairs, less than a chunk of 2048; 130 have 8385, more than four.
    assert 2016 < weighted_ranks.CHUNK < 2080
    rng = np.random.default_rng(61)
    vectors = rng.integers(0, levels, (3, n_images * (n_images - 1) // 2)).astype(np.float32)
    counts = drawn_counts(rng, n_images)
    found = resampled_ranks(sorted_pairs(vectors, n_images), drawn_pairs(counts))
    for row, vector in zip(found, vectors, strict=True):
        np.testing.assert_array_equal(row, reference_ranks(vector, pair_weights(counts)))


@pytest.mark.parametrize("levels", [2, 10**6], ids="{} levels".format)
@pytest.mark.parametrize("n_images", [5, 60, 400])
def test_pooled_ranks_are_ranks_of_summed_ranks(n_images, levels):
    # 400 images in several threads and three passes of the sort.
    rng = np.random.default_rng(62)
    vectors = rng.integers(0, levels, (3, n_images * (n_images - 1) // 2)).astype(float)
    counts = drawn_counts(rng, n_images)
    weights = pair_weights(counts)
    drawn = drawn_pairs(counts)
    ranks = resampled_ranks(sorted_pairs(vectors, n_images), drawn)
    members = np.array([[1, 1, 1], [0, 2, 1], [0, 0, 3], [5, 0, 1]])
    found = pooled_ranks(ranks, members, drawn)
    for row, times in zip(found, members, strict=True):
        np.testing.assert_array_equal(row, reference_ranks(times @ ranks, drawn.weights))
    assert (found @ drawn.weights == 0).all()
    assert weights.sum() == drawn.n_pairs


@pytest.mark.parametrize("n_threads", ["1", "3"])
def test_ranks_do_not_depend_on_threads(monkeypatch, n_threads):
    monkeypatch.setattr(weighted_ranks, "WORTH_A_THREAD", 0)
    monkeypatch.setenv("OMP_NUM_THREADS", n_threads)
    rng = np.random.default_rng(63)
    vectors = rng.integers(0, 9, (5, 45)).astype(float)
    drawn = drawn_pairs(drawn_counts(rng, 10))
    ranks = resampled_ranks(sorted_pairs(vectors, 10), drawn)
    alone = [resampled_ranks(sorted_pairs(vector[None], 10), drawn)[0] for vector in vectors]
    np.testing.assert_array_equal(ranks, alone)


def test_sums_over_pairs_count_every_copy():
    rng = np.random.default_rng(64)
    # 300 images have 44,850 pairs, more than a block of sums.
    left, right = rng.integers(-(10**4), 10**4, (2, 3, 44850)).astype(np.int32)
    weights = rng.integers(0, 5, 44850).astype(np.int32)
    exact = (left.astype(object) * weights) @ right.T.astype(object)
    np.testing.assert_allclose(
        weighted_products(left, right, weights), exact.astype(float), rtol=1e-14
    )
    np.testing.assert_allclose(
        weighted_squares(left, weights), ((left.astype(object) ** 2) @ weights).astype(float)
    )


def test_too_many_images_are_refused():
    with pytest.raises(InputError, match=f"found RDMs of {MAX_IMAGES + 1} images"):
        sorted_pairs(np.zeros((1, 0)), MAX_IMAGES + 1)
