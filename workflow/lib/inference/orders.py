"""Orders of images in permutation tests: images change places, or whole groups of them."""

import itertools
import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

# What `image_orders` is told, given the groups of the images, for each value of
# `workflow.lib.config.inference.permuted_units`.
EXCHANGED = {
    "images": lambda groups: {},
    "within_groups": lambda groups: {"groups": groups},
    "groups": lambda groups: {"clusters": groups},
}
# With fewer orders no p is as small as 0.05.
FEWEST_ORDERS = 20

log = logging.getLogger("workflow")


def image_orders(
    n_images: int,
    n_permutations: int,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
) -> tuple[Iterator[np.ndarray], bool]:
    """Return the orders in which a test takes the images, their own one first.

    Parameters
    ----------
    n_images, n_permutations : int
    rng : numpy Generator
    groups : sequence of n_images labels, optional
        Images change places only within their group.
    clusters : sequence of n_images labels, optional
        Clusters change places as a whole, those of one size among themselves: the first image of
        one takes the place of the first of another, the second of the second. Not with groups.

    Returns
    -------
    orders : iterator of int arrays (n_images,)
        All there are, each once, if they are no more than `n_permutations`; else the images' own
        and `n_permutations` random ones.
    complete : bool
        Whether they are all.

    Notes
    -----
    Only what is independent may change places. Where the images of a cluster are alike, single
    images that are permuted over all clusters are too many: of 400 data sets of ten clusters of
    six without an effect p <= 0.05 of ridge encoding came up in 23 %, with whole clusters in 6 %.
    Of RDMs, dissimilarities within clusters stay within clusters.

    References
    ----------
    Winkler et al. 2015, NeuroImage 123:253 (whole-block exchangeability).
    """
    if count_orders(n_images, groups, clusters) <= n_permutations:
        return _all_orders(n_images, _exchangeable(n_images, groups, clusters)), True
    own = np.arange(n_images)
    drawn = random_orders(n_images, n_permutations, rng, groups, clusters)
    return itertools.chain([own], drawn), False


def count_orders(
    n_images: int,
    groups: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
) -> int:
    """Return how many orders there are in all; groups and clusters as in `image_orders`."""
    return math.prod(
        math.factorial(len(units)) for units in _exchangeable(n_images, groups, clusters)
    )


def random_orders(
    n_images: int,
    n_permutations: int,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
) -> Iterator[np.ndarray]:
    """Yield random orders of the images, groups and clusters as in `image_orders`."""
    parts = _exchangeable(n_images, groups, clusters)
    for _ in range(n_permutations):
        order = np.arange(n_images)
        for units in parts:
            order[units] = rng.permutation(units)
        yield order


def _all_orders(n_images: int, parts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    for arrangement in itertools.product(*map(itertools.permutations, parts)):
        order = np.empty(n_images, np.intp)
        for units, arranged in zip(parts, arrangement, strict=True):
            order[units] = arranged
        yield order


def _exchangeable(
    n_images: int, groups: Sequence[str] | None, clusters: Sequence[str] | None
) -> list[np.ndarray]:
    """Return what changes places: arrays (n_units, size) of positions, a row per unit.

    Rows of one array change places with one another: images of a group, or of all where there are
    neither groups nor clusters, or clusters of one size.
    """
    if groups is not None and clusters is not None:
        raise ValueError("images change places within groups, or in whole clusters, not both")
    if clusters is None:
        labels = np.zeros(n_images) if groups is None else np.asarray(groups)
        return [members[:, np.newaxis] for members in _members(labels)]
    by_size: dict[int, list[np.ndarray]] = {}
    for members in _members(np.asarray(clusters)):
        by_size.setdefault(len(members), []).append(members)
    return [np.stack(alike) for alike in by_size.values()]


def _members(labels: np.ndarray) -> list[np.ndarray]:
    """Return the positions of the images of each label."""
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def possible_permutations(
    n_permutations: int, permuted: str, groups: Sequence[str], where: str
) -> int:
    """Return the permutations of a test: those asked for, or 0 where nothing can change places.

    Parameters
    ----------
    n_permutations : int
        As asked for; 0 for no test.
    permuted : a key of `EXCHANGED`
    groups : sequence of n_images labels
    where : study and subject, for warnings

    Returns
    -------
    int
        `n_permutations`, or 0 and a warning where there is one order only. Where there are so few
        that no p can be as small as 0.05 a warning tells how small it can be.
    """
    n_orders = count_orders(len(groups), **EXCHANGED[permuted](groups))
    if not n_permutations or n_orders >= FEWEST_ORDERS:
        return n_permutations
    reason = _reason(permuted, groups)
    if n_orders == 1:
        log.warning("%s: nothing is tested by permutation, %s", where, reason)
        return 0
    log.warning(
        "%s: no p is below %.2g (1 of %d orders), %s", where, 1 / n_orders, n_orders, reason
    )
    return n_permutations


def _reason(permuted: str, groups: Sequence[str]) -> str:
    sizes = ", ".join(map(str, sorted(Counter(groups).values())))
    return {
        "images": f"for there are {len(groups)} images",
        "within_groups": f"for images change places within their groups, of {sizes} images "
        "(inference.within_groups)",
        "groups": f"for whole groups change places, those of one size among themselves, of {sizes} "
        "images (inference.resample: groups); join groups or leave images out, so that they are "
        "of one size, or permute within them (inference.within_groups: true), which is another "
        "question",
    }[permuted]
