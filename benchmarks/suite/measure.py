"""Measure one side of one row, in this process alone.

python -m benchmarks.suite.measure <job.json>

The job names the module and function, the file of the inputs and their type, how many units to do,
and where results go. What is compiled (numba) is compiled on tiny inputs first, and timed apart.
"""

import json
import platform
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from benchmarks.suite.inputs import INPUTS, TINY, as_type

# Calls are repeated until there are so many, or until they have taken so long.
MOST_CALLS, ENOUGH_SECONDS = 5, 4.0
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def memory_mb(key: str) -> float:
    """Return VmRSS (memory now) or VmHWM (its peak) by the kernel's count; NaN off Linux."""
    if not STATUS.is_file():
        return float("nan")
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024 / 1e6


def reset_peak() -> None:
    """Let the kernel's count of the peak start from the memory held now."""
    if RESET.is_file():
        RESET.write_text("5")


def timed(call: Callable[[], dict]) -> tuple[tuple[float, float], dict]:
    """Return how long a call takes by the clock and of all processors, and its results."""
    clock, processors = time.perf_counter(), time.process_time()
    results = call()
    return (time.perf_counter() - clock, time.process_time() - processors), results


def repeated(call: Callable[[], dict]) -> tuple[list[tuple[float, float]], dict]:
    """Return the seconds of up to `MOST_CALLS` calls, and the results of the last."""
    taken: list[tuple[float, float]] = []
    while not taken or (
        len(taken) < MOST_CALLS and sum(clock for clock, _ in taken) < ENOUGH_SECONDS
    ):
        results: dict = {}  # those of the call before are let go
        seconds, results = timed(call)
        taken.append(seconds)
    return taken, results


def measure(job: dict) -> dict:
    """Return seconds per number of units, peak memory beyond the inputs, and compile time."""
    function = getattr(import_module(f"benchmarks.sides.{job['module']}"), job["function"])
    tiny = as_type(INPUTS[job["inputs"]](TINY), job["dtype"])
    first, second = (timed(lambda: function(tiny, 2))[0][0] for _ in range(2))
    with np.load(job["file"]) as file:
        arrays = as_type(dict(file), job["dtype"])
    seconds, peak = {}, 0.0
    # Results for other numbers of units, to compare with a side that did fewer, are not timed.
    for units in sorted({*job["units"], *job["results"]}):
        reset_peak()
        held = memory_mb("VmRSS")
        if units in job["units"]:
            seconds[units], results = repeated(lambda units=units: function(arrays, units))
            peak = max(peak, memory_mb("VmHWM") - held)
        else:
            results = function(arrays, units)
        if units in job["results"]:
            np.savez(Path(job["folder"]) / f"{units}.npz", **results)
        del results
    return {
        "seconds": seconds,
        "peak_mb": peak,
        "compile_seconds": max(first - second, 0.0),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text())
    (Path(job["folder"]) / "report.json").write_text(json.dumps(measure(job)))
