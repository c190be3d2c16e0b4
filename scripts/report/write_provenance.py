"""Record what a run was made of: commit, config, raw files, versions, device, seconds per rule."""

import csv
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from workflow.lib.files import sha256_of, written_whole
from workflow.lib.jobs import script_job


def provenance(
    config: Mapping, raw_files: Iterable[str], benchmarks: Path, requirements: Path
) -> dict:
    """Return the provenance of a run.

    Parameters
    ----------
    config : the completed config
    raw_files : raw files that the run read
    benchmarks : folder of Snakemake's benchmark files of the run
    requirements : file with the pinned packages of the project
    """
    return {
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain")),
        "config": dict(config),
        "raw_files": {file: _digest(Path(file)) for file in sorted(set(raw_files))},
        "python": platform.python_version(),
        "packages": _package_versions(requirements),
        "device": _device(),
        "seconds_per_rule": seconds_per_job(benchmarks),
    }


def seconds_per_job(benchmarks: Path) -> dict[str, float]:
    """Return wall-clock seconds of each job, from the benchmark files below a folder."""
    seconds = {}
    for file in sorted(benchmarks.rglob("*.tsv")):
        with open(file, newline="") as handle:
            rows = list(csv.DictReader(handle, delimiter="\t"))
        # A full disk leaves a file without any.
        if rows:
            seconds[str(file.relative_to(benchmarks).with_suffix(""))] = float(rows[-1]["s"])
    return seconds


def _digest(file: Path) -> str:
    """Return a raw file's SHA-256, from the record made when it was acquired if there is one."""
    record = file.with_name(file.name + ".sha256")
    return record.read_text().split()[0] if record.is_file() else sha256_of(file)


def _package_versions(requirements: Path) -> dict[str, str]:
    names = re.findall(r"^([A-Za-z0-9_.-]+)==", requirements.read_text(), flags=re.MULTILINE)
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not in this environment"
    return versions


def _device() -> dict[str, str | int | None]:
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": _gpu(),
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found.group(1) if found else platform.processor()


def _gpu() -> str | None:
    return _output_of("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")


def _git(*arguments: str) -> str | None:
    return _output_of("git", *arguments)


def _output_of(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


if __name__ == "__main__":
    with script_job(snakemake):
        record = provenance(
            snakemake.params.config,
            snakemake.input.raw,
            Path(snakemake.params.benchmarks),
            Path(snakemake.input.requirements),
        )
        with written_whole(snakemake.output[0]) as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n")
