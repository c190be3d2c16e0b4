"""Captions of the tables of pairs say how many subjects there are, and whose data it is."""

import re
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

ROOT = Path(__file__).parents[2]
RULES = ROOT / "workflow/rules/studies/dissimilarity"


def captions():
    """Return the rules that name a template, with its name."""
    found = []
    for file in sorted(RULES.glob("*.smk")):
        for rule in re.split(r"^(?=rule )", file.read_text(), flags=re.MULTILINE):
            names = re.findall(r'caption="[./]*report/(\w+)\.rst"', rule)
            found += [(rule, name) for name in names]
    return found


@pytest.mark.parametrize("source", ["simulated", "path", "rsa"])
@pytest.mark.parametrize(("rule", "name"), captions(), ids=[name for _, name in captions()])
def test_caption_says_n_and_whether_data_is_simulated(rule, name, source):
    assert re.search(r"^        subjects=", rule, flags=re.MULTILINE), "no params.subjects"
    template = (ROOT / f"workflow/report/{name}.rst").read_text()
    text = jinja2.Template(template, undefined=jinja2.StrictUndefined).render(
        snakemake=SimpleNamespace(
            params=SimpleNamespace(subjects=["a", "b", "c"]),
            wildcards=SimpleNamespace(study="pairs"),
            config={"dissimilarity": {"pairs": {"source": source}}},
        )
    )
    assert "n = 3 subjects" in text
    assert text.rstrip().endswith("Simulated data.") == (source == "simulated")


def test_every_table_of_the_study_has_one():
    names = [name for _, name in captions()]
    assert {"pair_scores_table", "inflation_table", "model_ranking_table"} <= set(names)
    assert len(names) == len(set(names)) >= 8
