"""Where a network runs, and in which precision."""

import contextlib
import ctypes
import functools
import logging
import os
from collections.abc import Iterator

import torch

from workflow.lib.errors import InputError

log = logging.getLogger("workflow")

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def choose_device(n_gpus: int) -> torch.device:
    """Return the device of a job.

    Parameters
    ----------
    n_gpus : int
        What the rule was given, `resources.gpu`; 0 for the CPU.

    Raises
    ------
    InputError
        SLURM gave the job a GPU, and PyTorch sees none. A laptop goes on with the CPU, after a
        warning; a cluster job that did so would hold a GPU for days without using it.
    """
    if not n_gpus:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    reason = (
        "its driver or CUDA_VISIBLE_DEVICES"
        if torch.version.cuda
        else f"that PyTorch {torch.__version__} was built for CPUs only"
    )
    if "SLURM_JOB_ID" in os.environ:
        raise InputError(
            f"SLURM job {os.environ['SLURM_JOB_ID']}: found no GPU that PyTorch can use, expected "
            f"{n_gpus} (resources.gpu); the reason may be {reason}: mend it, or run the rule on "
            "CPUs by --resources gpu=0"
        )
    log.warning("found no GPU that PyTorch can use (%s); running on the CPU", reason)
    return torch.device("cpu")


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Return the context in which a network runs in a precision.

    Parameters
    ----------
    device : torch.device
        The CPU computes in float32 whatever is asked for: half precision is no faster there.
    precision : "float32", "bfloat16" or "float16"

    Raises
    ------
    InputError
        Another precision.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"found the precision {precision!r}, expected one of {', '.join(PRECISIONS)}"
        )
    if precision == "float32":
        return contextlib.nullcontext()
    if device.type == "cpu":
        _warn_once(f"the CPU computes in float32, not in {precision}, which is for GPUs")
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
    """Let PyTorch compute every operation in the thread that asks for it.

    Results are then the same however many threads there are.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# Parameters of glibc's mallopt, and the values between which it adapts them by itself.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1
_USUAL = {_MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26}


@contextlib.contextmanager
def reused_memory() -> Iterator[None]:
    """Keep freed memory for the next allocation, while a network runs on the CPU.

    By default glibc gives every tensor above 32 MB back to the system as soon as it is freed, and
    the system clears the pages of the next one: half the time of a forward pass of ResNet-50 on
    batches of 32 images. What was kept is given back at the end. Elsewhere than with glibc on
    Linux this does nothing.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        mallopt, trim = libc.mallopt, libc.malloc_trim
    except (OSError, AttributeError):
        yield
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _LARGEST)
    try:
        yield
    finally:
        for parameter, value in _USUAL.items():
            mallopt(parameter, value)
        trim(0)


@functools.cache
def _warn_once(message: str) -> None:
    log.warning(message)
