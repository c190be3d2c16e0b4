"""Networks of all folds: who is tested by whom, what is written, what a cut leaves, bad input."""

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from scripts.emotions.data.timeseries import TimeSeries, write_timeseries
from scripts.emotions.decoding.predictions import read_predictions
from scripts.emotions.decoding.splits import make_folds
from scripts.emotions.labelling.labels import Labels
from scripts.emotions.network import emotion_training
from scripts.emotions.network.emotion_training import EmotionOptions
from scripts.emotions.network.feature_writer import feature_file, units_of
from scripts.emotions.network.movie_volumes import MovieVolumes
from scripts.emotions.network.network_features import layers_of, read_features
from scripts.emotions.network.train_emotion_cnn import SplitTraining, train_emotion_cnn
from scripts.emotions.network.trained_networks import (
    NetworkOptions,
    network_of,
    read_networks,
    write_networks,
)
from tests.planted_movie import CLASSES, GRID, movie_labels, movie_mask, write_movie
from tests.published_network import published_state
from tests.unit.emotion_networks import probabilities_of
from workflow.lib.errors import InputError

SPLITS = ("random", "run")
TRAINING = {"n_epochs": 8, "batch": 16, "learning_rate": 0.01, "patience": None}
NETWORK = {"widths": [4, 8, 8], "average": False}


def run(folder, series, labels, training=TRAINING, network=NETWORK, seed=1):
    """Return split -> folder of what was written."""
    for split in SPLITS:
        own = folder / split
        train_emotion_cnn(
            series,
            labels,
            study="movie",
            model="cnn",
            split=split,
            network=network,
            training=training,
            n_folds=3,
            validation_share=0.2,
            seed=seed,
            device=torch.device("cpu"),
            predictions_file=own / "predictions.h5",
            history_file=own / "history.csv",
            network_file=own / "networks.safetensors",
            features_file=own / "features.h5",
        )
    return {split: folder / split for split in SPLITS}


@pytest.fixture(scope="module")
def labels():
    return movie_labels()


@pytest.fixture(scope="module")
def trained(tmp_path_factory, labels):
    folder = tmp_path_factory.mktemp("movie")
    series = write_movie(folder, labels)
    return series, run(folder, series, labels)


def folds_of(labels, split):
    return make_folds(
        labels, ["01", "02"], split, n_folds=3, validation_share=0.2, seed=1, study="movie"
    )


@pytest.mark.parametrize("split", SPLITS)
def test_every_used_volume_is_tested_by_the_fold_that_holds_it_out(trained, labels, split):
    found = read_predictions(trained[1][split] / "predictions.h5")[split]
    assert found.classes == CLASSES
    assert found.subjects == ("01", "02")
    np.testing.assert_array_equal(found.tested, np.tile(labels.used, (2, 1)))
    for fold in folds_of(labels, split):
        assert (found.fold[fold.test] == fold.number).all()
    np.testing.assert_allclose(found.probabilities[found.tested].sum(axis=1), 1, atol=1e-5)


def test_what_is_planted_is_found_in_runs_that_were_held_out(trained, labels):
    found = read_predictions(trained[1]["run"] / "predictions.h5")["run"]
    right = (found.chosen == labels.codes)[:, labels.labelled].mean()
    assert right > 0.6


def test_saved_networks_give_the_predictions_again(trained, labels):
    series, files = trained
    found = read_predictions(files["run"] / "predictions.h5")["run"]
    networks = read_networks(files["run"] / "networks.safetensors")
    assert tuple(networks.classes) == CLASSES
    assert len(networks.folds) == 3
    volumes = MovieVolumes(series, labels, "a test")
    for fold, network in zip(folds_of(labels, "run"), networks.folds, strict=True):
        examples = emotion_training.examples_of(fold.test, labels.codes)
        again = probabilities_of(network, volumes, examples)
        expected = found.probabilities[examples.subjects, examples.rows]
        np.testing.assert_allclose(again, expected, atol=1e-5)


