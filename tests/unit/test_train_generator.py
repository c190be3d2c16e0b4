"""Generators learn what they are told and nothing else, and end the same if they are cut short."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.generator.gan_training import (
    DISCRIMINATOR,
    GENERATOR,
    PIXEL,
    Examples,
    GanOptions,
    GanTask,
)
from scripts.reconstruction.generator.generator_inputs import Decoded, Inputs
from scripts.reconstruction.generator.losses import pixel_loss
from scripts.reconstruction.generator.patch_gan import build_patch_gan
from scripts.reconstruction.generator.sample_grid import read_samples, write_samples
from scripts.reconstruction.generator.train_generator import train_generator, validation_images
from scripts.reconstruction.generator.trained_generator import (
    as_bytes,
    as_signed,
    read_generator,
    write_generator,
)
from scripts.reconstruction.generator.unet import build_unet
from workflow.lib.errors import InputError
from workflow.lib.training.history import TRAINING, VALIDATION

COLOURS = np.array([[220, 60, 60], [60, 160, 60], [70, 90, 230], [200, 170, 40]])
CHANCE = 1 / len(COLOURS)
GROUND, SIDE, RADIUS = 200, 32, 6
OPTIONS = GanOptions(
    widths=[16, 32, 64],
    discriminator_widths=[8, 16],
    learning_rate=8e-3,
    n_epochs=14,
    batch=16,
    sample_every=0,
)
TINY = replace(
    OPTIONS, widths=[4, 4, 4, 4, 4], discriminator_widths=[4, 4], n_epochs=3, sample_every=2
)


def discs(n, seed):
    """Return images of discs, where they are, and what colour they have.

    The shape tells the place through noise and nothing of the colour, the vector the opposite.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    centres = rng.uniform(RADIUS, SIDE - RADIUS, (2, n, 1, 1))
    inside = (rows - centres[0]) ** 2 + (columns - centres[1]) ** 2 < RADIUS**2
    colour = rng.integers(0, len(COLOURS), n)
    images = np.where(inside[..., None], COLOURS[colour][:, None, None], GROUND).astype(np.uint8)
    shapes = inside + 0.3 * rng.standard_normal(inside.shape)
    vectors = np.eye(len(COLOURS))[colour] + 0.2 * rng.standard_normal((n, len(COLOURS)))
    return images, Decoded([str(i) for i in range(n)], shapes, vectors), inside, colour


def trained(decoded, images, folder, options=OPTIONS, *, validation=None, **more):
    return train_generator(
        images,
        decoded,
        np.arange(len(images)) % 10 == 0 if validation is None else validation,
        options=options,
        seed=1,
        purpose="test",
        checkpoint=folder / "generator.checkpoint",
        **more,
    )


@pytest.mark.slow
def test_colour_is_told_by_semantics_and_place_by_shape(tmp_path):
    """Discs at places and of colours that are told apart: on new images, each needs its stream."""
    images, decoded, _, _ = discs(240, seed=0)
    new_images, new, inside, colour = discs(60, seed=1)
    streams = {"both": {}, "shape": {"vectors": None}, "semantics": {"shapes": None}}
    right, placed = {}, {}
    for name, missing in streams.items():
        result = trained(replace(decoded, **missing), images, tmp_path / name)
        drawn = result.trained.draw(replace(new, **missing)).astype(float)
        found = [image[disc].mean(axis=0) for image, disc in zip(drawn, inside, strict=True)]
        nearest = ((np.array(found)[:, None] - COLOURS) ** 2).sum(axis=2).argmin(axis=1)
        right[name] = (nearest == colour).mean()
        greys = (x.mean(axis=-1).reshape(len(x), -1) for x in (drawn, new_images))
        placed[name] = np.mean([np.corrcoef(x, y)[0, 1] for x, y in zip(*greys, strict=True)])
    assert right["both"] > 0.8
    assert placed["both"] > 0.85
    assert placed["shape"] > 0.85
    # Five standard errors of a guess; the mean image of all places is alike everywhere.
    guess = 5 * np.sqrt(CHANCE * (1 - CHANCE) / len(colour))
    assert abs(right["shape"] - CHANCE) < guess
    assert abs(placed["semantics"]) < 0.3


