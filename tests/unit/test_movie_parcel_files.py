"""Parcels that all subjects have are kept, by their names; files that do not fit are refused."""

import time

import numpy as np
import pandas as pd
import pytest

from scripts.emotions.data.prepare_parcels import common_parcels, prepare_parcels, read_parcels
from scripts.emotions.data.timeseries import TimeSeries
from workflow.lib.errors import InputError

N_VOLUMES = {"1": 12, "2": 9}
# Columns are in another order in the second subject, who lacks one and has another.
PARCELS = {"01": ["1", "2", "4", "10"], "02": ["10", "4", "3", "1"]}


@pytest.fixture
def folder(tmp_path):
    """Files in which the mean of a parcel is its number."""
    rng = np.random.default_rng(1)
    for subject, names in PARCELS.items():
        for run, n_volumes in N_VOLUMES.items():
            values = 3 * rng.standard_normal((n_volumes, len(names)))
            values += np.array(names, dtype=float) - values.mean(axis=0)
            path = tmp_path / f"sub-{subject}_run-{run}.csv"
            pd.DataFrame(values, columns=names).to_csv(path, index=False)
    return tmp_path


def own(folder, subject):
    return {run: folder / f"sub-{subject}_run-{run}.csv" for run in N_VOLUMES}


def everything(folder):
    return [path for subject in PARCELS for path in own(folder, subject).values()]


def prepared(folder, subject, *, standardise=False):
    path = folder / f"{subject}.h5"
    options = {"subject": subject, "tr": 2.0, "n_volumes": N_VOLUMES}
    files = {"files": own(folder, subject), "all_files": everything(folder)}
    prepare_parcels(path, **files, **options, standardise=standardise)
    return TimeSeries(path)


def test_all_subjects_have_the_same_parcels_in_the_same_order(folder):
    for subject in PARCELS:
        series = prepared(folder, subject)
        assert (series.kind, series.names) == ("parcels", ["1", "4", "10"])
        for run, n_volumes in N_VOLUMES.items():
            values = series.rows(run, range(n_volumes))
            np.testing.assert_allclose(values.mean(axis=0), [1, 4, 10], rtol=1e-6)


def test_every_parcel_has_mean_zero_and_variance_one_in_every_run(folder):
    series = prepared(folder, "02", standardise=True)
    for run, n_volumes in N_VOLUMES.items():
        values = series.rows(run, range(n_volumes)).astype(np.float64)
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-6)


def change(path, edit):
    edit(pd.read_csv(path)).to_csv(path, index=False)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda table: table.iloc[:-1], "found 8 rows, expected 9"),
        (lambda table: table.assign(**{"4": 1.5}), "found one constant value in parcel 4"),
        (
            lambda table: table.assign(**{"4": [np.nan, *range(8)]}),
            "found a value that is no number in parcel 4",
        ),
        (lambda table: table.assign(**{"10": "x"}), "found a value that is no number in parcel 10"),
        (lambda table: table.rename(columns=lambda name: f"p{name}"), "found no parcel that all 4"),
    ],
)
def test_files_that_do_not_fit_are_refused(folder, edit, message):
    change(folder / "sub-01_run-2.csv", edit)
    with pytest.raises(InputError, match=message):
        prepared(folder, "01")
    assert not (folder / "01.h5").exists()


def test_a_missing_run_is_told(folder):
    (folder / "sub-01_run-2.csv").unlink()
    with pytest.raises(InputError, match=r"sub-01_run-2\.csv: found no readable table"):
        prepared(folder, "01")


def test_an_empty_file_is_told(folder):
    (folder / "sub-01_run-2.csv").write_text("")
    with pytest.raises(InputError, match=r"sub-01_run-2\.csv: found no readable table"):
        prepared(folder, "01")


def test_a_parcel_twice_is_told(folder):
    path = folder / "sub-01_run-1.csv"
    path.write_text("1,4,4\n" + "1,2,3\n" * 12)
    with pytest.raises(InputError, match=r"found the parcel 4 twice in the header"):
        common_parcels([path])


def test_a_column_without_a_name_is_told(folder):
    path = folder / "sub-01_run-1.csv"
    path.write_text("1,,4\n" + "1,2,3\n" * 12)
    with pytest.raises(InputError, match="found a column without a name in the header"):
        prepared(folder, "01")


def test_a_number_of_hundreds_of_digits_is_none(tmp_path):
    (tmp_path / "a.csv").write_text(f"1,2\n1,2\n{'9' * 400},3\n")
    with pytest.raises(InputError, match="found a value that is no number in parcel 1"):
        read_parcels(tmp_path / "a.csv", ["1", "2"], 2)


def test_header_of_very_many_parcels_is_read_in_time(tmp_path):
    """Where each name is compared to all others, this takes a minute and more."""
    names = list(map(str, range(60_000)))
    (tmp_path / "a.csv").write_text(",".join(names) + "\n")
    start = time.process_time()
    assert common_parcels([tmp_path / "a.csv"]) == names
    assert time.process_time() - start < 10
