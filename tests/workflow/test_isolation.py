"""Stages run in environments that hold what their files declare, and nothing else.

A stand-in for conda builds them with pip (tests/stand_in_conda.py): proven is which packages are
declared, not what conda's solver makes of it. Networks are left out, for their size.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import stand_in_conda
from tests.checkout import REPOSITORY, Checkout

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

TINY = ("--configfile", "config/tiny.yaml")
# Tables and figures by stages of the environments rsa and plot, of given RDMs alone.
TABLES = [
    "results/tiny/bold5000/tables/rsa_CSI1.csv",
    "results/tiny/bold5000/tables/rsa_group.csv",
    "results/tiny/bold5000/tables/summary.csv",
]
FIGURES = [
    "results/tiny/bold5000/figures/heatmap_CSI1.png",
    "results/tiny/bold5000/explorer.html",
    "results/tiny/digits/figures/codes.png",
]
RAW = "resources/toy/raw.npz"
RERUN = ("import_brain_rdms", "compute_codes")
REGISTRY = """
toy:
  title: Toy
  licence: CC0-1.0
  citation: Nobody 2024
  homepage: https://example.org
  access: open
  how_to_get: Ask nobody.
  files:
    - {path: raw.npz, approx_bytes: 8}
"""


def pinned(package):
    text = (REPOSITORY / "requirements.txt").read_text()
    return re.search(rf"^{package}==.*$", text, flags=re.MULTILINE)[0]


@pytest.fixture(scope="module")
def isolated(tmp_path_factory):
    """Return a function of a folder: Snakemake in it, beside a stand-in for conda alone."""
    version = ".".join(map(str, sys.version_info[:2]))
    if f"python ={version}\n" not in (REPOSITORY / "envs/rsa.yaml").read_text():
        pytest.skip(f"the environments have another Python than {version}, which runs the tests")
    folder = tmp_path_factory.mktemp("conda")
    try:
        stand_in_conda.create(folder / "driver", [pinned("snakemake")])
    except subprocess.CalledProcessError:
        pytest.skip("pip finds no packages here: there is no network")
    path = [stand_in_conda.install(folder / "conda"), folder / "driver/bin", os.environ["PATH"]]
    return lambda checkout: Checkout(
        checkout,
        python=str(folder / "driver/bin/python"),
        environment={"PATH": os.pathsep.join(map(str, path))},
    )


def with_conda(checkout):
    """Return the options of a run in environments, which are kept below the copy."""
    prefix = str(checkout.folder / "environments")
    return ("--software-deployment-method", "conda", "--conda-prefix", prefix)


def holds(environment, package):
    return any(environment.glob(f"lib/python*/site-packages/{package}"))


def test_light_stages_need_what_their_environments_declare_alone(isolated, changed_run):
    checkout = isolated(changed_run.folder)
    registry = checkout.folder / "config/datasets.yaml"
    registry.write_text(registry.read_text() + REGISTRY)
    checkout.write("mirror/toy/raw.npz", "PK raw")
    made = [checkout.folder / path for path in (*TABLES, *FIGURES)]
    before = {table: (checkout.folder / table).read_bytes() for table in TABLES}
    started = time.time()
    options = (*TINY, *with_conda(checkout), "--rerun-triggers")
    checkout.snakemake(
        *TABLES, *FIGURES, RAW, *options, "mtime", "--forcerun", *RERUN, "--config", "mirror=mirror"
    )
    assert all(file.stat().st_mtime > started for file in made)
    # The same tables as from one environment that holds everything.
    assert {table: (checkout.folder / table).read_bytes() for table in TABLES} == before
    assert (checkout.folder / RAW).read_text() == "PK raw"

    built = [file.with_suffix("") for file in (checkout.folder / "environments").glob("*.yaml")]
    assert len(built) == 4
    assert sorted(holds(environment, "numpy") for environment in built) == [False, True, True, True]
    for package in ("plotly", "rsatoolbox"):
        assert sum(holds(environment, package) for environment in built) == 1
    assert not any(holds(environment, "snakemake") for environment in built)
    driver = Path(checkout.python).parents[1]
    assert not any(holds(driver, name) for name in ("numpy", "pandas", "h5py"))

    # Another environment of the figures draws figures again, and no more.
    plot = checkout.folder / "envs/plot.yaml"
    plot.write_text(plot.read_text().replace("# Stage", "# The stage", 1))
    assert checkout.planned_jobs(FIGURES[-1], *options, "software-env") == {"plot_codes": 1}


def test_package_that_is_not_declared_is_missed(isolated, fresh):
    checkout = isolated(fresh.folder)
    lines = (checkout.folder / "envs/rsa.yaml").read_text().splitlines(keepends=True)
    kept = [
        line for line in lines if not re.match(r"  - (h5py|pandas|scipy|numba|pip)|      -", line)
    ]
    checkout.write("envs/rsa.yaml", "".join(kept))
    codes = "results/tiny/digits/features/rdms/model_codes.h5"
    printed = checkout.snakemake(codes, *TINY, *with_conda(checkout), ok=False)
    assert re.search(r"No module named '(h5py|pandas|scipy|numba)'", printed)
