"""Faults put into runs of Snakemake: a script stops at a chosen rename, and somebody is killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.checkout import Checkout

# Imported by every Python process of the run when it starts. A script stops where it gives a
# finished file its name, before or after; or finds the disk full.
HOOK = """
import errno, os, time
from pathlib import Path
target, when, said = (os.environ[f"FAULT_{name}"] for name in ("FILE", "WHEN", "SAID"))
real = os.replace

def pause():
    Path(said).write_text(str(os.getpid()))
    while not Path(said + ".go").exists():
        time.sleep(0.02)

def replace(source, destination, **options):
    hit = str(destination).endswith(target) and not os.path.exists(said)
    if hit and when == "full":
        Path(said).write_text(str(os.getpid()))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(destination))
    if hit and when == "before":
        pause()
    real(source, destination, **options)
    if hit and when == "after":
        pause()

os.replace = replace
"""
SECONDS = 300


class FaultyRun:
    """A run of Snakemake in a session of its own, which stops at a fault.

    Parameters
    ----------
    checkout : Checkout
    arguments : of Snakemake
    file : end of the path of the file at which a script stops
    when : "before" or "after" the rename, or "full" for an error in place of it
    """

    def __init__(self, checkout: Checkout, arguments, *, file="no file", when="before") -> None:
        folder = checkout.folder.with_name(f"{checkout.folder.name}-fault")
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(HOOK)
        self.said, self.log = folder / "said", folder / "log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
                cwd=checkout.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ
                | {
                    "XDG_CACHE_HOME": str(checkout.folder / ".cache"),
                    "PYTHONPATH": str(folder),
                    **{"FAULT_FILE": file, "FAULT_WHEN": when, "FAULT_SAID": str(self.said)},
                },
            )

    def wait_for(self, condition) -> None:
        """Wait until something holds; fail if the run ends before."""
        until = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.02)

    def script(self) -> int:
        """Return the number of the process that has stopped at the fault."""
        self.wait_for(lambda: self.said.exists() and self.said.read_text())
        return int(self.said.read_text())

    def kill_script(self) -> str:
        """Kill the script as the kernel does where memory ends; return what Snakemake says."""
        os.kill(self.script(), signal.SIGKILL)
        assert self.process.wait(SECONDS) != 0
        return self.log.read_text()

    def kill_snakemake(self) -> None:
        """Kill Snakemake alone: the script goes on, and nobody waits for it."""
        script = self.script()
        self.process.kill()
        self.process.wait(SECONDS)
        Path(f"{self.said}.go").touch()
        until = time.monotonic() + SECONDS
        while is_alive(script) and time.monotonic() < until:
            time.sleep(0.02)

    def kill_all(self) -> None:
        """Kill every process of the session at once, as a power cut does."""
        for pid in session(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        for pid in session(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(SECONDS)


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that nobody has buried is dead."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def session(leader: int) -> list[int]:
    """Return the processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                found.append(int(stat.parent.name))
    return found
