"""Two runs are compared value by value: planted differences are found, of the size planted."""

import os
import subprocess
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from scripts.check.compare_runs import main
from workflow.lib.check.same_results import (
    TOLERANCE,
    compare_runs,
    largest_difference,
    result_files,
)

TABLE = pd.DataFrame(
    {"subject": ["01", "NA"], "similarity": [0.25, -400.0], "p": [0.01, np.nan], "said": ["x", ""]}
)


@pytest.fixture
def runs(tmp_path):
    """Return the folders of two runs with the same results, and other times."""
    for seconds, run in enumerate(("first", "second")):
        folder = tmp_path / run
        for name in ("study/tables", "study/rdms", "study/maps", "logs", "benchmarks", "tables"):
            (folder / name).mkdir(parents=True)
        TABLE.to_csv(folder / "study/tables/rsa.csv", index=False)
        with h5py.File(folder / "study/rdms/brain.h5", "w") as file:
            file["dissimilarities"] = np.array([[0.5, 2.0, 8.0]])
            file["rois/names"] = np.array([b"V1", b"V2"])
            file["zeros"] = np.array([0.0, 0.0, np.nan])
            file.create_group("splits").attrs["n_folds"] = 3
            file.attrs["dissimilarity_measure"] = "crossnobis"
        np.savez(folder / "study/maps/images.npz", pixels=np.arange(6, dtype=np.uint8))
        nib.save(nib.Nifti1Image(np.ones((2, 2, 2)), np.eye(4)), folder / "study/maps/t.nii.gz")
        (folder / "study/models").mkdir()
        save_file({"conv1": np.ones((2, 3), np.float32)}, folder / "study/models/vgg.safetensors")
        for name in (
            "benchmarks/rsa.csv",
            "logs/rsa.csv",
            "tables/cost.csv",
            "tables/cost_jobs.csv",
        ):
            (folder / name).write_text(f"s\n{seconds}\n")
    return tmp_path / "first", tmp_path / "second"


def change_cell(run, column, value):
    table = TABLE.copy()
    table.loc[1, column] = value
    table.to_csv(run / "study/tables/rsa.csv", index=False)


def change_rdm(run, name, value):
    with h5py.File(run / "study/rdms/brain.h5", "r+") as file:
        del file[name]
        file[name] = value


def change_attribute(run):
    with h5py.File(run / "study/rdms/brain.h5", "r+") as file:
        file["splits"].attrs["n_folds"] = 4


def change_root_attribute(run):
    with h5py.File(run / "study/rdms/brain.h5", "r+") as file:
        file.attrs["dissimilarity_measure"] = "euclidean_"


def change_unread_bytes(run):
    with (run / "study/maps/images.npz").open("ab") as file:
        # A comment of a zip archive, of which the last two bytes tell the length.
        file.seek(-2, 2)
        file.truncate()
        file.write(b"\x02\x00no")


def change_map(run):
    voxels = np.ones((2, 2, 2))
    voxels[1, 0, 1] = 1.5
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), run / "study/maps/t.nii.gz")


def change_weight(run):
    weights = np.ones((2, 3), np.float32)
    weights[1, 2] = 4
    save_file({"conv1": weights}, run / "study/models/vgg.safetensors")


def test_runs_that_differ_in_times_alone_are_the_same(runs):
    comparison = compare_runs(*runs)
    assert comparison.differences == []
    assert comparison.n_files == 5
    assert result_files(runs[0]) == {
        "study/tables/rsa.csv",
        "study/rdms/brain.h5",
        "study/maps/images.npz",
        "study/maps/t.nii.gz",
        "study/models/vgg.safetensors",
    }
    # None holds the time at which it was written.
    assert comparison.n_identical == 5


