"""The audit of decoders: what is clean passes, each leak that one could make is named."""

import numpy as np
import pytest

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.decoders.audit_reconstruction import FITTED, audit_reconstruction
from scripts.reconstruction.decoders.folds import decoder_folds
from workflow.lib.errors import InputError
from workflow.lib.sources import TRAINING
from workflow.lib.splits.held_out import HeldOut, fitted_to_all, write_held_out

SETTINGS = {"n_folds": 4, "validation_share": 0.2, "seed": 0, "study": "audited"}


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    n = 46
    return ImageTable(
        names=[f"image{i}" for i in range(n)],
        parts=[TRAINING] * 40 + ["natural"] * 6,
        images=rng.integers(0, 256, (n, 16, 16, 3), np.uint8),
        shapes=rng.random((n, 16, 16)).astype(np.float32),
        groups=np.arange(n),
    )


def audited(images, folder, fold=None, folds=None):
    training = images.of(TRAINING)
    folds = folds or decoder_folds(training, **SETTINGS)
    if fold is None:
        fold = np.empty(len(training), int)
        for each in folds:
            fold[each.tested] = each.number
    tests = images.of("natural").names
    parts = {
        TRAINING: HeldOut(training.names, training.shapes, fold),
        "natural": fitted_to_all(tests, np.zeros((len(tests), 16, 16))),
    }
    path = folder / "shapes_ridge_01.h5"
    write_held_out(path, parts, {"decoder": "ridge", "subject": "01"})
    return audit_reconstruction(images, [path], folds)


def test_folds_of_images_share_nothing(images, tmp_path):
    table = audited(images, tmp_path)
    assert (table["n_shared"] == 0).all()
    assert set(table["fold"].dropna()) == {1, 2, 3, 4}
    # Every image is tested once, and every test image is checked against all training images.
    items = table[(table["check"] == "items") & (table["seen_in"] == "training")]
    assert items.loc[(items["part"] == TRAINING) & (items["of"] == "test"), "n"].sum() == 40
    assert items.loc[items["part"] == "natural", "n"].tolist() == [6]
    assert set(FITTED) <= set(table["check"])


def test_a_study_without_tests_is_audited_by_its_folds(images, tmp_path):
    training = images.of(TRAINING)
    folds = decoder_folds(training, **SETTINGS)
    fold = np.empty(len(training), int)
    for each in folds:
        fold[each.tested] = each.number
    path = tmp_path / "shapes_ridge_01.h5"
    parts = {TRAINING: HeldOut(training.names, training.shapes, fold)}
    write_held_out(path, parts, {"decoder": "ridge", "subject": "01"})
    table = audit_reconstruction(training, [path], folds)
    assert (table["n_shared"] == 0).all()
    assert set(table["part"]) == {TRAINING}
    assert set(table["fold"]) == {1, 2, 3, 4}


def test_an_image_that_its_own_model_learned_from_is_a_leak(images, tmp_path):
    folds = decoder_folds(images.of(TRAINING), **SETTINGS)
    fold = np.empty(40, int)
    for each in folds:
        fold[each.tested] = each.number
    wrong = fold.copy()
    wrong[folds[0].tested[0]] = 1
    with pytest.raises(InputError, match="01, ridge, fold 2: found a leak, 1 of 11 test items"):
        audited(images, tmp_path, wrong)


def test_a_test_image_that_is_a_training_image_in_disguise_is_a_leak(images, tmp_path):
    images.images[45] = images.images[3]
    with pytest.raises(InputError, match="test images natural: found a leak"):
        audited(images, tmp_path)


def test_copies_in_two_folds_are_a_leak(images, tmp_path):
    folds = decoder_folds(images.of(TRAINING), **SETTINGS)
    images.images[folds[1].tested[0]] = images.images[folds[0].tested[0]]
    with pytest.raises(InputError, match=r"found a leak, .* with a copy in training"):
        audited(images, tmp_path, folds=folds)


def test_predictions_of_other_folds_are_named(images, tmp_path):
    with pytest.raises(InputError, match="found images of fold 8, expected 4 folds"):
        audited(images, tmp_path, np.full(40, 7))
