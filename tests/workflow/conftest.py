"""Runs of the workflow that its tests share."""

import shutil

import pytest

from tests.checkout import Checkout, copy_of_repository


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """Return a copy of the repository in which config/tiny.yaml has run; tests only read it."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("tiny"))
    checkout.snakemake("--configfile", "config/tiny.yaml")
    checkout.snakemake("--configfile", "config/tiny.yaml", "--report", "results/tiny/report.html")
    return checkout


@pytest.fixture
def changed_run(tiny_run, tmp_path):
    """Return a copy of the finished tiny run that a test may change."""
    shutil.copytree(tiny_run.folder, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy")


@pytest.fixture
def fresh(tmp_path):
    """Return a copy of the repository in which nothing has run."""
    return copy_of_repository(tmp_path / "fresh")
