"""Files of time series give back what was written, in any order, and boxes put it into place."""

import tracemalloc
from unittest import mock

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.emotions.data.timeseries import (
    HELD_BYTES,
    TimeSeries,
    bounding_box,
    boxes,
    require_aligned,
    timeseries_writer,
    write_timeseries,
)
from workflow.lib.errors import InputError

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
# Run 10 comes after run 2 in the movie, and before it in the alphabet.
N_VOLUMES = {"1": 9, "2": 7, "10": 5}


def ball(shape=(6, 7, 5), centre=(3, 2, 2), radius=2.0):
    return np.linalg.norm(np.indices(shape) - np.reshape(centre, (3, 1, 1, 1)), axis=0) <= radius


def runs_of(n_features, seed=0):
    rng = np.random.default_rng(seed)
    return {
        run: rng.standard_normal((n, n_features)).astype(np.float32) for run, n in N_VOLUMES.items()
    }


def voxel_series(folder, *, subject="01", aligned=True, **description):
    description = {"mask": ball(), "affine": AFFINE} | description
    path = folder / f"{subject}.h5"
    runs = runs_of(int(description["mask"].sum()))
    write_timeseries(path, runs, subject=subject, tr=2.0, aligned=aligned, **description)
    return TimeSeries(path)


def parcel_series(folder, names, subject="01"):
    path = folder / f"{subject}.h5"
    write_timeseries(path, runs_of(len(names)), subject=subject, tr=2.0, names=names)
    return TimeSeries(path)


def test_what_was_written_is_read(tmp_path):
    motion = {"2": pd.DataFrame(np.arange(14.0).reshape(7, 2), columns=["trans_x", "rot_z"])}
    series = voxel_series(tmp_path, confounds=motion)
    assert (series.subject, series.kind, series.tr, series.aligned) == ("01", "volumes", 2.0, True)
    assert series.runs == ["1", "2", "10"]
    assert [series.n_volumes(run) for run in series.runs] == [9, 7, 5]
    np.testing.assert_array_equal(series.mask, ball())
    np.testing.assert_array_equal(series.affine, AFFINE)
    for run, values in runs_of(series.n_features).items():
        np.testing.assert_array_equal(series.rows(run, range(len(values))), values)
    assert series.confound_names == ["trans_x", "rot_z"]
    np.testing.assert_array_equal(series.confounds("2"), motion["2"])
    assert series.confounds("1") is None


def test_parcels_keep_their_names_and_are_the_same_in_all_subjects(tmp_path):
    series = parcel_series(tmp_path, ["4", "12", "7"])
    assert (series.kind, series.names, series.mask) == ("parcels", ["4", "12", "7"], None)
    assert series.aligned


@pytest.mark.parametrize("held_bytes", [0, HELD_BYTES], ids=["read", "held"])
@settings(max_examples=50, deadline=None)
@given(volumes=st.lists(st.integers(0, 8), max_size=20))
def test_volumes_come_in_the_order_asked_for(tmp_path_factory, held_bytes, volumes):
    path = tmp_path_factory.getbasetemp() / "series.h5"
    values = runs_of(3)["1"]
    if not path.is_file():
        write_timeseries(path, {"1": values}, subject="01", tr=2.0, names="abc")
    with mock.patch("scripts.emotions.data.timeseries.HELD_BYTES", held_bytes):
        series = TimeSeries(path)
    for _ in range(2):
        found = series.rows("1", volumes)
        np.testing.assert_array_equal(found, values[volumes])
        # What a caller does to volumes is the caller's.
        found *= -1


def test_rows_follow_a_table_of_labels(tmp_path):
    series = parcel_series(tmp_path, ["a", "b"])
    # Read back from a CSV, names of runs are numbers.
    table = pd.DataFrame({"run": [10, 1, 10, 2], "volume": [4, 0, 1, 6]})
    own = runs_of(2)
    expected = [own["10"][4], own["1"][0], own["10"][1], own["2"][6]]
    np.testing.assert_array_equal(series.all(table), expected)


