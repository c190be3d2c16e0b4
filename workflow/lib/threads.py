"""Work that runs beside itself within one job."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor


def in_threads(function: Callable, arguments: Sequence) -> list:
    """Return the results of a function for each argument, in order.

    Threads are as many as the job was given (OMP_NUM_THREADS, which Snakemake sets), or as the
    process may use. They gain time where the function spends its own outside Python: in products,
    in sorting, in compiled loops that give up the interpreter's lock.
    """
    n_threads = int(os.environ.get("OMP_NUM_THREADS") or _usable_cores())
    with ThreadPoolExecutor(max(1, min(n_threads, len(arguments)))) as pool:
        return list(pool.map(function, arguments))


def _usable_cores() -> int:
    # What a scheduler allows is less than what the machine has; macOS does not say.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
