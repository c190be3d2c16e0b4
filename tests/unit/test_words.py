"""Names in the order in which people count."""

import itertools

from workflow.lib.words import by_numbers


def test_numbers_in_names_are_counted_as_numbers():
    names = ["1", "2", "10", "12a", "beta", "beta_2", "beta_2_9", "beta_10", "beta_10_1", "x"]
    for mixed in (names[::-1], sorted(names), names[5:] + names[:5]):
        assert sorted(mixed, key=by_numbers) == names


def test_names_of_equal_numbers_have_one_order():
    orders = {tuple(sorted(n, key=by_numbers)) for n in itertools.permutations(["1", "01", "001"])}
    assert orders == {("001", "01", "1")}
