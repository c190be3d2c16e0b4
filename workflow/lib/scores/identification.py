"""Can a reconstruction be told to be of its own image, among images that it is not of?

In n-way identification the reconstruction is compared with its true image and n - 1 others, and is
identified if it resembles the true one most; chance is 1/n. Two-way identification is what the
field reports most. All sets of others are counted, none is drawn.

Copies of an image are one image, in the sets and in means. Over all orders of the images, a mean is
then 1/n whatever reconstructions look like.

What was predicted out of fold is compared with images of its own fold alone. Its model learned from
those of all other folds, and what it says is near their mean: nearer to any of them than to its own
image. Over all images two-way identification is then below a half where there is nothing to decode
(0.34 to 0.46, by the penalty of a ridge, for 60 images in five folds).
"""

import numpy as np
from scipy.special import comb
from scipy.stats import rankdata

from workflow.lib.errors import InputError
from workflow.lib.inference.orders import image_orders
from workflow.lib.scores.copies import (
    numbered,
    of_different,
    over_copies,
    with_different_images,
)

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
        be called wrong. Among others they are one image, as similar as they are on average.
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
    number = numbered(groups)
    shares = _identified_as(similarities, groups, np.zeros(len(number)), n_way)
    return shares[np.arange(len(number)), number]


def resampled_identification(
    similarities: np.ndarray,
    groups: np.ndarray,
    counts: np.ndarray,
    n_way: int = 2,
    folds: np.ndarray | None = None,
) -> np.ndarray:
    """Return the mean share that is identified in resamples of the different images.

    Parameters
    ----------
    similarities, groups, n_way : as in `identified`
    counts : int array (n_resamples, n_different)
        How often each group is drawn, in their order, see
        `workflow.lib.inference.counts.image_counts`. An image that is drawn twice is a copy of
        itself: the two are not compared.
    folds : array (n_images,), optional
        As in `identification_null`.

    Returns
    -------
    float64 array (n_resamples,)
        Without the folds of which a resample has too few different images; NaN where these are all.
    """
    number = numbered(groups)
    folds = np.zeros(len(number)) if folds is None else np.asarray(folds)
    fold_of = of_different(folds, groups)
    seen = with_different_images(similarities, groups)
    others = number[:, np.newaxis] != np.arange(seen.shape[1])
    others &= folds[:, np.newaxis] == fold_of
    in_fold = (fold_of[:, np.newaxis] == np.unique(fold_of)).astype(np.float64)
    own = np.diagonal(similarities)[:, np.newaxis]
    worse, equal, all_of_them = (
        matrix.astype(np.float64).T
        for matrix in ((seen < own) & others, (seen == own) & others, others)
    )
    values = []
    for start in range(0, len(counts), BLOCK):
        drawn = counts[start : start + BLOCK].astype(np.float64)
        n_worse, n_equal, n_others = (drawn @ matrix for matrix in (worse, equal, all_of_them))
        share = over_copies(_share_won(n_worse, n_equal, n_others, n_way).T, groups).T
        too_few = ((drawn > 0) & np.isnan(share)) @ in_fold > 0
        weights = np.where(too_few @ in_fold.T > 0, 0, drawn)
        won, drawn_in_all = (weights * np.nan_to_num(share)).sum(axis=1), weights.sum(axis=1)
        undefined = np.full(len(won), np.nan)
        values.append(np.divide(won, drawn_in_all, out=undefined, where=drawn_in_all > 0))
    return np.concatenate(values)


def identification_null(
    similarities: np.ndarray,
    groups: np.ndarray,
    *,
    n_way: int,
    n_permutations: int,
    rng: np.random.Generator,
    folds: np.ndarray | None = None,
) -> np.ndarray:
    """Return the mean share that is identified if reconstructions are given to other images.

    The null: which reconstruction is of which image (of its fold, where folds are given) has
    nothing to do with its looks.

    Parameters
    ----------
    similarities, groups, n_way : as in `identified`
    n_permutations : int
    rng : numpy Generator
    folds : array (n_images,), optional
        Images are compared with those of their fold, and change places with them, alone.

    Returns
    -------
    float64 array (n_orders,)
        The observed value first; p is the share of all that are no smaller. All orders there are,
        if they are no more than n_permutations. Copies of an image change places together.

    References
    ----------
    Phipson & Smyth 2010, Permutation p-values should never be zero, Stat Appl Genet Mol Biol 9:39.
    """
    folds = np.zeros(len(groups)) if folds is None else np.asarray(folds)
    as_if = over_copies(_identified_as(similarities, groups, folds, n_way), groups)
    fold_of = of_different(folds, groups)
    return means_in_orders(as_if, n_permutations=n_permutations, rng=rng, folds=fold_of)


def means_in_orders(
    values: np.ndarray,
    *,
    n_permutations: int,
    rng: np.random.Generator,
    folds: np.ndarray | None = None,
) -> np.ndarray:
    """Return the mean over images of their value with the image whose place they take.

    Parameters
    ----------
    values : float array (n_different, n_different)
        Of what was made of an image (rows) with every image.
    n_permutations : int
    rng : numpy Generator
    folds : array (n_different,), optional
        Images change places with those of their fold alone.

    Returns
    -------
    float64 array (n_orders,)
        With their own places first, then in random orders, or in all there are if they are no more.
    """
    rows = np.arange(len(values))
    orders, _ = image_orders(len(values), n_permutations, rng, folds)
    return np.array([values[rows, order].mean() for order in orders])


def permutation_p(null: np.ndarray) -> float:
    """Return the one-sided p of the first value among all, rounding aside."""
    return float(np.mean(null >= null[0] - 1e-12))


def _identified_as(
    similarities: np.ndarray, groups: np.ndarray, folds: np.ndarray, n_way: int
) -> np.ndarray:
    """Return the probability that reconstruction i is identified as the different image k.

    Of its fold; NaN for those of others.
    """
    seen, fold_of = with_different_images(similarities, groups), of_different(folds, groups)
    shares = np.full(seen.shape, np.nan)
    for fold in np.unique(fold_of):
        place = np.ix_(folds == fold, fold_of == fold)
        of_fold = seen[place]
        n_others = of_fold.shape[1] - 1
        _check(n_others, n_way)
        n_worse = rankdata(of_fold, method="min", axis=1) - 1
        n_equal = rankdata(of_fold, method="max", axis=1) - 1 - n_worse
        shares[place] = _share_won(n_worse, n_equal, np.full(of_fold.shape, n_others), n_way)
    return shares


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


def _check(n_others: int, n_way: int) -> None:
    if n_way < 2 or n_others < n_way - 1:
        raise InputError(
            f"evaluation.n_way: found {n_way} for images with {n_others} others that are no "
            f"copies, expected 2 to {n_others + 1}; change it"
        )
