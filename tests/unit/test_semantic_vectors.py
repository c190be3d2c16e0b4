"""Vectors of networks that were fitted apart: on the same axes, and without a leak."""

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group
from sklearn.linear_model import LogisticRegression

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.decoders.alignment import Alignment
from scripts.reconstruction.decoders.decoder_job import DecoderJob
from scripts.reconstruction.decoders.decoder_networks import SemanticNetwork, SemanticTask
from scripts.reconstruction.decoders.folds import decoder_folds
from scripts.reconstruction.decoders.held_out_fits import DecoderInputs, held_out_predictions
from scripts.reconstruction.decoders.network_fits import NetworkFits
from scripts.reconstruction.decoders.samples import ImageSamples
from scripts.reconstruction.decoders.train_semantic_decoder import (
    train_semantic_decoder,
    vectors_and_probabilities,
)
from scripts.reconstruction.generator.generator_inputs import Decoded
from scripts.reconstruction.generator.reconstruct_baselines import nearest_rows
from workflow.lib.sources import TRAINING
from workflow.lib.training.options import TrainingOptions

N_CATEGORIES, N_VOXELS = 4, 100
N = {TRAINING: 200, "natural": 80}
CHANCE = 1 / N_CATEGORIES
OPTIONS = TrainingOptions(n_epochs=15, batch=50, learning_rate=1e-3)


def planted(seed, signal):
    """Responses that tell the category of each image as clearly as the signal is strong."""
    rng = np.random.default_rng(seed)
    centres = signal * rng.standard_normal((N_CATEGORIES, N_VOXELS))
    images, samples, codes = {}, {}, {}
    for part, n in N.items():
        codes[part] = rng.integers(0, N_CATEGORIES, n)
        images[part] = ImageTable(
            names=[f"{part}{i}" for i in range(n)],
            parts=[part] * n,
            images=np.zeros((n, 2, 2, 3), np.uint8),
            shapes=np.zeros((n, 2, 2), np.float32),
            groups=np.arange(n),
        )
        noisy = centres[codes[part]] + rng.standard_normal((n, N_VOXELS))
        samples[part] = ImageSamples(noisy.astype(np.float32), np.arange(n))
    return DecoderInputs(images, samples), codes


def folds_of(inputs):
    options = {"n_folds": 4, "validation_share": 0.1, "seed": 0, "study": "planted"}
    return decoder_folds(inputs.images[TRAINING], **options)


def fits(codes, folder, seed=0):
    return NetworkFits(
        build=lambda n_voxels: SemanticNetwork(n_voxels, [48, 24], N_CATEGORIES),
        task=SemanticTask,
        outputs=vectors_and_probabilities,
        targets=codes,
        options=OPTIONS,
        seed=seed,
        purpose="planted/01/network",
        device=torch.device("cpu"),
        checkpoints=folder,
        aligned=["predicted"],
    )


def read(learned, codes, new):
    """Return what a linear reader that learned from vectors says of new ones."""
    centre, size = learned.mean(axis=0), learned.std()
    reader = LogisticRegression(max_iter=1000, C=0.1).fit((learned - centre) / size, codes)
    return reader.predict((new - centre) / size)


def accuracies(seed, signal, folder):
    """Return how often readers of vectors, and of probabilities, are right about an image."""
    inputs, codes = planted(seed, signal)
    own, new = codes[TRAINING], codes["natural"]
    held_out = held_out_predictions(inputs, folds_of(inputs), fits(own, folder, seed))
    fold, found = held_out[TRAINING].fold, {}
    for what in ("vectors", "probabilities"):
        training, test = (
            one.predicted if what == "vectors" else one.extra["probabilities"]
            for one in (held_out[TRAINING], held_out["natural"])
        )
        known, asked = Decoded(list(own), vectors=training), Decoded(list(new), vectors=test)
        right = [
            read(training[fold != f], own[fold != f], training[fold == f]) == own[fold == f]
            for f in np.unique(fold)
        ]
        found[what] = {
            "tests": (read(training, own, test) == new).mean(),
            "folds": np.concatenate(right).mean(),
            "nearest": (own[nearest_rows(asked, known)] == new).mean(),
        }
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("signal", "least"), [(0.7, 0.95), (0.3, 0.6)])
def test_vectors_of_one_network_are_read_as_well_as_probabilities(tmp_path, signal, least):
    """By what learned from vectors of other networks: tests, folds, and the nearest image."""
    found = [accuracies(seed, signal, tmp_path / str(seed)) for seed in range(3)]
    for what in ("tests", "folds", "nearest"):
        vectors, probabilities = (
            np.mean([one[kind][what] for one in found]) for kind in ("vectors", "probabilities")
        )
        # Of 240 images and more, whose share of right answers has a standard error below 0.03.
        assert vectors > probabilities - 0.07, what
        assert vectors > least, what


