"""Which pairs a model learns from and which it is tested on: leaked, one image seen, clean.

With n images every image is in n-1 pairs. Pairs dealt out at random then share their images with
nearly all others, and a model that learned what is special about an image looks as if it could
predict pairs: the split is leaked. A clean one holds out images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.pairs.sampling import PairSet

CLEAN, ONE_SEEN, LEAKED = "clean", "one_seen", "leaked"
SPLITS = (CLEAN, ONE_SEEN, LEAKED)
# Ten images have 45 pairs; of fewer a correlation says little.
MIN_TEST_IMAGES = 10
# Three images have three pairs, the fewest that a correlation can be taken of.
MIN_VALIDATION_IMAGES = 3


@dataclass(frozen=True)
class Split:
    """What a model may learn from, and what it is tested on.

    Attributes
    ----------
    name : "clean", "one_seen" or "leaked"
        No image of a test pair seen in training, one, or (nearly always) both.
    fold : int
    training : PairSet
        Of the clean and the one-seen split of a fold it is the same object: one fit serves both.
    validation : PairSet or None
        To stop training by; not trained on. Its images are in no training pair, but for leaked
        splits.
    test : PairSet
    training_images : int array, sorted
        Those that scalers, components and training may see.
    """

    name: str
    fold: int
    training: PairSet
    validation: PairSet | None
    test: PairSet
    training_images: np.ndarray


def make_splits(
    values: np.ndarray,
    n_images: int,
    *,
    n_folds: int,
    validation_share: float,
    rng: np.random.Generator,
    n_training_images: int | None = None,
    min_test_images: int = MIN_TEST_IMAGES,
) -> list[Split]:
    """Return all splits: clean and one-seen of every fold, then leaked of every fold.

    Parameters
    ----------
    values : float array (n_images (n_images - 1) / 2,)
        Condensed RDM.
    n_images : int
    n_folds : int
        Every image (leaked: every pair) is tested in one fold.
    validation_share : float, 0 to less than 1
        Of the images (leaked: pairs) that are not tested. 0 for none.
    rng : numpy Generator
        Folds do not depend on `n_training_images`, and fewer training images are some of more: for
        generators in the same state.
    n_training_images : int, optional
        For the score against the number of training images: this many random ones of those that
        there are. Without leaked splits, whose training has no images of its own.
    min_test_images : int
        Of a fold.

    Returns
    -------
    list of Split

    Raises
    ------
    InputError
        Fewer than two folds, too few images for them or for what is asked of training.

    Notes
    -----
    Clean: test pairs among the fold's images. One seen: test pairs of a training image and one of
    the fold. Leaked: test pairs dealt out at random.
    """
    _check(n_images, n_folds, validation_share, min_test_images)
    folds = [np.sort(fold) for fold in np.array_split(rng.permutation(n_images), n_folds)]
    # One order for all folds: images then have the same part in nearly all of them, and can be
    # permuted in all folds alike.
    order = rng.permutation(n_images)
    splits = []
    for fold, tested in enumerate(folds):
        others = order[~np.isin(order, tested)]
        n_validation = _n_validation_images(others.size, validation_share)
        trained, validated = np.split(others, [others.size - n_validation])
        trained = np.sort(_some(trained, n_training_images))
        training = PairSet.among(values, n_images, trained)
        validation = PairSet.among(values, n_images, validated) if n_validation else None
        tests = {
            CLEAN: PairSet.among(values, n_images, tested),
            ONE_SEEN: PairSet.between(values, n_images, trained, tested),
        }
        splits += [
            Split(name, fold, training, validation, test, trained) for name, test in tests.items()
        ]
    if n_training_images is None:
        splits += _leaked(values, n_images, n_folds, validation_share, rng)
    return splits


def _leaked(
    values: np.ndarray,
    n_images: int,
    n_folds: int,
    validation_share: float,
    rng: np.random.Generator,
) -> list[Split]:
    n_pairs = values.size
    order = np.arange(n_pairs, dtype=np.int32 if n_pairs < 1 << 31 else np.int64)
    rng.shuffle(order)
    folds = np.array_split(order, n_folds)
    splits = []
    for fold, tested in enumerate(folds):
        others = np.concatenate(_all_but(folds, fold))
        # Its own shuffle: pairs stand in the order of their folds.
        rng.shuffle(others)
        validated, trained = np.split(others, [round(validation_share * others.size)])
        training, test = (PairSet.listed(values, n_images, part) for part in (trained, tested))
        validation = PairSet.listed(values, n_images, validated) if validated.size else None
        splits.append(Split(LEAKED, fold, training, validation, test, training.images))
    return splits


def _all_but(folds: Sequence[np.ndarray], fold: int) -> list[np.ndarray]:
    return [*folds[:fold], *folds[fold + 1 :]]


def _n_validation_images(n_images: int, share: float) -> int:
    return max(MIN_VALIDATION_IMAGES, round(share * n_images)) if share else 0


def _some(images: np.ndarray, n: int | None) -> np.ndarray:
    if n is None:
        return images
    if not 2 <= n <= images.size:
        raise InputError(
            f"splits: found {n} training images asked for, expected 2 to {images.size}, which are "
            "left after the test and validation images; change `n_images`"
        )
    return images[:n]


def _check(n_images: int, n_folds: int, validation_share: float, min_test_images: int) -> None:
    if n_folds < 2:
        raise InputError(f"splits: found {n_folds} folds, expected at least 2; change `n_folds`")
    if n_images // n_folds < min_test_images:
        raise InputError(
            f"splits: found {n_images} images in {n_folds} folds, {n_images // n_folds} test "
            f"images in each, expected at least {min_test_images}; take fewer folds or more images"
        )
    if not 0 <= validation_share < 1:
        raise InputError(
            f"splits: found a validation share of {validation_share:g}, expected 0 to less than 1"
        )