@pytest.mark.parametrize("save_every", [0.0, 1e9], ids=["saved each step", "not saved"])
def test_interrupted_training_ends_with_the_same_generator(tmp_path, monkeypatch, save_every):
    """Bit by bit, with dropout and samples, wherever the first run was cut."""
    images, decoded, _, _ = discs(40, seed=2)
    whole = trained(decoded, images, tmp_path / "whole", TINY)
    options = replace(TINY, save_every=save_every)
    step, n_taken = GanTask.step, [0]

    def cut(self, *arguments):
        n_taken[0] += 1
        if n_taken[0] == 4:
            raise KeyboardInterrupt
        return step(self, *arguments)

    monkeypatch.setattr(GanTask, "step", cut)
    with pytest.raises(KeyboardInterrupt):
        trained(decoded, images, tmp_path / "cut", options)
    monkeypatch.setattr(GanTask, "step", step)
    again = trained(decoded, images, tmp_path / "cut", options)
    for name, value in whole.trained.network.state_dict().items():
        assert torch.equal(value, again.trained.network.state_dict()[name]), name
    assert again.history.equals(whole.history)
    assert np.array_equal(again.samples.drawn, whole.samples.drawn)


def test_all_that_differs_between_generators_is_what_they_are_told(tmp_path):
    """A stream that is missing and one that says nothing end with the same network."""
    images, decoded, _, _ = discs(40, seed=3)
    missing = trained(replace(decoded, vectors=None), images, tmp_path / "missing", TINY)
    silent = replace(decoded, vectors=np.ones((40, 3)))
    constant = trained(silent, images, tmp_path / "constant", TINY)
    weights = constant.trained.network.state_dict()
    for name, value in missing.trained.network.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_the_epoch_is_the_best_on_validation_images(tmp_path):
    """Its loss, computed anew, is the lowest of all epochs.

    Validation images contradict training images, so that what is learned longest is not the best.
    """
    images, decoded, _, _ = discs(40, seed=4)
    chosen = np.arange(40) % 10 == 0
    images[chosen] = 255 - images[chosen]
    result = trained(decoded, images, tmp_path, replace(TINY, n_epochs=6, learning_rate=0.02))
    history = result.history.set_index(["part", "measure", "epoch"])["value"].unstack()
    losses = history.loc[(VALIDATION, PIXEL)].to_numpy()
    assert losses.argmin() < len(losses) - 1
    inputs = result.trained.scaling(decoded, SIDE)[np.flatnonzero(chosen)]
    with torch.no_grad():
        drawn = result.trained.network(inputs.shapes, inputs.vectors)
    found = pixel_loss(drawn, as_signed(images[chosen], torch.device("cpu"))).item()
    assert found == pytest.approx(losses.min(), rel=1e-5)
    assert set(history.loc[TRAINING].index) == {"discriminator loss", "adversarial loss", PIXEL}


def test_without_validation_images_the_last_epoch_is_kept(tmp_path):
    images, decoded, _, _ = discs(20, seed=5)
    result = trained(decoded, images, tmp_path, TINY, validation=np.zeros(20, bool))
    assert set(result.history["part"]) == {TRAINING}
    assert result.samples.drawn.size == 0


def test_nothing_but_validation_images(tmp_path):
    images, decoded, _, _ = discs(20, seed=5)
    with pytest.raises(InputError, match="found 20 validation images of 20"):
        trained(decoded, images, tmp_path, TINY, validation=np.ones(20, bool))


def test_a_step_of_one_network_leaves_the_other_alone(monkeypatch):
    images, decoded, _, _ = discs(8, seed=6)
    inputs = Inputs(torch.from_numpy(decoded.shapes).float().unsqueeze(1), torch.zeros(8, 0))
    task = GanTask(
        build_unet(SIDE, TINY.widths, 0, dropout=0.5, seed=0),
        build_patch_gan(SIDE, TINY.discriminator_widths, seed=0),
        training=Examples(images, inputs),
        validation=Examples(images, inputs)[:0],
        options=TINY,
        seed=0,
        purpose="test",
    )
    changed, descend = [], task.descend

    def watched(loss, name):
        before = {n: [p.clone() for p in network.parameters()] for n, network in networks}
        descend(loss, name)
        after = {n: list(network.parameters()) for n, network in networks}
        changed.append([n for n in after if not all(map(torch.equal, before[n], after[n]))])

    networks = list(task.networks.items())
    monkeypatch.setattr(task, "descend", watched)
    task.step(0, 0, np.random.default_rng(0))
    assert changed == [[DISCRIMINATOR], [GENERATOR]]


