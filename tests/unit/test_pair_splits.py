"""Splits keep apart what they say they do, whatever the numbers of images and folds."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pair_splits import make_splits
from workflow.lib.errors import InputError
from workflow.lib.pairs.sampling import PairSet
from workflow.lib.pairs.splits import (
    CLEAN,
    LEAKED,
    MATCHED,
    ONE_SEEN,
    RANDOM_PAIRS,
    SPLITS,
    make_folds,
)


def pairs_of(pairs: PairSet | None) -> set[frozenset]:
    if pairs is None:
        return set()
    first, second, _ = pairs.all()
    return {frozenset(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)}


def images_of(pairs: PairSet | None) -> set[int]:
    return set().union(*pairs_of(pairs))


def splits_of(n_images, n_folds, share, seed, **options):
    values = np.arange(n_images * (n_images - 1) // 2, dtype=float)
    return make_splits(
        values,
        n_images,
        n_folds=n_folds,
        validation_share=share,
        rng=np.random.default_rng(seed),
        min_test_images=options.pop("min_test_images", 2),
        **options,
    )


cases = st.tuples(
    st.integers(14, 40), st.integers(2, 5), st.sampled_from([0.0, 0.1, 0.3]), st.integers(0, 10**6)
)


@given(cases)
def test_no_test_image_of_a_clean_split_is_in_anything_that_is_learned_from(case):
    for split in splits_of(*case):
        if split.name == CLEAN:
            tested = images_of(split.test)
            assert not tested & images_of(split.training)
            assert not tested & images_of(split.validation)
            assert not tested & set(split.training_images.tolist())
            assert not images_of(split.validation) & images_of(split.training)
            assert not images_of(split.validation) & set(split.training_images.tolist())


@given(cases)
def test_exactly_one_image_of_a_one_seen_pair_was_seen(case):
    for split in splits_of(*case):
        if split.name == ONE_SEEN:
            trained = set(split.training_images.tolist())
            assert images_of(split.training) <= trained
            assert all(len(pair & trained) == 1 for pair in pairs_of(split.test))
            assert not images_of(split.validation) & images_of(split.test)


@pytest.mark.parametrize("leaked", [MATCHED, RANDOM_PAIRS])
@given(cases)
def test_no_split_tests_or_validates_pairs_that_it_learned_from(leaked, case):
    for split in splits_of(*case, leaked=leaked):
        trained, validated, tested = map(pairs_of, (split.training, split.validation, split.test))
        assert not trained & tested
        assert not validated & tested
        assert not validated & trained


@given(cases)
def test_every_image_and_every_leaked_pair_is_tested_once(case):
    n_images, n_folds, *_ = case
    splits = splits_of(*case)
    assert [(split.name, split.fold) for split in splits if split.name == CLEAN] == [
        (CLEAN, fold) for fold in range(n_folds)
    ]
    images = [image for s in splits if s.name == CLEAN for image in images_of(s.test)]
    assert sorted(images) == list(range(n_images))
    dealt = splits_of(*case, leaked=RANDOM_PAIRS)
    index = np.concatenate([s.test.index() for s in dealt if s.name == LEAKED])
    np.testing.assert_array_equal(np.sort(index), np.arange(n_images * (n_images - 1) // 2))


def of_each_fold(splits, *names):
    """Return the splits of these names, fold by fold."""
    return zip(*([s for s in splits if s.name == name] for name in names), strict=True)


@given(cases)
def test_matched_leaked_splits_differ_from_clean_ones_in_the_images_seen_alone(case):
    for clean, leaked in of_each_fold(splits_of(*case), CLEAN, LEAKED):
        assert pairs_of(leaked.test) == pairs_of(clean.test)
        assert len(leaked.training) == len(pairs_of(leaked.training)) == len(clean.training)
        assert len(pairs_of(leaked.validation)) == len(pairs_of(clean.validation))
        assert images_of(leaked.training) == set(leaked.training_images.tolist())


@given(cases)
def test_random_leaked_splits_leave_out_pairs_alone(case):
    n_images = case[0]
    for split in splits_of(*case, leaked=RANDOM_PAIRS):
        if split.name == LEAKED:
            parts = (split.training, split.validation, split.test)
            every = set().union(*map(pairs_of, parts))
            assert len(every) == n_images * (n_images - 1) // 2


@given(cases)
def test_fewer_training_images_are_some_of_more_and_are_tested_alike(case):
    splits = {n: splits_of(*case, n_training_images=n) for n in (None, 2, 4)}
    for n in (2, 4):
        assert {split.name for split in splits[n]} == {CLEAN, ONE_SEEN}
        for few, more in zip(splits[n], splits[None], strict=False):
            assert (few.name, few.fold) == (more.name, more.fold)
            assert few.training_images.size == n
            assert set(few.training_images) <= set(more.training_images)
            assert pairs_of(few.validation) == pairs_of(more.validation)
            if few.name == CLEAN:
                assert pairs_of(few.test) == pairs_of(more.test)
    for few, more in zip(splits[2], splits[4], strict=True):
        assert set(few.training_images) <= set(more.training_images)


def test_one_fit_serves_both_splits_of_a_fold():
    splits = splits_of(30, 3, 0.1, 1)
    for fold in range(3):
        clean, one_seen = (
            next(s for s in splits if s.name == name and s.fold == fold)
            for name in (CLEAN, ONE_SEEN)
        )
        assert clean.training is one_seen.training


def test_the_shares_are_those_asked_for():
    for split in splits_of(150, 5, 0.15, 1, leaked=RANDOM_PAIRS):
        n = round(11175 * 0.8 * 0.85) if split.name == LEAKED else 102 * 101 // 2
        assert abs(len(split.training) - n) <= 1
        if split.name == CLEAN:
            assert (len(split.test), split.validation.images.size) == (30 * 29 // 2, 18)
        if split.name == LEAKED:
            assert len(split.test) == 2235
    assert {split.name for split in splits_of(150, 5, 0.15, 1)} == set(SPLITS)


@given(cases)
def test_folds_of_images_do_not_depend_on_how_leaked_pairs_are_dealt(case):
    n_images, n_folds, share, seed = case
    of_deals = [
        make_folds(
            n_images,
            n_folds=n_folds,
            validation_share=share,
            rng=np.random.default_rng(seed),
            leaked=leaked,
            min_test_images=2,
        )
        for leaked in (None, MATCHED, RANDOM_PAIRS)
    ]
    for folds in zip(*of_deals, strict=True):
        for part in ("tested", "trained", "validated"):
            own, *others = (getattr(fold, part) for fold in folds)
            for other in others:
                np.testing.assert_array_equal(own, other)


grouped = st.tuples(
    st.integers(50, 60),
    st.integers(2, 4),
    st.sampled_from([0.0, 0.2]),
    st.integers(0, 10**6),
    st.lists(st.integers(2, 4), max_size=6),
)


@given(grouped)
def test_groups_of_images_have_one_part_in_every_fold(case):
    n_images, n_folds, share, seed, sizes = case
    rng = np.random.default_rng(seed)
    groups = np.arange(n_images)
    copies = rng.permutation(n_images)[: sum(sizes)]
    for images in np.split(copies, np.cumsum(sizes)[:-1]) if sizes else []:
        groups[images] = images[0]
    folds = make_folds(
        n_images,
        n_folds=n_folds,
        validation_share=share,
        rng=rng,
        groups=groups,
        min_test_images=2,
    )
    tested = np.concatenate([fold.tested for fold in folds])
    np.testing.assert_array_equal(np.sort(tested), np.arange(n_images))
    for fold in folds:
        parts = [set(groups[part]) for part in (fold.tested, fold.trained, fold.validated)]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
        # Images alone, of which there are more, make up for what groups leave.
        assert abs(fold.tested.size - n_images / n_folds) < 1


def test_groups_do_not_have_the_same_part_whatever_the_seed():
    groups = np.arange(60) // 2
    tested = {
        tuple(make_folds(60, n_folds=3, validation_share=0.2, rng=rng, groups=groups)[0].tested)
        for rng in map(np.random.default_rng, range(10))
    }
    assert len(tested) == 10


@given(cases)
def test_groups_of_one_change_nothing(case):
    alone, grouped = (splits_of(*case, groups=groups) for groups in (None, np.arange(case[0])))
    for own, other in zip(alone, grouped, strict=True):
        for part in ("training", "validation", "test"):
            assert pairs_of(getattr(own, part)) == pairs_of(getattr(other, part))


def test_a_group_that_leaves_too_little_is_said():
    groups = np.r_[np.zeros(35, int), np.arange(1, 16)]
    with pytest.raises(InputError, match="leave copies out, which stay together"):
        splits_of(50, 5, 0.2, 0, groups=groups, min_test_images=10)


def test_matched_splits_take_a_few_bytes_per_pair():
    n_images = 3000
    values = np.broadcast_to(0.0, n_images * (n_images - 1) // 2)
    tracemalloc.start()
    splits = make_splits(
        values, n_images, n_folds=5, validation_share=0.15, rng=np.random.default_rng(0)
    )
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(len(split.training) for split in splits) > 2 * values.size
    # 2 GB for 9,841 images are 41 bytes per pair; numbers of four bytes each are held of the pairs
    # of five folds, half of all each.
    assert held < 12 * values.size
    assert peak < 30 * values.size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_folds": 1}, "found 1 folds, expected at least 2"),
        ({"n_images": 45}, "9 test images in each, expected at least 10"),
        ({"share": 1.0}, "validation share of 1"),
        ({"n_training_images": 81}, "81 training images asked for, expected 2 to 80"),
    ],
)
def test_what_cannot_be_split_is_said(options, message):
    asked = {"n_images": 100, "n_folds": 5, "share": 0.0, "seed": 0, "min_test_images": 10}
    with pytest.raises(InputError, match=message):
        splits_of(**asked | options)
