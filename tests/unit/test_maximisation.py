"""Images that drive single units: against what can be worked out by hand, and a trained network."""

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import scipy.special
import torch
import yaml

from scripts.digits.data.labelled_images import ImageSet
from scripts.digits.data.simulate_digit_images import simulate_images
from scripts.digits.figures.plot_maximised import GAP_GREY, mosaic, plot_maximised
from scripts.digits.network.classification import ClassifierOptions
from scripts.digits.network.train_cnn import train_classifier
from scripts.digits.network.trained import Scaling, Trained, as_tensor
from scripts.digits.network.vgg import ANALYSED_LAYERS, build_vgg
from scripts.digits.units.ascent import Ascent, Round, ascend, ascent_of, blurred, total_variation
from scripts.digits.units.maximise_activations import maximise, one_thread_each, table_of
from scripts.digits.units.maximised import read_maximised, write_maximised
from scripts.digits.units.unit_images import log_odds, logit, maximise_filters, unit_activations
from workflow.lib.config.complete import complete_config
from workflow.lib.errors import InputError

CONFIG = Path(__file__).parents[2] / "config/config.yaml"
SIDE = 32
CATEGORIES = {"digit": ["zero", "one", "four"], "object": ["bed", "cat"]}
ALL = [category for members in CATEGORIES.values() for category in members]
PLAIN = Scaling((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
SHORT = Ascent([Round(20, blur=0.5)], learning_rate=0.05)


@pytest.fixture(autouse=True)
def one_thread():
    with one_thread_each():
        yield


@pytest.fixture(scope="module")
def images():
    numbers = {"train": 80, "validation": 20}
    return simulate_images(ALL, numbers, side=SIDE, seed=2, name="test")


@pytest.fixture
def untrained():
    network = build_vgg("vgg_small", len(ALL), seed=3).eval().requires_grad_(False)
    return Trained(network, ALL, Scaling((0.4, 0.5, 0.6), (0.2, 0.2, 0.3)))


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    settings = ClassifierOptions(
        categories=CATEGORIES,
        size="vgg_small",
        weights="untrained",
        n_epochs=12,
        learning_rate=0.001,
        decay=0.96,
        decay_steps=8050,
        weight_decay=0.0005,
        dropout=0.5,
        precision="float32",
        batch={"digit": 15, "object": 15},
    )
    with one_thread_each():
        found, _, _ = train_classifier(
            images["train"],
            images["validation"],
            settings,
            seed=1,
            name="test",
            checkpoint=tmp_path_factory.mktemp("training") / "checkpoint",
        )
    return found


def maximised(trained, images, **changes):
    settings = {
        "classes": SHORT,
        "filters": SHORT,
        "class_objective": "log_odds",
        "n_filters": 2,
        "seed": 1,
        "purpose": "test",
    }
    return maximise(trained, images, **settings | changes)


# The ascent.


def test_sizes_of_steps_and_blurs_glide_from_round_to_round():
    ascent = Ascent([Round(4, blur=2.0, step=1.0), Round(2, blur=1.0, step=0.5)], learning_rate=0.1)
    steps, blurs = np.transpose(list(ascent.steps()))
    np.testing.assert_allclose(steps, [0.1, 0.0875, 0.075, 0.0625, 0.05, 0.025])
    np.testing.assert_allclose(blurs, [2, 1.75, 1.5, 1.25, 1, 0.5])


def test_a_weighted_sum_of_pixels_is_highest_where_each_is_black_or_white():
    rng = np.random.default_rng(0)
    signs, sizes = rng.choice([-1, 1], (1, 3, 8, 8)), rng.uniform(0.5, 2, (1, 3, 8, 8))
    weights = torch.from_numpy(signs * sizes).float()
    found = ascend(
        lambda images: (images * weights).sum(dim=(1, 2, 3)),
        torch.full((1, 3, 8, 8), 0.5),
        Ascent([Round(300)], learning_rate=0.05),
        scaling=PLAIN,
        rng=np.random.default_rng(0),
    )
    torch.testing.assert_close(found, (weights > 0).float(), atol=1e-3, rtol=0)


def test_a_step_is_of_one_mean_size_whatever_the_activation():
    weights = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 3, 8, 8))).float()
    weights[1] *= 1e6
    before = torch.full((2, 3, 8, 8), 0.5)
    after = ascend(
        lambda images: (images * weights).sum(dim=(1, 2, 3)),
        before,
        Ascent([Round(1)], learning_rate=0.02),
        scaling=PLAIN,
        rng=np.random.default_rng(0),
    )
    torch.testing.assert_close((after - before).abs().mean(dim=(1, 2, 3)), torch.full((2,), 0.02))


def test_penalties_lead_to_the_mean_colour_and_to_plain_images():
    scaling = Scaling((0.2, 0.5, 0.7), (0.1, 0.2, 0.3))
    noise = torch.from_numpy(np.random.default_rng(2).random((1, 3, 8, 8), dtype=np.float32))

    def end(**penalties):
        ascent = Ascent([Round(3000)], learning_rate=0.02, **penalties)
        return ascend(
            lambda images: 0 * images.sum(dim=(1, 2, 3)),
            noise,
            ascent,
            scaling=scaling,
            rng=np.random.default_rng(0),
        )

    mean = torch.tensor(scaling.mean)[:, None, None].expand(1, 3, 8, 8)
    torch.testing.assert_close(end(norm_penalty=1.0), mean, atol=0.01, rtol=0)
    assert total_variation(end(variation_penalty=1.0)) < 0.05 * total_variation(noise)


