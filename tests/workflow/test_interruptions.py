"""Runs that are interrupted: the next call completes, with the results of an undisturbed run."""

import contextlib
import os
import shutil
import subprocess
import sys

import pytest

from tests.checkout import Checkout
from tests.unit.misbehaving_server import CONTENT, misbehaving, ranged, whole
from tests.workflow.faults import FaultyRun
from workflow.lib.acquire.transfer import OVERLAP_BYTES
from workflow.lib.check.same_results import compare_runs, result_files

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("workflow"),
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of a run in /proc"),
]

RDMS = "results/tiny/bold5000/rdms/brain_CSI1.h5"
TABLE = "results/tiny/bold5000/tables/rsa_CSI1.csv"
RUN = (TABLE, "--configfile", "config/tiny.yaml")


@pytest.fixture
def unfinished(tiny_run, tmp_path):
    """Return a copy of the finished tiny run that lacks the RDMs and the table of a subject."""
    shutil.copytree(tiny_run.folder, tmp_path / "copy", symlinks=True)
    for file in (RDMS, TABLE):
        (tmp_path / "copy" / file).unlink()
    return Checkout(tmp_path / "copy")


def assert_completes(checkout, tiny_run):
    """Check that one more call, without options, ends with the same bytes and nothing else."""
    printed = checkout.snakemake(*RUN)
    assert "Traceback" not in printed
    whole = tiny_run.folder / "results/tiny"
    comparison = compare_runs(checkout.folder / "results/tiny", whole)
    assert comparison.differences == []
    assert comparison.n_identical == comparison.n_files == len(result_files(whole))
    assert {RDMS, TABLE} <= {f"results/tiny/{file}" for file in result_files(whole)}
    assert not list(checkout.folder.glob("results/**/.part-*"))
    assert not list(checkout.folder.glob("resources/**/.part-*"))
    assert checkout.planned_jobs(*RUN) == {}
    return printed


@pytest.mark.parametrize("file", [RDMS, TABLE])
def test_script_that_is_killed(unfinished, tiny_run, file):
    run = FaultyRun(unfinished, RUN, file=file)
    run.kill_script()
    assert not (unfinished.folder / file).exists()
    assert_completes(unfinished, tiny_run)


def test_snakemake_that_is_killed(unfinished, tiny_run):
    """Its script ends what it was at, unwatched; nobody has to unlock the folder."""
    FaultyRun(unfinished, RUN, file=RDMS).kill_snakemake()
    assert (unfinished.folder / RDMS).exists()
    assert list((unfinished.folder / ".snakemake/locks").iterdir())
    assert "An earlier run was killed" in assert_completes(unfinished, tiny_run)


@pytest.mark.parametrize("when", ["before", "after"])
def test_power_cut_around_the_rename(unfinished, tiny_run, when):
    run = FaultyRun(unfinished, RUN, file=TABLE, when=when)
    run.script()
    run.kill_all()
    assert (unfinished.folder / TABLE).exists() == (when == "after")
    assert bool(list(unfinished.folder.glob("results/**/.part-*"))) == (when == "before")
    assert_completes(unfinished, tiny_run)


def test_running_snakemake_keeps_its_lock(unfinished):
    """Another call must not take a living run for a dead one."""
    run = FaultyRun(unfinished, RUN, file=TABLE)
    run.script()
    try:
        assert "cannot be locked" in unfinished.snakemake(*RUN, ok=False)
    finally:
        run.kill_all()


@contextlib.contextmanager
def small_disk(folder, size, kept):
    """Put a small disk in the place of a folder, with what is in it; the folder is kept as kept."""
    folder.rename(kept)
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        folder.rmdir()
        kept.rename(folder)
        pytest.skip("only root may mount a small disk, and not in every container")
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        yield lambda larger: subprocess.run(
            ["mount", "-o", f"remount,size={larger}", str(folder)], check=True
        )
        shutil.rmtree(kept)
        shutil.copytree(folder, kept)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()
        kept.rename(folder)


def test_disk_that_is_full(unfinished, tiny_run):
    """A tmpfs that holds what is finished, and not what is to come."""
    folder = unfinished.folder / "results/tiny/bold5000/rdms"
    # Results are compared below, all that lie in their folder.
    with small_disk(folder, "100m", kept=unfinished.folder / "kept") as enlarge:
        in_use = sum(-(-file.stat().st_size // 4096) * 4096 for file in folder.iterdir())
        enlarge(in_use + 3 * 4096)
        printed = unfinished.snakemake(*RUN, ok=False)
        assert "found no space left on the disk, expected room for what rule" in printed
        assert "Traceback" not in printed
        assert not (unfinished.folder / RDMS).exists()
        enlarge("100m")
        assert_completes(unfinished, tiny_run)


def test_error_of_a_full_disk(unfinished, tiny_run):
    """Where no disk can be mounted: the rename says that the disk is full."""
    run = FaultyRun(unfinished, RUN, file=TABLE, when="full")
    assert run.process.wait(300) != 0
    assert "found no space left on the disk" in run.log.read_text()
    assert_completes(unfinished, tiny_run)


REGISTRY = """
toy:
  title: Toy
  licence: CC0-1.0
  citation: Nobody 2024
  homepage: https://example.org
  access: open
  files:
    - {{path: run-1.bin, url: "{url}/run-1.bin", approx_bytes: 200000}}
"""
N_CAME = 90_000


def test_download_that_is_killed_goes_on_where_it_stopped(fresh, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    file = "resources/toy/run-1.bin"
    call = (file, "--config", "studies=[bold5000]")

    def hang(handler):
        handler.give(ranged(handler, CONTENT, '"v1"')[:N_CAME])
        handler.server.stopped.wait(300)

    with misbehaving(hang, whole()) as server:
        registry = fresh.folder / "config/datasets.yaml"
        registry.write_text(registry.read_text() + REGISTRY.format(url=server.url))
        part = fresh.folder / "resources/.kept/toy/.run-1.bin.part"
        run = FaultyRun(fresh, call)
        run.wait_for(lambda: part.exists() and part.stat().st_size == N_CAME)
        run.kill_all()
        fresh.snakemake(*call)
        assert (fresh.folder / file).read_bytes() == CONTENT
        assert [headers.get("Range") for _, headers in server.requests] == [
            None,
            f"bytes={N_CAME - OVERLAP_BYTES}-",
        ]
        assert server.n_bytes == len(CONTENT) + OVERLAP_BYTES
    assert not (fresh.folder / "resources/.kept").exists()
