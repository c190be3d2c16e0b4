"""Contrast patterns of Miyawaki et al. 2008: images beside responses, and shapes decoded."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import Ridge

from scripts.reconstruction.data.prepare_pictures import (
    prepare_pictures,
    shown_names,
    stimuli_from_arrays,
)
from scripts.reconstruction.data.prepare_responses import prepare_responses
from scripts.reconstruction.data.response_files import open_responses
from scripts.reconstruction.decoders.folds import decoder_folds
from scripts.reconstruction.decoders.ridge import RidgeSettings, fit_ridge
from tests.checkout import copy_of_repository

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.realdata

OPTIONS = {"format": "arrays", "key": "R2", "images": {"key": "I2", "shape": [10, 10]}}
# The letters e and r of "neuro", which no mirror image or turn of them would show, by which of the
# shapes they are in the order of the file.
LETTERS = {
    6: ["####", "#  #", "####", "#   ", "####"],
    8: ["####", "#   ", "#   ", "#   ", "#   "],
}


@pytest.fixture(scope="module")
def prepared(mirror):
    """Return the table of images, and the trials with the row of each one's image."""
    file = mirror / "miyawaki" / "V1_mean_figure.mat"
    names = shown_names({"training": {"S1": file}}, OPTIONS)
    pictures = stimuli_from_arrays({"training": file}, names, OPTIONS, side=10)
    table = prepare_pictures(names, pictures, matte=False, blur=0)
    recorded = {"training": open_responses(file, "training", OPTIONS).read({"V1": "all"})}
    _, parts = prepare_responses(recorded, table, missing="refuse")
    trials = parts["training"]
    return table, trials, table.positions(trials.names)


def test_ten_shapes_are_shown_eight_times_the_right_way_up(prepared):
    table, trials, image_of = prepared
    assert trials.responses.shape == (80, 797)
    assert np.bincount(image_of).tolist() == [8] * 10
    assert len(set(table.groups.tolist())) == 10
    in_order = list(dict.fromkeys(trials.names))
    for place, drawn in LETTERS.items():
        shape = table.shapes[table.names.index(in_order[place])]
        rows, columns = (np.flatnonzero(shape.any(axis=axis)) for axis in (1, 0))
        letter = shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert ["".join(" #"[int(pixel)] for pixel in row) for row in letter] == drawn


def correlations(predicted, shapes):
    """Return the correlation over pixels of each trial with its shape."""
    return [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted, shapes, strict=True)]


def held_out(prepared, fit):
    """Return the mean correlation of trials with shapes that no trial told of."""
    table, trials, image_of = prepared
    shapes = table.shapes.reshape(10, -1)[image_of]
    folds = decoder_folds(table, n_folds=10, validation_share=0, seed=1, study="miyawaki")
    scores = []
    for fold in folds:
        tested = np.isin(image_of, fold.tested)
        model = fit(trials.responses[~tested], shapes[~tested], table.groups[image_of[~tested]])
        scores += correlations(model.predict(trials.responses[tested]), shapes[tested])
    assert len(scores) == 80
    return np.mean(scores)


def test_ridge_of_another_library_finds_what_is_known_of_the_data(prepared):
    found = held_out(prepared, lambda x, y, groups: Ridge(alpha=100).fit(x, y))
    assert found == pytest.approx(0.78, abs=0.01)


def test_our_ridge_with_that_penalty_is_the_same(prepared):
    settings = RidgeSettings(alphas=[100.0], per_target=False, n_inner_folds=3)
    found = held_out(prepared, lambda x, y, groups: fit_ridge(x, y, groups, settings, seed=0))
    assert found == pytest.approx(0.784, abs=0.005)


@pytest.mark.parametrize("per_target", [False, True])
def test_penalties_that_training_images_choose_find_shapes_too(prepared, per_target):
    settings = RidgeSettings(np.logspace(-1, 4, 11).tolist(), per_target, n_inner_folds=3)
    found = held_out(prepared, lambda x, y, groups: fit_ridge(x, y, groups, settings, seed=0))
    # Over the whole range of penalties 0.65 to 0.79 is known.
    assert 0.65 < found < 0.79


def test_responses_of_other_images_find_none(prepared):
    table, trials, image_of = prepared
    order = np.random.default_rng(0).permutation(10)
    # What another image evoked; without a shape of its own, only the mean image can be told.
    shuffled = (table, trials, order[image_of])
    mean = held_out(prepared, lambda x, y, groups: _Mean(y))
    found = held_out(shuffled, lambda x, y, groups: Ridge(alpha=100).fit(x, y))
    assert found < mean + 0.05
    assert mean < 0.78 - 0.15


def test_the_workflow_finds_what_is_known_of_the_data(mirror, tmp_path):
    """Ridge of 100 leaves out a shape with all its trials; responses to others tell less."""
    checkout = copy_of_repository(tmp_path)
    tables = "results/real/miyawaki/tables"
    checkout.snakemake(
        f"{tables}/decoder_means.csv",
        "results/real/miyawaki/figures/shapes_training.png",
        *("--configfile", "config/real.yaml", "--config", f"mirror={mirror}", "studies=[miyawaki]"),
    )
    trials = pd.read_csv(checkout.folder / tables / "shape_scores.csv")
    assert (trials.groupby("decoder")["name"].nunique() == 80).all()
    mean = trials.groupby("decoder")["pixel_correlation"].mean()
    assert mean["fixed"] == pytest.approx(0.78, abs=0.01)
    assert 0.65 < mean["chosen"] < 0.8
    assert mean["shuffled"] < mean["fixed"] - 0.15
    audit = pd.read_csv(checkout.folder / tables / "leak_audit.csv")
    assert (audit["n_shared"] == 0).all()
    # Ten folds, each without one of ten shapes.
    tested = audit.query("of == 'test' and check == 'items' and decoder == 'fixed'")
    assert set(tested["n"]) == {8}
    assert set(tested["fold"]) == set(range(1, 11))


def test_both_configs_have_the_same_study_from_other_places():
    real, full = (
        yaml.safe_load((ROOT / "config" / name).read_text())["reconstruction"]["miyawaki"]
        for name in ("real.yaml", "full.yaml")
    )
    assert (real.pop("source"), full.pop("source")) == ("mirror", "download")
    assert real == full


class _Mean:
    """The mean of the training shapes."""

    def __init__(self, shapes):
        self.shape = shapes.mean(axis=0)

    def predict(self, trials):
        return np.repeat(self.shape[None], len(trials), axis=0)
