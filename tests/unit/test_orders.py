"""What changes places in a study's permutation tests, and what is said where too little can."""

import logging

import pytest

from workflow.lib.config.inference import permuted_units
from workflow.lib.inference.orders import EXCHANGED, FEWEST_ORDERS, possible_permutations
from workflow.lib.plotting import PERMUTED, permuted_note


@pytest.mark.parametrize(
    ("within_groups", "resample", "expected"),
    [
        (False, "images", "images"),
        (False, "within_groups", "images"),
        (False, "groups", "groups"),
        # Asked for by itself: the question is then another one.
        (True, "images", "within_groups"),
        (True, "groups", "within_groups"),
    ],
)
def test_whole_groups_are_permuted_where_whole_groups_are_drawn(within_groups, resample, expected):
    inference = {"within_groups": within_groups, "resample": resample}
    assert permuted_units(inference) == expected
    assert expected in EXCHANGED
    assert set(EXCHANGED) == set(PERMUTED)


@pytest.mark.parametrize(
    ("permuted", "groups", "n_possible", "warning"),
    [
        ("images", "abcde", 99, None),
        (
            "images",
            "abc",
            99,
            "lab, s1: no p is below 0.17 (1 of 6 orders), for there are 3 images",
        ),
        # 4! = 24 orders of four groups, 3! = 6 of three: no p of theirs is below 1 / 6.
        ("groups", "aabbccdd", 99, None),
        ("groups", "aabbccd", 99, "no p is below 0.17 (1 of 6 orders), for whole groups change"),
        ("groups", "aaabbc", 0, "nothing is tested by permutation, for whole groups change places"),
        ("groups", "aaaaaa", 0, "of 6 images (inference.resample: groups)"),
        ("within_groups", "aaabbb", 99, None),
        ("within_groups", "abcdef", 0, "of 1, 1, 1, 1, 1, 1 images (inference.within_groups)"),
    ],
)
def test_nothing_is_tested_where_nothing_changes_places(
    permuted, groups, n_possible, warning, caplog
):
    with caplog.at_level(logging.WARNING):
        assert possible_permutations(99, permuted, list(groups), "lab, s1") == n_possible
    assert (warning or "") in caplog.text
    assert bool(caplog.text) == bool(warning)
    caplog.clear()
    assert possible_permutations(0, permuted, list(groups), "lab, s1") == 0
    assert not caplog.text


def test_fewest_orders_are_those_that_a_p_of_five_percent_needs():
    assert 1 / FEWEST_ORDERS <= 0.05 < 1 / (FEWEST_ORDERS - 1)


def test_notes_tell_what_changed_places_or_why_nothing_did():
    note = permuted_note(1000, "groups", "scenes")
    assert (
        note == "1,000 permutations of whole groups of scenes, those of one size among themselves"
    )
    assert permuted_note(0, "images", "scenes") == "No test was run"
    assert "no two groups of scenes are of one size" in permuted_note(0, "groups", "scenes")