def test_shifts_reach_as_far_as_they_may():
    """What drives one pixel is drawn at all places that the shifts bring there, and at no other."""
    found = ascend(
        lambda images: images[:, :, 6, 6].sum(dim=1),
        torch.zeros(1, 3, 13, 13),
        Ascent([Round(400)], learning_rate=0.01, jitter=2),
        scaling=PLAIN,
        rng=np.random.default_rng(5),
    )
    rows, columns = torch.nonzero(found[0, 0], as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 8, 4, 8)
    assert len(rows) == 25


def test_a_unit_without_a_gradient_leaves_its_image_as_it_is():
    start = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    found = ascend(
        lambda images: 0 * images.sum(dim=(1, 2, 3)),
        start,
        SHORT_WITHOUT_BLUR,
        scaling=PLAIN,
        rng=np.random.default_rng(0),
    )
    torch.testing.assert_close(found, start)


SHORT_WITHOUT_BLUR = Ascent([Round(5)], learning_rate=0.05)


def test_blur_is_that_of_scipy():
    images = np.random.default_rng(3).random((2, 3, 11, 17))
    found = blurred(torch.from_numpy(images), 1.3)
    expected = scipy.ndimage.gaussian_filter(images, (0, 0, 1.3, 1.3))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_total_variation_by_hand():
    """Across, 3 of 4 columns differ from the one before by 1; down nothing differs."""
    stripes = torch.tensor([0.0, 1.0, 0.0, 0.0, 1.0]).expand(1, 3, 5, 5)
    assert total_variation(stripes).item() == pytest.approx(3 / 4)


# What is climbed.


def test_log_odds_are_those_of_the_probabilities():
    logits = np.random.default_rng(4).normal(0, 3, (6, 5))
    classes = np.array([0, 4, 2, 2, 1, 3])
    p = scipy.special.softmax(logits, axis=1)[np.arange(6), classes]
    found = log_odds(torch.from_numpy(logits), torch.from_numpy(classes))
    np.testing.assert_allclose(found.numpy(), np.log(p / (1 - p)))
    own = logit(torch.from_numpy(logits), torch.from_numpy(classes))
    np.testing.assert_array_equal(own.numpy(), logits[np.arange(6), classes])


def test_activations_are_those_before_the_rectification(untrained, images):
    """Against hooks on the modules of the network, which runs as a whole."""
    some = as_tensor(images["validation"].images[:70])
    seen = {}
    for layer in ANALYSED_LAYERS:
        untrained.network.layers.get_submodule(layer).register_forward_hook(
            lambda module, _, output, layer=layer: seen.update({layer: output.mean(dim=(2, 3))})
        )
    logits = untrained.network(untrained.scaling(some))
    expected = dict(seen)
    found = unit_activations(untrained, some)
    assert list(found) == list(ANALYSED_LAYERS)
    for layer, activations in found.items():
        torch.testing.assert_close(activations, expected[layer], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found["fc8"], logits, atol=1e-4, rtol=1e-4)


