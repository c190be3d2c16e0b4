"""Ranks of a resampled RDM without building it: every pair weighted by how often it was drawn.

A resample of images is a vector of counts w; the pair of images i and j occurs w_i w_j times in the
resampled RDM, and pairs of an image with its own copies are left out. Copies of a pair are tied, so
its midrank follows from the weights of the pairs below it, along an order sorted once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

from workflow.lib.errors import InputError
from workflow.lib.rsa.ranking import sorted_order
from workflow.lib.threads import in_threads

# A sorted pair is one 32-bit word: whether it is tied with the pair before it, then two images.
IMAGE_BITS = np.uint32(15)
IMAGE_MASK = np.uint32((1 << 15) - 1)
TIED = np.uint32(1 << 30)
MAX_IMAGES = 1 << 15

# Pairs per block of a sum: fixed, so that sums do not depend on the machine.
BLOCK = 1 << 15
# Sorted pairs read at a time: their buffers stay in the fastest cache.
CHUNK = 2048
# Elements below which handing work to threads takes longer than doing it.
WORTH_A_THREAD = 1 << 16
# Bits sorted by in one pass: 2048 counters fit in the fastest cache.
DIGIT_BITS = 11


@dataclass(frozen=True)
class Drawn:
    """The pairs that occur in a resample: those of two different drawn images.

    Attributes
    ----------
    counts : int32 array (n_images,)
        How often each image was drawn.
    row_start, column : int32 arrays (n_images,)
        The pair (i, j), i < j, of drawn images stands at `row_start[i] + column[j]`.
    weights : int32 array (n_drawn_pairs,)
        How often each pair occurs; condensed order of the distinct drawn images.
    n_pairs : int
        Their sum: the number of dissimilarities in the resampled RDM.
    """

    counts: np.ndarray
    row_start: np.ndarray
    column: np.ndarray
    weights: np.ndarray
    n_pairs: int


def drawn_pairs(counts: np.ndarray) -> Drawn:
    """Return the pairs that occur in a resample of images.

    Parameters
    ----------
    counts : int array (n_images,)
    """
    counts = counts.astype(np.int32)
    drawn = np.flatnonzero(counts)
    position = np.arange(drawn.size)
    row_start = np.zeros(counts.size, np.int32)
    column = np.zeros(counts.size, np.int32)
    row_start[drawn] = position * (2 * drawn.size - position - 1) // 2 - position - 1
    column[drawn] = position
    weights = _pair_weights(counts[drawn])
    return Drawn(counts, row_start, column, weights, int(weights.sum(dtype=np.int64)))


def sorted_pairs(vectors: np.ndarray, n_images: int) -> np.ndarray:
    """Return the pairs of images of each RDM, from the smallest dissimilarity to the largest.

    Parameters
    ----------
    vectors : float array (n_rdms, n_images (n_images - 1) / 2)
    n_images : int

    Returns
    -------
    uint32 array (n_rdms, n_pairs), to be read by `resampled_ranks`

    Raises
    ------
    InputError
        More images than a sorted pair has room for.
    """
    if n_images > MAX_IMAGES:
        raise InputError(
            f"found RDMs of {n_images} images, expected at most {MAX_IMAGES} to resample ranks; "
            "choose the comparator pearson or cosine"
        )
    first, second = np.triu_indices(n_images, 1)
    pairs = (first.astype(np.uint32) << IMAGE_BITS) | second.astype(np.uint32)
    del first, second
    coded = np.empty((len(vectors), pairs.size), np.uint32)

    def sort(rdm: int) -> None:
        order, ordered = sorted_order(vectors[rdm])
        coded[rdm] = pairs[order]
        coded[rdm, 1:][ordered[1:] == ordered[:-1]] |= TIED

    _for_each(sort, len(vectors), pairs.size)
    return coded


def resampled_ranks(coded: np.ndarray, drawn: Drawn) -> np.ndarray:
    """Return the ranks of every RDM in a resample, centred and doubled: whole numbers.

    Parameters
    ----------
    coded : uint32 array (n_rdms, n_pairs)
        From `sorted_pairs`.
    drawn : Drawn

    Returns
    -------
    int32 array (n_rdms, n_drawn_pairs)
        2 midrank - (N + 1), N the number of pairs in the resampled RDM. Their sum, each taken as
        often as its pair occurs, is zero.
    """
    ranks = np.empty((len(coded), drawn.weights.size), np.int32)

    def rank(rdm: int) -> None:
        _rank(coded[rdm], drawn.counts, drawn.row_start, drawn.column, drawn.n_pairs, ranks[rdm])

    _for_each(rank, len(coded), drawn.weights.size)
    return ranks


def pooled_ranks(ranks: np.ndarray, members: np.ndarray, drawn: Drawn) -> np.ndarray:
    """Return the ranks of sums of ranks.

    Whole numbers are summed, so that pairs with equal sums stay tied.

    Parameters
    ----------
    ranks : int32 array (n_rdms, n_drawn_pairs)
        From `resampled_ranks`.
    members : int64 array (n_pools, n_rdms)
        How often each RDM is in each sum; at least one RDM in each.
    drawn : Drawn

    Returns
    -------
    int32 array (n_pools, n_drawn_pairs), centred and doubled as in `resampled_ranks`
    """
    pooled = np.empty((len(members), ranks.shape[1]), np.int32)

    def pool(row: int) -> None:
        present = np.flatnonzero(members[row])
        if present.size == 1:
            pooled[row] = ranks[present[0]]
        else:
            times = members[row, present]
            _pool(ranks, present, times, drawn.weights, drawn.n_pairs, pooled[row])

    _for_each(pool, len(members), drawn.weights.size)
    return pooled


def weighted_products(left: np.ndarray, right: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sums over pairs of left x right, each pair as often as it occurs.

    Parameters
    ----------
    left : int32 array (m, n_drawn_pairs)
    right : int32 array (k, n_drawn_pairs)
    weights : int32 array (n_drawn_pairs,)

    Returns
    -------
    float64 array (m, k)
    """
    total = np.zeros((len(left), len(right)))
    for start in range(0, weights.size, BLOCK):
        block = slice(start, start + BLOCK)
        total += (left[:, block] * weights[block].astype(np.float64)) @ (
            right[:, block].astype(np.float64).T
        )
    return total


