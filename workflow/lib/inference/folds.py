"""Parts of the images that are held out in turn."""

from collections.abc import Sequence

import numpy as np

from workflow.lib.dealing import deal, members_of
from workflow.lib.errors import InputError
from workflow.lib.rdms.vectors import condensed_index
from workflow.lib.rsa.comparators import compare

# Three images have three dissimilarities, the fewest that a correlation can be taken of.
MIN_IMAGES_PER_FOLD = 3
# Comparators that take no mean off.
UNCENTRED = ("cosine", "cosine_cov")


def rdm_folds(
    n_images: int,
    n_folds: int,
    rng: np.random.Generator,
    *,
    strata: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
) -> list[np.ndarray]:
    """Return the images of each fold, every image in exactly one.

    Parameters
    ----------
    n_images, n_folds : int
    rng : numpy Generator
    strata : sequence of n_images labels, optional
        Each group is spread evenly over the folds.
    clusters : sequence of n_images labels, optional
        Each group lies in one fold whole, so that no image is predicted from its own group.

    Returns
    -------
    list of int arrays, sorted

    Raises
    ------
    InputError
        Fewer than two folds, or too few images in each.
    """
    if not 2 <= n_folds <= most_folds(n_images, clusters):
        raise InputError(
            f"found {n_images} images for {n_folds} folds, expected at least 2 folds of "
            f"{MIN_IMAGES_PER_FOLD} images; change the number of folds, or leave "
            "cross-validation out"
        )
    members = _dealt_together(n_images, clusters)
    # A cluster is a card itself; strata are of images alone.
    fold_of = deal(len(members), n_folds, rng, strata=strata)
    return [
        np.sort(np.concatenate([members[card] for card in np.flatnonzero(fold_of == fold)]))
        for fold in range(n_folds)
    ]


def most_folds(n_images: int, clusters: Sequence[str] | None = None) -> int:
    """Return how many folds have `MIN_IMAGES_PER_FOLD` images each, however they are dealt out."""
    sizes = np.sort([len(images) for images in _dealt_together(n_images, clusters)])
    # The fewest groups a fold can get, were they the smallest ones.
    enough = int(np.searchsorted(sizes.cumsum(), MIN_IMAGES_PER_FOLD)) + 1
    return len(sizes) // enough


def _dealt_together(n_images: int, clusters: Sequence[str] | None) -> list[np.ndarray]:
    """Return the images that no fold may part: those of each group, or each by itself."""
    return members_of(np.arange(n_images) if clusters is None else clusters)


def pairs_among(images: np.ndarray, n_images: int) -> np.ndarray:
    """Return the positions in a condensed RDM of all pairs among some images.

    Parameters
    ----------
    images : int array (m,), distinct
    n_images : int
        Images of the whole RDM.

    Returns
    -------
    int array (m(m-1)/2,), in the order of the condensed RDM of these images
    """
    first, second = np.triu_indices(len(images), 1)
    return condensed_index(images[first], images[second], n_images)


def pairs_between(left: np.ndarray, right: np.ndarray, n_images: int) -> np.ndarray:
    """Return the positions in a condensed RDM of all pairs of a left and a right image.

    Parameters
    ----------
    left, right : int arrays without a common image
    n_images : int
        Images of the whole RDM.

    Returns
    -------
    int array (len(left) * len(right),)
    """
    first, second = np.meshgrid(left, right, indexing="ij")
    return condensed_index(first.ravel(), second.ravel(), n_images)


def compare_varying(models: np.ndarray, brains: np.ndarray, name: str) -> np.ndarray:
    """Return similarities, where RDMs may be constant over the pairs of a few images.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
        A model of categories can be constant over a fold, and then tells no pair from another:
        similarity 0.
    brains : float array (n_brains, n_pairs)
        Nothing can be said of one that is constant: similarity NaN.
    name : str
        A comparator. To a cosine a constant is an RDM as any other, but for zeros.

    Returns
    -------
    float64 array (n_models, n_brains)
    """
    similarities = np.zeros((len(models), len(brains)))
    varying = _varying(models, name)
    if varying.any():
        # A brain RDM of zeros has no length to be divided by.
        with np.errstate(invalid="ignore"):
            similarities[varying] = compare(models[varying], brains, name)
    similarities[:, ~_varying(brains, name)] = np.nan
    return similarities


def _varying(vectors: np.ndarray, name: str) -> np.ndarray:
    """Return which RDMs differ from one that tells nothing: a constant, to a cosine zeros."""
    if name in UNCENTRED:
        return vectors.any(axis=1)
    return vectors.min(axis=1) < vectors.max(axis=1)


def mean_of_defined(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over the first axis of all that is not NaN; NaN where nothing is left."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0).sum(axis=0) / defined.sum(axis=0)
