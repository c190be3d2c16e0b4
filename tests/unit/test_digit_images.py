"""Images of the digits study: what is drawn, how it is changed in training, how it is kept."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from skimage.transform import rotate
from sklearn.linear_model import LogisticRegression

from scripts.digits.data.labelled_images import ImageSet, read_images, write_images
from scripts.digits.data.object_images import OUTLINES
from scripts.digits.data.simulate_digit_images import DIGITS, simulate_images
from scripts.digits.network.augmentation import (
    Affine,
    change_digit,
    change_object,
    colour_components,
)
from workflow.lib.errors import InputError

SIDE = 32


@pytest.fixture(scope="module")
def images():
    numbers = {"train": 40, "validation": 12, "stimuli": 3}
    return simulate_images([*DIGITS, *OUTLINES], numbers, side=SIDE, seed=1, name="test")


@pytest.fixture
def digit(images):
    return torch.from_numpy(images["train"].images[0]).permute(2, 0, 1).float() / 255


def test_parts_have_every_category_and_no_image_in_common(images):
    for part, n in (("train", 40), ("validation", 12), ("stimuli", 3)):
        assert images[part].images.shape == (16 * n, SIDE, SIDE, 3)
        labels, counts = np.unique(images[part].labels, return_counts=True)
        assert len(labels) == 16
        assert (counts == n).all()
    seen = [{image.tobytes() for image in part.images} for part in images.values()]
    assert len(set.union(*seen)) == 16 * 55


def test_objects_are_not_told_apart_by_pixels_or_colour(images):
    """A linear classifier on pixels finds digits well, and objects little above chance (1/6)."""

    def score(categories):
        parts = [images[part] for part in ("train", "validation")]
        chosen = [np.isin(part.labels, categories) for part in parts]
        pixels = [
            p.images[c].reshape(c.sum(), -1) / 255 for p, c in zip(parts, chosen, strict=True)
        ]
        labels = [p.labels[c] for p, c in zip(parts, chosen, strict=True)]
        fitted = LogisticRegression(C=0.01, max_iter=300).fit(pixels[0], labels[0])
        return fitted.score(pixels[1], labels[1])

    assert score(list(DIGITS)) > 0.8
    assert score(list(OUTLINES)) < 0.5


def test_images_come_back_as_they_were_written(images, tmp_path):
    write_images(tmp_path / "some.npz", images["stimuli"])
    found = read_images(tmp_path / "some.npz")
    np.testing.assert_array_equal(found.images, images["stimuli"].images)
    np.testing.assert_array_equal(found.labels, images["stimuli"].labels)


def test_more_digits_than_there_are():
    with pytest.raises(InputError, match="images of 'zero': found 178 in scikit-learn's digits"):
        simulate_images(["zero"], {"train": 200}, side=SIDE, seed=1, name="test")


def test_a_category_that_cannot_be_drawn():
    with pytest.raises(InputError, match="categories: found 'frog'"):
        simulate_images(["frog"], {"train": 2}, side=SIDE, seed=1, name="test")


def test_a_label_that_is_no_category():
    images = ImageSet(np.zeros((1, 4, 4, 3), np.uint8), np.array(["frog"]))
    with pytest.raises(InputError, match="found the category 'frog', expected one of bed, cat"):
        images.codes(["bed", "cat"])


def test_no_change_leaves_a_digit_as_it_is(digit):
    same = change_digit(digit, np.random.default_rng(0), Affine(1, 0, 0))
    torch.testing.assert_close(same, digit, atol=1e-5, rtol=0)


def test_rotation_is_that_of_scikit_image(digit):
    class Fixed:
        """A generator that always draws the upper end."""

        def uniform(self, low, high, size=None):
            return high if size is None else np.zeros(size)

    turned = change_digit(digit, Fixed(), Affine(scale=1, shift=0, degrees=15))
    grey = digit[0].numpy()
    expected = {sign: rotate(grey, sign * 15, order=1) for sign in (-1, 1)}
    errors = {sign: np.abs(turned[0].numpy() - image).max() for sign, image in expected.items()}
    assert min(errors.values()) < 0.02 < max(errors.values())


def test_shift_and_scale_stay_within_their_limits(digit):
    """The middle of the ink moves by at most the shift, and its spread grows by at most 8 %."""
    rng = np.random.default_rng(3)
    blob = torch.zeros(3, SIDE, SIDE)
    blob[:, 12:20, 12:20] = 1
    moves, spreads = [], []
    for _ in range(200):
        changed = change_digit(blob, rng, Affine(scale=1.08, shift=0.08, degrees=0))[0].numpy()
        middle = np.array(scipy.ndimage.center_of_mass(changed))
        moves.append(middle - 15.5)
        spreads.append(np.sqrt(changed.sum()) / 8)
    assert np.abs(moves).max() < 0.08 * SIDE * 1.09
    assert np.abs(moves).max() > 0.06 * SIDE
    assert 0.99 < min(spreads) < 1.02
    assert 1.06 < max(spreads) < 1.09


def test_colour_components_are_those_of_the_pixels(images):
    objects = images["train"].images[400:]
    found = colour_components(objects)
    values, vectors = np.linalg.eigh(np.cov(objects.reshape(-1, 3).T / 255))
    np.testing.assert_allclose(found.spreads, np.sqrt(values))
    np.testing.assert_allclose(np.abs(found.directions), np.abs(vectors))


def test_colours_move_by_a_tenth_of_their_spread(images):
    """Components of bytes move images from 0 to 1 at their own scale, not at that of bytes."""
    colours = colour_components(images["train"].images[400:])
    rng = np.random.default_rng(4)
    grey = torch.full((3, 8, 8), 0.5)
    moves = torch.stack([change_object(grey, rng, colours)[:, 4, 4] - 0.5 for _ in range(2000)])
    along = moves.numpy() @ colours.directions
    np.testing.assert_allclose(along.std(0), 0.1 * colours.spreads, rtol=0.1)


def test_crops_and_flips_of_objects(images):
    """A ramp tells where a crop was taken: ten places, each flipped or not."""
    ramp = torch.linspace(0, 1, SIDE).expand(3, SIDE, SIDE)
    ramp = torch.stack([ramp[0], ramp[0].T, torch.full((SIDE, SIDE), 0.5)])
    colours = colour_components(np.zeros((1, 2, 2, 3), np.uint8))
    rng = np.random.default_rng(5)
    changed = torch.stack([change_object(ramp, rng, colours) for _ in range(400)])
    # Where along the ramp the crop lies, across and down: before, in or behind the middle.
    places = [np.unique(np.round(changed[:, axis].mean(dim=(1, 2)).numpy(), 3)) for axis in (0, 1)]
    assert [len(found) for found in places] == [3, 3]
    flipped = (changed[:, 0, :, -1] < changed[:, 0, :, 0]).float().mean()
    assert 0.4 < flipped < 0.6
