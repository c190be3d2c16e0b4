"""Training on digits and objects: what is learned, what the loss holds, what a kill leaves."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from scripts.digits.data.labelled_images import ImageSet, write_images
from scripts.digits.data.object_images import OUTLINES
from scripts.digits.data.simulate_digit_images import DIGITS, simulate_images
from scripts.digits.network.classification import (
    EVALUATED,
    Classification,
    ClassifierOptions,
    proportional_batch,
)
from scripts.digits.network.train_cnn import initial_network, train_classifier
from scripts.digits.network.trained import (
    Trained,
    as_tensor,
    read_trained,
    scaling_of,
    write_trained,
)
from scripts.digits.network.vgg import ANALYSED_LAYERS, SIZES, build_vgg
from workflow.lib.errors import InputError
from workflow.lib.training.accuracy import accuracy_table
from workflow.lib.training.history import TRAINING, VALIDATION

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
SETTINGS = ClassifierOptions(
    categories={"digit": ["zero", "one", "seven"], "object": ["bed", "house"]},
    size="vgg_small",
    weights="untrained",
    n_epochs=2,
    learning_rate=1e-3,
    decay=0.9,
    decay_steps=60,
    weight_decay=5e-4,
    dropout=0.2,
    precision="float32",
    batch={"digit": 6, "object": 4},
)


@pytest.fixture(scope="module")
def images():
    numbers = {"train": 20, "validation": 10}
    return simulate_images(SETTINGS.classes, numbers, side=32, seed=1, name="test")


def task_of(images, settings=SETTINGS, seed=1):
    network, scaling = initial_network(settings, images["train"].images, seed)
    sets = images["train"], images["validation"]
    return Classification(network, *sets, settings, scaling=scaling, device=CPU, seed=seed)


def trained(images, folder, settings=SETTINGS, seed=1, **options):
    sets, checkpoint = (images["train"], images["validation"]), folder / "net.checkpoint"
    return train_classifier(
        *sets, settings, seed=seed, name="test", checkpoint=checkpoint, **options
    )


def gradients_of_a_step(task):
    """Return the parameters before a step and the gradients that the step followed."""
    before = {name: p.detach().clone() for name, p in task.network.named_parameters()}
    torch.manual_seed(3)
    task.step(0, 0, np.random.default_rng(3))
    return before, {name: p.grad.clone() for name, p in task.network.named_parameters()}


def test_weight_decay_reaches_the_loss(images):
    """The gradient of half the sum of squares is the weight itself; biases are free."""
    decay = 0.3
    _, without = gradients_of_a_step(task_of(images, replace(SETTINGS, weight_decay=0.0)))
    before, found = gradients_of_a_step(task_of(images, replace(SETTINGS, weight_decay=decay)))
    for name, weights in before.items():
        expected = decay * weights if name.endswith("weight") else torch.zeros_like(weights)
        torch.testing.assert_close(found[name] - without[name], expected, atol=1e-5, rtol=1e-4)


def test_penalty_is_reported_beside_the_loss(images):
    task = task_of(images)
    weights = [p for name, p in task.network.named_parameters() if name.endswith("weight")]
    expected = 5e-4 / 2 * sum(float((w.detach().double() ** 2).sum()) for w in weights)
    assert task.step(0, 0, np.random.default_rng(0))["penalty"] == pytest.approx(expected)


def test_learning_rate_falls_every_so_many_steps(images):
    task = task_of(images, replace(SETTINGS, decay=0.5, decay_steps=3, learning_rate=0.01))
    for step in range(7):
        task.step(0, step, np.random.default_rng(step))
    assert task.optimisers["network"].param_groups[0]["lr"] == pytest.approx(0.01 / 4)


def test_evaluation_has_no_dropout_and_no_change(images):
    """An image has one answer, whatever was shown before and beside it."""
    task = task_of(images, replace(SETTINGS, dropout=0.9))
    task.step(0, 0, np.random.default_rng(0))
    shown = images["validation"].images
    together = task.logits(shown)
    assert torch.equal(together, task.logits(shown))
    alone = torch.cat([task.logits(shown[i : i + 1]) for i in range(len(shown))])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_a_batch_has_so_many_of_each_kind_and_an_epoch_shows_each_once(images):
    task = task_of(images)
    labels = images["train"].labels
    digits = np.flatnonzero(np.isin(labels, SETTINGS.categories["digit"]))
    shown = np.concatenate([task._batch(0, step) for step in range(task.n_steps(0))])
    for step in range(task.n_steps(0)):
        assert np.isin(task._batch(0, step), digits).sum() == 6
    assert task.n_steps(0) == len(digits) // 6
    np.testing.assert_array_equal(np.sort(shown[np.isin(shown, digits)]), digits)
    assert not np.array_equal(task._batch(0, 0), task._batch(1, 0))


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [((10, 6), (20, 12)), ((10, 10), (16, 16)), ((3, 2), (19, 13)), ((99, 1), (32, 1))],
)
def test_batches_are_in_proportion_to_the_categories(numbers, expected):
    kinds = {f"kind{i}": [f"{i}.{j}" for j in range(n)] for i, n in enumerate(numbers)}
    assert tuple(proportional_batch(kinds).values()) == expected


def test_trained_network_comes_back_with_its_answers(images, tmp_path):
    found, _, predicted = trained(images, tmp_path)
    write_trained(tmp_path / "net.safetensors", "vgg_small", found)
    again = read_trained(tmp_path / "net.safetensors")
    # Whoever may read other results may read the network.
    modes = {(tmp_path / name).stat().st_mode for name in ("net.safetensors", "net.checkpoint")}
    assert len(modes) == 1
    assert again.categories == SETTINGS.classes
    task = Classification(
        again.network,
        images["train"],
        images["validation"],
        SETTINGS,
        scaling=again.scaling,
        device=CPU,
        seed=1,
    )
    probabilities = torch.softmax(task.logits(images["validation"].images), 1).numpy()
    columns = [f"p_{category}" for category in SETTINGS.classes]
    np.testing.assert_allclose(predicted[columns], probabilities, atol=1e-6)
    best = np.array(SETTINGS.classes)[probabilities.argmax(1)]
    assert predicted["predicted"].tolist() == best.tolist()


def test_network_that_was_read_trains_as_the_one_that_was_written(images, tmp_path):
    """Dropout has no weights, but the accuracy with dropout on is measured on networks on disk."""
    network, scaling = initial_network(SETTINGS, images["train"].images, 1)
    written = Trained(network, SETTINGS.classes, scaling)
    write_trained(tmp_path / "net.safetensors", "vgg_small", written)
    again = read_trained(tmp_path / "net.safetensors").network
    shown = as_tensor(images["train"].images)
    logits = []
    for one in (network, again):
        torch.manual_seed(4)
        logits.append(one.train()(shown))
    assert torch.equal(*logits)
    assert not torch.equal(logits[0], network.eval()(shown))


def test_history_measures_training_with_and_without_dropout(images, tmp_path):
    _, history, predicted = trained(images, tmp_path)
    values = history.set_index(["part", "measure", "epoch"])["value"]
    measured = {(part, measure) for part, measure, _ in values.index}
    assert measured == {
        *((TRAINING, measure) for measure in ("loss", "penalty", "accuracy")),
        *((part, m) for part in (VALIDATION, EVALUATED) for m in ("loss", "accuracy")),
    }
    last = (predicted["label"] == predicted["predicted"]).mean()
    assert values[VALIDATION, "accuracy", 2] == pytest.approx(last)


def test_published_size_takes_one_step():
    """As published: 224 pixels, ten digits and six objects, Adam at 1e-5, dropout 0.5."""
    categories = {"digit": list(DIGITS), "object": list(OUTLINES)}
    settings = replace(
        SETTINGS,
        categories=categories,
        size="vgg16",
        learning_rate=1e-5,
        decay=0.96,
        decay_steps=8050,
        dropout=0.5,
        batch={},
    )
    assert settings.batch_sizes == {"digit": 20, "object": 12}
    assert len(ANALYSED_LAYERS) == 15
    rng = np.random.default_rng(0)
    labels = np.array(settings.classes)
    pixels = rng.integers(0, 256, (16, 224, 224, 3), dtype=np.uint8)
    shown = ImageSet(pixels, labels)
    network = build_vgg("vgg16", 16, seed=1)
    task = Classification(
        network,
        shown,
        shown,
        # The loss of a batch of 32 takes more memory than a test should.
        replace(settings, batch={"digit": 1, "object": 1}),
        scaling=scaling_of(pixels),
        device=CPU,
        seed=1,
    )
    layers = {name: network.layers.get_submodule(name).weight for name in ANALYSED_LAYERS}
    before = {name: weight.detach().clone() for name, weight in layers.items()}
    measures = task.step(0, 0, rng)
    assert np.isfinite(measures["loss"])
    assert all(not torch.equal(before[name], weight) for name, weight in layers.items())


CHILD = """
import os, signal, sys
from pathlib import Path
from scripts.digits.network.classification import Classification
from scripts.digits.data.labelled_images import read_images
from scripts.digits.network.train_cnn import train_classifier
from scripts.digits.network.trained import write_trained
from tests.unit.test_train_cnn import SETTINGS
from workflow.lib.tables import write_table

