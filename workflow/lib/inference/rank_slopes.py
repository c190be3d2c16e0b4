"""Slopes of rank statistics in how often an image is drawn, summed over the pairs of each image.

For `workflow.lib.inference.jackknife`. Ranks are centred and doubled, 2 midrank - (P + 1) for P
pairs: whole numbers, and the number of smaller less that of larger dissimilarities.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

from workflow.lib.inference.weighted_ranks import (
    IMAGE_BITS,
    IMAGE_MASK,
    TIED,
    Drawn,
    drawn_pairs,
    resampled_ranks,
    sorted_pairs,
)
from workflow.lib.threads import in_threads

# The value of an element of a sequence stands above the pair of images that it belongs to.
_VALUE = np.uint64(32)
# Sorted pairs read at a time.
CHUNK = 256
# Parts of a sequence of up to this many elements are compared all with all.
SHORT = 16


@dataclass(frozen=True)
class RankedSide:
    """The RDMs of one side of a table, sorted and ranked.

    Attributes
    ----------
    pairs : uint32 array (n_rdms, n_pairs)
        Pairs of images from the smallest dissimilarity to the largest.
    ranks : int32 array (n_rdms, n_pairs)
        Centred and doubled ranks, in condensed order.
    everything : Drawn
        Where a pair of images stands in condensed order.
    """

    pairs: np.ndarray
    ranks: np.ndarray
    everything: Drawn

    @classmethod
    def of(cls, vectors: np.ndarray, n_images: int) -> "RankedSide":
        """Sort and rank RDMs, (n_rdms, n_pairs)."""
        everything = drawn_pairs(np.ones(n_images, np.int32))
        pairs = sorted_pairs(vectors, n_images)
        return cls(pairs, resampled_ranks(pairs, everything), everything)


def tail_sums(side: RankedSide, ranks: np.ndarray) -> np.ndarray:
    """Return sums of ranks over all pairs above, summed over the pairs of each image.

    Parameters
    ----------
    side : RankedSide of m RDMs
    ranks : int32 array (k, n_pairs)

    Returns
    -------
    float64 array (n_images, m, k)
        sum_j t_ij, t_p = 2 (sum of ranks over pairs above p) + (sum over those tied with p).
    """
    n_images = side.everything.counts.size
    sums = np.zeros((len(side.pairs), n_images, len(ranks)))
    # One gather for all: the ranks of a pair lie side by side.
    by_pair = np.ascontiguousarray(ranks.T)

    def walk(rdm: int) -> None:
        _tail_sums(
            side.pairs[rdm], side.everything.row_start, side.everything.column, by_pair, sums[rdm]
        )

    in_threads(walk, range(len(side.pairs)))
    return sums.transpose(1, 0, 2)


def own_tail_sums(side: RankedSide) -> np.ndarray:
    """Return the `tail_sums` of every RDM with its own ranks, float64 (n_images, n_rdms)."""
    return _of_every_rdm(_own_tail_sums, side)


def untied(side: RankedSide) -> np.ndarray:
    """Return how many pairs are not tied with a pair, summed over the pairs of each image.

    Returns
    -------
    float64 array (n_images, n_rdms)
    """
    return _of_every_rdm(_untied, side)


def _of_every_rdm(add_sums: Callable, side: RankedSide) -> np.ndarray:
    sums = np.zeros((len(side.pairs), side.everything.counts.size))
    in_threads(lambda rdm: add_sums(side.pairs[rdm], sums[rdm]), range(len(side.pairs)))
    return sums.T


def concordances(left: RankedSide, right: RankedSide) -> np.ndarray:
    """Return concordant less discordant pairs of pairs, summed over the pairs of each image.

    Parameters
    ----------
    left : RankedSide of m RDMs
    right : RankedSide of k RDMs

    Returns
    -------
    float64 array (n_images, m, k)
        sum_j c_ij, c_p = sum_q sign(x_p - x_q) sign(y_p - y_q).
    """
    n_images = left.everything.counts.size
    sums = np.zeros((len(left.ranks), len(right.pairs), n_images))

    def count(cell: int) -> None:
        m, k = divmod(cell, len(right.pairs))
        _concordances(
            left.pairs[m],
            left.ranks[m],
            right.pairs[k],
            left.everything.row_start,
            left.everything.column,
            sums[m, k],
        )

    in_threads(count, range(len(left.ranks) * len(right.pairs)))
    return sums.transpose(2, 0, 1)


@njit(cache=True, nogil=True)
def _tail_sums(pairs, row_start, column, by_pair, sums):
    k = by_pair.shape[1]
    gathered, first, filled = np.empty((CHUNK, k), by_pair.dtype), 0, 0
    # Ranks sum to zero: twice those above and those tied are minus twice those below and tied.
    # Whole numbers, which float64 holds exactly.
    tail, group = np.zeros(k), np.zeros(k)
    start = 0
    while start < pairs.size:
        stop = start
        group[:] = 0
        while stop < pairs.size and (stop == start or pairs[stop] & TIED):
            if stop == filled:
                first, filled = stop, min(stop + CHUNK, pairs.size)
                _gather(pairs[first:filled], row_start, column, by_pair, gathered)
            for c in range(k):
                group[c] += gathered[stop - first, c]
            stop += 1
        tail -= group
        for position in range(start, stop):
            of_image = sums[(pairs[position] >> IMAGE_BITS) & IMAGE_MASK]
            for c in range(k):
                of_image[c] += tail[c]
            of_image = sums[pairs[position] & IMAGE_MASK]
            for c in range(k):
                of_image[c] += tail[c]
        tail -= group
        start = stop


@njit(cache=True, nogil=True)
def _gather(pairs, row_start, column, by_pair, gathered):
    """Copy the ranks of a chunk of pairs: apart from any branch, so that reads overlap."""
    for position in range(pairs.size):
        i, j = (pairs[position] >> IMAGE_BITS) & IMAGE_MASK, pairs[position] & IMAGE_MASK
        place = row_start[i] + column[j]
        for c in range(by_pair.shape[1]):
            gathered[position, c] = by_pair[place, c]


@njit(cache=True, nogil=True)
def _own_tail_sums(pairs, sums):
    tail = 0.0
    start = 0
    for stop in range(1, pairs.size + 1):
        if stop < pairs.size and pairs[stop] & TIED:
            continue
        group = float(stop - start) * (start + stop - pairs.size)
        tail -= group
        for position in range(start, stop):
            sums[(pairs[position] >> IMAGE_BITS) & IMAGE_MASK] += tail
            sums[pairs[position] & IMAGE_MASK] += tail
        tail -= group
        start = stop


@njit(cache=True, nogil=True)
def _untied(pairs, sums):
    start = 0
    for stop in range(1, pairs.size + 1):
        if stop < pairs.size and pairs[stop] & TIED:
            continue
        for position in range(start, stop):
            i, j = (pairs[position] >> IMAGE_BITS) & IMAGE_MASK, pairs[position] & IMAGE_MASK
            sums[i] += pairs.size - (stop - start)
            sums[j] += pairs.size - (stop - start)
        start = stop


@njit(cache=True, nogil=True)
def _concordances(x_pairs, x_ranks, y_pairs, row_start, column, sums):
    """Add to `sums` (n_images,) the concordances of all pairs of x and y.

    Be F_p the sum of sign(y_p - y_q) over pairs q before p, ordered by x and, where x is tied, by
    y. As the sum over all q is the centred rank of y_p, c_p is 2 F_p less that rank, less the
    number of pairs tied with p in x but not in y.
    """
    words, counts = _in_order_of(x_pairs, x_ranks, y_pairs, row_start, column)
    _subtract_ties(x_pairs, words, counts)
    _add_signs_before(words, counts)
    for position in range(words.size):
        pair = np.uint32(words[position] & np.uint64(0xFFFFFFFF))
        sums[(pair >> IMAGE_BITS) & IMAGE_MASK] += counts[position]
        sums[pair & IMAGE_MASK] += counts[position]


@njit(cache=True, nogil=True)
def _in_order_of(x_pairs, x_ranks, y_pairs, row_start, column):
    """Return words of y's rank and pair in the order of x (ties by y), and minus y's ranks."""
    n = x_pairs.size
    # Where the next pair of each group of ties goes; a group is known by its middle.
    places = np.empty(n, np.int32)
    start = 0
    for stop in range(1, n + 1):
        if stop == n or not x_pairs[stop] & TIED:
            places[(start + stop - 1) // 2] = start
            start = stop
    words, counts = np.empty(n, np.uint64), np.empty(n, np.int32)
    start = 0
    for stop in range(1, n + 1):
        if stop < n and y_pairs[stop] & TIED:
            continue
        for position in range(start, stop):
            pair = y_pairs[position] & ~TIED
            i, j = pair >> IMAGE_BITS, pair & IMAGE_MASK
            group = (x_ranks[row_start[i] + column[j]] + n - 1) // 2
            place = places[group]
            places[group] += 1
            words[place] = (np.uint64(start) << _VALUE) | np.uint64(pair)
            counts[place] = n - start - stop
        start = stop
    return words, counts


@njit(cache=True, nogil=True)
def _subtract_ties(x_pairs, words, counts):
    """Subtract from the counts, in the order of x, the pairs tied in x but not in y."""
    n = x_pairs.size
    start = 0
    for stop in range(1, n + 1):
        if stop < n and x_pairs[stop] & TIED:
            continue
        first = start
        for last in range(start + 1, stop + 1):
            if last == stop or words[last] >> _VALUE != words[first] >> _VALUE:
                for position in range(first, last):
                    counts[position] -= (stop - start) - (last - first)
                first = last
        start = stop


@njit(cache=True, nogil=True)
def _add_signs_before(words, counts):
    """Add to each count twice the sum of signs of its value less those before; reorders both.

    The highest bit in which two values differ decides: a one counts the zeros before it, a zero
    takes off the ones. Parting zeros from ones, in order, leaves two shorter problems of one bit
    less; without branches on the data, and in the cache but for a few bits.
    """
    n = words.size
    top = np.int64(0)
    while n >> (top + 1):
        top += 1
    other_words, other_counts = np.empty(n, np.uint64), np.empty(n, np.int32)
    # Two parts per bit are waiting at most.
    begins, ends, bits = np.empty((3, 2 * top + 4), np.int64)
    begins[0], ends[0], bits[0] = 0, n, top
    waiting = 1
    while waiting:
        waiting -= 1
        begin, end, bit = begins[waiting], ends[waiting], bits[waiting]
        if end - begin <= SHORT:
            _compare_all(words, counts, begin, end)
            continue
        shift = _VALUE + np.uint64(bit)
        zeros, ones = 0, 0
        for position in range(begin, end):
            word = words[position]
            is_one = np.int64((word >> shift) & np.uint64(1))
            count = counts[position] + 2 * (is_one * (zeros + ones) - ones)
            words[begin + zeros] = word
            counts[begin + zeros] = count
            other_words[ones] = word
            other_counts[ones] = count
            ones += is_one
            zeros += 1 - is_one
        middle = begin + zeros
        words[middle:end] = other_words[:ones]
        counts[middle:end] = other_counts[:ones]
        if bit:
            begins[waiting], ends[waiting], bits[waiting] = begin, middle, bit - 1
            begins[waiting + 1], ends[waiting + 1], bits[waiting + 1] = middle, end, bit - 1
            waiting += 2


@njit(cache=True, nogil=True)
def _compare_all(words, counts, begin, end):
    for position in range(begin + 1, end):
        value = words[position] >> _VALUE
        total = 0
        for before in range(begin, position):
            other = words[before] >> _VALUE
            total += np.int64(other < value) - np.int64(other > value)
        counts[position] += 2 * total
