"""Decoders of shapes and categories: scikit-learn, planted truths, and what folds forbid."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.decoders.decode_semantics import logistic_of_categories
from scripts.reconstruction.decoders.decode_shapes import ridge_of_shapes
from scripts.reconstruction.decoders.decoder_networks import SemanticNetwork, ShapeNetwork
from scripts.reconstruction.decoders.folds import decoder_folds, shuffled_images
from scripts.reconstruction.decoders.held_out_fits import DecoderInputs, held_out_predictions
from scripts.reconstruction.decoders.ridge import RidgeSettings, fit_ridge
from scripts.reconstruction.decoders.samples import ImageSamples, Standardiser
from workflow.lib.sources import TRAINING
from workflow.lib.splits.held_out import ALL_TRAINING

SIDE = 4
FOLDS = {"n_folds": 5, "validation_share": 0.1, "seed": 0, "study": "planted"}


def table(n, rng, part=TRAINING, groups=None):
    return ImageTable(
        names=[f"{part}{i}" for i in range(n)],
        parts=[part] * n,
        images=rng.integers(0, 256, (n, SIDE, SIDE, 3), np.uint8),
        shapes=rng.random((n, SIDE, SIDE)).astype(np.float32),
        groups=np.arange(n) if groups is None else groups,
    )


def planted(rng, *, n_images=60, n_repeats=3, n_voxels=40, noise=0.2):
    """Responses that are a linear function of the shapes, and trials in a random order."""
    images = {TRAINING: table(n_images, rng), "natural": table(12, rng, "natural")}
    weights = rng.standard_normal((SIDE * SIDE, n_voxels))
    samples = {}
    for part, own in images.items():
        image = rng.permutation(np.repeat(np.arange(len(own.names)), n_repeats))
        clean = own.shapes.reshape(len(own.names), -1) @ weights
        trials = clean[image] + noise * rng.standard_normal((len(image), n_voxels))
        samples[part] = ImageSamples(trials.astype(np.float32), image)
    return DecoderInputs(images, samples)


def ridge(inputs, alphas=(0.1, 1.0, 10.0, 100.0), **options):
    settings = RidgeSettings(alphas=alphas, per_target=False, n_inner_folds=5)
    images = inputs.images[TRAINING]
    return ridge_of_shapes(images.shapes, images.groups, settings, seed=0, purpose="test")


def correlations(held_out, shapes):
    found = held_out.predicted.reshape(len(shapes), -1)
    return np.mean([np.corrcoef(f, s.ravel())[0, 1] for f, s in zip(found, shapes, strict=True)])


def test_ridge_equals_scikit_learn_at_the_only_penalty():
    rng = np.random.default_rng(0)
    features, targets = rng.standard_normal((30, 50)), rng.standard_normal((30, 7))
    settings = RidgeSettings(alphas=[3.0], per_target=False, n_inner_folds=5)
    ours = fit_ridge(
        features.astype(np.float32), targets.astype(np.float32), np.arange(30), settings, 0
    )
    theirs = Ridge(alpha=3.0).fit(features, targets)
    others = rng.standard_normal((9, 50))
    np.testing.assert_allclose(
        ours.predict(others.astype(np.float32)), theirs.predict(others), atol=1e-4
    )


def test_penalty_is_that_of_least_error_over_groups_held_out():
    """Repeats of an image would choose a smaller penalty, were they parted."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(12), 4)
    shared = rng.standard_normal((12, 30))[groups]
    features = (shared + 0.3 * rng.standard_normal((48, 30))).astype(np.float32)
    targets = rng.standard_normal((12, 5))[groups].astype(np.float32)
    alphas = [1e-2, 1.0, 1e2, 1e4]
    settings = RidgeSettings(alphas=alphas, per_target=False, n_inner_folds=4)
    chosen = fit_ridge(features, targets, groups, settings, 7).best_alphas_
    # Nothing about an image can be told from others here.
    np.testing.assert_allclose(chosen, max(alphas), rtol=1e-5)
    leaking = fit_ridge(features, targets, np.arange(48), settings, 7).best_alphas_
    assert (leaking < max(alphas) / 10).all()


def test_every_image_is_predicted_without_any_response_to_it():
    """Garbage in an image's responses changes no bit of predictions of it by models."""
    rng = np.random.default_rng(2)
    inputs = planted(rng)
    images = inputs.images[TRAINING]
    folds = decoder_folds(images, **FOLDS)
    whole = held_out_predictions(inputs, folds, ridge(inputs))
    tested = folds[0].tested
    own = inputs.samples[TRAINING]
    spoiled = own.responses.copy()
    spoiled[np.isin(own.image, tested)] = 1e3 * rng.standard_normal(spoiled.shape[1])
    fits = []

    def recording(training, validation, name):
        fits.append((name, training, validation))
        return ridge(inputs)(training, validation, name)

    again = DecoderInputs(
        inputs.images, {**inputs.samples, TRAINING: ImageSamples(spoiled, own.image)}
    )
    held_out_predictions(again, folds, recording)
    name, training, validation = fits[0]
    clean = own.of(np.concatenate([folds[0].trained, folds[0].validated]))
    scale = Standardiser.of(
        np.concatenate([own.of(folds[0].trained).responses, own.of(folds[0].validated).responses])
    )
    assert name == "fold 0"
    assert set(training.image) | set(validation.image) == set(clean.image)
    np.testing.assert_array_equal(training.responses, scale(own.of(folds[0].trained).responses))
    assert (whole[TRAINING].fold >= 0).all()
    assert (whole["natural"].fold == ALL_TRAINING).all()


