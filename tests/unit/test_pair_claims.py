"""Claims on pairs are held to entries that could show them."""

import re
from pathlib import Path

import pytest
import yaml

from scripts.report.claims import asks, read_claims
from workflow.lib.config.complete import complete_config
from workflow.lib.config.merging import laid_over

CONFIG = Path(__file__).parents[2] / "config"
CLAIMS = read_claims(CONFIG / "dissimilarity/claims.csv").to_dict("records")
# The largest index of an image in a published extreme pair, counted from 0.
LAST_OF_EXTREMES = 886


@pytest.fixture(scope="module")
def entries():
    """The entries of section `dissimilarity` of the real studies, complete."""
    default, full = (
        yaml.safe_load((CONFIG / name).read_text()) for name in ("config.yaml", "full.yaml")
    )
    return complete_config(laid_over(default, full))["dissimilarity"]


def of_table(name):
    return [claim for claim in CLAIMS if claim["table"] == name]


def test_extremes_are_held_to_entries_with_the_published_images(entries):
    """A pair with image 886 is none of the first 500 images, whatever the data."""
    claims = of_table("extremes")
    assert len(claims) == 8
    for claim in claims:
        sizes = [entry["n_images"] for name, entry in entries.items() if asks(claim, name)]
        assert sizes
        assert all(size is None or size > LAST_OF_EXTREMES for size in sizes), claim["claim"]


def test_published_extremes_stand_in_captions_of_the_same_entries(entries):
    said = {name for name, entry in entries.items() if entry["published"]["extremes"]}
    assert said == {name for claim in of_table("extremes") for name in [claim["entry"]]}


def test_no_published_number_of_another_model_stands_beside_a_direction():
    """0.279 is a network's: above zero, an R² of 0.05 of ridge regression would look like it."""
    directions = [claim for claim in CLAIMS if claim["rule"] == "above"]
    assert directions
    assert not any(claim["published"] for claim in directions)
    assert any(re.search("0.279", claim["statement"]) for claim in directions)
