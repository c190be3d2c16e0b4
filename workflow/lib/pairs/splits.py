"""Which pairs a model learns from and which it is tested on: leaked, one image seen, clean.

With n images every image is in n-1 pairs. Pairs dealt out at random then share their images with
nearly all others, and a model that learned what is special about an image looks as if it could
predict pairs: the split is leaked. A clean one holds out images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workflow.lib.config.pair_sizes import (
    MIN_TEST_IMAGES,
    MIN_TRAINING_IMAGES,
    MIN_VALIDATION_IMAGES,
    n_validation_images,
)
from workflow.lib.dealing import cut
from workflow.lib.errors import InputError
from workflow.lib.pairs.sampling import PairSet, images_of, index_dtype, pairs_outside

CLEAN, ONE_SEEN, LEAKED = "clean", "one_seen", "leaked"
SPLITS = (CLEAN, ONE_SEEN, LEAKED)
# How pairs of leaked splits are dealt out, see `make_folds`.
MATCHED, RANDOM_PAIRS = "matched", "random_pairs"


@dataclass(frozen=True)
class PairSplit:
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


@dataclass(frozen=True)
class LeakedPairs:
    """The pairs of a leaked split, as positions in the condensed RDM of all images.

    Attributes
    ----------
    training, validation : int arrays, in random order
    test : int array, or None where all pairs among the tested images of the fold are
    images : int array, sorted
        Of the training pairs.
    """

    training: np.ndarray
    validation: np.ndarray
    test: np.ndarray | None
    images: np.ndarray


@dataclass(frozen=True)
class ImageFold:
    """The part of every image in one fold; no image has two.

    Attributes
    ----------
    number : int
    n_images : int
    tested, validated : int arrays, sorted
    trained : int array, in random order
        The first so many are as good a choice as any other.
    leaked : LeakedPairs or None
    """

    number: int
    n_images: int
    tested: np.ndarray
    trained: np.ndarray
    validated: np.ndarray
    leaked: LeakedPairs | None = None

    def with_training(self, n: int) -> "ImageFold":
        """Return the fold with fewer training images, and without a leaked split.

        The training of that one has no images of its own.

        Raises
        ------
        InputError
            There are not so many.
        """
        if not MIN_TRAINING_IMAGES <= n <= self.trained.size:
            raise InputError(
                f"splits: found {n} training images asked for, expected {MIN_TRAINING_IMAGES} to "
                f"{self.trained.size}, which are left after the test and validation images; lower "
                "`n_training_images`"
            )
        return replace(self, trained=self.trained[:n], leaked=None)

    def image_splits(self, values: np.ndarray) -> list[PairSplit]:
        """Return the clean and the one-seen split.

        Parameters
        ----------
        values : float array (n_images (n_images - 1) / 2,)
            Condensed RDM.

        Notes
        -----
        Clean: test pairs among the tested images. One seen: test pairs of a training image and a
        tested one. Validation: pairs among images of neither.
        """
        n, trained = self.n_images, np.sort(self.trained)
        training = PairSet.among(values, n, trained)
        validation = PairSet.among(values, n, self.validated) if self.validated.size else None
        tests = {
            CLEAN: PairSet.among(values, n, self.tested),
            ONE_SEEN: PairSet.between(values, n, trained, self.tested),
        }
        return [
            PairSplit(name, self.number, training, validation, test, trained)
            for name, test in tests.items()
        ]

    def leaked_splits(self, values: np.ndarray) -> list[PairSplit]:
        """Return the leaked split, or nothing where no pairs were dealt out for one.

        Parameters
        ----------
        values : float array (n_images (n_images - 1) / 2,)
            Condensed RDM.
        """
        if self.leaked is None:
            return []
        n, pairs = self.n_images, self.leaked
        test = (
            PairSet.among(values, n, self.tested)
            if pairs.test is None
            else PairSet.listed(values, n, pairs.test)
        )
        validation = PairSet.listed(values, n, pairs.validation) if pairs.validation.size else None
        training = PairSet.listed(values, n, pairs.training)
        return [PairSplit(LEAKED, self.number, training, validation, test, pairs.images)]


def make_folds(
    n_images: int,
    *,
    n_folds: int,
    validation_share: float,
    rng: np.random.Generator,
    leaked: str | None = MATCHED,
    groups: np.ndarray | None = None,
    min_test_images: int = MIN_TEST_IMAGES,
) -> list[ImageFold]:
    """Return folds of images, which do not depend on what is measured of the images.

    Parameters
    ----------
    n_images : int
    n_folds : int
        Every image is tested in one fold.
    validation_share : float, 0 to less than 1
        Of the images (`random_pairs`: pairs) that are not tested. 0 for none.
    rng : numpy Generator
        Folds of images depend on its state alone, not on `leaked`.
    leaked : "matched", "random_pairs" or None
        How the pairs of leaked splits are dealt out; None for no such splits.
    groups : int array (n_images,), optional
        Images of one group, such as copies of one, have the same part in every fold; parts are as
        large as asked for but for that.
    min_test_images : int
        Of a fold.

    Returns
    -------
    list of ImageFold

    Raises
    ------
    InputError
        Fewer than two folds, or too few images for them.

    Notes
    -----
    matched
        Tested are the pairs of the clean split of the fold. As many pairs as that learns from, and
        as many as it stops by, are drawn at random from all others, of any images. As many pairs
        are then of more images, each in fewer of them, and validation pairs have images of test
        pairs, too; what labels are standardised by is the same.
    random_pairs
        All pairs are dealt out at random to folds, as published. Against the clean split, whose
        training has fewer pairs, such a model has also more to learn from.
    """
    _check(n_images, n_folds, validation_share, min_test_images)
    sizes = [part.size for part in np.array_split(np.arange(n_images), n_folds)]
    tested = [np.sort(fold) for fold in cut(rng.permutation(n_images), sizes, groups)]
    # One order for all folds: images then have the same part in nearly all of them, and can be
    # permuted in all folds alike.
    order = rng.permutation(n_images)
    folds = []
    for number, images in enumerate(tested):
        others = order[~np.isin(order, images)]
        n_validation = n_validation_images(others.size, validation_share)
        sizes = [others.size - n_validation, n_validation]
        trained, validated = cut(others, sizes, groups)
        folds.append(ImageFold(number, n_images, images, trained, np.sort(validated)))
    _check_sizes(folds, min_test_images, MIN_VALIDATION_IMAGES if validation_share else 0)
    if leaked is None:
        return folds
    dealt = DEALS[leaked](folds, validation_share, rng)
    return [replace(fold, leaked=pairs) for fold, pairs in zip(folds, dealt, strict=True)]


def learning_curve(
    folds: Sequence[ImageFold], numbers: Sequence[int]
) -> dict[int | None, list[ImageFold]]:
    """Return folds by number of training images; None stands for all that there are.

    Parameters
    ----------
    folds : sequence of ImageFold
    numbers : sequence of int
        Of training images; the one that is all there are is left out.

    Raises
    ------
    InputError
        More than there are.
    """
    n_all = min(fold.trained.size for fold in folds)
    fewer = [n for n in numbers if n != n_all]
    return {None: list(folds)} | {n: [fold.with_training(n) for fold in folds] for n in fewer}


# How pairs of leaked splits are dealt out


def _matched(
    folds: Sequence[ImageFold], _share: float, rng: np.random.Generator
) -> Iterator[LeakedPairs]:
    for fold in folds:
        n_training, n_validation = (
            images.size * (images.size - 1) // 2 for images in (fold.trained, fold.validated)
        )
        drawn = pairs_outside(fold.tested, fold.n_images, n_training + n_validation, rng)
        training, validation = np.split(drawn, [n_training])
        yield LeakedPairs(training, validation, None, images_of(training, fold.n_images))


def _random_pairs(
    folds: Sequence[ImageFold], share: float, rng: np.random.Generator
) -> Iterator[LeakedPairs]:
    n_images = folds[0].n_images
    order = np.arange(n_images * (n_images - 1) // 2, dtype=index_dtype(n_images))
    rng.shuffle(order)
    tested = np.array_split(order, len(folds))
    for number, test in enumerate(tested):
        others = np.concatenate([*tested[:number], *tested[number + 1 :]])
        # Its own shuffle: pairs stand in the order of their folds.
        rng.shuffle(others)
        validation, training = np.split(others, [round(share * others.size)])
        yield LeakedPairs(training, validation, test, images_of(training, n_images))


DEALS = {MATCHED: _matched, RANDOM_PAIRS: _random_pairs}


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


def _check_sizes(folds: Sequence[ImageFold], n_test: int, n_validation: int) -> None:
    """Refuse folds that groups, which are not cut, leave with fewer images than these."""
    for fold in folds:
        parts = (("test", fold.tested, n_test), ("validation", fold.validated, n_validation))
        for part, images, least in (*parts, ("training", fold.trained, MIN_TRAINING_IMAGES)):
            if images.size < least:
                raise InputError(
                    f"splits: found {images.size} {part} images in fold {fold.number + 1}, "
                    f"expected at least {least}; take fewer folds, more images, or leave copies "
                    "out, which stay together"
                )