def test_study_that_is_called_like_a_folder_of_times_is_compared(runs):
    for content, run in enumerate(runs):
        for name in ("logs_study", "benchmarks2/logs"):
            (run / name).mkdir(parents=True)
            (run / name / "rsa.csv").write_text(f"similarity\n{content}\n")
    names = [found.file for found in compare_runs(*runs).differences]
    assert names == ["benchmarks2/logs/rsa.csv", "logs_study/rsa.csv"]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1.0, np.nan], [1.0, np.nan], 0.0),
        ([0.25, 3.0], [0.26, 3.0], 0.01),
        ([-400.0], [-404.0], 4 / 404),
        ([True, False], [True, True], 1.0),
        ([1e-3], [np.nan], np.inf),
        ([np.inf], [np.inf], 0.0),
        ([np.inf], [-np.inf], np.inf),
    ],
)
def test_difference_is_relative_to_the_larger_value_and_absolute_below_one(first, second, expected):
    assert largest_difference(np.array(first), np.array(second)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "file", "what", "size"),
    [
        (
            lambda run: change_cell(run, "similarity", -404.0),
            "tables/rsa.csv",
            "similarity: 1 of 2",
            4 / 404,
        ),
        (lambda run: change_cell(run, "p", 0.5), "tables/rsa.csv", "p: 1 of 2", np.inf),
        (lambda run: change_cell(run, "subject", "1"), "tables/rsa.csv", "subject: 1 of 2", np.inf),
        (
            lambda run: change_rdm(run, "dissimilarities", np.array([[0.5, 2.0, 8.08]])),
            "rdms/brain.h5",
            "dissimilarities: 1 of 3",
            0.01 / 1.01,
        ),
        (
            lambda run: change_rdm(run, "dissimilarities", np.ones((1, 4))),
            "rdms/brain.h5",
            "dissimilarities: shapes (1, 3) and (1, 4)",
            np.inf,
        ),
        (
            lambda run: change_rdm(run, "rois/names", np.array([b"V1", b"V3"])),
            "rdms/brain.h5",
            "rois/names: 1 of 2 texts",
            np.inf,
        ),
        (change_attribute, "rdms/brain.h5", "splits@n_folds: 1 of 1", 1 / 4),
        (change_root_attribute, "rdms/brain.h5", "/@dissimilarity_measure: 1 of 1 texts", np.inf),
        (
            lambda run: change_rdm(run, "zeros", np.array([0.0, -0.0, np.nan])),
            "rdms/brain.h5",
            "zeros: 1 of 3 values, in the sign of zero",
            0.0,
        ),
        (change_unread_bytes, "maps/images.npz", "bytes alone", np.inf),
        (change_map, "maps/t.nii.gz", "voxels: 1 of 8", 0.5 / 1.5),
        (change_weight, "models/vgg.safetensors", "conv1: 1 of 6", 3 / 4),
        (
            lambda run: (run / "study/maps/images.npz").unlink(),
            "maps/images.npz",
            "found in",
            np.inf,
        ),
    ],
)
def test_planted_difference_is_found_with_its_size(runs, change, file, what, size):
    change(runs[1])
    (found,) = compare_runs(*runs).differences
    assert found.file == f"study/{file}"
    assert found.what.startswith(what)
    assert found.size == pytest.approx(size)


def test_command_fails_beyond_the_tolerance_alone_and_names_what_differs(runs, monkeypatch, capsys):
    change_cell(runs[1], "similarity", -400.002)

    def said(tolerance):
        arguments = ["compare_runs", *map(str, runs), "--tolerance", tolerance]
        monkeypatch.setattr("sys.argv", arguments)
        return main(), capsys.readouterr().out

    status, printed = said("1e-5")
    assert status == 0
    assert "study/tables/rsa.csv: similarity: 1 of 2 values, 5.0e-06" in printed
    assert "0 that differ by more than 1e-05" in printed
    status, printed = said("1e-6")
    assert status == 1
    assert "5.0e-06 BEYOND THE TOLERANCE" in printed
    assert "1 that differ by more than 1e-06" in printed


def test_tables_that_differ_in_the_sign_of_zero_are_the_same(runs, monkeypatch, capsys):
    """As they are where another value differs, too: by no more than 1e-9."""
    for run, value in zip(runs, ("-0.0", "0.0"), strict=True):
        (run / "study/tables/rsa.csv").write_text(f"similarity,said\n{value},x\n0.5,y\n")
    monkeypatch.setattr("sys.argv", ["compare_runs", *map(str, runs)])
    assert main() == 0
    assert "similarity: 1 of 2 values, in the sign of zero" in capsys.readouterr().out


@pytest.mark.parametrize(("difference", "status"), [(TOLERANCE / 2, 0), (TOLERANCE * 2, 1)])
def test_command_holds_runs_to_the_stated_tolerance(runs, monkeypatch, capsys, difference, status):
    change_rdm(runs[1], "dissimilarities", np.array([[0.5 + difference, 2.0, 8.0]]))
    monkeypatch.setattr("sys.argv", ["compare_runs", *map(str, runs)])
    assert main() == status
    assert f"{status} that differ by more than {TOLERANCE:g}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "second", "tolerance"),
    [
        (["CORES=2"], "--cores 2", ""),
        (["CORES=2", "VERIFY_CORES=1"], "--cores 1", ""),
        (["CORES=2", "TOLERANCE=0"], "--cores 2", "--tolerance 0"),
    ],
)
def test_make_verify_runs_twice_on_the_cores_that_are_given(given, second, tolerance):
    """What `make` would do; later --cores win."""
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "verify", *given],
        cwd=Path(__file__).parents[2],
        # Of the `make` that runs the tests.
        env={key: value for key, value in os.environ.items() if key != "MAKEFLAGS"},
        capture_output=True,
        text=True,
        check=True,
    )
    runs = [line for line in done.stdout.splitlines() if "/snakemake --cores 2" in line]
    assert len(runs) == 2
    assert "run=tiny_again" not in runs[0]
    assert runs[1].split(" --configfile")[0].endswith(second)
    assert runs[1].endswith("--configfile config/tiny.yaml --config run=tiny_again ")
    assert done.stdout.rstrip("\n").endswith(f"results/tiny results/tiny_again {tolerance}")