@pytest.mark.parametrize(
    ("run", "volume", "message"),
    [
        ("3", 0, "found the runs 1, 2, 10, expected run 3 among them"),
        ("2", 7, "found 7 volumes in run 2, expected volume 7"),
        ("2", -1, "found 7 volumes in run 2, expected volume -1"),
    ],
)
def test_runs_and_volumes_that_are_not_there_are_refused(tmp_path, run, volume, message):
    with pytest.raises(InputError, match=message):
        parcel_series(tmp_path, ["a", "b"]).rows(run, [volume])


def write_half(path):
    with timeseries_writer(path, subject="01", tr=2.0, names="a") as write:
        write("1", np.zeros((3, 1)))
        assert not path.exists()
        raise KeyError


def test_a_file_appears_when_all_runs_are_written(tmp_path):
    with pytest.raises(KeyError):
        write_half(tmp_path / "01.h5")
    assert list(tmp_path.iterdir()) == []


def test_of_large_files_no_more_is_read_than_asked_for(tmp_path):
    path, n_features = tmp_path / "1.h5", 60_000
    values = np.zeros((HELD_BYTES // (4 * n_features) + 1, n_features), dtype=np.float32)
    write_timeseries(path, {"1": values}, subject="1", tr=2.0, names=["v"] * n_features)
    with h5py.File(path) as file:
        assert file["runs/1"].chunks == (1, n_features)
    series = TimeSeries(path)
    tracemalloc.start()
    series.rows("1", [5, 100, 30])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Three volumes, once to read them and once in their order.
    assert peak < 2 * 3 * 4 * n_features + 100_000


def test_boxes_put_every_voxel_into_its_place():
    mask = ball()
    # The value of a voxel is its number in the volume.
    numbers = np.arange(mask.size, dtype=np.float32).reshape(mask.shape)
    found = boxes(np.stack([numbers[mask], -numbers[mask]]), mask)
    assert bounding_box(mask) == (slice(1, 6), slice(0, 5), slice(0, 5))
    expected = np.where(mask, numbers, 0)[1:6, 0:5, 0:5]
    np.testing.assert_array_equal(found, [expected, -expected])


def test_boxes_return_the_values_by_their_mask():
    mask = np.random.default_rng(1).random((5, 6, 7)) < 0.3
    values = np.random.default_rng(2).standard_normal((4, mask.sum())).astype(np.float32)
    whole = boxes(values, mask, np.s_[:, :, :])
    assert whole.shape == (4, 5, 6, 7)
    np.testing.assert_array_equal(whole[:, mask], values)
    assert not whole[:, ~mask].any()


def test_subjects_in_their_own_space_are_not_compared(tmp_path):
    series = [voxel_series(tmp_path, subject=name, aligned=False) for name in ("01", "02")]
    with pytest.raises(InputError, match="resampling to a common grid is not registration") as told:
        require_aligned(series, "occlusion")
    assert "studyforrest-data-aligned" in str(told.value)
    assert "studyforrest-data-templatetransforms" in str(told.value)
    assert "occlusion" in str(told.value)
    require_aligned(series[:1], "occlusion")


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"mask": ball(radius=1.5)}, "another mask"),
        ({"mask": ball(shape=(6, 7, 6))}, "another grid"),
        ({"affine": np.diag([-3.0, 3.0, 3.0, 1.0])}, "another affine"),
    ],
)
def test_subjects_on_other_voxels_are_not_compared(tmp_path, change, difference):
    first, other = voxel_series(tmp_path), voxel_series(tmp_path, subject="02", **change)
    with pytest.raises(InputError, match=f"02.h5: found {difference}"):
        require_aligned([first, other], "decoding")
    require_aligned([first, voxel_series(tmp_path, subject="03")], "decoding")


def test_subjects_with_other_parcels_are_not_compared(tmp_path):
    series = [parcel_series(tmp_path, "abc"), parcel_series(tmp_path, "acb", "02")]
    with pytest.raises(InputError, match="found other parcels"):
        require_aligned(series, "decoding")
    with pytest.raises(InputError, match="another kind of data"):
        require_aligned([series[0], voxel_series(tmp_path, subject="03")], "decoding")
