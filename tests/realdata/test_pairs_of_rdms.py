"""Pairs of images of real data sets of which there are RDMs alone: honest scores of few models."""

import pandas as pd
import pytest
import yaml

from tests.checkout import copy_of_repository, merged
from workflow.lib.config.complete import complete_config
from workflow.lib.sources import axis_of

pytestmark = [pytest.mark.realdata, pytest.mark.slow, pytest.mark.xdist_group("workflow")]

STUDIES = ("images92", "algonauts2019")
# Subjects that models are fitted to.
N_SUBJECTS, N_IMAGES, N_FOLDS = 4, 92, 5
FEW = {
    "embeddings": {"pixel": {"kind": "pixel", "options": {"side": 16, "colour": True}}},
    "splits": {"n_folds": N_FOLDS},
    "inference": {"n_bootstrap": 100, "n_permutations": 199},
    "models": {
        "mean": {"kind": "mean"},
        "additive": {"kind": "additive"},
        "raw_distance": {"kind": "raw_distance"},
        "ridge": {"kind": "ridge"},
        "ridge_shuffled": {"kind": "ridge", "shuffled": True},
        "encode": {"kind": "encode"},
    },
}
FIGURES = ("model_ranking_clean", "inflation", "subject_rois")


@pytest.fixture(scope="module")
def run(mirror, tmp_path_factory):
    """Return a copy of the repository in which few models ran on both data sets."""
    for study in STUDIES:
        if not (mirror / study).is_dir():
            pytest.skip(f"no folder {study} among the real raw files at {mirror}")
    checkout = copy_of_repository(tmp_path_factory.mktemp("pairs"))
    default = complete_config(yaml.safe_load((checkout.folder / "config/config.yaml").read_text()))
    entries = {}
    for study in STUDIES:
        subjects = list(axis_of(default["rsa"][study]["brain"], "subject").names[:N_SUBJECTS])
        models = {name: {**block, "subjects": subjects} for name, block in FEW["models"].items()}
        title = default["dissimilarity"][study]["title"]
        entries[study] = {"title": title, "source": "rsa", **FEW, "models": models}
    real = yaml.safe_load((checkout.folder / "config/real.yaml").read_text())
    config = merged(real, {"run": "pairs", "studies": list(STUDIES), "dissimilarity": entries})
    checkout.write("config/pairs.yaml", yaml.safe_dump(config))
    checkout.snakemake(
        *(f"results/pairs/{study}/figures/{figure}.png" for study in STUDIES for figure in FIGURES),
        *(f"results/pairs/{study}/tables/pair_scores.csv" for study in STUDIES),
        *("--configfile", "config/pairs.yaml", "--config", f"mirror={mirror}"),
    )
    return checkout


@pytest.fixture(params=STUDIES)
def tables(run, request):
    return run.folder / f"results/pairs/{request.param}/tables"


@pytest.fixture
def scores(tables):
    return pd.read_csv(tables / "pair_scores.csv")


def test_models_of_responses_are_not_applicable_and_figures_say_so(tables, scores):
    status = scores.groupby("model")["status"].unique().map(set)
    assert status.pop("encode") == {"not applicable"}
    assert all("fitted" in found for found in status)
    reasons = scores.query("model == 'encode' and status == 'not applicable'")["reason"]
    assert reasons.str.contains("needs responses, which this study has not").any()
    for name in ("model_ranking_clean", "inflation"):
        drawn = (tables.parent / f"figures/{name}.svg").read_text()
        assert "encode, pixel" in drawn
        assert "not fitted" in drawn
    caption = (tables.parent / "figures/model_ranking_clean.rst").read_text()
    assert "1 fit(s) are not applicable to the data" in caption


def test_every_subject_and_roi_is_scored_on_all_splits(scores):
    fitted = scores.query("model == 'ridge' and status == 'fitted'")
    assert set(fitted["split"]) == {"clean", "one_seen", "leaked"}
    cells = fitted.groupby(["subject", "roi", "metric", "split", "measure"]).size()
    assert (cells == 1).all()
    assert (fitted["n_images"] == N_IMAGES).all()
    # Folds of 18 and 19 images.
    n_clean = 3 * (18 * 17 // 2) + 2 * (19 * 18 // 2)
    assert (fitted.query("split == 'clean'")["n_pairs"] == n_clean).all()


def test_shuffled_control_is_at_zero_on_clean_splits(scores):
    """Over all subjects and ROIs: single ones scatter about it."""
    shuffled = scores.query(
        "model == 'ridge_shuffled' and split == 'clean' and measure == 'spearman'"
    )["value"]
    assert shuffled.mean() == pytest.approx(0, abs=0.05)
    assert (shuffled.abs() < 0.2).all()


def test_effects_of_images_predict_pairs_of_seen_images_alone(scores):
    """What is special about an image is no use for images that were never seen."""
    additive = scores.query("model == 'additive' and measure == 'r2' and status == 'fitted'")
    means = additive.groupby("split")["value"].mean()
    assert means["leaked"] > means["clean"] + 0.05
    assert (additive.query("split == 'clean'")["value"] <= 0).all()


def test_inflation_stands_for_every_model_that_has_both_splits(tables):
    inflation = pd.read_csv(tables / "inflation.csv").set_index("model")["value"]
    assert inflation[["mean", "additive", "raw_distance", "ridge"]].notna().all()
    assert inflation["encode"].isna().all()


def test_shuffled_control_is_rarely_significant(scores):
    p = scores.query("model == 'ridge_shuffled' and split == 'clean' and measure == 'spearman'")
    assert (p["p"] <= 0.05).mean() <= 0.25
