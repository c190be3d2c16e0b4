"""The workflow as a module of another repository's, which has folders of the same names."""

import pandas as pd
import pytest

from tests.checkout import REPOSITORY, Checkout

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

SNAKEFILE = f"""
configfile: "config/settings.yaml"


module ours:
    snakefile:
        "{REPOSITORY}/Snakefile"
    config:
        config["layers"]


use rule * from ours as ours_*


rule best_layer:
    default_target: True
    input:
        "results/lab/bold5000/tables/rsa_CSI1.csv",
    output:
        "best_layer.txt",
    script:
        "../scripts/best_layer.py"
"""
SETTINGS = """
layers:
  run: lab
  studies: [bold5000]
  calibration: {n_simulations: 0}
  rsa:
    bold5000:
      simulation: {n_images: 60}
      brain: {subjects: {names: [CSI1]}}
      images: {min_common: 20}
      controls: []
      inference: {n_permutations: 99, n_bootstrap: 100}
"""
SCRIPT = """
import csv

with open(snakemake.input[0], newline="") as file:
    row = max(csv.DictReader(file), key=lambda row: float(row["similarity"]))
with open(snakemake.output[0], "w") as file:
    file.write(row["layer"])
"""


@pytest.fixture
def other(tmp_path):
    """Return a repository of somebody else, laid out as workflows are."""
    files = {
        "workflow/Snakefile": SNAKEFILE,
        "config/settings.yaml": SETTINGS,
        "scripts/best_layer.py": SCRIPT,
        # What a package of this name would be found first by.
        "workflow/__init__.py": "",
        "scripts/__init__.py": "",
    }
    checkout = Checkout(tmp_path / "other")
    for path, text in files.items():
        checkout.write(path, text)
    return checkout


def test_rules_run_in_another_repository_on_its_config(other):
    # Response onsets of areas come with this repository.
    latency = "results/lab/bold5000/tables/latency.csv"
    methods = "results/lab/bold5000/methods.md"
    other.snakemake("best_layer", latency, methods)
    table = pd.read_csv(other.folder / "results/lab/bold5000/tables/rsa_CSI1.csv")
    best = table.loc[table["similarity"].idxmax(), "layer"]
    assert (other.folder / "best_layer.txt").read_text() == best
    assert len(pd.read_csv(other.folder / latency)) > 0
    # So do references, and what its sections say of themselves.
    assert "(Mantel, 1967)" in (other.folder / methods).read_text()
    # Everything that the run would have here, too.
    jobs = other.planned_jobs("ours_all")
    assert {name.removeprefix("ours_") for name in jobs} >= {"plot_heatmap", "write_provenance"}
    assert all(name.startswith("ours_") for name in jobs)
