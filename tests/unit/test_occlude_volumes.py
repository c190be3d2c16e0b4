"""Covering test volumes of a study: by the network of their fold, where the brain is, or not."""

import numpy as np
import pytest
import torch

from scripts.emotions.decoding.predictions import Predictions
from scripts.emotions.maps.occlude_volumes import occlude_volumes
from scripts.emotions.network.emotion_training import examples_of
from scripts.emotions.network.movie_volumes import MovieVolumes
from scripts.emotions.network.trained_networks import NetworkOptions, Networks, network_of
from tests.planted_movie import AFFINE, CLASSES, movie_labels, movie_mask, write_movie
from tests.unit.emotion_networks import probabilities_of
from workflow.lib.errors import InputError

CUBE, STRIDE = 3, 2
OPTIONS = {"study": "movie", "model": "cnn", "split": "run", "seed": 1, "cube": CUBE}
OPTIONS |= {"stride": STRIDE, "min_probability": 0.5, "n_per_class": 4}


def study(folder, *, aligned=True, scaled=False):
    """Return series, labels, networks of two folds and what they predict of two runs each."""
    labels = movie_labels()
    series = write_movie(folder, labels)
    volumes = MovieVolumes(series, labels, "a test", scaled=scaled)
    networks = []
    for seed in range(2):
        network = network_of(NetworkOptions(widths=(4, 6)), 3, volumes.shape, seed=seed)
        # Normalisations that have seen volumes.
        network.train()
        with torch.no_grad():
            for _ in range(20):
                network(torch.from_numpy(volumes.read(np.zeros(9, int), np.arange(9) * 4)))
        networks.append(network.eval())
    fold = np.where(labels.used, np.isin(labels.table["run"], ["1", "2"]).astype(int), -1)
    fold = np.tile(fold, (2, 1))
    probabilities = np.full((*fold.shape, 3), np.nan, np.float32)
    for number, network in enumerate(networks):
        own = examples_of(fold == number, labels.codes)
        probabilities[own.subjects, own.rows] = probabilities_of(network, volumes, own)
    if not aligned:
        series = write_movie(folder, labels, aligned=False)
    predictions = Predictions(probabilities, fold, CLASSES, ("01", "02"))
    return series, labels, predictions, Networks(networks, list(CLASSES), scaled)


@pytest.mark.parametrize("scaled", [False, True])
def test_volumes_are_covered_before_the_network_of_their_fold(tmp_path, scaled):
    """Each drop again, from the whole volume of the file, with the cube in the file's voxels."""
    series, labels, predictions, networks = study(tmp_path, scaled=scaled)
    found = occlude_volumes(
        series, labels, predictions, networks, **OPTIONS, device=torch.device("cpu")
    )
    assert found.table.groupby("emotion").size().to_dict() == dict.fromkeys(CLASSES, 4)
    assert set(found.table["fold"]) == {0, 1}
    mask = movie_mask()
    np.testing.assert_array_equal(found.mask, mask)
    np.testing.assert_array_equal(found.affine, AFFINE)
    box = MovieVolumes(series, labels, "a test").box
    for number, row in enumerate(found.table.itertuples()):
        run, volume = labels.table.loc[row.row, ["run", "volume"]]
        values = series[row.subject].rows(run, [volume])[0]
        whole = np.zeros(mask.shape, np.float32)
        whole[mask] = (values - values.mean()) / values.std() if scaled else values
        network = networks.folds[row.fold]

        def probability(one, network=network, code=row.code):
            with torch.inference_mode():
                logits = network(torch.from_numpy(one[box].copy())[None])
            return torch.softmax(logits, dim=1)[0, code].item()

        assert row.probability == pytest.approx(probability(whole), abs=1e-5)
        for place in (0, 7, len(found.corners) - 1):
            covered = whole.copy()
            x, y, z = found.corners[place]
            covered[x : x + CUBE, y : y + CUBE, z : z + CUBE] = 0
            expected = probability(whole) - probability(covered)
            assert found.drops[number, place] == pytest.approx(expected, abs=2e-6)


def test_a_seed_covers_the_same_volumes(tmp_path):
    given = study(tmp_path)
    first, again = (
        occlude_volumes(*given, **OPTIONS, device=torch.device("cpu")) for _ in range(2)
    )
    for name in ("drops", "gradients", "shuffled_drops"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert np.abs(first.drops - first.shuffled_drops).max() > 1e-4


def test_subjects_in_their_own_spaces_have_no_common_map(tmp_path):
    given = study(tmp_path, aligned=False)
    with pytest.raises(InputError, match=r"`aligned: false`.*maps of what a network looks at"):
        occlude_volumes(*given, **OPTIONS, device=torch.device("cpu"))


def test_it_is_said_where_too_few_volumes_are_told_well(tmp_path, caplog):
    options = {**OPTIONS, "min_probability": 0.999}
    occlude_volumes(*study(tmp_path), **options, device=torch.device("cpu"))
    assert "FEAR: 0 volumes are told right with a probability of 0.999 or more" in caplog.text
