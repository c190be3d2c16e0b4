"""Occlusion and integrated gradients against brute force, closed forms and planted regions."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from scripts.emotions.decoding.predictions import Predictions
from scripts.emotions.maps.cubes import cube_corners, over_cubes, over_voxels
from scripts.emotions.maps.gradients import integrated_gradients
from scripts.emotions.maps.occlude_volumes import choose_volumes, count_confident
from scripts.emotions.maps.occlusion import occluded_drops, shuffled_network
from scripts.emotions.maps.occlusion_file import (
    ARRAYS,
    PROBABLE,
    RIGHT,
    WRONG,
    Occlusions,
    read_occlusions,
    write_occlusions,
)
from scripts.emotions.network.emotion_cnn import build_network
from tests.planted_movie import CLASSES, movie_labels
from workflow.lib.errors import InputError

SHAPE = (7, 6, 5)
MASK = np.zeros(SHAPE, bool)
MASK[1:6, 1:5, 1:4] = True
MASK[1, 1, 1] = False


def volume_of(seed=0):
    volume = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    return np.where(MASK, volume, 0).astype(np.float32)


def network_of(seed=0, widths=(4, 6, 6), average=True):
    """Return an untrained network whose normalisations have seen something."""
    network = build_network(widths, 3, seed=seed, shape=None if average else SHAPE)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 1.0
    torch.manual_seed(seed)
    with torch.no_grad():
        network(torch.randn(8, *SHAPE))
    return network.eval()


def probability(network, volume, code):
    with torch.inference_mode():
        return torch.softmax(network(torch.from_numpy(volume)[None]), dim=1)[0, code].item()


@pytest.mark.parametrize(("edge", "stride"), [(2, 2), (3, 2), (2, 3), (1, 1)])
def test_cubes_are_those_that_hold_a_voxel_of_the_brain(edge, stride):
    expected = [
        [x, y, z]
        for x in range(0, SHAPE[0], stride)
        for y in range(0, SHAPE[1], stride)
        for z in range(0, SHAPE[2], stride)
        if any(
            MASK[i, j, k]
            for i in range(x, min(x + edge, SHAPE[0]))
            for j in range(y, min(y + edge, SHAPE[1]))
            for k in range(z, min(z + edge, SHAPE[2]))
        )
    ]
    assert cube_corners(MASK, edge, stride).tolist() == expected


def test_a_map_is_the_mean_over_the_cubes_that_cover_a_voxel():
    corners = cube_corners(MASK, 3, 2)
    values = np.random.default_rng(0).standard_normal((2, len(corners)))
    found = over_voxels(values, corners, 3, MASK)
    for place, voxel in enumerate(np.argwhere(MASK)):
        covers = ((corners <= voxel) & (voxel < corners + 3)).all(axis=1)
        np.testing.assert_allclose(found[:, place], values[:, covers].mean(axis=1))


def test_voxels_between_cubes_have_no_value():
    corners = cube_corners(MASK, 1, 2)
    found = over_voxels(np.ones(len(corners)), corners, 1, MASK)
    assert np.isnan(found).tolist() == [(voxel % 2).any() for voxel in np.argwhere(MASK)]


def test_cubes_sum_up_a_map():
    values = np.random.default_rng(0).standard_normal((2, MASK.sum()))
    corners = cube_corners(MASK, 2, 2)
    sums = over_cubes(values, corners, 2, MASK)
    np.testing.assert_allclose(sums.sum(axis=1), values.sum(axis=1))
    whole = np.zeros(SHAPE)
    whole[MASK] = values[0]
    x, y, z = corners[3]
    assert sums[0, 3] == pytest.approx(whole[x : x + 2, y : y + 2, z : z + 2].sum())


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("widths", [(4, 6), (4, 6, 6, 8), (3, 4, 4, 4, 6)])
@pytest.mark.parametrize(("edge", "stride"), [(1, 3), (2, 2), (3, 2)])
def test_drops_are_those_of_whole_volumes(monkeypatch, average, widths, edge, stride):
    """Only what changes is computed, some cubes at a time; borders and odd places included."""
    monkeypatch.setattr("scripts.emotions.maps.occlusion.NUMBERS_AT_ONCE", 7 * 16 * 8**3)
    network, volume = network_of(widths=widths, average=average), volume_of()
    corners = cube_corners(np.ones(SHAPE, bool), edge, stride)
    volumes = np.stack([volume] * (len(corners) + 1))
    for one, (x, y, z) in zip(volumes, corners, strict=False):
        one[x : x + edge, y : y + edge, z : z + edge] = 0
    with torch.inference_mode():
        probabilities = torch.softmax(network(torch.from_numpy(volumes)), dim=1)[:, 1].numpy()
    found = occluded_drops(network, volume, 1, corners, edge)
    assert np.abs(found).max() > 1e-4
    np.testing.assert_allclose(found, probabilities[-1] - probabilities[:-1], atol=1e-6)


def test_covering_everything_leaves_the_probability_of_nothing():
    network, volume = network_of(), volume_of()
    found = occluded_drops(network, volume, 2, np.zeros((1, 3), int), 7)
    nothing = probability(network, np.zeros_like(volume), 2)
    assert found[0] == pytest.approx(probability(network, volume, 2) - nothing, abs=1e-6)


# Integrated gradients.


def test_attributions_add_up_to_the_difference_from_zeros():
    """Completeness (Sundararajan et al. 2017, proposition 1)."""
    network, volume = network_of(), volume_of()
    found = integrated_gradients(network, volume, 1, n_steps=200)
    nothing = probability(network, np.zeros_like(volume), 1)
    assert found.sum() == pytest.approx(probability(network, volume, 1) - nothing, abs=2e-3)


def test_attributions_of_a_linear_logit_are_known():
    """Of p = sigmoid(w v) against a logit of zero, voxels get p's difference by their share."""

    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = nn.Parameter(torch.linspace(-1, 1, MASK.size).reshape(SHAPE))

        def forward(self, volumes):
            logit = (volumes * self.weights).sum(dim=(1, 2, 3))
            return torch.stack([torch.zeros_like(logit), logit], dim=1)

    volume = 0.2 * volume_of()
    found = integrated_gradients(Linear(), volume, 1, n_steps=60)
    products = volume * np.linspace(-1, 1, MASK.size).reshape(SHAPE)
    difference = 1 / (1 + np.exp(-products.sum())) - 0.5
    np.testing.assert_allclose(found, products / products.sum() * difference, rtol=1e-3, atol=1e-6)