def test_filters_of_the_first_layer_want_the_colour_of_their_weights(untrained):
    """Away from the edges each pixel meets all weights of its colour, whose sum decides."""
    filters = np.arange(4)
    found = maximise_filters(
        untrained,
        "conv1_1",
        filters,
        torch.eye(16),
        Ascent([Round(300)], learning_rate=0.05),
        np.random.default_rng(0),
    )
    sums = untrained.network.layers.conv1_1.weight[filters].sum(dim=(2, 3))
    inside = found[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(inside.amin(dim=(2, 3)), (sums > 0).float(), atol=1e-2, rtol=0)
    torch.testing.assert_close(inside.amax(dim=(2, 3)), (sums > 0).float(), atol=1e-2, rtol=0)


def test_images_of_classes_are_seen_as_those_and_beat_any_seen_before(trained, images):
    classes = Ascent(
        [Round(100, blur=0.75), Round(50, blur=0.4, step=0.5)],
        learning_rate=0.05,
        norm_penalty=0.05,
        variation_penalty=0.05,
        jitter=2,
        starts=2,
    )
    found, _ = maximised(trained, images["validation"], classes=classes, n_filters=0)
    assert found.label.tolist() == found.predicted.tolist() == ALL
    assert (found.probability > 0.9).all()
    assert (found.activation > found.highest_seen).all()
    shown = torch.from_numpy(found.images).permute(0, 3, 1, 2)
    with torch.inference_mode():
        logits = trained.network(trained.scaling(shown))
        seen = trained.network(trained.scaling(as_tensor(images["validation"].images)))
    np.testing.assert_allclose(logits.diagonal(), found.activation, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(seen.amax(dim=0), found.highest_seen, rtol=1e-3, atol=1e-3)


def test_images_of_filters_beat_nearly_all_images_seen_before(trained, images):
    filters = Ascent([Round(60, blur=0.5)], learning_rate=0.05, jitter=1)
    _, found = maximised(trained, images["validation"], filters=filters)
    assert len(found) == 2 * 14
    assert (found.activation > found.highest_seen).mean() > 0.9


def test_the_best_of_several_starts_is_no_worse(trained, images):
    reached = {}
    for starts in (1, 4):
        classes = Ascent([Round(15)], learning_rate=0.05, starts=starts)
        found, _ = maximised(
            trained, images["validation"], classes=classes, class_objective="logit", n_filters=0
        )
        reached[starts] = found.activation.mean()
    assert reached[4] > reached[1]


# Which units, and what is kept of them.


def test_units_are_drawn_by_the_seed_and_threads_do_not_matter(untrained, images, monkeypatch):
    def run(n_threads, seed):
        monkeypatch.setenv("OMP_NUM_THREADS", str(n_threads))
        return maximised(untrained, images["validation"], seed=seed)[1]

    first, again, other = run(1, seed=1), run(3, seed=1), run(1, seed=2)
    np.testing.assert_array_equal(first.unit, again.unit)
    np.testing.assert_array_equal(first.images, again.images)
    assert (first.unit != other.unit).any()


def test_a_layer_with_fewer_filters_gives_all_it_has(untrained, images):
    once = Ascent([Round(1)], learning_rate=0.05)
    _, filters = maximised(
        untrained, images["validation"], classes=once, filters=once, n_filters=20
    )
    assert filters.unit[filters.layer == "conv1_1"].tolist() == list(range(16))
    of_fc6 = filters.unit[filters.layer == "fc6"]
    assert len(of_fc6) == len(np.unique(of_fc6)) == 20


def test_files_hold_what_was_written(untrained, images, tmp_path):
    classes, filters = maximised(untrained, images["validation"])
    nothing = maximised(untrained, images["validation"], n_filters=0)[1]
    for number, part in enumerate((classes, filters, nothing)):
        write_maximised(tmp_path / f"{number}.npz", part)
        found = read_maximised(tmp_path / f"{number}.npz")
        for name, values in vars(part).items():
            np.testing.assert_array_equal(getattr(found, name), values)
    assert len(nothing) == 0
    table = table_of(classes, filters)
    assert len(table) == len(ALL) + 2 * 14
    assert table["n_seen"].eq(len(images["validation"])).all()
    assert table["probability"].notna().sum() == len(ALL)


def test_the_blocks_of_the_config():
    settings = {"learning_rate": 0.1, "norm_penalty": 0.2, "variation_penalty": 0.3, "jitter": 1}
    found = ascent_of(settings, [{"iterations": 3, "blur": 0.5}], 2)
    assert found == Ascent([Round(3, 0.5, 1.0)], 0.1, 0.2, 0.3, 1, 2)


# Figures.


def test_a_mosaic_has_every_image_in_its_place():
    images = np.arange(3)[:, None, None, None] * np.ones((3, 4, 4, 3), np.float32) / 4
    sheet = mosaic(images)
    assert sheet.shape == (11, 11, 3)
    assert (sheet[1:5, 1:5] == 0).all()
    assert (sheet[1:5, 6:10] == 0.25).all()
    assert (sheet[6:10, 1:5] == 0.5).all()
    for grey in (sheet[[0, 5, 10]], sheet[:, [0, 5, 10]], sheet[6:10, 6:10]):
        assert np.allclose(grey, GAP_GREY)


def test_captions_count_units(untrained, images):
    classes, filters = maximised(untrained, images["validation"])
    figure, caption = plot_maximised(classes, title="Test", simulated=True)
    right = int((classes.predicted == classes.label).sum())
    assert f"The network takes {right} of them" in caption
    assert len(figure.axes) == len(ALL)
    figure, caption = plot_maximised(filters, title="Test", simulated=True)
    assert "2 filters, drawn at random, of each of 14 layers" in caption
    assert "100 validation images" in caption
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == list(ANALYSED_LAYERS[:-1])


# Bad input.


def test_images_of_another_size(untrained):
    small = ImageSet(np.zeros((2, 16, 16, 3), np.uint8), np.array(["zero", "one"]))
    with pytest.raises(InputError, match="found 16 x 16 pixels, expected 32 x 32"):
        maximised(untrained, small)


def test_an_unknown_objective(untrained, images):
    with pytest.raises(InputError, match="class_objective: found 'softmax', expected one of logit"):
        maximised(untrained, images["validation"], class_objective="softmax")


def test_published_entry_drives_as_many_units_in_as_many_steps_as_published():
    """Lee et al.: 16 random filters of each layer but the last, class units in five rounds."""
    entry = complete_config(yaml.safe_load(CONFIG.read_text()))["digits"]["digits_published"]
    driven = entry["maximisation"]
    assert driven["n_filters"] == 16
    assert [one["iterations"] for one in driven["schedule"]] == [200, 100, 100, 50, 25]
    assert driven["starts"] == 1
