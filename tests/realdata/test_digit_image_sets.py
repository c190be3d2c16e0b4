"""MNIST and CIFAR-10 as the digits study takes them: the pictures that everybody knows."""

import hashlib
import zipfile

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from scripts.digits.data.prepare_images import prepare_images
from tests.unit.digit_files import DIGITS
from workflow.lib.errors import InputError

pytestmark = pytest.mark.realdata

OBJECTS = ("airplane", "bird", "cat", "dog", "ship", "truck")
# Of the 10,000 test images, http://yann.lecun.com/exdb/mnist: those of 0 to 9.
N_DIGITS = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)


def mnist(mirror):
    return {
        "layout": "idx",
        "folder": str(mirror / "mnist"),
        "files": ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"],
        "categories": {name: digit for digit, name in enumerate(DIGITS)},
    }


def cifar10(mirror):
    return {
        "layout": "folders",
        "folder": str(mirror / "cifar10"),
        "files": ["cifar10_test_jpg.zip"],
        "categories": dict.fromkeys(OBJECTS),
    }


def test_mnist_and_cifar10_make_a_study_of_disjoint_parts(mirror):
    n = {"train": 100, "validation": 25, "stimuli": 12}
    sets = prepare_images(
        [mnist(mirror), cifar10(mirror)], [*DIGITS, *OBJECTS], n, side=32, seed=0, study="real"
    )
    digests = {
        part: {hashlib.sha256(image.tobytes()).digest() for image in images.images}
        for part, images in sets.items()
    }
    assert {part: len(found) for part, found in digests.items()} == {
        part: 16 * number for part, number in n.items()
    }
    assert len(set.union(*digests.values())) == 16 * sum(n.values())
    colourful = (np.ptp(sets["train"].images.astype(int), axis=3) > 0).any(axis=(1, 2))
    assert not colourful[: 10 * 100].any()
    assert colourful[10 * 100 :].mean() > 0.9


def test_images_of_a_category_are_those_of_its_folder(mirror):
    """CIFAR-10 comes in 32 x 32 pixels, so that nothing is resized."""
    sets = prepare_images(
        [cifar10(mirror)], OBJECTS, {"train": 1000}, side=32, seed=0, study="real"
    )
    assert sets["train"].images.shape == (6000, 32, 32, 3)
    with (
        zipfile.ZipFile(mirror / "cifar10/cifar10_test_jpg.zip") as archive,
        archive.open("test/cat/0007.jpg") as file,
    ):
        picture = np.asarray(Image.open(file).convert("RGB"))
    first_cat = OBJECTS.index("cat") * 1000
    np.testing.assert_array_equal(sets["train"].images[first_cat + 7], picture)


def test_every_digit_of_mnist_has_its_label(mirror):
    """Labels have the published numbers of images, and who learned some of them reads others."""
    n = {"train": 100, "validation": 50}
    sets = prepare_images([mnist(mirror)], DIGITS, n, side=28, seed=0, study="real")
    train, validation = (images.images[..., 0].reshape(-1, 784) / 255 for images in sets.values())
    reader = LogisticRegression(max_iter=200).fit(train, sets["train"].codes(DIGITS))
    assert reader.score(validation, sets["validation"].codes(DIGITS)) > 0.8
    for digit, n_images in enumerate(N_DIGITS):
        one = mnist(mirror) | {"categories": {DIGITS[digit]: digit}}
        taken = prepare_images(
            [one], [DIGITS[digit]], {"train": n_images}, side=28, seed=0, study="real"
        )
        assert len(taken["train"]) == n_images
        with pytest.raises(InputError, match=f"found {n_images} for train"):
            prepare_images(
                [one], [DIGITS[digit]], {"train": n_images + 1}, side=28, seed=0, study="real"
            )