def test_features_are_of_labelled_test_volumes_by_their_own_network(trained, labels):
    series, files = trained
    folds = folds_of(labels, "run")
    networks = read_networks(files["run"] / "networks.safetensors").folds
    with h5py.File(files["run"] / "features.h5") as file:
        assert list(file.attrs["classes"]) == list(CLASSES)
    assert layers_of(files["run"] / "features.h5") == ["block1", "block2"]
    features = read_features(files["run"] / "features.h5", "block2")
    assert len(features.rows) == 2 * labels.labelled.sum()
    volumes = MovieVolumes(series, labels, "a test")
    for number in range(0, len(features.rows), 37):
        subject, row = features.subjects[number], features.rows[number]
        fold = features.folds[number]
        assert folds[fold].test[subject, row]
        volume = torch.from_numpy(volumes.read(np.array([subject]), np.array([row])))
        with torch.inference_mode():
            expected = networks[fold].layer_outputs(volume)["block2"].flatten(1)
        np.testing.assert_allclose(features.values[number], expected[0], atol=1e-4)


def test_history_names_the_fold(trained):
    history = pd.read_csv(trained[1]["run"] / "history.csv")
    assert set(history["fold"]) == {0, 1, 2}
    assert set(history["part"]) == {"training", "validation"}


def test_nothing_is_left_of_checkpoints(trained):
    assert not list(trained[1]["run"].glob("*checkpoint*"))


def test_a_job_that_is_cut_short_goes_on_where_it_was(trained, labels, tmp_path, monkeypatch):
    """The first fold is done when the job dies in the second; then no fold begins anew."""
    series, files = trained
    steps = []
    whole = emotion_training.EmotionTask.step

    def counted(task, epoch, step, rng):
        steps.append((task.order.purpose, epoch, step))
        if len(steps) == dies_at:
            raise KeyboardInterrupt
        return whole(task, epoch, step, rng)

    monkeypatch.setattr(emotion_training.EmotionTask, "step", counted)
    dies_at = 80
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, series, labels)
    assert not list(tmp_path.rglob("predictions.h5"))
    cut, dies_at = list(steps), None
    steps.clear()
    found = run(tmp_path, series, labels)
    first = cut[0][0]
    assert cut[-1][0] != first
    assert all(purpose != first for purpose, _, _ in steps)
    for split in SPLITS:
        np.testing.assert_array_equal(
            read_predictions(found[split] / "predictions.h5")[split].probabilities,
            read_predictions(files[split] / "predictions.h5")[split].probabilities,
        )


def test_volumes_are_placed_in_the_box_of_the_mask(trained, labels):
    series, _ = trained
    volumes = MovieVolumes(series, labels, "a test")
    mask = movie_mask()
    assert volumes.shape == volumes.mask.shape
    assert volumes.mask.sum() == mask.sum()
    rows, subjects = np.array([40, 3, 143, 3]), np.array([1, 0, 1, 1])
    found = volumes.read(subjects, rows)
    for number, (subject, row) in enumerate(zip(subjects, rows, strict=True)):
        whole = np.zeros(GRID, np.float32)
        run_, volume = labels.table.loc[row, ["run", "volume"]]
        whole[mask] = series[subject].rows(run_, [volume])[0]
        np.testing.assert_array_equal(found[number], whole[volumes.box])