# Networks of shuffled weights.


def test_shuffled_weights_are_the_same_in_another_order():
    network = network_of()
    volumes = np.stack([volume_of(seed) for seed in range(6)])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    other = shuffled_network(network, volumes, np.random.default_rng(0))
    for name, value in network.named_parameters():
        found = dict(other.named_parameters())[name]
        assert torch.equal(value.flatten().sort()[0], found.flatten().sort()[0])
        assert torch.equal(value, before[name])
    assert not torch.equal(network.stem.convolution.weight, other.stem.convolution.weight)
    assert not other.training


def test_a_network_of_shuffled_weights_still_says_different_things():
    """Its normalisations are its own: each channel of a block has mean 0, variance 1."""
    network = network_of()
    volumes = np.stack([volume_of(seed) for seed in range(6)])
    other = shuffled_network(network, volumes, np.random.default_rng(0))
    with torch.inference_mode():
        stem = other.stem.norm(other.stem.convolution(torch.from_numpy(volumes)[:, None]))
        shape = (1, -1, 1, 1, 1)
        scaled = stem - other.stem.norm.bias.reshape(shape)
        scaled /= other.stem.norm.weight.reshape(shape)
    np.testing.assert_allclose(scaled.mean(dim=(0, 2, 3, 4)), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.var(dim=(0, 2, 3, 4)), 1, atol=0.02)


def test_normalisations_are_estimated_over_all_volumes_some_at_a_time(monkeypatch):
    """Of the first layer, which sees the volumes themselves, means are those of all at once."""
    network, volumes = network_of(), np.stack([volume_of(seed) for seed in range(6)])
    whole = shuffled_network(network, volumes, np.random.default_rng(0))
    monkeypatch.setattr("scripts.emotions.maps.occlusion.VOXELS_AT_ONCE", 2 * MASK.size)
    parts = shuffled_network(network, volumes, np.random.default_rng(0))
    torch.testing.assert_close(parts.stem.norm.running_mean, whole.stem.norm.running_mean)
    assert parts.stem.norm.num_batches_tracked == 3


# Which volumes are covered.


