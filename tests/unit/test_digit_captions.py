"""Captions of the tables of the digits study and of searchlights: whose data, and every column."""

import re
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
from snakemake.iocontainers import Wildcards

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "workflow/report"
RULES = ROOT / "workflow/rules"
RSA_STUDY = {
    "searchlight": {"comparator": "spearman"},
    "images": {"called": "categories"},
    "brain": {"subjects": {"names": ["01", "02", "03"]}},
}
PARAMS = {
    **{"subjects": ["01", "02", "03"], "share": 0.05, "comparator": "spearman"},
    **{"contrasts": {"Versus": {"Versus": 1}}, "title": "Digits"},
}


def captions():
    """Return the templates that rules of searchlights and of the digits study name."""
    files = [RULES / "stages/searchlight.smk", *(RULES / "studies/digits").glob("*.smk")]
    rules = "".join(file.read_text() for file in files)
    return sorted(set(re.findall(r'caption="[./]*report/(\w+)\.rst"', rules)))


def rendered(name, source, section="rsa"):
    study = {**RSA_STUDY, "source": source}
    config = {"rsa": {}, "digits": {}} | {section: {"lab": study}}
    template = (REPORT / f"{name}.rst").read_text()
    return jinja2.Template(template, undefined=jinja2.StrictUndefined).render(
        snakemake=SimpleNamespace(
            params=SimpleNamespace(**PARAMS, simulated=source == "simulated"),
            wildcards=Wildcards(fromdict={"study": "lab", "model": "net"}),
            config=config,
        )
    )


@pytest.mark.parametrize("name", captions())
@pytest.mark.parametrize("source", ["simulated", "mirror"])
def test_caption_says_whether_data_is_simulated(name, source):
    text = rendered(name, source)
    # Only simulated subjects have planted regions.
    always = name == "map_recovery_table"
    assert text.rstrip().endswith("Simulated data.") == (always or source == "simulated")


@pytest.mark.parametrize("name", ["maximised_table", "accuracy_table", "code_fit_table"])
def test_caption_of_a_study_without_a_brain(name):
    assert rendered(name, "mirror", section="digits")


def test_caption_of_clusters_says_how_many_subjects():
    assert "n = 3 subjects" in rendered("searchlight_clusters", "mirror")
