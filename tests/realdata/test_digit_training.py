"""A network that is trained on MNIST and CIFAR-10 reads digits, and knows objects above chance."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.digits.data.prepare_images import prepare_images
from scripts.digits.network.train_cnn import train_classifier
from tests.realdata.test_digit_image_sets import OBJECTS, cifar10, mnist
from tests.unit.digit_files import DIGITS
from tests.unit.test_train_cnn import SETTINGS
from workflow.lib.training.accuracy import accuracy_table

pytestmark = [pytest.mark.realdata, pytest.mark.slow]


def test_mnist_and_cifar10_are_learned(mirror, tmp_path: Path):
    """Six epochs of 200 images: linear readers of MNIST's pixels reach 0.9 with as many."""
    categories = {"digit": list(DIGITS), "object": list(OBJECTS)}
    settings = replace(SETTINGS, categories=categories, n_epochs=6, batch={})
    sets = prepare_images(
        [mnist(mirror), cifar10(mirror)],
        settings.classes,
        {"train": 200, "validation": 50},
        side=32,
        seed=0,
        study="real",
    )
    _, _, predicted = train_classifier(
        *sets.values(), settings, seed=0, name="real", checkpoint=tmp_path / "net.checkpoint"
    )
    table = accuracy_table(predicted, categories).set_index("name")
    assert table.loc["digit", "low"] > 0.9
    assert table.loc["object", "low"] > 1.5 * table.loc["object", "chance"]