def test_planted_shapes_are_decoded_and_shuffled_ones_are_not():
    found = {"planted": [], "shuffled": []}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        inputs = planted(rng)
        shuffled = DecoderInputs(
            inputs.images,
            {
                part: samples.relabelled(shuffled_images(inputs.images[part].groups, rng))
                for part, samples in inputs.samples.items()
            },
        )
        for name, each in {"planted": inputs, "shuffled": shuffled}.items():
            images = each.images[TRAINING]
            held_out = held_out_predictions(each, decoder_folds(images, **FOLDS), ridge(each))
            for part, own in each.images.items():
                mean = images.shapes.mean(axis=0)
                centred = held_out[part].predicted - mean
                found[name].append(np.corrcoef(centred.ravel(), (own.shapes - mean).ravel())[0, 1])
    assert min(found["planted"]) > 0.9
    assert abs(np.mean(found["shuffled"])) < 0.1


def test_copies_share_a_fold_and_change_places_with_copies():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(20), 2)
    images = table(40, rng, groups=groups)
    for fold in decoder_folds(images, **{**FOLDS, "validation_share": 0.2}):
        assert not set(groups[fold.tested]) & set(groups[fold.trained])
        assert not set(groups[fold.tested]) & set(groups[fold.validated])
    order = shuffled_images(groups, rng)
    assert sorted(order) == list(range(40))
    source = groups[order].reshape(20, 2)
    assert (source[:, 0] == source[:, 1]).all()
    assert (source[:, 0] != np.arange(20)).any()


def test_shuffling_gives_an_image_the_responses_to_another():
    samples = ImageSamples(np.arange(4, dtype=np.float32)[:, np.newaxis], np.array([0, 1, 2, 3]))
    moved = samples.relabelled(np.array([2, 0, 3, 1]))
    by_image = dict(zip(moved.image.tolist(), moved.responses[:, 0].tolist(), strict=True))
    assert by_image == {0: 2.0, 1: 0.0, 2: 3.0, 3: 1.0}


def test_average_is_that_of_each_images_trials():
    rng = np.random.default_rng(4)
    image = rng.integers(0, 5, 40)
    trials = ImageSamples(rng.standard_normal((40, 3)).astype(np.float32), image)
    for row, one in enumerate(np.unique(image)):
        np.testing.assert_allclose(
            trials.averaged().responses[row], trials.responses[image == one].mean(0), rtol=1e-5
        )


def categories(rng, n_images=90, n_voxels=20, signal=2.0):
    images = {TRAINING: table(n_images, rng), "natural": table(30, rng, "natural")}
    centres = signal * rng.standard_normal((3, n_voxels))
    codes = {part: rng.integers(0, 3, len(own.names)) for part, own in images.items()}
    samples = {
        part: ImageSamples(
            (centres[code] + rng.standard_normal((len(code), n_voxels))).astype(np.float32),
            np.arange(len(code)),
        )
        for part, code in codes.items()
    }
    return DecoderInputs(images, samples), codes


@pytest.mark.parametrize(("signal", "least", "most"), [(2.0, 0.9, 1.0), (0.0, 0.2, 0.47)])
def test_categories_are_decoded_where_they_are_planted(signal, least, most):
    inputs, codes = categories(np.random.default_rng(5), signal=signal)
    images = inputs.images[TRAINING]
    fit = logistic_of_categories(
        codes[TRAINING],
        images.groups,
        3,
        penalties=[1e-3, 1e-1, 10.0],
        n_inner_folds=4,
        seed=0,
        purpose="test",
    )
    held_out = held_out_predictions(inputs, decoder_folds(images, **FOLDS), fit)
    right = [
        (held_out[part].extra["probabilities"].argmax(1) == code).mean()
        for part, code in codes.items()
    ]
    assert least <= np.mean(right) <= most


def test_published_networks_have_the_published_sizes():
    """Parameters counted by hand; the shape decoder of sub-01, 2,521 voxels of V1."""
    with torch.device("meta"):
        shape = ShapeNetwork(2521, [3025], 256)
        semantic = SemanticNetwork(5066, [2048, 1024], 20)
    n_shape = (2521 + 1) * 3025 + (3025 + 1) * 65536
    n_semantic = (5066 + 1) * 2048 + (2048 + 1) * 1024 + (1024 + 1) * 20
    assert sum(p.numel() for p in shape.parameters()) == n_shape
    assert sum(p.numel() for p in semantic.parameters()) == n_semantic
    assert shape(torch.empty(2, 2521, device="meta")).shape == (2, 256, 256)
    assert semantic.describe(torch.empty(2, 5066, device="meta")).shape == (2, 1024)
