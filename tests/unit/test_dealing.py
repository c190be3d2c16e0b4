"""Items are dealt out evenly, strata and their sizes, too, and groups are never cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.lib.dealing import cut, deal, members_of


@given(
    strata=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    n_folds=st.integers(2, 7),
    seed=st.integers(0, 9),
    with_sizes=st.booleans(),
)
def test_folds_and_strata_differ_by_one_at_most(strata, n_folds, seed, with_sizes):
    strata = np.array(strata)
    sizes = np.arange(strata.size) if with_sizes else None
    rng = np.random.default_rng(seed)
    fold_of = deal(strata.size, n_folds, rng, strata=strata, sizes=sizes)
    for members in (np.ones(strata.size, bool), *(strata == one for one in np.unique(strata))):
        counts = np.bincount(fold_of[members], minlength=n_folds)
        if with_sizes and members.all():
            # There and back, strata begin at any fold: each may add one.
            assert np.ptp(counts) <= np.unique(strata).size
        else:
            assert np.ptp(counts) <= 1


def test_large_items_are_spread():
    """Of sizes 8 to 1 two folds get 8, 5, 4, 1 and 7, 6, 3, 2: both 18."""
    fold_of = deal(8, 2, np.random.default_rng(0), sizes=np.arange(1, 9))
    assert np.bincount(fold_of, weights=np.arange(1, 9)).tolist() == [18, 18]


def test_every_item_is_as_likely_in_every_fold():
    drawn = [deal(6, 3, np.random.default_rng(seed)) for seed in range(3000)]
    shares = [(np.array(drawn) == fold).mean(axis=0) for fold in range(3)]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.04)


def test_members_are_those_of_each_label():
    found = members_of(["b", "a", "b", "c", "a"])
    assert [rows.tolist() for rows in found] == [[1, 4], [0, 2], [3]]


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_never_cut(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 25, 40)
    parts = cut(rng.permutation(40), [15, 15, 10], groups)
    assert sorted(np.concatenate(parts)) == list(range(40))
    assert sum(np.unique(groups[part]).size for part in parts) == np.unique(groups).size
    # Off by less than a group.
    largest = np.bincount(groups).max()
    assert all(
        abs(part.size - size) < largest for part, size in zip(parts, [15, 15, 10], strict=True)
    )


def test_without_groups_the_order_is_cut_where_it_stands():
    parts = cut(np.array([3, 1, 2, 0]), [3, 1], None)
    assert [part.tolist() for part in parts] == [[3, 1, 2], [0]]