def predictions_of(labels, probable):
    """Return predictions of two subjects; `probable` (2, n_rows): of the true emotion."""
    codes = labels.codes
    probabilities = np.repeat((1 - probable)[..., None] / 2, 3, axis=-1)
    for code in range(3):
        own = codes == code
        probabilities[:, own, code] = probable[:, own]
    fold = np.where(labels.used, 0, -1) * np.ones((2, 1), int)
    return Predictions(probabilities.astype(np.float32), fold, CLASSES, ("01", "02"))


def chosen(labels, probable, n_per_class=6):
    return choose_volumes(
        predictions_of(labels, probable),
        labels,
        n_per_class=n_per_class,
        min_probability=0.75,
        rng=np.random.default_rng(0),
    )


def test_volumes_told_well_are_taken_from_all_subjects_and_many_episodes():
    labels = movie_labels()
    found = chosen(labels, np.full((2, labels.n_rows), 0.9))
    assert found.groupby("emotion").size().to_dict() == dict.fromkeys(CLASSES, 6)
    assert (found["status"] == PROBABLE).all()
    assert (labels.codes[found["row"]] == found["code"]).all()
    assert found.groupby(["emotion", "subject"]).size().tolist() == [3] * 6
    episodes = found.assign(episode=labels.episodes[found["row"]])
    assert (episodes.groupby(["emotion", "subject"])["episode"].nunique() == 3).all()


def test_where_too_few_are_told_well_the_next_best_follow():
    labels = movie_labels()
    probable = np.full((2, labels.n_rows), 0.2)
    fear = np.flatnonzero(labels.codes == 0)
    probable[0, fear[:2]] = 0.8
    probable[1, fear[:2]] = 0.6, 0.7
    found = chosen(labels, probable)
    own = found[found["emotion"] == "FEAR"]
    assert own["status"].tolist() == [PROBABLE] * 2 + [RIGHT] * 2 + [WRONG] * 2
    np.testing.assert_allclose(own["probability"], [0.8, 0.8, 0.7, 0.6, 0.2, 0.2], rtol=1e-6)


def test_no_test_volume_of_an_emotion():
    labels = movie_labels()
    found = predictions_of(labels, np.full((2, labels.n_rows), 0.9))
    found.fold[:, labels.codes == 2] = -1
    with pytest.raises(InputError, match="found no test volume of SADNESS"):
        choose_volumes(
            found, labels, n_per_class=6, min_probability=0.75, rng=np.random.default_rng(0)
        )


def test_large_probabilities_are_counted_where_they_are_right_and_where_not():
    labels, rng = movie_labels(), np.random.default_rng(0)
    found = predictions_of(labels, rng.uniform(size=(2, labels.n_rows)))
    # Of the second subject nothing was tested in the first run.
    found.fold[1, labels.table["run"] == "1"] = -1
    n_confident, n_right = np.zeros((2, 3), int)
    for subject in range(2):
        for row in range(labels.n_rows):
            if found.fold[subject, row] < 0 or labels.codes[row] < 0:
                continue
            for code in range(3):
                if found.probabilities[subject, row, code] >= 0.4:
                    n_confident[code] += 1
                    n_right[code] += labels.codes[row] == code
    counted = count_confident(found, labels, 0.4)
    assert 0 < n_right.sum() < n_confident.sum()
    np.testing.assert_array_equal(counted[0], n_confident)
    np.testing.assert_array_equal(counted[1], n_right)


def test_what_was_found_is_read_as_it_was_written(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"emotion": ["FEAR", "LOVE"], "row": [3, 9], "probability": [0.8, 0.9]})
    written = Occlusions(
        table=table,
        drops=rng.random((2, 4)).astype(np.float32),
        gradients=rng.random((2, int(MASK.sum()))).astype(np.float32),
        shuffled_drops=rng.random((2, 4)).astype(np.float32),
        corners=cube_corners(MASK, 2, 2)[:4],
        edge=2,
        mask=MASK,
        affine=np.eye(4),
        n_confident=np.array([3, 0]),
        n_confident_right=np.array([2, 0]),
        classes=("FEAR", "LOVE"),
        subjects=("01",),
        model="cnn",
        split="run",
    )
    write_occlusions(tmp_path / "o.h5", written)
    read = read_occlusions(tmp_path / "o.h5")
    pd.testing.assert_frame_equal(read.table, table)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    assert (read.edge, read.classes, read.subjects) == (2, ("FEAR", "LOVE"), ("01",))
