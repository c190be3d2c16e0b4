"""What a run cost: every job is told as it last ran, and nothing that was not measured."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scripts.report.plot_costs import N_NAMED, cost_caption, named_rules, plot_costs
from scripts.report.tabulate_costs import job_costs, rule_costs
from scripts.report.write_provenance import seconds_per_job

ROOT = Path(__file__).parents[2]
HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"
LINE = (
    "2026-03-01 10:00:00,5 INFO rule {}, wildcards {{'study': 'a, threads 9'}}, threads {}, gpu {}"
)
ENDED = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def write_benchmark(folder, job, seconds, memory, cpu, ended=ENDED):
    """Write a benchmark file as Snakemake does."""
    file = folder / f"{job}.tsv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{HEADER}\n{seconds}\t0:00:10\t{memory}\t1\t1\t1\t0\t0\t50\t{cpu}\n")
    os.utime(file, (ended.timestamp(),) * 2)
    return str(file)


@pytest.fixture
def jobs(tmp_path):
    """Return the costs of four jobs, of which one was not measured, and one not sampled."""
    folder = tmp_path / "benchmarks"
    log = tmp_path / "fit.log"
    log.write_text(
        LINE.format("fit", 2, 1)
        + "\n2026-03-01 10:00:09,1 INFO done, 23.50 s of processors, 799 MB at most\n"
    )
    long_ago = datetime(2025, 1, 1, tzinfo=UTC)
    listed = [
        ("fit", "a", write_benchmark(folder, "a/fit_1", 10.5, 800, 20), str(log)),
        ("fit", "a", write_benchmark(folder, "a/fit_2", 4.5, 900, 5, long_ago), ""),
        ("draw", "", write_benchmark(folder, "draw", 0.3, "NA", "NA"), ""),
        ("draw", "b", str(folder / "b/draw.tsv"), ""),
    ]
    # Of a subject that the config has no more.
    write_benchmark(folder, "a/fit_3", 1000, 9999, 1000)
    return job_costs(listed, folder)


def test_jobs_of_the_run_are_told_and_no_others(jobs):
    assert set(jobs["job"]) == {"a/fit_1", "a/fit_2", "draw", "b/draw"}
    first = jobs.set_index("job").loc["a/fit_1"]
    # Of the samples and what the log says, the larger.
    assert (first["seconds"], first["cpu_seconds"], first["memory_mb"]) == (10.5, 23.5, 800)
    assert (first["threads"], first["gpu"]) == (2, 1)
    # 10.5 s before noon and 30 s.
    assert first["started"] == "2026-03-01T12:00:19Z"
    assert first["finished"] == "2026-03-01T12:00:30Z"


def test_what_was_not_measured_is_not_zero(jobs):
    missing = jobs.set_index("job").loc["b/draw"]
    assert missing[["seconds", "cpu_seconds", "memory_mb", "threads", "gpu"]].isna().all()
    assert missing["started"] == missing["finished"] == ""
    short = jobs.set_index("job").loc["draw"]
    assert short["seconds"] == 0.3
    assert np.isnan(short["memory_mb"])
    costs = rule_costs(jobs).set_index(["rule", "study"])
    assert np.isnan(costs.loc[("draw", "b"), "seconds"])
    assert np.isnan(costs.loc[("draw", ""), "cpu_seconds"])


# What is left of a benchmark file where a disk was full, or a job was killed while it wrote.
CUT = {"nothing": "", "header": f"{HEADER}\n", "row": f"{HEADER}\n10.5\t0:00:10\n"}


@pytest.mark.parametrize("left", CUT)
def test_files_that_were_cut_cost_nothing_but_themselves(tmp_path, left):
    """Their job is told as far as it is known, and all others as if nothing had happened."""
    folder, log = tmp_path / "benchmarks", tmp_path / "cut.log"
    log.write_bytes(LINE.format("fit", 2, 0).encode() + b"\ncaf\xe9\n")
    whole, cut = write_benchmark(folder, "a/whole", 10.5, 800, 20), folder / "a/cut.tsv"
    cut.write_text(CUT[left])
    jobs = job_costs([("fit", "a", whole, ""), ("fit", "a", str(cut), str(log))], folder)
    jobs = jobs.set_index("job")
    assert jobs.loc["a/whole", "cpu_seconds"] == 20
    assert np.isnan(jobs.loc["a/cut", "cpu_seconds"])
    known = {"row": 10.5}.get(left, np.nan)
    np.testing.assert_equal(jobs.loc["a/cut", "seconds"], known)
    expected = {"a/cut": known, "a/whole": 10.5} if left == "row" else {"a/whole": 10.5}
    assert seconds_per_job(folder) == expected


def test_rules_have_sums_and_maxima_and_the_times_of_first_and_last(jobs):
    costs = rule_costs(jobs)
    assert list(costs["rule"][:1]) == ["fit"]
    fit = costs.set_index(["rule", "study"]).loc[("fit", "a")]
    assert (fit["n_jobs"], fit["n_measured"]) == (2, 2)
    assert (fit["seconds"], fit["seconds_max"]) == (15, 10.5)
    assert (fit["cpu_seconds"], fit["cpu_seconds_max"]) == (28.5, 23.5)
    assert (fit["memory_mb_max"], fit["threads_max"], fit["gpu_max"]) == (900, 2, 1)
    # One of them is left of a run of the year before.
    assert fit["first_started"].startswith("2024-12-31")
    assert fit["last_finished"] == "2026-03-01T12:00:30Z"
    draw = costs.set_index(["rule", "study"]).loc[("draw", "b")]
    assert (draw["n_jobs"], draw["n_measured"]) == (1, 0)


def many_rules(n):
    rows = [
        *((f"rule_{i}", study, 2, 2, i + 1.0, i / 2, 100 + i) for i in range(n) for study in "ab"),
        ("unmeasured", "a", 1, 0, np.nan, np.nan, np.nan),
    ]
    names = ("rule", "study", "n_jobs", "n_measured")
    table = pd.DataFrame(rows, columns=[*names, "seconds", "cpu_seconds", "memory_mb_max"])
    times = {"first_started": "2026-03-01T12:00:19Z", "last_finished": "2026-03-01T12:01:00Z"}
    return table.assign(gpu_max=0.0, **times)


def test_named_rules_and_the_rest_add_up():
    table = many_rules(40)
    rows = named_rules(table)
    assert len(rows) == N_NAMED + 1
    assert rows["n_jobs"].sum() == table["n_jobs"].sum()
    assert rows["seconds"].sum() == table["seconds"].sum()
    assert rows["memory_mb_max"].max() == table["memory_mb_max"].max()
    assert rows["seconds"][:N_NAMED].is_monotonic_decreasing
    assert rows["rule"].iloc[0] == "rule_39"
    assert rows["rule"].iloc[-1] == f"{41 - N_NAMED} other rules"
    # A few are all named.
    assert len(named_rules(many_rules(5))) == 6


def test_caption_tells_totals_and_what_is_missing():
    table = many_rules(3)
    figure, caption = plot_costs(table, "demo")
    plt.close(figure)
    assert caption == cost_caption(table)
    assert "n = 13 jobs" in caption
    assert "of which 1 left no measurement" in caption
    assert f"{2 * (1 + 2 + 3)} s on the clock" in caption


def test_every_rule_with_a_script_is_measured():
    """Local rules that only gather what others made are not."""
    unmeasured = set()
    for file in (ROOT / "workflow/rules").rglob("*.smk"):
        for text in re.split(r"^(?= *rule \w+:)", file.read_text(), flags=re.M)[1:]:
            if "script:" in text and "benchmark:" not in text:
                unmeasured.add(re.search(r"rule (\w+):", text)[1])
    assert unmeasured == {"write_provenance", "tabulate_costs", "plot_costs"}
