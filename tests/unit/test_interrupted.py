"""What a killed run leaves: its lock and half-written files go, those of living processes stay."""

import ast
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workflow.lib import files
from workflow.lib.files import HOST, written_whole
from workflow.lib.interrupted import forget_run, note_run, release_locks, remove_leftovers

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(folder):
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.*"))


# Locks, whose form is Snakemake's.

LOCKS = ("locks/0.input.lock", "locks/0.output.lock")
ANOTHER_BEGINNING = "0123456789abcdef.1"


def note(pid, *, host=HOST, began=""):
    return f"runs/{host}-{pid}-{began}"


@pytest.mark.parametrize("began", ["", ANOTHER_BEGINNING])
def test_lock_of_a_dead_run_is_released(tmp_path, dead, began):
    write(tmp_path, *LOCKS, note(dead, began=began))
    assert release_locks(tmp_path)
    assert names(tmp_path) == []
    assert not release_locks(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells when a process began")
@pytest.mark.parametrize("pid", [os.getpid(), 1], ids=["this process", "the first process"])
def test_number_of_a_dead_run_may_be_given_to_another_process(tmp_path, pid):
    """In containers the next run has nearly always the number of the one before."""
    write(tmp_path, *LOCKS, note(pid, began=ANOTHER_BEGINNING))
    assert release_locks(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "other",
    [
        *(note(os.getpid()), note(1), note(1, host="elsewhere")),
        *(note(999999, host="elsewhere-with-a-name", began=ANOTHER_BEGINNING), "runs/unknown"),
    ],
    # Processes that share the tests have to call them the same.
    ids=["this process", "the first process", "elsewhere", "elsewhere, with hyphens", "unknown"],
)
def test_lock_of_a_run_that_may_go_on_stays(tmp_path, dead, other):
    write(tmp_path, *LOCKS, note(dead), other)
    assert not release_locks(tmp_path)
    assert set(names(tmp_path)) >= set(LOCKS)


def test_lock_without_a_note_stays(tmp_path):
    """A run of an older version, or by another tool."""
    write(tmp_path, *LOCKS)
    assert not release_locks(tmp_path)


def test_lock_that_is_newer_than_all_notes_stays(tmp_path, dead):
    """A run that has just begun has its lock before its note."""
    write(tmp_path, note(dead), *LOCKS)
    os.utime(tmp_path / note(dead), ns=(0, 0))
    assert not release_locks(tmp_path)
    assert names(tmp_path) == list(LOCKS)


def test_run_elsewhere_whose_lock_was_removed_by_hand_does_not_count(tmp_path, dead):
    """Killed on another machine, unlocked here: its note stands in nobody's way from then on."""
    elsewhere = note(1, host="elsewhere")
    write(tmp_path, elsewhere)
    assert not release_locks(tmp_path)
    os.utime(tmp_path / elsewhere, ns=(0, 0))
    write(tmp_path, *LOCKS, note(dead))
    assert release_locks(tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_run_notes_itself_while_it_lasts(tmp_path):
    write(tmp_path, *LOCKS)
    note_run(tmp_path)
    (noted,) = (tmp_path / "runs").iterdir()
    assert noted.name.startswith(f"{HOST}-{os.getpid()}-")
    assert not release_locks(tmp_path)
    assert noted.exists()
    assert forget_run(tmp_path)
    assert forget_run(tmp_path)
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize(
    ("other", "is_last"),
    [("dead", True), (note(1), False), (note(1, host="elsewhere"), False)],
    ids=["dead", "alive", "elsewhere"],
)
def test_run_that_ends_knows_whether_it_was_the_last(tmp_path, dead, other, is_last):
    """Another one still needs what both keep: the second names of raw files."""
    write(tmp_path, *LOCKS, note(dead) if other == "dead" else other)
    note_run(tmp_path)
    assert forget_run(tmp_path) == is_last


# Files half written.


def test_leftovers_of_dead_processes_of_this_machine_are_removed(tmp_path, dead):
    mine, others = os.getpid(), ("a.csv", "b/.hidden.csv", "b/.part-a.csv", ".run.bin.part")
    gone = (f".part-{HOST}-{dead}-a.csv", f"b/c/.part-{HOST}-{dead}-map-2.nii.gz")
    kept = (f".part-{HOST}-{mine}-a.csv", f".part-elsewhere-{dead}-a.csv", *others)
    write(tmp_path, *gone, *kept)
    assert remove_leftovers(tmp_path, tmp_path / "none") == 2
    assert names(tmp_path) == sorted(kept)


def test_leftovers_of_compute_nodes_are_removed_once_no_job_can_write_them(tmp_path):
    days = {".part-node1-2-a.csv": 8, ".part-node1-2-b.csv": 6, "a.csv": 8, ".a.csv.part": 8}
    write(tmp_path, *days)
    for name, n_days in days.items():
        last_written = time.time() - n_days * 24 * 3600
        os.utime(tmp_path / name, (last_written, last_written))
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == sorted(set(days) - {".part-node1-2-a.csv"})


CHILD = """
import os, signal, sys
from workflow.lib.files import written_whole
with written_whole(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_writer_leaves_the_old_file_and_a_leftover_that_is_found(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("before")
    subprocess.run([sys.executable, "-c", CHILD, str(path)], cwd=ROOT, check=False)
    assert path.read_text() == "before"
    assert len(names(tmp_path)) == 2
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == ["a.csv"]


def test_content_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    """Otherwise a power cut may leave a file that has its name and no content."""
    done = []
    real = {"fsync": os.fsync, "replace": os.replace}
    for name, function in real.items():
        monkeypatch.setattr(
            files.os, name, lambda *given, name=name, f=function: (done.append(name), f(*given))[1]
        )
    with written_whole(tmp_path / "a.csv") as temporary:
        temporary.write_text("whole")
    assert done == ["fsync", "replace"]


# Every writer goes through `written_whole`.

WRITERS = {
    *("to_csv", "savefig", "write_text", "write_bytes", "tofile", "save", "save_file"),
    *("savez", "savez_compressed", "copyfile", "copy", "copy2", "savemat", "savetxt", "touch"),
    "to_filename",
}
# Functions of these names that return bytes, or write through others.
NO_WRITERS = {"safetensors.torch.save", "self.save", "saver.save"}
# Files that are no outputs, or that are made whole in another way.
OTHERWISE = {
    "workflow/lib/files.py": "the file that gets its name is given to the disk first",
    "workflow/lib/acquire/fetch.py": "the partial file of a download is moved once it is verified",
    "workflow/lib/acquire/transfer.py": "a download goes on in its partial file",
    "workflow/lib/interrupted.py": "a note without content",
    "workflow/lib/features/unit_blocks.py": "a file in a temporary folder",
    "scripts/reconstruction/data/bdata_files.py": "a file in a temporary folder",
    "scripts/report/write_explorer.py": "a picture in memory",
}


def paths_written(tree):
    """Yield (line, name of the variable that is written to or None, names that are temporary)."""

    def visit(node, temporary):
        if isinstance(node, ast.With):
            for item in node.items:
                call = item.context_expr
                if item.optional_vars and re.match(
                    r"(written_whole|tempfile\.TemporaryDirectory)\(", ast.unparse(call)
                ):
                    temporary = temporary | {ast.unparse(item.optional_vars)}
                opened = re.match(r"open\((\w+), 'wb'\)", ast.unparse(call))
                if opened and opened[1] in temporary:
                    temporary = temporary | {ast.unparse(item.optional_vars)}
        if isinstance(node, ast.Call):
            target = written_path(node)
            if target is not None:
                yield node.lineno, re.sub(r"^str\((\w+)\)$", r"\1", target), temporary
        for child in ast.iter_child_nodes(node):
            yield from visit(child, temporary)

    yield from visit(tree, frozenset())


def written_path(call):
    """Return the source of what a call writes to, None if it writes nothing."""
    function = ast.unparse(call.func)
    given = [ast.unparse(value) for value in call.args]
    owner, _, name = function.rpartition(".")
    if name == "open" or function in ("h5py.File", "zipfile.ZipFile"):
        if owner and (not given or re.fullmatch("'[rwxabt+]+'", given[0])):
            given = [owner, *given]  # a method of the path
        modes = [ast.unparse(word.value) for word in call.keywords if word.arg == "mode"]
        mode = [*modes, *given[1:], "'r'"][0]
        return None if re.fullmatch("'[rbt]+'", mode) else given[0]
    if name not in WRITERS or not owner or function in NO_WRITERS:
        return None
    if name in ("write_text", "write_bytes", "touch"):
        return owner
    if name in ("copy", "copyfile", "copy2"):
        return given[1] if owner == "shutil" else None
    return given[1] if function in ("nibabel.save", "torch.save") else (given or [""])[0]


@pytest.mark.parametrize(
    "call",
    [
        *('open(path, "w")', 'open(path, mode="wb")', 'open(path, "r+")', "open(path, mode)"),
        *('path.open("w")', 'path.open(mode="x")', 'gzip.open(path, "ab")'),
        *('h5py.File(path, "w")', 'h5py.File(path, mode="r+")', 'zipfile.ZipFile(path, "a")'),
        *("path.write_text(text)", "image.to_filename(path)", "nibabel.save(image, path)"),
        *("table.to_csv(path)", "shutil.copy(source, path)"),
    ],
)
def test_writer_is_told(call):
    assert list(paths_written(ast.parse(call))) == [(1, "path", frozenset())]


@pytest.mark.parametrize(
    "call",
    [
        *("open(path)", 'open(path, "rb")', 'path.open("rt")', "path.open()", "h5py.File(path)"),
        *('gzip.open(path, mode="rb")', "archive.open(member)", "array.copy()"),
    ],
)
def test_reader_is_no_writer(call):
    assert list(paths_written(ast.parse(call))) == []


@pytest.mark.parametrize("folder", ["scripts", "workflow/lib"])
def test_every_file_is_written_whole(folder):
    bare, n_found = [], 0
    for path in sorted((ROOT / folder).rglob("*.py")):
        where = path.relative_to(ROOT).as_posix()
        for line, target, temporary in paths_written(ast.parse(path.read_text())):
            n_found += 1
            if target not in temporary and where not in OTHERWISE:
                bare.append(f"{where}:{line} {target}")
    assert n_found > 5
    assert bare == []
