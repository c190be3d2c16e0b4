"""The benchmark compares like with like: at a tiny size, all sides of a row agree."""

import math
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.engine import Measured, largest_difference, table_rows, with_earlier
from benchmarks.suite.inputs import INPUTS, TINY, as_type
from benchmarks.suite.report import (
    CSV,
    MARKDOWN,
    README,
    REQUIREMENTS,
    descriptions,
    documents,
    duration,
    exceeded_limits,
    read_lines,
)
from benchmarks.suite.rows import ROWS, Row, Side
from tests.unit.test_docs import pins

ROOT = Path(__file__).parents[2]
# Two resamples do not tell a first-order error from an exact one; and some rows have no other side.
COMPARED = [row for row in ROWS if len(row.sides) > 1 and math.isfinite(row.tolerance)]


def tiny_results(row: Row, side: Side) -> dict[str, np.ndarray]:
    """Return what one side of a row gives for tiny inputs."""
    module = import_module(f"benchmarks.sides.{side.module}")
    arrays = as_type(INPUTS[row.inputs](TINY), "float64")
    return getattr(module, side.function or row.name)(arrays, min(4, row.n_units(TINY)))


@pytest.mark.parametrize("row", COMPARED, ids=lambda row: row.name)
def test_all_sides_of_a_row_give_the_same_numbers(row):
    others = [side for side in row.sides[1:] if side.module != "with_mne_rsa" or find_spec("mne")]
    ours = tiny_results(row, row.sides[0])
    for side in others:
        theirs = tiny_results(row, side)
        assert theirs.keys() == ours.keys()
        assert all(theirs[name].shape == ours[name].shape for name in ours)
        assert largest_difference(ours, theirs) <= 1e-10


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_targets_and_references_name_sides_that_are_measured(row):
    labels = {side.label for side in row.sides}
    if row.reference:
        other_row, label = row.reference
        assert label in {side.label for r in ROWS if r.name == other_row for side in r.sides}
        labels.add(label)
    assert row.targets.keys() <= labels


def test_a_difference_is_the_largest_of_all_results_of_both_sides():
    ours = {"a": np.array([1.0, 2.0]), "b": np.array([[5.0]]), "only here": np.array([9.0])}
    theirs = {"a": np.array([1.5, 2.0]), "b": np.array([[4.25]])}
    assert largest_difference(ours, theirs) == 0.75


def test_a_difference_to_nan_is_none_that_passes():
    difference = largest_difference({"a": np.array([1.0])}, {"a": np.array([np.nan])})
    assert not difference <= 1.0


def test_extrapolation_follows_the_line_through_both_measurements():
    side = Measured()
    side.add(
        {
            "seconds": {2: [[9.0, 9.0], [5.0, 8.0]], 12: [[25.0, 48.0]]},
            "peak_mb": 1.0,
            "compile_seconds": 0.0,
        }
    )
    # By the clock 5 s for 2 units (the first call apart) and 25 s for 12: 2 s a unit, and 1 s
    # to begin with. Of the processors 8 s and 48 s: 4 s a unit.
    assert side.seconds(1000) == pytest.approx((2001.0, 4000.0))


def test_extrapolation_from_one_measurement_is_in_proportion():
    side = Measured()
    side.add({"seconds": {4: [[8.0, 16.0]]}, "peak_mb": 1.0, "compile_seconds": 0.0})
    assert side.seconds(1000) == pytest.approx((2000.0, 4000.0))


def test_ratio_is_of_the_whole_work():
    row = next(row for row in ROWS if row.name == "bootstrap_pearson")
    ours, theirs = Measured(results={}), Measured(results={})
    ours.add({"seconds": {1000: [[4.0, 8.0]]}, "peak_mb": 1.0, "compile_seconds": 0.0})
    theirs.add({"seconds": {3: [[24.0, 24.0]]}, "peak_mb": 1.0, "compile_seconds": 0.0})
    ours.results = theirs.results = {"a": np.zeros(1)}
    sizes = type(TINY)()
    lines = list(table_rows(row, {"ours": ours, "rsatoolbox": theirs}, sizes, []))
    assert lines[1]["ratio"] == pytest.approx(8000 / 4)


def test_beside_other_work_times_are_those_of_all_processors():
    row, sizes = ROWS[0], type(TINY)()
    sides = {}
    for name, seconds in (("ours", [9.0, 4.0]), ("rsatoolbox", [5.0, 20.0])):
        sides[name] = Measured(results={"a": np.zeros(1)})
        sides[name].add({"seconds": {1: [seconds]}, "peak_mb": 1.0, "compile_seconds": 0.0})
    ours, theirs = table_rows(row, sides, sizes, [], by_processor=True)
    assert (ours["seconds"], theirs["ratio"]) == (4.0, 5.0)


def test_rows_measured_by_themselves_take_the_place_of_earlier_ones():
    if not CSV.is_file():
        pytest.skip("make bench has not been run")
    earlier = read_lines()
    row = next(row for row in ROWS if row.name == "correlation_rdm")
    new = earlier[earlier["row"] == row.name].assign(seconds=-1.0, commit="new").iloc[:2]
    together = with_earlier(new, [row])
    assert (together[together["row"] == row.name]["seconds"] == -1).tolist() == [True, True]
    others = earlier[earlier["row"] != row.name]
    pd.testing.assert_frame_equal(
        together[together["row"] != row.name].reset_index(drop=True),
        others.reset_index(drop=True),
    )
    assert together["row"].iloc[0] == row.name
    told = [text for text in descriptions(together) if "commit new" in text]
    assert len(told) == 1
    assert told[0].startswith(f"Measured apart: {row.title}: ")


def test_limits_hold_for_ours_and_are_named_where_they_are_exceeded():
    row = replace(ROWS[0], limits=(30.0, 2000.0))
    sizes = type(TINY)()
    for seconds, peak_mb, n_lines in ((29.0, 1999.0, 0), (31.0, 10.0, 1), (1.0, 2001.0, 1)):
        sides = [Measured(results={"a": np.zeros(1)}) for _ in range(2)]
        for side in sides:
            side.add({"seconds": {1: [[seconds] * 2]}, "peak_mb": peak_mb, "compile_seconds": 0.0})
        names = ("ours", "rsatoolbox")
        lines = table_rows(row, dict(zip(names, sides, strict=True)), sizes, [])
        assert len(exceeded_limits(pd.DataFrame(lines))) == n_lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.083, "0.083 s"), (4.61, "4.6 s"), (97.0, "97 s"), (1020, "17 min"), (57_600, "16 h")],
)
def test_durations_are_in_the_unit_that_suits_them(seconds, text):
    assert duration(seconds) == text


def test_report_and_readme_show_what_was_measured_last():
    if not CSV.is_file():
        pytest.skip("make bench has not been run")
    report, readme = documents()
    assert README.read_text() == readme, "run `python -m benchmarks.suite.report`"
    assert MARKDOWN.read_text() == report, "run `python -m benchmarks.suite.report`"


def test_pins_of_the_environment_of_mne_rsa_agree_with_ours():
    constraints = pins((ROOT / "constraints.txt").read_text())
    for name, number in pins(REQUIREMENTS.read_text()).items():
        assert constraints.get(name, number) == number, name
    assert not {"mne", "mne-rsa"} & constraints.keys()
