"""Folds of the training images: the same for shapes, semantics, generators and the audit."""

import numpy as np

from scripts.reconstruction.data.image_table import ImageTable
from workflow.lib.pairs.splits import ImageFold, make_folds
from workflow.lib.seeds import generator

# Fewer tested images in a fold leave nothing to score.
MIN_TEST_IMAGES = 1


def decoder_folds(
    images: ImageTable, *, n_folds: int, validation_share: float, seed: int, study: str
) -> list[ImageFold]:
    """Return the folds of a study's training images, the same for every subject and decoder.

    What a generator learns from is then decoded by models that saw neither the image's response
    nor the image, in all of its inputs alike.

    Parameters
    ----------
    images : ImageTable
        Of the training part; copies of an image share a group and a fold.
    n_folds : int
    validation_share : float, 0 to less than 1
        Of the images that are not tested: networks stop training by them.
    seed : int
    study : str

    Raises
    ------
    InputError
        Fewer than two folds, or too few images for them.
    """
    return make_folds(
        len(images.names),
        n_folds=n_folds,
        validation_share=validation_share,
        rng=generator(seed, "reconstruction", "folds", study),
        leaked=None,
        groups=images.groups,
        min_test_images=MIN_TEST_IMAGES,
    )


def shuffled_images(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return which image's responses each image gets in the control of shuffled responses.

    Parameters
    ----------
    groups : int array (n_images,)
        Copies of an image: they get the responses to copies of another one, so that copies stay
        in one fold and no response meets its own image through a copy.
    rng : numpy Generator

    Returns
    -------
    int array (n_images,), a permutation
    """
    order = np.empty(len(groups), int)
    _, group, n_members = np.unique(groups, return_inverse=True, return_counts=True)
    for size in np.unique(n_members):
        # Groups change places with groups of their size, each a row of its images.
        members = np.flatnonzero(n_members[group] == size)
        rows = members[np.argsort(group[members], kind="stable")].reshape(-1, size)
        order[rows] = rows[rng.permutation(len(rows))]
    return order
