"""The table "original against ours": its numbers are those of the procedures they stand for."""

import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
import torch

from scripts.digits.augmentation import colour_components
from scripts.digits.choices import CIRCULAR, HELD_OUT_RUNS
from scripts.digits.codes import code_rdms
from scripts.digits.corrections import COLUMNS
from scripts.digits.image_sets import ImageSet
from scripts.digits.measure_group_null import null_corrections, null_rates, published_clusters
from scripts.digits.measure_training import (
    accuracy,
    colour_shift,
    largest_change,
    penalty_share,
    published_colour_shift,
    training_corrections,
)
from scripts.digits.tabulate_corrections import (
    assignment_corrections,
    constant_corrections,
    fit_corrections,
    image_corrections,
    region_corrections,
    shown,
    smallest_singular_value,
    subject_corrections,
)
from scripts.digits.trained import Trained, as_tensor, scaling_of
from scripts.digits.vgg import build_vgg
from workflow.lib.rdms.store import RDMStore, write_rdms
from workflow.lib.searchlight.maps import BrainMaps

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
KINDS = {"digit": DIGITS, "object": ["bed", "bird", "cat", "dog", "house", "tree"]}
GROUPS = {
    "high": ["seven", "eight", "nine"],
    "low": ["one", "two", "three"],
    "inanimate": ["house", "tree", "bed"],
    "animate": ["bird", "cat", "dog"],
}
CODES = {
    "Digit": [["digit", "digit"]],
    "Object": [["object", "object"]],
    "Versus": [["digit", "object"]],
    "Magnitude": [["high", "low"]],
    "Animacy": [["animate", "inanimate"]],
}
CONTRASTS = {
    "Digit - Object": {"Digit": 1.0, "Object": -1.0},
    "Versus": {"Versus": 1.0},
    "Magnitude": {"Magnitude": 1.0},
    "Animacy": {"Animacy": 1.0},
}
CATEGORIES = [category for members in KINDS.values() for category in members]


def store_of(path, rdms, model="codes", **descriptors):
    write_rdms(
        path,
        [({"layer": name}, vector) for name, vector in rdms.items()],
        names=CATEGORIES,
        measure="cosine",
        descriptors={"model": model, **descriptors},
    )
    return RDMStore(path)


@pytest.fixture
def codes(tmp_path):
    return store_of(tmp_path / "codes.h5", code_rdms(CODES, KINDS, GROUPS))


# Training.


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    colours = rng.integers(30, 220, size=(24, 1, 1, 3)) + rng.integers(-25, 25, (24, 32, 32, 3))
    return ImageSet(colours.clip(0, 255).astype(np.uint8), np.array(["cat", "dog", "bird"] * 8))


@pytest.fixture(scope="module")
def trained(images):
    network = build_vgg("vgg_small", 3, seed=1).eval()
    return Trained(network, ["cat", "dog", "bird"], scaling_of(images.images))


def predictions_of(trained, images):
    with torch.inference_mode():
        logits = trained.network(trained.scaling(as_tensor(images.images)))
    names = [f"p_{category}" for category in trained.categories]
    return pd.DataFrame(torch.softmax(logits, 1).numpy(), columns=names)


HISTORY = pd.DataFrame(
    [
        (1, "training", "loss", 2.0),
        (1, "training", "penalty", 2.0),
        (2, "training", "loss", 0.6),
        (2, "training", "penalty", 0.2),
        (2, "validation", "loss", 9.0),
    ],
    columns=["epoch", "part", "measure", "value"],
)


def test_penalty_is_a_share_of_the_last_epochs_loss():
    assert penalty_share(HISTORY) == pytest.approx(0.25)


def test_colours_shift_by_as_much_as_in_training(images):
    """Against random moves along the components that training uses."""
    found = colour_components(images.images)
    moves = np.random.default_rng(2).normal(0, 0.1, size=(20_000, 3))
    light = 255 * (moves * found.spreads) @ np.asarray(found.directions).T
    assert colour_shift(images.images) == pytest.approx(np.sqrt(np.square(light).mean()), rel=0.02)


def test_published_colours_shift_by_shares_of_variances(images):
    """Against random numbers times the variances of each image, one number for all components."""
    rng = np.random.default_rng(3)
    shifts = []
    for image in images.images:
        values, directions = np.linalg.eigh(np.cov(image.reshape(-1, 3).T / 255))
        light = rng.normal(0, 0.1, size=(2000, 1)) * (directions @ values)
        shifts.append(np.sqrt(np.square(light).mean()))
    found = published_colour_shift(images.images)
    assert found == pytest.approx(np.mean(shifts), rel=0.02)
    assert found < colour_shift(images.images) / 100


