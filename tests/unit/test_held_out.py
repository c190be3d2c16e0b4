"""Predictions of images on disk: what was written is read, and no leak can be written."""

import h5py
import numpy as np
import pytest

from workflow.lib.errors import InputError
from workflow.lib.sources import TRAINING
from workflow.lib.splits.held_out import (
    ALL_TRAINING,
    HeldOut,
    attributes_of,
    fitted_to_all,
    parts_of,
    read_held_out,
    write_held_out,
)

RNG = np.random.default_rng(0)
NAMES = ["n01_10.JPEG", "n01_11.JPEG", "é 3"]


def training(**changes):
    fields = {
        "names": NAMES,
        "predicted": RNG.standard_normal((3, 4, 4)),
        "fold": np.array([1, 0, 1]),
        "extra": {"probabilities": RNG.random((3, 2))},
    }
    return HeldOut(**(fields | changes))


@pytest.mark.parametrize(
    "predicted",
    [
        RNG.standard_normal((3, 200, 200)),
        RNG.random((3, 5), dtype=np.float32),
        RNG.integers(0, 256, (3, 8, 8, 3)).astype(np.uint8),
    ],
    ids=["shapes", "vectors", "images"],
)
def test_what_was_written_is_read(tmp_path, predicted):
    written = training(predicted=predicted)
    parts = {"natural": fitted_to_all(["a", "b"], predicted[:2]), TRAINING: written}
    write_held_out(tmp_path / "x.h5", parts, {"subject": "01", "rois": ["V1", "V2"], "n": 3})
    assert parts_of(tmp_path / "x.h5") == [TRAINING, "natural"]
    assert attributes_of(tmp_path / "x.h5") == {"subject": "01", "rois": ["V1", "V2"], "n": 3}
    found = read_held_out(tmp_path / "x.h5", TRAINING)
    assert found.names == NAMES
    np.testing.assert_array_equal(found.predicted, predicted.astype(found.predicted.dtype))
    assert found.predicted.dtype == (np.uint8 if predicted.dtype == np.uint8 else np.float32)
    assert found.fold.tolist() == [1, 0, 1]
    np.testing.assert_allclose(
        found.extra["probabilities"], written.extra["probabilities"], rtol=1e-6
    )
    assert read_held_out(tmp_path / "x.h5", "natural").fold.tolist() == [ALL_TRAINING] * 2


def test_one_large_image_is_read_without_the_others(tmp_path):
    write_held_out(tmp_path / "x.h5", {"t": fitted_to_all(NAMES, np.zeros((3, 200, 200)))}, {})
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["t/predicted"].chunks == (1, 200, 200)


def test_predictions_in_the_order_of_other_names():
    found = training().of(["é 3", NAMES[0]])
    whole = training(predicted=np.arange(3.0)).of(["é 3", NAMES[0]])
    assert found.names == ["é 3", NAMES[0]]
    assert whole.predicted.tolist() == [2, 0]
    assert whole.fold.tolist() == [1, 1]
    assert found.extra["probabilities"].shape == (2, 2)
    with pytest.raises(InputError, match="found none of the image 'b'"):
        training().of(["b"])


@pytest.mark.parametrize(
    ("part", "held_out", "message"),
    [
        (TRAINING, training(fold=np.array([0, -1, 1])), "tested in no fold"),
        ("natural", training(), "in a fold of training images"),
        (TRAINING, training(names=["a", "b", "a"]), "two predictions"),
        (TRAINING, training(predicted=np.full((3, 2), np.nan)), "not finite"),
        (TRAINING, training(predicted=np.zeros((2, 2))), "2 rows of predicted for 3 images"),
        (TRAINING, training(extra={"fold": np.zeros(3)}), "names of others"),
    ],
)
def test_what_is_no_prediction_of_held_out_images_is_not_written(tmp_path, part, held_out, message):
    with pytest.raises(ValueError, match=message):
        write_held_out(tmp_path / "x.h5", {part: held_out}, {})
    assert not list(tmp_path.iterdir())


def test_a_part_that_is_not_there(tmp_path):
    write_held_out(tmp_path / "x.h5", {TRAINING: training()}, {})
    with pytest.raises(InputError, match="found training, expected predictions of the images 'nat"):
        read_held_out(tmp_path / "x.h5", "natural")
