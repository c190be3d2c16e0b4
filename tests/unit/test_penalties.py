"""Penalties of decoders: chosen over images held out, written beside predictions, warned of."""

import logging

import numpy as np
import pytest

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.decoders.decode_semantics import logistic_of_categories
from scripts.reconstruction.decoders.decode_shapes import ridge_of_shapes
from scripts.reconstruction.decoders.folds import decoder_folds
from scripts.reconstruction.decoders.held_out_fits import DecoderInputs, held_out_predictions
from scripts.reconstruction.decoders.penalties import PENALTY, inner_folds, warn_at_edge
from scripts.reconstruction.decoders.ridge import RidgeSettings
from scripts.reconstruction.decoders.samples import ImageSamples
from workflow.lib.errors import InputError
from workflow.lib.sources import TRAINING

N = {TRAINING: 40, "natural": 6}
N_VOXELS, SIDE = 30, 3
ALPHAS = (1e-3, 1.0, 10.0, 1e6)


def inputs_of(rng, responses):
    """Images with random shapes, and responses that are a function of these."""
    images = {
        part: ImageTable(
            names=[f"{part}{i}" for i in range(n)],
            parts=[part] * n,
            images=np.zeros((n, SIDE, SIDE, 3), np.uint8),
            shapes=rng.standard_normal((n, SIDE, SIDE)).astype(np.float32),
            groups=np.arange(n),
        )
        for part, n in N.items()
    }
    samples = {
        part: ImageSamples(responses(own.shapes).astype(np.float32), np.arange(len(own.names)))
        for part, own in images.items()
    }
    return DecoderInputs(images, samples)


def predictions(inputs, fit):
    options = {"n_folds": 4, "validation_share": 0, "seed": 0, "study": "planted"}
    return held_out_predictions(inputs, decoder_folds(inputs.images[TRAINING], **options), fit)


@pytest.mark.parametrize(
    ("told", "end", "chosen"), [(True, "smallest", ALPHAS[0]), (False, "largest", ALPHAS[-1])]
)
def test_penalties_are_written_with_predictions_and_warned_of(caplog, told, end, chosen):
    """Without noise the least penalty is the best; where nothing is told, the largest."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((SIDE * SIDE, N_VOXELS))
    inputs = inputs_of(
        rng,
        lambda shapes: (
            shapes.reshape(len(shapes), -1) @ weights
            if told
            else rng.standard_normal((len(shapes), N_VOXELS))
        ),
    )
    own = inputs.images[TRAINING]
    settings = RidgeSettings(alphas=ALPHAS, per_target=False, n_inner_folds=5)
    with caplog.at_level(logging.WARNING):
        found = predictions(
            inputs, ridge_of_shapes(own.shapes, own.groups, settings, seed=0, purpose="x/01/V1")
        )
    for part, n in N.items():
        np.testing.assert_allclose(found[part].extra[PENALTY], np.full(n, chosen), rtol=1e-6)
    warned = [record.getMessage() for record in caplog.records if "penalty" in record.getMessage()]
    # Of four folds, and of all training images.
    assert len(warned) == 5
    assert all(f"the {end} that was offered" in message for message in warned)
    assert warned[0].startswith("x/01/V1, fold 0: found the penalty ")


def test_a_penalty_between_others_and_one_without_choice_are_not_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        warn_at_edge(10.0, [1, 10, 100], "x")
        warn_at_edge(100.0, [100], "x")
    assert not caplog.records


def categories(codes, seed=0):
    """Return predictions of categories that responses tell."""
    rng = np.random.default_rng(seed)
    centres = 3 * rng.standard_normal((3, N_VOXELS))
    inputs = inputs_of(
        rng, lambda shapes: centres[codes[: len(shapes)]] + rng.standard_normal((1, N_VOXELS))
    )
    fit = logistic_of_categories(
        codes,
        inputs.images[TRAINING].groups,
        3,
        penalties=[1e-2, 1.0],
        n_inner_folds=5,
        seed=0,
        purpose="x/01/linear",
    )
    return predictions(inputs, fit)


def test_a_category_of_few_images_may_be_missing_from_inner_folds():
    """Two images of 40: in some inner fold, no other category is left to learn from."""
    codes = np.zeros(N[TRAINING], int)
    codes[:2] = 2
    found = categories(codes)
    for held_out in found.values():
        probabilities = held_out.extra["probabilities"]
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert (probabilities[:, 1] == 0).all()
        assert set(held_out.extra[PENALTY]) <= {1e-2, 1.0}
    natural = found["natural"].extra["probabilities"]
    assert natural.argmax(axis=1).tolist() == codes[: len(natural)].tolist()


def test_the_only_category_is_certain():
    found = categories(np.ones(N[TRAINING], int))
    for held_out in found.values():
        np.testing.assert_array_equal(held_out.extra["probabilities"][:, 1], 1)


def test_inner_folds_keep_repeats_together_and_need_an_image_each():
    groups = np.repeat(np.arange(7), 3)
    tested = []
    for fitted, test in inner_folds(groups, 7, 0):
        assert not set(groups[fitted]) & set(groups[test])
        tested += test.tolist()
    assert sorted(tested) == list(range(21))
    with pytest.raises(InputError, match=r"found 7 different images .* 8 inner folds"):
        inner_folds(groups, 8, 0)