def test_accuracy_in_evaluation_mode_is_that_of_the_network(trained, images):
    predicted = predictions_of(trained, images).to_numpy().argmax(axis=1)
    expected = np.mean(predicted == images.codes(trained.categories))
    assert accuracy(trained, images, dropout=False, seed=0) == pytest.approx(expected)


def test_dropout_changes_the_measured_accuracy_and_nothing_else(images):
    """A network that is right for all images is wrong for some without half of its units."""
    network = build_vgg("vgg_small", 3, seed=1).eval()
    trained = Trained(network, ["cat", "dog", "bird"], scaling_of(images.images))
    best = predictions_of(trained, images).to_numpy().argmax(axis=1)
    right = ImageSet(images.images, np.array(trained.categories)[best])
    torch.manual_seed(5)
    state = torch.get_rng_state()
    with_dropout = [accuracy(trained, right, dropout=True, seed=seed) for seed in range(8)]
    assert accuracy(trained, right, dropout=False, seed=0) == 1
    assert np.mean(with_dropout) < 1
    assert accuracy(trained, right, dropout=True, seed=0) == with_dropout[0]
    assert not network.training
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_differs_from_another_and_not_from_itself(trained, images):
    predictions = predictions_of(trained, images)
    assert largest_change(trained, images, predictions) < 1e-6
    other = Trained(build_vgg("vgg_small", 3, seed=2).eval(), *list(vars(trained).values())[1:])
    expected = np.abs(predictions.to_numpy() - predictions_of(other, images).to_numpy()).max()
    assert largest_change(other, images, predictions) == pytest.approx(expected, rel=1e-4)


def test_rows_of_training(trained, images):
    table = training_corrections(
        *(trained, images, images, HISTORY, predictions_of(trained, images)),
        coloured=["cat", "dog"],
        seed=0,
    )
    assert list(table.columns) == COLUMNS
    decay, colour, _, epochs, changed = table.itertuples()
    assert (decay.original, decay.ours) == (0, 0.25)
    some = images.images[images.labels != "bird"]
    assert colour.ours == pytest.approx(colour_shift(some))
    # 56 epochs, saved after every tenth.
    assert (epochs.original, epochs.ours) == (6, 0)
    assert changed.ours < 1e-6


# Null subjects.

SHAPE = (14, 14, 12)
MASK = np.ones(SHAPE, dtype=bool)
N_VOXELS = MASK.sum()


def smooth_maps(seed, n_subjects=8, width=1.5):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n_subjects, *SHAPE))
    maps = scipy.ndimage.gaussian_filter(noise, (0, width, width, width))
    return (maps / maps.std()).reshape(n_subjects, -1)


def test_the_original_finds_clusters_in_smooth_noise_and_ours_keeps_its_level():
    original, ours = null_rates(smooth_maps(1), MASK, alpha=0.05, rng=np.random.default_rng(0))
    assert original > 0.8
    # Of 2^8 patterns of signs, as many as are no more than 5 %.
    assert ours == pytest.approx(12 / 256)


def test_fresh_groups_of_smooth_noise_are_found_by_the_original_as_often():
    """Random signs stand for new subjects: 40 groups that share nothing with the first."""
    found = [
        published_clusters(smooth_maps([7, i]), MASK, 0.05, np.random.default_rng(i))
        for i in range(40)
    ]
    assert np.mean(found) > 0.8


def test_unsmooth_noise_has_no_cluster_of_twenty_voxels():
    maps = np.random.default_rng(2).standard_normal((8, N_VOXELS))
    assert not published_clusters(maps, MASK, 0.01, np.random.default_rng(0))


def test_few_subjects_are_not_tested():
    _, ours = null_rates(
        smooth_maps(3, n_subjects=4), MASK, alpha=0.05, rng=np.random.default_rng(0)
    )
    assert np.isnan(ours)


def brain_maps(seed, tmp_path, n_subjects):
    volumes = smooth_maps(seed, n_subjects=2 * n_subjects).reshape(n_subjects, 2, *SHAPE) / 20
    volumes[:, :, 0] = np.nan
    return [BrainMaps(tmp_path / f"{i}.nii", one, np.eye(4)) for i, one in enumerate(volumes)]


