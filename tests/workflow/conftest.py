"""Runs of the workflow that its tests share."""

import shutil

import pytest
from filelock import FileLock

from tests.checkout import Checkout, copy_of_repository


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, worker_id):
    """Return a copy of the repository in which config/tiny.yaml has run; tests only read it.

    One worker runs it, and all others wait: two at once would take two cores as long each.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "tiny"
    done = folder.with_suffix(".done")
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            checkout = copy_of_repository(folder)
            checkout.snakemake("--configfile", "config/tiny.yaml")
            report = "results/tiny/report.html"
            checkout.snakemake("--configfile", "config/tiny.yaml", "--report", report)
            done.touch()
    return Checkout(folder)


@pytest.fixture
def changed_run(tiny_run, tmp_path):
    """Return a copy of the finished tiny run that a test may change."""
    shutil.copytree(tiny_run.folder, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy")


@pytest.fixture
def fresh(tmp_path):
    """Return a copy of the repository in which nothing has run."""
    return copy_of_repository(tmp_path / "fresh")
