"""tests/README.md lists the faults that were tried, with as many cases as there are."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# | fault | n | what happens | `file.py::test`, `::test of the same file`, `file.py` |
ROW = re.compile(r"^\|[^|]+\| (?P<n>\d+) \|[^|]+\| (?P<tests>[^|]+) \|$", re.MULTILINE)
NAMED = re.compile(r"`([\w/]*(?:\.py)?)::(test_\w+)`")


def rows():
    """Return parameters (tests as file::name, n) of every row that names its tests."""
    found, file = [], ""
    for row in ROW.finditer((TESTS / "README.md").read_text()):
        tests = []
        for named, test in NAMED.findall(row["tests"]):
            file = named or file
            tests.append(f"{file}::{test}")
        if tests:
            found.append(pytest.param(tests, int(row["n"]), id=tests[0].split("::")[1]))
    return found


def test_rows_were_found():
    assert len(rows()) > 20


@pytest.mark.parametrize(("tests", "n"), rows())
def test_number_of_cases_is_the_one_that_is_listed(request, tests, n):
    for test in tests:
        file, name = test.split("::")
        assert f"def {name}(" in (TESTS / file).read_text(), f"README.md names {test}"
    counts = [
        sum(f"tests/{test}" == item.nodeid.split("[")[0] for item in request.session.items)
        for test in tests
    ]
    if not all(counts):
        pytest.skip("not all of these tests are part of this session")
    assert sum(counts) == n
