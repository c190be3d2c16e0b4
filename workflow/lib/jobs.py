"""What every script does around its one function: a log, and errors that users can read."""

import contextlib
import errno
import faulthandler
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from workflow.lib.errors import InputError

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
# The first and the last line of every log, from which tables of costs take what the job was given
# and what it took.
JOB_STARTED = r" INFO rule \S+, wildcards .*, threads (?P<threads>\d+), gpu (?P<gpu>\d+)$"
JOB_DONE = r" INFO done, (?P<cpu>[\d.]+) s of processors(?:, (?P<memory>\d+) MB at most)?$"

# What a disk, or a user's share of it, says that has no room.
FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def script_job(snakemake) -> Iterator[logging.Logger]:
    """Run the block of a `script:` with its log file, and end it well if it fails.

    Everything logged goes to the rule's log file and, from warnings upwards, to the terminal.
    An `InputError` is reported as one sentence, and so is a full disk; any other exception with
    its traceback. All exit with status 1, upon which Snakemake deletes the outputs of the job.
    Of a crash below Python the log says where in Python it was.
    """
    logger, log_file = _set_up_logging(Path(str(snakemake.log[0])))
    given = (snakemake.threads, snakemake.resources.get("gpu", 0))
    wildcards = dict(snakemake.wildcards)
    logger.info("rule %s, wildcards %s, threads %s, gpu %s", snakemake.rule, wildcards, *given)
    try:
        with _crashes_told(log_file):
            yield logger
    except InputError as error:
        logger.error("%s", error)
        sys.exit(1)
    except Exception as error:
        if _is_disk_full(error):
            logger.info("%s", error)
            logger.error("%s", _disk_full(snakemake))
            logging.shutdown()
            # What h5py still holds could not be written either, and would say so at length.
            os._exit(1)
        logger.exception("rule %s failed", snakemake.rule)
        sys.exit(1)
    logger.info("done, %s", _used())


@contextlib.contextmanager
def _crashes_told(log_file: TextIO) -> Iterator[None]:
    """Let what ends the process without an exception leave its line of Python in the log file."""
    faulthandler.enable(log_file, all_threads=False)
    try:
        yield
    finally:
        # It must not outlive the file that it writes to.
        faulthandler.disable()


def _used() -> str:
    """Return the processor time and the largest memory of this process so far, as logs say it.

    Snakemake's own measurements are samples, of which long jobs have one in 30 s.
    """
    taken = os.times()
    seconds = taken.user + taken.system + taken.children_user + taken.children_system
    try:
        # Unlike what getrusage says, this starts anew with the process that the job is.
        peak = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
    except OSError:
        peak = None
    memory = f", {int(peak[1]) // 1024} MB at most" if peak else ""
    return f"{seconds:.2f} s of processors{memory}"


def _is_disk_full(error: Exception) -> bool:
    """Return whether a disk or a quota had no room; h5py says so in words alone."""
    return getattr(error, "errno", None) in FULL or os.strerror(errno.ENOSPC) in str(error)


def _disk_full(snakemake) -> str:
    folder = Path(str(snakemake.output[0])).parent
    return (
        f"{folder}: found no space left on the disk, expected room for what rule {snakemake.rule} "
        "writes; make room and start again, which goes on from what is finished"
    )


def _set_up_logging(log_file: Path) -> tuple[logging.Logger, TextIO]:
    log_file.parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(log_file, mode="w", encoding="utf-8")
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setLevel(logging.WARNING)
    logging.basicConfig(
        level=logging.INFO, format=LOG_FORMAT, handlers=[to_file, to_terminal], force=True
    )
    logging.captureWarnings(True)
    return logging.getLogger("workflow"), to_file.stream
