"""The default study of the movie at seeds that nothing was tuned on: what occlusion finds of what
was planted, and that it finds nothing where nothing was.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from scripts.emotions.decoding.predictions import Predictions, read_predictions
from scripts.emotions.labelling.labels import Labels
from scripts.emotions.maps.compare_occlusion import emotion_means, occlusion_maps, tabulate_checks
from scripts.emotions.maps.occlude_volumes import occlude_volumes
from scripts.emotions.maps.occlusion_recovery import ALL, read_planted, tabulate_recovery
from scripts.emotions.network.train_emotion_cnn import train_emotion_cnn
from scripts.emotions.network.trained_networks import read_networks
from tests.simulated_movie_study import movie_entry, simulated_study

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("occlusion")]
# Seed 1 alone was looked at when the network's settings were chosen.
SEEDS = (11, 12, 13, 14, 15)
SPLIT = "run"
OCCLUSION = {"cube": 3, "stride": 2, "min_probability": 0.75, "n_per_class": 20}


@dataclass
class Study:
    labels: Labels
    predictions: Predictions
    recovery: pd.DataFrame
    checks: pd.DataFrame


def run(folder, seed, *, null_effect=False):
    """Simulate, train in runs that are held out, cover, and compare with what was planted."""
    entry = movie_entry()
    model = entry["models"]["cnn"]
    series, labels = simulated_study(folder, entry, seed=seed, null_effect=null_effect)
    shared = {"study": "movie", "model": "cnn", "split": SPLIT, "seed": seed}
    train_emotion_cnn(
        series,
        labels,
        **shared,
        network=model["network"],
        training=model["training"],
        n_folds=entry["splits"]["n_folds"],
        validation_share=entry["splits"]["validation_share"],
        device=torch.device("cpu"),
        predictions_file=folder / "predictions.h5",
        history_file=folder / "history.csv",
        network_file=folder / "networks.safetensors",
        features_file=folder / "features.h5",
    )
    predictions = read_predictions(folder / "predictions.h5")[SPLIT]
    found = occlude_volumes(
        series,
        labels,
        predictions,
        read_networks(folder / "networks.safetensors"),
        **shared,
        **OCCLUSION,
        device=torch.device("cpu"),
    )
    maps = {
        "occlusion": occlusion_maps(found, found.drops),
        "gradients": emotion_means(found, found.gradients),
        "shuffled weights": occlusion_maps(found, found.shuffled_drops),
    }
    planted = read_planted(
        folder / "raw/truth.csv",
        folder / "raw/truth.nii.gz",
        mask=found.mask,
        affine=found.affine,
        emotions=found.classes,
    )
    recovery = tabulate_recovery(maps, planted, found.classes, np.random.default_rng(seed))
    rows = recovery[recovery["emotion"] == ALL].set_index("kind")
    return Study(labels, predictions, rows, tabulate_checks(found))


def accuracy(study):
    right = study.predictions.chosen == study.labels.codes
    return right[:, study.labels.labelled].mean()


@pytest.fixture(scope="module")
def study_of(tmp_path_factory):
    """Return a function that gives the study of a seed, run once."""
    return cache(lambda seed: run(tmp_path_factory.mktemp(f"seed_{seed}"), seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_regions_are_what_occlusion_finds(study_of, seed):
    study = study_of(seed)
    found, shuffled = study.recovery.loc["occlusion"], study.recovery.loc["shuffled weights"]
    assert found["auc"] > 0.7
    assert found["auc"] > found["auc_other"] + 0.1
    assert found["dice"] > 3 * found["dice_chance"]
    # Regions that respond to one emotion alone are what a network needs.
    assert found["auc_own"] > 0.9
    assert found["auc_own"] > found["auc_own_other"] + 0.3
    # Of 120 orders of the emotions, the true one is the best.
    assert found["p"] == pytest.approx(1 / 120)
    assert study.recovery.loc["gradients", "auc"] > 0.65
    assert study.recovery.loc["gradients", "auc_own"] > 0.8
    # Three standard deviations over shuffled networks, see below.
    assert shuffled["auc"] == pytest.approx(0.5, abs=0.2)
    assert shuffled["auc_own"] < found["auc_own"] - 0.15
    assert study.checks["r_gradients"].mean() > 0.4
    assert abs(study.checks["r_shuffled"].mean()) < 0.3
    assert accuracy(study) > 0.3


def test_shuffled_networks_neither_find_nor_avoid_planted_regions(study_of):
    """In the mean: one network finds the regions of some emotions and avoids those of others.

    Where voxels respond, the mean volume of an emotion differs from zero, and covering them changes
    most what any network says, up or down as its weights have it. Areas of 80 shuffled networks had
    a mean of 0.501 and a standard deviation of 0.07; that of five is known to 0.03.
    """
    areas = [study_of(seed).recovery.loc["shuffled weights", "auc"] for seed in SEEDS]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.1), areas


def test_nothing_is_found_where_nothing_was_planted(tmp_path):
    study = run(tmp_path, SEEDS[0], null_effect=True)
    # Volumes of an episode, in all subjects, are one observation at worst: two standard errors.
    n_episodes = len(np.unique(study.labels.episodes[study.labels.labelled]))
    assert accuracy(study) < 0.2 + 2 * np.sqrt(0.2 * 0.8 / n_episodes)
    found = study.recovery.loc["occlusion"]
    assert found["auc"] == pytest.approx(0.5, abs=0.12)
    assert found["p"] > 0.05
