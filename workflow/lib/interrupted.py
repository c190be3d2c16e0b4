"""What a run that was killed leaves behind: files half written, and the lock of its folder.

Snakemake asks for --unlock after it was killed, for it cannot tell a run that is dead from one that
goes on. Here every run leaves its process number beside its lock, so that the next one can tell;
and when the process began, for another may get the same number (in a container, nearly always).
Imported while the Snakefile is parsed: standard library alone.
"""

import os
import re
import time
from pathlib import Path

from workflow.lib.files import HOST, TEMPORARY

RUNS = "runs"
NOTE = "{host}-{pid}-{began}"
# What profiles/slurm/partitions.yaml allows (max_runtime); no rule asks for more than two days, at
# its last retry.
LONGEST_JOB_SECONDS = 7 * 24 * 3600
BOOT = Path("/proc/sys/kernel/random/boot_id")


def note_run(state: str | Path = ".snakemake") -> None:
    """Say that this process runs the workflow; call it once the folder is locked.

    Parameters
    ----------
    state : folder in which Snakemake keeps its locks
    """
    note = _note_of(os.getpid(), state)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()


def forget_run(state: str | Path = ".snakemake") -> bool:
    """Say that this process has ended its run; return whether no other may go on in the folder."""
    _note_of(os.getpid(), state).unlink(missing_ok=True)
    return all(map(_is_of_dead, _notes(state)))


def release_locks(state: str | Path = ".snakemake") -> bool:
    """Remove the locks of runs that were killed on this machine; return whether there were any.

    They stay where any run may go on: one on another machine, or one that has its lock and has not
    said its number yet.
    """
    notes, locks = _notes(state), _locks(state)
    if not notes or not all(_is_of_dead(note) for note in notes):
        return False
    last = max(map(_written, notes))
    if any(_written(lock) > last for lock in locks):
        return False
    for file in (*locks, *notes):
        file.unlink(missing_ok=True)
    return bool(locks)


def remove_leftovers(*folders: str | Path) -> int:
    """Remove files that are half written and that nobody writes any more; return how many.

    They are those of dead processes of this machine, and those that were last written to longer
    ago than any job may run: of compute nodes nobody can tell here whether one goes on.
    """
    longest_ago = time.time_ns() - LONGEST_JOB_SECONDS * 10**9
    name = re.compile(TEMPORARY.format(host="(.+)", pid=r"(\d+)", name=".+"))
    n_removed = 0
    for folder in folders:
        for file in Path(folder).rglob(f"{TEMPORARY.partition('{')[0]}*"):
            match = name.fullmatch(file.name)
            if match and (_is_dead(*match.groups()) or _written(file) < longest_ago):
                file.unlink(missing_ok=True)
                n_removed += 1
    return n_removed


def _note_of(pid: int, state: str | Path) -> Path:
    return Path(state, RUNS, NOTE.format(host=HOST, pid=pid, began=_began(pid)))


def _locks(state: str | Path) -> list[Path]:
    return list(Path(state, "locks").glob("*.lock"))


def _notes(state: str | Path) -> list[Path]:
    """Return the notes of runs that may hold a lock, and remove all others.

    A run has its lock before its note: one whose note is older than all locks has lost its own, to
    --unlock after it was killed, maybe on another machine, where nobody can tell that it is dead.
    """
    oldest = min(map(_written, _locks(state)), default=0)
    notes = []
    for note in Path(state, RUNS).glob("*"):
        if _written(note) < oldest:
            note.unlink(missing_ok=True)
        else:
            notes.append(note)
    return notes


def _written(file: Path) -> int:
    """Return when a file was last written (ns), 0 if a run that has ended just took it away."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _is_of_dead(note: Path) -> bool:
    """Return whether the run that left a note is known to have ended."""
    match = re.fullmatch(NOTE.format(host="(.+)", pid=r"(\d+)", began=r"([\da-f.]*)"), note.name)
    return match is not None and _is_dead(*match.groups())


def _is_dead(host: str, pid: str, began: str = "") -> bool:
    """Return whether a process is known to have ended, whoever has its number now."""
    if host != HOST:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it is another user's
    now = _began(pid)
    return "" not in (began, now) and began != now


def _began(pid: int | str) -> str:
    """Return the boot, and its clock's ticks when a process began; "" where no /proc tells."""
    try:
        boot = BOOT.read_text().strip().replace("-", "")
        # Field 22 of proc_pid_stat(5), the 20th behind the name, which may hold spaces.
        return f"{boot}.{Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19]}"
    except OSError:
        return ""