def test_volumes_may_be_scaled_one_by_one(trained, labels):
    volumes = MovieVolumes(trained[0], labels, "a test", scaled=True)
    found = volumes.read(np.array([0, 1]), np.array([5, 60]))
    inside = found[:, volumes.mask]
    np.testing.assert_allclose(inside.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(inside.std(axis=1), 1, rtol=1e-5)
    assert (found[:, ~volumes.mask] == 0).all()


def test_features_of_wide_layers_are_means_over_cells():
    output = torch.rand(2, 3, 4, 4, 2)
    np.testing.assert_array_equal(units_of(output, 96), output.flatten(1))
    expected = output.reshape(2, 3, 2, 2, 2, 2, 2).mean(dim=(3, 5)).flatten(1)
    np.testing.assert_allclose(units_of(output, 53), expected, rtol=1e-6)
    np.testing.assert_allclose(units_of(output, 2), output.mean(dim=(2, 3, 4)), rtol=1e-5)


def test_a_fold_without_labelled_volumes_has_no_features(tmp_path):
    none = np.zeros(0, int)
    named = {"model": "cnn", "split": "run", "classes": CLASSES, "subjects": ["01"]}
    with feature_file(tmp_path / "f.h5", **named) as features:
        features.add({"pooled": torch.zeros(0, 4)}, subjects=none, rows=none, fold=0)
        features.add(
            {"pooled": torch.ones(1, 4)}, subjects=np.array([0]), rows=np.array([7]), fold=1
        )
    found = read_features(tmp_path / "f.h5", "pooled")
    assert found.rows.tolist() == [7]
    assert found.folds.tolist() == [1]


# Published weights.


def test_published_weights_fit_the_published_network_alone():
    size = NetworkOptions(weights="x")
    with pytest.raises(InputError, match=r"found weights for NetworkOptions\(.* 3 classes"):
        network_of(size, 3, GRID, seed=1)
    for other in (
        NetworkOptions(widths=(4, 8), weights="x"),
        NetworkOptions(average=False, weights="x"),
    ):
        with pytest.raises(InputError, match="expected the widths"):
            network_of(other, 5, GRID, seed=1)


def test_published_weights_are_tested_and_not_trained(trained, tmp_path):
    """Every fold has the network of the file, whatever its volumes."""
    state, expected = published_state()
    torch.save(state, tmp_path / "bestmodel.pth")
    labels = Labels(movie_labels().table, (*CLASSES, "ANGERRAGE", "HAPPINESS"))
    shared = SplitTraining(
        volumes=MovieVolumes(trained[0], labels, "a test"),
        labels=labels,
        network=NetworkOptions(weights=str(tmp_path / "bestmodel.pth"), scale_volumes=True),
        options=EmotionOptions(),
        name="movie/cnn",
        seed=1,
        device=torch.device("cpu"),
        checkpoints=tmp_path / "checkpoints",
    )
    network, history = shared.fitted(folds_of(movie_labels(), "run")[0])
    assert not len(history)
    assert not shared.checkpoints.exists()
    volume = torch.from_numpy(shared.volumes.read(np.array([0]), np.array([3])))
    with torch.inference_mode():
        torch.testing.assert_close(network(volume), expected(volume))


@pytest.mark.parametrize("average", [True, False])
def test_networks_are_written_and_read(tmp_path, average):
    size = NetworkOptions(widths=(4, 6), average=average)
    networks = [network_of(size, 3, (6, 6, 6), seed=seed).eval() for seed in range(2)]
    path = tmp_path / "networks.safetensors"
    write_networks(path, networks, size, CLASSES, (6, 6, 6))
    found = read_networks(path)
    assert found.classes == list(CLASSES)
    volume = torch.rand(1, 6, 6, 6)
    for own, read in zip(networks, found.folds, strict=True):
        torch.testing.assert_close(own(volume), read(volume))


# Bad input.


def test_options_have_the_published_values():
    published = {"n_epochs": 50, "batch": 16, "learning_rate": 1e-3, "weight_decay": 1e-4}
    assert EmotionOptions() == EmotionOptions(**published, patience=10, noise=0)
    assert NetworkOptions() == NetworkOptions((32, 64, 128, 256, 256), 2, 0.3, average=True)


def test_subjects_in_their_own_spaces_are_refused(tmp_path, labels):
    series = write_movie(tmp_path, labels, aligned=False)
    with pytest.raises(InputError, match=r"`aligned: false`.*a network that learns from volumes"):
        run(tmp_path, series, labels)


def test_parcels_are_refused(tmp_path, labels):
    runs = {name: np.zeros((36, 4)) for name in labels.runs}
    write_timeseries(tmp_path / "01.h5", runs, subject="01", tr=2.0, names=list("abcd"))
    with pytest.raises(InputError, match="found parcels, expected volumes for a network"):
        MovieVolumes([TimeSeries(tmp_path / "01.h5")], labels, "a network")