def weighted_squares(ranks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum of squares of each RDM's ranks, each pair as often as it occurs.

    Parameters
    ----------
    ranks : int32 array (n_rdms, n_drawn_pairs)
    weights : int32 array (n_drawn_pairs,)

    Returns
    -------
    float64 array (n_rdms,)
    """
    total = np.zeros(len(ranks))
    for start in range(0, weights.size, BLOCK):
        block = ranks[:, start : start + BLOCK].astype(np.float64)
        total += (block * block) @ weights[start : start + BLOCK].astype(np.float64)
    return total


def _for_each(work: Callable[[int], None], n_rdms: int, n_pairs: int) -> None:
    if n_pairs < WORTH_A_THREAD:
        for rdm in range(n_rdms):
            work(rdm)
    else:
        in_threads(work, range(n_rdms))


@njit(cache=True, nogil=True)
def _pair_weights(counts):
    n = counts.size
    weights = np.empty(n * (n - 1) // 2, np.int32)
    position = 0
    for i in range(n):
        for j in range(i + 1, n):
            weights[position] = counts[i] * counts[j]
            position += 1
    return weights


@njit(cache=True, nogil=True)
def _rank(coded, counts, row_start, column, n_pairs, ranks):
    """Walk along the sorted pairs; those below a group of ties, and half the group, make its rank.

    Drawn pairs are first picked out, a chunk at a time, without a branch: which pairs were drawn
    cannot be predicted, and a mispredicted branch costs more than all the rest.
    """
    places, weights = np.empty(CHUNK, np.uint32), np.empty(CHUNK, np.int32)
    opens = np.empty(CHUNK, np.bool_)
    group_places = np.empty(ranks.size, np.uint32)
    group_size, group_weight = 0, np.int64(0)
    below = -np.int64(n_pairs)  # twice the pairs below, less all
    for start in range(0, coded.size, CHUNK):
        n_drawn, opened = 0, False
        for k in range(start, min(start + CHUNK, coded.size)):
            i, j = (coded[k] >> IMAGE_BITS) & IMAGE_MASK, coded[k] & IMAGE_MASK
            opened |= (coded[k] & TIED) == 0
            places[n_drawn] = row_start[i] + column[j]
            weights[n_drawn] = counts[i] * counts[j]
            opens[n_drawn] = opened
            drawn = weights[n_drawn] != 0
            opened &= not drawn
            n_drawn += drawn
        for k in range(n_drawn):
            if opens[k]:
                for member in range(group_size):
                    ranks[group_places[member]] = below + group_weight
                below += 2 * group_weight
                group_size, group_weight = 0, np.int64(0)
            group_places[group_size] = places[k]
            group_size += 1
            group_weight += weights[k]
        if opened:
            # The group was closed by a pair that was not drawn, and of which no trace is left.
            for member in range(group_size):
                ranks[group_places[member]] = below + group_weight
            below += 2 * group_weight
            group_size, group_weight = 0, np.int64(0)
    for member in range(group_size):
        ranks[group_places[member]] = below + group_weight


@njit(cache=True, nogil=True)
def _pool(ranks, present, times, weights, n_pairs, pooled):
    n = weights.size
    position_bits = np.uint64(_n_bits(n))
    position_mask = (np.uint64(1) << position_bits) - np.uint64(1)
    largest = np.int64(n_pairs) * times.sum()
    totals = np.full(n, largest)
    for k in range(present.size):
        totals += times[k] * ranks[present[k]]
    words = np.empty(n, np.uint64)
    for k in range(n):
        words[k] = (np.uint64(totals[k]) << position_bits) | np.uint64(k)
    words = _radix_sorted(words, position_bits, _n_bits(2 * largest))
    below, start = -np.int64(n_pairs), 0
    while start < n:
        stop, group = start, np.int64(0)
        while stop < n and words[stop] >> position_bits == words[start] >> position_bits:
            group += weights[words[stop] & position_mask]
            stop += 1
        for k in range(start, stop):
            pooled[words[k] & position_mask] = below + group
        below += 2 * group
        start = stop


@njit(cache=True, nogil=True)
def _radix_sorted(words, first_bit, n_bits):
    """Return words sorted by the `n_bits` bits from `first_bit` on."""
    n_passes = max(1, -(-n_bits // DIGIT_BITS))
    digit_bits = np.uint64(max(1, -(-n_bits // n_passes)))
    mask = (np.uint64(1) << digit_bits) - np.uint64(1)
    other = np.empty_like(words)
    for step in range(n_passes):
        shift = first_bit + np.uint64(step) * digit_bits
        places = np.zeros(np.int64(mask) + 2, np.int64)
        for word in words:
            places[((word >> shift) & mask) + np.uint64(1)] += 1
        places = np.cumsum(places)
        for word in words:
            digit = (word >> shift) & mask
            other[places[digit]] = word
            places[digit] += 1
        words, other = other, words
    return words


@njit(cache=True, nogil=True)
def _n_bits(number):
    bits = 0
    while number >> bits:
        bits += 1
    return bits
