"""How many images each part of a split of pairs has, known before any image is looked at.

Read while rules are parsed: standard library only.
"""

from collections.abc import Mapping
from typing import Any

from workflow.lib.errors import InputError

# Ten images have 45 pairs; of fewer a correlation says little.
MIN_TEST_IMAGES = 10
# Three images have three pairs, the fewest that a correlation can be taken of.
MIN_VALIDATION_IMAGES = 3
MIN_TRAINING_IMAGES = 2


def n_validation_images(n_images: int, share: float) -> int:
    """Return how many of the images that are not tested are those that training stops by."""
    return max(MIN_VALIDATION_IMAGES, round(share * n_images)) if share else 0


def n_training_images(n_images: int, *, n_folds: int, validation_share: float) -> int:
    """Return how many training images the fold with the fewest of them has."""
    n_largest_fold = -(-n_images // n_folds)
    n_left = n_images - n_largest_fold
    return n_left - n_validation_images(n_left, validation_share)


def asked_sizes(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an entry of `dissimilarity` asks of the number of images, for `check_sizes`."""
    splits, models = entry["splits"], entry["models"].values()
    of_curve = any(block["training_size"] for block in models)
    return {
        "n_folds": splits["n_folds"],
        "validation_share": splits["validation_share"],
        "asked": splits["n_training_images"] if of_curve else [],
        "n_components": entry["n_components"],
    }


def check_sizes(
    n_images: int,
    where: str,
    *,
    n_folds: int,
    validation_share: float,
    asked: list[int],
    n_components: int | None,
) -> None:
    """Raise InputError if there are too few images for folds, training or principal components.

    Parameters
    ----------
    n_images : of a subject
    where : beginning of the error
    n_folds : of images
    validation_share : of the images that are not tested
    asked : numbers of training images for a score against that number
    n_components : of embeddings; None for features as they are
    """
    n_tested = n_images // n_folds
    if n_tested < MIN_TEST_IMAGES:
        raise InputError(
            f"{where}: found {n_images} images in {n_folds} folds, {n_tested} test images in each, "
            f"expected at least {MIN_TEST_IMAGES}; take fewer folds or more images"
        )
    n_left = n_training_images(n_images, n_folds=n_folds, validation_share=validation_share)
    for n in (MIN_TRAINING_IMAGES, *asked):
        if n > n_left:
            raise InputError(
                f"{where}: found {n} training images asked for, expected at most {n_left}, which "
                f"are left of {n_images} after the test and validation images; lower "
                "`n_training_images`, or take more images"
            )
    _check_components(min([n_left, *asked]), where, n_components)


def _check_components(n_training: int, where: str, n_components: int | None) -> None:
    """Raise InputError for so many components that training images tell nothing of one another."""
    if n_components is not None and n_components > n_training - 2:
        raise InputError(
            f"{where}: found n_components {n_components} for {n_training} training images, between "
            "which so many components of unit variance leave the same distance, expected at most "
            f"{n_training - 2}; lower n_components, or leave it out for features as they are"
        )
