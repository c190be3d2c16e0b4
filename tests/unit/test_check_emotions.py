"""`make check` of study emotions: what a run would stop at, found before it."""

import re
import shutil

import pandas as pd
import pytest
import yaml

from scripts.check.check_config import DEFAULT_CONFIG, check_study
from scripts.emotions.data.simulate_movie import simulate_movie
from tests.unit.checked_entries import DEFAULT, REGISTRY, problems_of_entry
from workflow.lib.config.complete import complete_config
from workflow.lib.config.merging import laid_over

TINY = yaml.safe_load(DEFAULT_CONFIG.with_name("tiny.yaml").read_text())["emotions"]["movie"]
BOLD = "sub-{}/ses-movie/func/sub-{}_ses-movie_task-movie_run-{}_bold.nii.gz"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Simulate the files of the tiny entry, as if they were somebody's."""
    folder = tmp_path_factory.mktemp("movie")
    simulate_movie(
        folder,
        subjects=TINY["subjects"],
        runs=TINY["runs"],
        tr=TINY["tr"],
        files=TINY["files"],
        confounds=TINY["volumes"]["confounds"],
        annotations=TINY["annotations"]["files"],
        observers=TINY["annotations"]["observers"],
        emotions=TINY["labels"]["classes"],
        null_effect=False,
        seed=1,
        name="lab",
    )
    return folder


@pytest.fixture
def folder(simulated, tmp_path):
    return shutil.copytree(simulated, tmp_path / "lab")


def problems_of(folder, **keys):
    entry = {**TINY, "source": "path", "path": str(folder), **keys}
    return problems_of_entry("emotions", entry)


def test_nothing_stands_in_the_way_of_a_whole_folder(folder, capsys):
    assert problems_of(folder) == []
    printed = capsys.readouterr().out
    assert "240 volumes labelled" in printed
    assert "sub-02: grid of 16 x 18 x 14 voxels" in printed
    assert "cnn: " in printed


@pytest.mark.parametrize("path", [DEFAULT_CONFIG, DEFAULT_CONFIG.with_name("tiny.yaml")])
def test_simulated_entries_of_the_repository_pass(path, capsys):
    config = complete_config(laid_over(DEFAULT, yaml.safe_load(path.read_text())))
    assert check_study("movie", config, REGISTRY) == []
    printed = capsys.readouterr().out
    assert "raw files are simulated" in printed
    # Of all volumes of all subjects, in whole batches.
    entry = config["emotions"]["movie"]
    training = entry["models"]["cnn"]["training"]
    n_volumes = len(entry["subjects"]) * sum(run["n_volumes"] for run in entry["runs"].values())
    n_steps = training["n_epochs"] * (n_volumes // training["batch"])
    assert f"at most {n_steps:,} steps of {training['batch']} volumes, about " in printed
    assert re.search(
        r"cnn: [\d,]+ parameters, .* volume of 16 x 18 x 14 voxels, .* of memory", printed
    )


@pytest.mark.parametrize("average", [True, False])
def test_size_of_a_network_is_counted_by_hand(average, folder, capsys):
    """A convolution of 27 weights, and a block that widens, filters each channel, and narrows."""
    network = {"widths": [4, 5], "expansion": 2, "average": average}
    problems_of(folder, models={"net": {"kind": "cnn", "network": network}})
    n_classes, n_voxels, n_halved = len(TINY["labels"]["classes"]), 80 * 80 * 35, 40 * 40 * 18
    n_inputs = 5 if average else 5 * n_halved
    at_voxels, at_halved, at_classes = 27 * 4 + 4 * 8, 27 * 8 + 8 * 5, n_inputs * n_classes
    # Each of 4, 8, 8 and 5 channels is normalised by two numbers.
    n_parameters = at_voxels + at_halved + 2 * (4 + 8 + 8 + 5) + at_classes + n_classes
    # A multiplication and an addition for every weight by which something is computed.
    operations = 2 * (at_voxels * n_voxels + at_halved * n_halved + at_classes)
    said = f"net: {n_parameters:,} parameters, {operations / 1e9:.3g} GFLOP of each volume of 80 x"
    assert said in capsys.readouterr().out


def lose_a_run(folder):
    (folder / BOLD.format("02", "02", "3")).unlink()


def cut_a_run(folder):
    shutil.copy(folder / BOLD.format("01", "01", "1"), folder / "whole.nii.gz")
    path = folder / BOLD.format("01", "01", "1")
    path.write_bytes(path.read_bytes()[:200])


def lose_a_column(folder):
    path = folder / "annotation/data/raw/av1o02.csv"
    pd.read_csv(path).drop(columns="emotion").to_csv(path, index=False)


def write_beyond_the_movie(folder):
    path = folder / "annotation/data/raw/av1o03.csv"
    table = pd.read_csv(path)
    table.loc[0, "end"] = 4000
    table.to_csv(path, index=False)


def say_nothing(folder):
    for path in (folder / "annotation/data/raw").glob("*.csv"):
        table = pd.read_csv(path)
        table[table["emotion"] != "FEAR"].to_csv(path, index=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lose_a_run, "run-3_bold.nii.gz"),
        (cut_a_run, "found no readable NIfTI image"),
        (lose_a_column, "found no column emotion"),
        (write_beyond_the_movie, "4000"),
        (say_nothing, "FEAR"),
    ],
)
def test_files_that_cannot_be_used_are_found(folder, change, words):
    change(folder)
    problems = problems_of(folder)
    assert problems
    assert any(words in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"labels": {**TINY["labels"], "classes": ["FEAR", "JOY"]}}, "JOY"),
        ({"labels": {**TINY["labels"], "classes": ["FEAR", "GLOATING"]}}, "GLOATING"),
        (
            {
                "splits": {"names": ["episode"], "n_folds": 20},
                "models": {"l": {"kind": "logistic"}},
            },
            "episodes",
        ),
    ],
)
def test_choices_that_cannot_be_run_are_found(folder, keys, words):
    problems = problems_of(folder, **keys)
    assert any(words in problem for problem in problems), problems