def test_half_precision_leaves_weights_and_losses_in_single(tmp_path, monkeypatch):
    """As on a GPU, in the half precision that CPUs have; losses are near those in single."""
    images, decoded, _, _ = discs(40, seed=9)
    perceptual = {"network": "squeezenet1_1", "layers": ["features.2"], "weights": "untrained"}
    options = replace(TINY, perceptual=perceptual, perceptual_weight=1.0)
    single = trained(decoded, images, tmp_path / "single", options)
    used = []

    def half(self):
        used.append(torch.bfloat16)
        return torch.autocast("cpu", dtype=torch.bfloat16)

    monkeypatch.setattr(GanTask, "autocast", half)
    found = trained(decoded, images, tmp_path / "half", options)
    assert used
    weights = found.trained.network.state_dict().values()
    assert {value.dtype for value in weights} == {torch.float32}
    first = [result.history.query("epoch == 1")["value"].to_numpy() for result in (single, found)]
    assert not np.array_equal(*first)
    np.testing.assert_allclose(*first, rtol=0.1)


def test_learning_rates_fall_to_zero_over_the_second_half(tmp_path, monkeypatch):
    """36 images in batches of 6, 4 epochs: 24 steps, the 19th of which is halfway down."""
    images, decoded, _, _ = discs(40, seed=10)
    rates, step = [], GanTask.step

    def watched(self, *arguments):
        rates.append([o.param_groups[0]["lr"] for o in self.optimisers.values()])
        return step(self, *arguments)

    monkeypatch.setattr(GanTask, "step", watched)
    options = replace(TINY, n_epochs=4, batch=6, learning_rate=0.01)
    trained(decoded, images, tmp_path, options)
    expected = [0.01] * 12 + [0.01 * (24 - i) / 12 for i in range(12, 24)]
    np.testing.assert_allclose(rates, np.transpose([expected, expected]))
    assert rates[18] == pytest.approx([0.005, 0.005])


def test_samples_are_of_validation_images_at_intervals(tmp_path):
    images, decoded, _, _ = discs(40, seed=7)
    result = trained(decoded, images, tmp_path, replace(TINY, n_epochs=5, n_samples=3))
    write_samples(tmp_path / "samples.npz", result.samples)
    grid = read_samples(tmp_path / "samples.npz")
    assert grid.names == ["0", "10", "20"]
    assert grid.epochs.tolist() == [1, 2, 4, 5]
    assert grid.drawn.shape == (4, 3, SIDE, SIDE, 3)
    np.testing.assert_array_equal(grid.images, images[[0, 10, 20]])
    np.testing.assert_allclose(grid.shapes, decoded.shapes[[0, 10, 20]], rtol=1e-6)


def test_a_generator_on_disk_draws_the_same(tmp_path):
    images, decoded, _, _ = discs(40, seed=8)
    result = trained(decoded, images, tmp_path, TINY)
    write_generator(tmp_path / "generator.safetensors", result.trained)
    again = read_generator(tmp_path / "generator.safetensors")
    drawn = again.draw(decoded)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, result.trained.draw(decoded))


def test_bytes_come_back_from_signed_images():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    signed = as_signed(levels, torch.device("cpu"))
    assert signed.min() == -1
    assert signed.max() == 1
    np.testing.assert_array_equal(as_bytes(signed), levels)


def test_copies_of_an_image_are_validated_together():
    groups = np.repeat(np.arange(20), 3)
    names = [str(i) for i in range(60)]
    table = ImageTable(
        names, ["training"] * 60, np.zeros((60, 2, 2, 3), np.uint8), np.zeros((60, 2, 2)), groups
    )
    options = {"n_folds": 4, "validation_share": 0.2, "study": "x"}
    chosen = validation_images(table, **options, seed=0)
    assert 0 < chosen.sum() < 30
    assert len(set(groups[chosen]) & set(groups[~chosen])) == 0
    np.testing.assert_array_equal(chosen, validation_images(table, **options, seed=0))
    assert not np.array_equal(chosen, validation_images(table, **options, seed=1))
