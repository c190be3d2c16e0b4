"""Claims on pairs are held to entries that could show them."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.dissimilarity.evaluation.tabulate_pair_scores import Fit
from scripts.report.claims import asks, read_claims
from workflow.lib.config.complete import complete_config
from workflow.lib.config.merging import laid_over
from workflow.lib.pairs.splits import MATCHED, RANDOM_PAIRS, make_folds

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


def test_leak_is_judged_on_as_many_training_pairs(entries):
    """More pairs help by themselves: dealt out at random, training has half as many again."""
    claim = next(claim for claim in CLAIMS if claim["rule"] == "leak")
    asked = {name: entry for name, entry in entries.items() if asks(claim, name)}
    assert set(asked) == {"scenes", "algonauts2023_matched"}
    for name, entry in asked.items():
        assert entry["splits"]["leaked"] == MATCHED, name
        assert "deal == 'matched'" in claim["where"]
        assert "mlp_published" in entry["models"]
    published = entries["algonauts2023_published"]
    sizes = {
        deal: n_pairs(published["n_images"], published["splits"], deal)
        for deal in (MATCHED, RANDOM_PAIRS)
    }
    # Told in config/full.yaml.
    assert sizes == {MATCHED: (57_630, 57_630), RANDOM_PAIRS: (57_630, 84_830)}


def n_pairs(n_images, splits, deal):
    """Return the numbers of clean and leaked training pairs of the first fold."""
    fold = make_folds(
        n_images,
        n_folds=splits["n_folds"],
        validation_share=splits["validation_share"],
        rng=np.random.default_rng(0),
        leaked=deal,
    )[0]
    return fold.trained.size * (fold.trained.size - 1) // 2, fold.leaked.training.size


@given(seed=st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_means_of_limits_hold_the_interval_of_the_mean(seed):
    """Of networks with 0 to 3 hidden layers, in the same resamples: the mean varies no more."""
    rng = np.random.default_rng(seed)
    common, own = rng.uniform(0, 1, 2)
    draws = common * rng.normal(size=300) + own * rng.normal(size=(4, 300))
    values = rng.normal(size=4)
    fits = [
        Fit(np.array([value]), [of_one], np.array([150]))
        for value, of_one in zip(values, draws, strict=True)
    ]
    together = Fit(np.array([values.mean()]), [draws.mean(axis=0)], np.array([150]))
    low, high = np.mean([fit.over_images() for fit in fits], axis=0)
    own_low, own_high = together.over_images()
    assert low <= own_low + 1e-12
    assert own_high <= high + 1e-12


@pytest.mark.parametrize("name", ["config.yaml", "full.yaml", "tiny.yaml"])
def test_variants_say_what_they_are(name):
    """Figures call a fit by model, embedding and variant: a bare 3 could be anything."""
    studies = yaml.safe_load((CONFIG / name).read_text())["dissimilarity"].values()
    variants = [
        (variant, options)
        for study in studies
        for block in study.get("models", {}).values()
        for variant, options in block.get("variants", {}).items()
    ]
    assert variants
    for variant, options in variants:
        if "n_hidden" in options:
            assert variant == f"{options['n_hidden']}_hidden"
        assert not variant.isdigit()
