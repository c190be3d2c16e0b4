"""A run that is made again, on other cores and under another name, has the same numbers."""

import pytest

from workflow.lib.check.same_results import compare_runs

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

# One study from its simulation on: alignment, resamples, permutations, group.
TABLES = ("rsa_group", "summary")


def test_one_core_gives_the_numbers_of_two(changed_run):
    # The shared run was made on two. Later --cores win.
    changed_run.snakemake(
        *(f"results/again/bold5000/tables/{table}.csv" for table in TABLES),
        *("--cores", "1", "--configfile", "config/tiny.yaml", "--config", "run=again"),
    )
    results = changed_run.folder / "results"
    again, whole = results / "again/bold5000", results / "tiny/bold5000"
    # What the tables do not need was not made again.
    differences = [
        found
        for found in compare_runs(again, whole).differences
        if found.what != f"found in {whole} alone"
    ]
    assert [found for found in differences if found.size > 1e-6] == []
    assert all((again / f"tables/{table}.csv").is_file() for table in TABLES)
