"""Where a network runs, and in which precision."""

import contextlib
import functools
import logging
import os

import torch

from workflow.lib.errors import InputError

log = logging.getLogger(__name__)

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


@functools.cache
def _warn_once(message: str) -> None:
    log.warning(message)
