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
    n_threads = min(int(os.environ.get("OMP_NUM_THREADS") or _usable_cores()), len(arguments))
    # To start a thread takes longer than the work of many calls.
    if n_threads <= 1:
        return list(map(function, arguments))
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, arguments))


def in_slices(function: Callable[[slice], object], n: int, size: int) -> None:
    """Call a function for consecutive slices of `size` out of `n`, in threads as `in_threads`.

    For compiled loops that fill arrays: several slices per thread even out what they cost, and
    what a loop is compiled for is one thread (compiling numba's own threads takes twice as long).
    """
    in_threads(function, [slice(start, min(start + size, n)) for start in range(0, n, size)])


def _usable_cores() -> int:
    # What a scheduler allows is less than what the machine has; macOS does not say.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