SETTINGS.save_every = 0
folder, killed_at = Path(sys.argv[1]), tuple(map(int, sys.argv[2:]))
step_of = Classification.step
def step(self, epoch, step, rng):
    print(epoch, step)
    if (epoch, step) == killed_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return step_of(self, epoch, step, rng)
Classification.step = step
sets = [read_images(folder.parent / f"{part}.npz") for part in ("train", "validation")]
network, history, predicted = train_classifier(
    *sets, SETTINGS, seed=1, name="test", checkpoint=folder / "net.checkpoint"
)
write_table(history, folder / "history.csv")
write_table(predicted, folder / "predictions.csv")
write_trained(folder / "net.safetensors", "vgg_small", network)
"""


def train_in_a_process(folder, *killed_at):
    """Train in a process of its own, which kills itself at an epoch and step if one is given."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", CHILD, str(folder), *map(str, killed_at)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_killed_process_ends_with_the_same_bytes(images, tmp_path):
    for part, those in images.items():
        write_images(tmp_path / f"{part}.npz", those)
    whole = train_in_a_process(tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    killed = train_in_a_process(tmp_path / "killed", 1, 4)
    assert killed.returncode == -signal.SIGKILL
    assert [file.name for file in (tmp_path / "killed").iterdir()] == ["net.checkpoint"]
    resumed = train_in_a_process(tmp_path / "killed")
    assert resumed.stdout.splitlines()[0] == "1 4"
    for name in ("net.safetensors", "history.csv", "predictions.csv"):
        expected, found = ((tmp_path / run / name).read_bytes() for run in ("whole", "killed"))
        assert found == expected, name


def test_checkpoint_of_other_images_is_not_taken_up(images, tmp_path, caplog):
    trained(images, tmp_path)
    others = {part: ImageSet(255 - those.images, those.labels) for part, those in images.items()}
    assert task_of(others).data_digest() != task_of(images).data_digest()
    resumed, history, _ = trained(others, tmp_path)
    assert "of other settings" in caplog.text
    anew, expected, _ = trained(others, tmp_path / "other")
    pd.testing.assert_frame_equal(history, expected)
    for name, tensor in anew.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], tensor)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_default_study_learns_digits_and_objects(seed, tmp_path):
    """The lower end of the interval lies above chance for both kinds, and far above for digits."""
    settings = replace(
        SETTINGS,
        categories={"digit": list(DIGITS), "object": list(OUTLINES)},
        n_epochs=12,
        batch={},
    )
    numbers = {"train": 120, "validation": 25}
    images = simulate_images(settings.classes, numbers, side=32, seed=seed, name="digits")
    _, _, predicted = trained(images, tmp_path, settings, seed=seed)
    table = accuracy_table(predicted, settings.categories).set_index("name")
    assert table.loc["digit", "low"] > 0.85
    assert table.loc["object", "low"] > 3 * table.loc["object", "chance"]


