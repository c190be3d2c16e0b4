"""A run that is made again has the same tables, RDMs, arrays, maps and trained networks.

The shared run of config/tiny.yaml, on two cores, is held against

- all of it again on one core, under another name, with power cuts wherever it then is: every job
  has one thread, and they run in another order. All numbers are within the tolerance, and what no
  job of several threads leads to was computed as on two cores, and is the same byte for byte;
- its jobs of several threads, and those between them, again on two cores: the same byte for byte.

What a job writes follows from its inputs and its threads, so that both together hold a whole run on
the same cores to the same bytes; `make verify` makes one. Trained networks have no tolerance of
their own, for they train in one thread.
"""

import csv
import time

import h5py
import pandas as pd
import pytest

from tests.workflow.faults import FaultyRun
from workflow.lib.check.same_results import TOLERANCE, compare_runs, result_files

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

CONFIG = ("--configfile", "config/tiny.yaml")
# By the clock: at other jobs on every machine.
SECONDS_TO_POWER_CUTS = (40, 55, 70)
# A training and a file that it leads to, of each study that trains.
TRAINED = (
    "digits/models/vgg.safetensors",
    "digits/tables/accuracy_vgg.csv",
    "movie/models/cnn_run_and_subject.safetensors",
    "movie/tables/decoding.csv",
    "scenes/models/subj01_siamese_history.csv",
    "scenes/models/subj01_mlp_published_history.csv",
    "scenes/tables/pair_scores.csv",
)


@pytest.fixture(scope="module")
def whole(tiny_run):
    return tiny_run.folder / "results/tiny"


@pytest.fixture(scope="module")
def rules_of_several_threads(whole):
    jobs = pd.read_csv(whole / "tables/cost_jobs.csv")
    return sorted(set(jobs["rule"][jobs["threads"] > 1]))


def made_files(checkout):
    """Return file -> (rule, inputs) of everything that the run makes, as Snakemake lists it."""
    printed = checkout.snakemake(*CONFIG, "--detailed-summary")
    lines = [line for line in printed.splitlines() if "\t" in line]
    return {
        row["output_file"]: (row["rule"], set(row["input-file(s)"].split(",")))
        for row in csv.DictReader(lines, delimiter="\t")
    }


def with_followers(files, rules):
    """Return the results of rules, and of all that follows from them."""
    found, n_before = {file for file, (rule, _) in files.items() if rule in rules}, 0
    while n_before < len(found):
        n_before = len(found)
        found |= {file for file, (_, inputs) in files.items() if inputs & found}
    return {file.removeprefix("results/tiny/") for file in found}


def test_one_core_and_power_cuts_give_the_numbers_of_two(
    changed_run, whole, rules_of_several_threads
):
    files = result_files(whole)
    assert files.issuperset(TRAINED)
    arguments = [
        *(f"results/again/{file}" for file in sorted(files)),
        # The shared run was made on two. Later --cores win.
        *("--cores", "1", *CONFIG, "--config", "run=again"),
    ]
    for seconds in SECONDS_TO_POWER_CUTS:
        run = FaultyRun(changed_run, arguments)
        time.sleep(seconds)
        assert run.process.poll() is None, run.log.read_text()
        run.kill_all()
    changed_run.snakemake(*arguments)
    comparison = compare_runs(changed_run.folder / "results/again", whole)
    assert comparison.n_files == len(files)
    assert [found for found in comparison.differences if found.size > TOLERANCE] == []
    of_several_threads = with_followers(made_files(changed_run), rules_of_several_threads)
    of_one_thread = files - of_several_threads
    assert {file.split("/")[0] for file in of_one_thread} >= {"bold5000", "digits", "movie"}
    assert {found.file for found in comparison.differences} <= of_several_threads


def test_no_data_are_packed_in_a_way_that_depends_on_memory(whole):
    """As LZF does, too rarely for two runs to show it."""
    ways = set()

    def note_way(_, item):
        if isinstance(item, h5py.Dataset):
            ways.add(item.compression)

    for path in whole.rglob("*.h5"):
        with h5py.File(path) as file:
            file.visititems(note_way)
    assert ways == {None, "gzip"}


def test_same_cores_give_the_same_bytes(changed_run, whole, rules_of_several_threads):
    """What lies between these jobs is made again, too."""
    made = made_files(changed_run).items()
    removed = [file for file, (rule, _) in made if rule in rules_of_several_threads]
    assert len(removed) >= len(rules_of_several_threads) > 10
    for file in removed:
        (changed_run.folder / file).unlink()
    changed_run.snakemake(*removed, *CONFIG)
    comparison = compare_runs(changed_run.folder / "results/tiny", whole)
    assert comparison.differences == []
    assert comparison.n_identical == comparison.n_files == len(result_files(whole))
