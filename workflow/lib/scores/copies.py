"""Copies of an image count as one image, however many of them there are.

Where each copy counted, what uninformed guesses reach would depend on how many copies the images
have that are like all others.
"""

import numpy as np


def numbered(groups: np.ndarray) -> np.ndarray:
    """Return the number of each image's group, int array (n_images,), from 0 without gaps."""
    return np.unique(np.asarray(groups), return_inverse=True)[1].ravel()


def of_different(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the label of each different image, (n_different,), that its copies share.

    Raises
    ------
    ValueError
        Copies of another label.
    """
    labels, number = np.asarray(labels), numbered(groups)
    first = labels[np.unique(number, return_index=True)[1]]
    if (first[number] != labels).any():
        raise ValueError("copies of an image have different labels, such as folds")
    return first


def over_copies(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the mean over the copies of each different image.

    Parameters
    ----------
    values : float array (n_images, ...)
    groups : array (n_images,)
        Copies of one image share a group.

    Returns
    -------
    float64 array (n_different, ...)
    """
    number = numbered(groups)
    sizes = np.bincount(number)
    in_order = np.asarray(values, np.float64)[np.argsort(number, kind="stable")]
    sums = np.add.reduceat(in_order, np.cumsum(sizes) - sizes, axis=0)
    return (sums.T / sizes).T


def with_different_images(similarities: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the similarity of every reconstruction with every different image.

    Parameters
    ----------
    similarities : float array (n_images, n_images)
        Of every reconstruction (rows) with every true image.
    groups : array (n_images,)

    Returns
    -------
    float64 array (n_images, n_different)
        With other images, the mean over their copies; with its own, without other copies of it.
    """
    number = numbered(groups)
    found = over_copies(similarities.T, groups).T
    found[np.arange(len(number)), number] = np.diagonal(similarities)
    return found