def test_rows_of_null_subjects(tmp_path):
    volumes = pd.DataFrame({"layer": ["Digit", "Versus"], "volume": [0, 1]})
    options = {"alpha": 0.05, "seed": 0, "study": "s"}
    (row,) = null_corrections(brain_maps(4, tmp_path, 8), volumes, **options).itertuples()
    assert row.original > 0.5
    assert row.ours <= 0.05
    assert null_corrections(brain_maps(4, tmp_path, 1), volumes, **options).empty


# Codes.


def test_cosines_of_a_constant_rdm_are_the_known_ones(codes):
    table = pd.DataFrame(constant_corrections(codes))
    assert table["original"].round(3).tolist() == [0.612, 0.354, 0.707, 0.274, 0.274]
    assert (table["ours"] == 0).all()


def test_codes_that_add_up_to_one_have_no_fit_and_contrasts_have(codes):
    (row,) = fit_corrections(codes, CONTRASTS)
    assert row.original < 1e-12
    assert row.ours > 0.1


def test_singular_values_of_known_columns():
    """Two orthogonal columns: both are one. The same column twice: zero."""
    column = np.array([[1.0, -1.0, 1.0, -1.0]])
    assert smallest_singular_value(column) == pytest.approx(1)
    assert smallest_singular_value(np.vstack([column, 2 * column])) == pytest.approx(0, abs=1e-9)
    # At an angle of 60 degrees: the root of 1 - cos.
    leaning = 0.5 * np.ones((1, 4)) + np.sqrt(0.75) * column
    assert smallest_singular_value(leaning) == pytest.approx(np.sqrt(0.5))


def test_validation_images_are_compared_with_stimuli_layer_by_layer(tmp_path):
    rng = np.random.default_rng(5)
    first, second = rng.random((2, 120))
    compared = store_of(tmp_path / "a.h5", {"conv1_1": first, "fc8": second}, "vgg")
    validation = store_of(
        tmp_path / "b.h5", {"conv1_1": first**2, "fc8": second.max() - second}, "vgg"
    )
    # The same order, and the opposite one.
    (row,) = image_corrections(compared, validation, "stimuli")
    assert row.original == pytest.approx(0, abs=1e-6)
    assert row.ours == 1
    (row,) = image_corrections(compared, compared, "validation")
    assert np.isnan(row.original)
    assert "not mended" in row.note


def regions(*chosen_in):
    rows = [
        {
            **{"code": code, "chosen_in": chosen, "pairs": pairs, "model": model, "layer": layer},
            "similarity": 0.1 if chosen == CIRCULAR else 0.02,
            "of_positive": 0.3,
        }
        for code in ("Digit", "Versus")
        for chosen in chosen_in
        for pairs in ("all", "own")
        for model, layer in (("vgg", "fc6"), ("vgg", "fc8"), ("codes", "Digit"))
        if (model, pairs) != ("codes", "own")
    ]
    return pd.DataFrame(rows)


def test_regions_stand_beside_the_published_ones():
    rows = region_corrections(regions(HELD_OUT_RUNS, CIRCULAR), "vgg")
    assert [row.measure.partition(":")[0] for row in rows] == ["Digit", "Digit", "Versus", "Versus"]
    itself, layers = rows[:2]
    assert (itself.original, itself.ours) == pytest.approx((0.1, 0.02))
    assert (layers.original, layers.ours) == pytest.approx((0.3, 0.02))
    assert "ours is chosen in other runs" in layers.note


def test_circular_regions_are_not_mended():
    for row in region_corrections(regions(CIRCULAR), "vgg"):
        assert np.isfinite(row.original) or row.measure.startswith("Versus: its")
        assert np.isnan(row.ours)
        assert "not mended" in row.note


def test_sure_voxels_are_a_share_of_the_whole_brains():
    histogram = pd.DataFrame(
        {
            "region": ["all", "all", "early", "early"],
            "n_voxels": [60, 40, 5, 0],
            "n_reliable": [20, 5, 5, 0],
        }
    )
    (row,) = assignment_corrections(histogram)
    assert row.ours == pytest.approx(0.25)


def test_one_subject_is_a_single_case():
    assert "single case" in subject_corrections(1)[0].note
    assert "not tested" in subject_corrections(5)[0].note
    assert subject_corrections(8)[0].note.endswith("here the group is tested")


def test_what_there_is_not_is_a_dash():
    table = shown(pd.DataFrame({"original": [np.nan, 1e-17], "ours": [0.123456, 8.0]}))
    assert table.to_numpy().tolist() == [["-", "0.123"], ["0", "8"]]