def one_of_each(settings, side=32):
    classes = settings.classes
    return ImageSet(np.zeros((len(classes), side, side, 3), np.uint8), np.array(classes))


@pytest.mark.parametrize(
    ("training", "settings", "message"),
    [
        (
            one_of_each(SETTINGS, 48),
            SETTINGS,
            r"training images: found the shape \(48, 48, 3\), expected \(32, 32, 3\)",
        ),
        (
            ImageSet(np.zeros((1, 32, 32, 3), np.uint8), np.array(["bed"])),
            SETTINGS,
            "training images: found none of 'zero', expected some of each of the 5 categories",
        ),
        (
            one_of_each(SETTINGS),
            SETTINGS,
            "images of kind 'digit': found 3 for batches of 6",
        ),
        (
            one_of_each(SETTINGS),
            replace(SETTINGS, batch={"digit": 1}),
            "batch: found sizes for digit, expected one for each of digit, object",
        ),
    ],
    ids=["size", "category", "too few", "kind"],
)
def test_what_cannot_be_trained_on(training, settings, message):
    network = build_vgg("vgg_small", len(settings.classes), seed=0)
    with pytest.raises(InputError, match=message):
        Classification(
            network,
            training,
            one_of_each(SETTINGS),
            settings,
            scaling=scaling_of(training.images),
            device=CPU,
            seed=0,
        )


def test_weights_for_a_network_that_has_none(images):
    with pytest.raises(InputError, match="weights 'torchvision' for vgg_small, expected `untrain"):
        initial_network(replace(SETTINGS, weights="torchvision"), images["train"].images, 0)


def test_every_size_has_the_analysed_layers():
    for size in SIZES:
        layers = dict(build_vgg(size, 2, seed=0).layers.named_children())
        assert set(ANALYSED_LAYERS) <= set(layers)