@pytest.mark.slow
def test_nothing_is_read_from_vectors_where_nothing_is_planted(tmp_path):
    """Out of fold above all: there a map that knows held-out categories would show."""
    found = [accuracies(seed, 0.0, tmp_path / str(seed))["vectors"] for seed in range(3)]
    for what, n in {"tests": N["natural"], "folds": N[TRAINING], "nearest": N["natural"]}.items():
        error = np.sqrt(CHANCE * (1 - CHANCE) / (n * len(found)))
        assert abs(np.mean([one[what] for one in found]) - CHANCE) < 3 * error, what


def test_images_of_a_fold_change_no_bit_of_its_predictor(tmp_path):
    """Neither the responses to held-out images, nor what they show."""
    inputs, codes = planted(0, 0.5)
    folds, own = folds_of(inputs), inputs.samples[TRAINING]
    spoiled, others = own.responses.copy(), codes[TRAINING].copy()
    spoiled[folds[0].tested], others[folds[0].tested] = 100, 0
    found = [
        predictors_of(inputs, responses, folds, fits(targets, tmp_path / name))
        for name, responses, targets in (
            ("clean", own.responses, codes[TRAINING]),
            ("spoiled", spoiled, others),
        )
    ]
    asked = inputs.samples["natural"].responses
    for name, same in {"fold 0": True, "fold 1": False}.items():
        clean, changed = (predictors[name](asked)["predicted"] for predictors in found)
        assert np.array_equal(clean, changed) == same


class KilledError(Exception):
    """What a kill is: nothing after it happens."""


class CutShort(DecoderJob):
    """A job that is killed once its networks are trained."""

    def write_predictions(self, path, fit):
        held_out_predictions(self.inputs, self.folds[:1], fit)
        raise KilledError


@pytest.mark.parametrize(
    ("code", "dropout", "goes_on"),
    [("a", 0.0, True), ("a", 0.5, False), ("b", 0.0, False)],
    ids=["same", "another dropout", "other code"],
)
def test_networks_of_another_decoder_are_not_gone_on_from(tmp_path, caplog, code, dropout, goes_on):
    """Dropout changes no shape of a network, and is none of the options of its training."""
    inputs, codes = planted(0, 0.5)
    for of_code, of_dropout in (("a", 0.0), (code, dropout)):
        decoder = {
            "training": {"n_epochs": 2, "batch": 50},
            "network": {"widths": [8], "dropout": of_dropout},
        }
        job = CutShort("planted", "01", "network", decoder, inputs, folds_of(inputs), 0, of_code)
        with pytest.raises(KilledError):
            train_semantic_decoder(
                job,
                Planted(codes[TRAINING]),
                device=torch.device("cpu"),
                predictions_file=tmp_path / "predictions.h5",
                history_file=tmp_path / "history.csv",
                network_file=tmp_path / "network.safetensors",
            )
    assert ("of other settings" not in caplog.text) == goes_on


class Planted:
    """Clusters of images as they were planted."""

    n_clusters = N_CATEGORIES

    def __init__(self, planted_codes):
        self.planted_codes = planted_codes

    def codes(self, part, names):
        return self.planted_codes


def predictors_of(inputs, responses, folds, fit):
    """Return by name what each fit predicts by."""
    predictors = {}

    def kept(training, validation, name):
        predictors[name] = fit(training, validation, name)
        return predictors[name]

    samples = ImageSamples(responses, inputs.samples[TRAINING].image)
    changed = DecoderInputs(inputs.images, inputs.samples | {TRAINING: samples})
    held_out_predictions(changed, folds, kept)
    return predictors


def test_a_rotation_that_was_planted_is_undone():
    """And is the one that SciPy finds, where there are more images than units."""
    rng = np.random.default_rng(0)
    targets = rng.standard_normal((300, 12)) + 5
    rotation = ortho_group.rvs(12, random_state=1)
    vectors = 3 * (targets - 5) @ rotation.T + rng.standard_normal(12)
    align = Alignment.of(vectors, targets)
    theirs, _ = orthogonal_procrustes(vectors - vectors.mean(0), targets - targets.mean(0))
    np.testing.assert_allclose(align.rotation, theirs, atol=0.02)
    np.testing.assert_allclose(align(vectors), targets, atol=0.1)
    new = rng.standard_normal((5, 12)) + 5
    moved = 3 * (new - 5) @ rotation.T + (vectors - 3 * (targets - 5) @ rotation.T)[0]
    np.testing.assert_allclose(align(moved), new, atol=0.1)


def test_axes_of_which_images_tell_nothing_stay():
    """Ten images in 40 dimensions, turned in the plane of the first two axes."""
    rng = np.random.default_rng(2)
    targets = np.zeros((10, 40))
    targets[:, :2] = rng.standard_normal((10, 2))
    turned = targets.copy()
    turned[:, 0], turned[:, 1] = -targets[:, 1], targets[:, 0]
    align = Alignment.of(turned, targets)
    np.testing.assert_allclose(align(turned), targets, atol=0.1)
    np.testing.assert_allclose(align.rotation[2:, 2:], np.eye(38), atol=1e-6)


def test_vectors_without_variance_are_left_finite():
    align = Alignment.of(np.ones((6, 3)), np.full((6, 3), 2.0))
    np.testing.assert_allclose(align(np.ones((2, 3))), 2)
