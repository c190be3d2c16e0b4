"""Gather what every job of a run took: time on the clock, time of processors, memory.

snakemake --cores 2 results/demo/tables/cost.csv
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.lib.jobs import JOB_DONE, JOB_STARTED, script_job
from workflow.lib.tables import read_table, write_html, write_table

# What a file of Snakemake's holds where a job ended before its first sample.
NOT_SAMPLED = ("NA", "-", "")


@dataclass(frozen=True)
class JobCost:
    """What a job took; numbers that were not measured are NaN, and times are empty.

    Attributes
    ----------
    rule : str
    study : str
        Empty for jobs of several studies.
    job : str
        Its benchmark file, without the ending, below the folder of benchmark files.
    started, finished : str
        UTC.
    seconds : float
        On the clock.
    cpu_seconds : float
        Of all processors together, by the job's log or Snakemake's samples, whichever is more.
    memory_mb : float
        Largest resident memory (MiB), likewise.
    threads, gpu : float
        Cores and GPUs that the job was given.
    """

    rule: str
    study: str
    job: str
    started: str
    finished: str
    seconds: float
    cpu_seconds: float
    memory_mb: float
    threads: float
    gpu: float


def job_costs(jobs: Iterable[Sequence[str]], benchmarks: Path) -> pd.DataFrame:
    """Return a row per job, in the order of rules, studies and jobs.

    Parameters
    ----------
    jobs : (rule, study, benchmark file, log file) of every job of the run
        Of these alone: files of jobs that a changed config no longer asks for are left out.
    benchmarks : folder of the benchmark files
    """
    rows = [asdict(_cost(*job, benchmarks)) for job in jobs]
    table = pd.DataFrame(rows, columns=list(JobCost.__dataclass_fields__))
    return table.sort_values(["rule", "study", "job"], ignore_index=True)


def _cost(rule: str, study: str, benchmark: str, log: str, benchmarks: Path) -> JobCost:
    file = Path(benchmark)
    job = str(file.relative_to(benchmarks).with_suffix(""))
    measured = _last_row(file) if file.is_file() else {}
    seconds = _number(measured, "s")
    started = finished = ""
    if measured:
        # Snakemake writes the file when the job ends.
        end = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        started, finished = (_time(end - timedelta(seconds=seconds)), _time(end))
    said = _said(Path(log)) if measured else {}
    # Samples miss what came after the last of them; a log knows of its own process alone.
    cpu, memory = (
        np.fmax(_number(measured, column), _number(said, name))
        for column, name in (("cpu_time", "cpu"), ("max_rss", "memory"))
    )
    given = (_number(said, "threads"), _number(said, "gpu"))
    return JobCost(rule, study, job, started, finished, seconds, cpu, memory, *given)


def _last_row(file: Path) -> dict[str, str]:
    """Return the last row of a benchmark file, {} if it has none."""
    with open(file, newline="") as handle:
        return next(reversed(list(csv.DictReader(handle, delimiter="\t"))), {})


def _number(row: dict[str, str], column: str) -> float:
    # A row that was cut short has None in its last columns.
    value = row.get(column) or ""
    return np.nan if value in NOT_SAMPLED else float(value)


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _said(log: Path) -> dict[str, str]:
    """Return what a log says of cores, GPUs, processor time and memory."""
    # What a program writes into a log need not be UTF-8.
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    found = filter(None, (re.search(line, text, re.M) for line in (JOB_STARTED, JOB_DONE)))
    return {name: value for line in found for name, value in line.groupdict("").items()}


def rule_costs(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return a row per rule and study, those of most seconds first.

    Parameters
    ----------
    jobs : rows of `job_costs`

    Returns
    -------
    DataFrame
        n_jobs of the run, n_measured that have a benchmark file; sums and maxima over these.
    """
    # An empty time sorts before all others, and is none.
    times = jobs.assign(
        started=jobs["started"].replace("", None), finished=jobs["finished"].replace("", None)
    )
    table = times.groupby(["rule", "study"], as_index=False).agg(
        n_jobs=("job", "size"),
        n_measured=("seconds", "count"),
        seconds=("seconds", _sum),
        seconds_max=("seconds", "max"),
        cpu_seconds=("cpu_seconds", _sum),
        cpu_seconds_max=("cpu_seconds", "max"),
        memory_mb_max=("memory_mb", "max"),
        threads_max=("threads", "max"),
        gpu_max=("gpu", "max"),
        first_started=("started", _first),
        last_finished=("finished", _last),
    )
    return table.sort_values(
        ["seconds", "rule", "study"], ascending=[False, True, True], ignore_index=True
    )


def _sum(values: pd.Series) -> float:
    """Return the sum of what was measured; of nothing it is not 0, but not known."""
    return float(values.sum(min_count=1))


def _first(times: pd.Series) -> str:
    return min(times.dropna(), default="")


def _last(times: pd.Series) -> str:
    return max(times.dropna(), default="")


if __name__ == "__main__":
    with script_job(snakemake):
        params, output = snakemake.params, snakemake.output
        jobs = job_costs(params.jobs, Path(params.benchmarks))
        write_table(jobs, output.jobs)
        write_table(rule_costs(jobs), output.table)
        write_html(
            read_table(output.table).round(1),
            output.html,
            title="What the run cost, by rule and study",
            simulated=False,
        )
