"""Names in the order in which people count, and how errors tell them."""

import itertools

import pytest

from workflow.lib.arrays.text import listed_names
from workflow.lib.errors import InputError
from workflow.lib.image_groups import read_group_table
from workflow.lib.patterns.observations import column_of, read_columns
from workflow.lib.words import by_numbers


def test_numbers_in_names_are_counted_as_numbers():
    names = ["1", "2", "10", "12a", "beta", "beta_2", "beta_2_9", "beta_10", "beta_10_1", "x"]
    for mixed in (names[::-1], sorted(names), names[5:] + names[:5]):
        assert sorted(mixed, key=by_numbers) == names


def test_names_of_equal_numbers_have_one_order():
    orders = {tuple(sorted(n, key=by_numbers)) for n in itertools.permutations(["1", "01", "001"])}
    assert orders == {("001", "01", "1")}


def test_names_in_a_file_are_told_on_one_line_of_bounded_length(tmp_path):
    names = ["a\nb", *(f"{i:0200}" for i in range(5_000))]
    path = tmp_path / "a.csv"
    cells = ",".join(f'"{name}"' for name in names)
    path.write_text(f"{cells}\n{cells}\n")
    table = {"file": str(path), "column": "x"}
    for read in (
        lambda: listed_names(path, "x"),
        lambda: read_group_table(table),
        lambda: column_of(read_columns(path, "a.csv", header=True), "x", "a.csv"),
    ):
        with pytest.raises(InputError, match=r"found the columns a b, 0+, ") as refused:
            read()
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) < 5_000
