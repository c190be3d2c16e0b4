"""Can a reconstruction be told to be of its own image, among images that it is not of?

In n-way identification the reconstruction is compared with its true image and n - 1 others, and is
identified if it resembles the true one most; chance is 1/n. Two-way identification is what the
field reports most. All sets of others are counted, none is drawn.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.special import comb

from workflow.lib.errors import InputError
from workflow.lib.inference.permutation import image_orders

# Resamples whose counts of better and worse images exist at a time: bounds memory.
BLOCK = 64


def identified(similarities: np.ndarray, groups: np.ndarray, n_way: int = 2) -> np.ndarray:
    """Return the probability that each reconstruction is identified.

    Parameters
    ----------
    similarities : float array (n_images, n_images)
        Of every reconstruction (rows) with every true image.
    groups : array (n_images,)
        Copies of one image share a group, and are never compared with each other: neither could
        be called wrong.
    n_way : int
        The true image and n_way - 1 others.

    Returns
    -------
    float64 array (n_images,)
        Over all sets of others; of equal similarities one is picked at random.

    Raises
    ------
    InputError
        Fewer than n_way images that are not copies of one.
    """
    others = _others(groups)
    _check(others.sum(axis=1).min(), n_way)
    own = np.diagonal(similarities)[:, np.newaxis]
    n_worse = ((similarities < own) & others).sum(axis=1)
    n_equal = ((similarities == own) & others).sum(axis=1)
    return _share_won(n_worse, n_equal, others.sum(axis=1), n_way)


def resampled_identification(
    similarities: np.ndarray, groups: np.ndarray, counts: np.ndarray, n_way: int = 2
) -> np.ndarray:
    """Return the mean share that is identified in resamples of the images.

    Parameters
    ----------
    similarities, groups, n_way : as in `identified`
    counts : int array (n_resamples, n_images)
        How often each image is drawn, see `workflow.lib.inference.bootstrap`. An image that is
        drawn twice is a copy of itself: the two are not compared.

    Returns
    -------
    float64 array (n_resamples,)
        NaN where a resample has too few different images.
    """
    others = _others(groups)
    own = np.diagonal(similarities)[:, np.newaxis]
    worse, equal, all_of_them = (
        matrix.astype(np.float64).T
        for matrix in ((similarities < own) & others, (similarities == own) & others, others)
    )
    values = []
    for start in range(0, len(counts), BLOCK):
        drawn = counts[start : start + BLOCK].astype(np.float64)
        n_worse, n_equal, n_others = (drawn @ matrix for matrix in (worse, equal, all_of_them))
        share = _share_won(n_worse, n_equal, n_others, n_way)
        values.append((drawn * share).sum(axis=1) / drawn.sum(axis=1))
    return np.concatenate(values)


def identification_null(
    similarities: np.ndarray,
    groups: np.ndarray,
    *,
    n_way: int,
    n_permutations: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the mean share that is identified if reconstructions are given to other images.

    The null: which reconstruction is of which image has nothing to do with its looks.

    Parameters
    ----------
    similarities, groups, n_way : as in `identified`
    n_permutations : int
    rng : numpy Generator

    Returns
    -------
    float64 array (n_orders,)
        The observed value first; p is the share of all that are no smaller. All orders there are,
        if they are no more than n_permutations. Copies of an image change places together.

    References
    ----------
    Phipson & Smyth 2010, Permutation p-values should never be zero, Stat Appl Genet Mol Biol 9:39.
    """
    as_if = _identified_as(similarities, groups, n_way)
    images = np.arange(len(similarities))
    orders = group_orders(np.asarray(groups), n_permutations, rng)
    return np.array([as_if[images, order].mean() for order in orders])


def group_orders(
    groups: np.ndarray, n_permutations: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield orders of the images, their own first, in which groups change places as a whole.

    Copies of an image, and what was made of responses to them, are alike: orders that part them
    would vary less than chance does. A group changes places with groups of its size.

    Parameters
    ----------
    groups : int array (n_images,)
        Copies of an image share a number.
    n_permutations : int
        Orders beside their own; all orders there are, if they are no more.
    rng : numpy Generator

    Yields
    ------
    int array (n_images,)
        The image that each takes the place of.
    """
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    sizes = [str(len(own)) for own in members]
    for order in image_orders(len(members), n_permutations, rng, sizes)[0]:
        images = np.empty(len(groups), int)
        for own, other in zip(members, order, strict=True):
            images[own] = members[other]
        yield images


def permutation_p(null: np.ndarray) -> float:
    """Return the one-sided p of the first value among all, rounding aside."""
    return float(np.mean(null >= null[0] - 1e-12))


def _identified_as(similarities: np.ndarray, groups: np.ndarray, n_way: int) -> np.ndarray:
    """Return the probability that reconstruction i is identified as image k, (n, n)."""
    others = _others(groups)
    _check(others.sum(axis=1).min(), n_way)
    columns: Iterable[np.ndarray] = (
        _share_won(
            ((similarities < true[:, np.newaxis]) & others[k]).sum(axis=1),
            ((similarities == true[:, np.newaxis]) & others[k]).sum(axis=1),
            np.full(len(similarities), others[k].sum()),
            n_way,
        )
        for k, true in enumerate(similarities.T)
    )
    return np.stack(list(columns), axis=1)


def _share_won(
    n_worse: np.ndarray, n_equal: np.ndarray, n_others: np.ndarray, n_way: int
) -> np.ndarray:
    """Return in which share of the sets of n_way - 1 others the true image is picked.

    Where k others of a set equal the true image, it is picked in one case of k + 1.
    """
    size = n_way - 1
    won = sum(
        comb(n_equal, k) * comb(n_worse, size - k) / (k + 1)
        for k in range(size + 1)
        if k == 0 or np.any(n_equal >= k)
    )
    sets = comb(n_others, size)
    return np.divide(won, sets, out=np.full(np.shape(sets), np.nan), where=sets > 0)


def _others(groups: np.ndarray) -> np.ndarray:
    groups = np.asarray(groups)
    return groups[:, np.newaxis] != groups


def _check(n_others: int, n_way: int) -> None:
    if n_way < 2 or n_others < n_way - 1:
        raise InputError(
            f"evaluation.n_way: found {n_way} for images with {n_others} others that are no "
            f"copies, expected 2 to {n_others + 1}; change it"
        )
