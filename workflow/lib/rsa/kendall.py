"""Kendall's tau of RDMs: pairs of dissimilarities in one order and in the other, counted exactly.

Of two RDMs x and y over P dissimilarities, tau-a is (concordant - discordant) / (P(P - 1)/2), and
tau-b the same over the geometric mean of the numbers of pairs that x, and that y, does not tie.
One RDM is sorted once, and compared with any number of others in O(P log P) each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numba
import numpy as np

from workflow.lib.rsa.ranking import sorted_order
from workflow.lib.threads import in_threads

# Parts of a sequence of up to this many elements are sorted by insertion.
SHORT = 24


@dataclass(frozen=True)
class SortedRDM:
    """What counting needs to know of an RDM.

    Attributes
    ----------
    order : int32 array (n_pairs,)
        Positions of the dissimilarities from the smallest to the largest.
    ordered : int32 array (n_pairs,)
        Ranks in that order: how many dissimilarities are smaller. Ties are equal.
    n_tied : int
        Number of tied pairs of dissimilarities.
    """

    order: np.ndarray
    ordered: np.ndarray
    n_tied: int

    @classmethod
    def of(cls, vector: np.ndarray) -> "SortedRDM":
        """Sort an RDM, (n_pairs,)."""
        order, values = sorted_order(vector)
        ordered = np.empty(vector.size, np.int32)
        n_tied = _ranks_in_order(values, ordered)
        return cls(order.astype(np.int32), ordered, int(n_tied))

    def ranks(self) -> np.ndarray:
        """Return the ranks in the order of the RDM, int32 (n_pairs,)."""
        ranks = np.empty_like(self.ordered)
        ranks[self.order] = self.ordered
        return ranks


@dataclass(frozen=True)
class RankedRDM:
    """An RDM as ranks, which a permutation of its images leaves valid.

    Attributes
    ----------
    ranks : int32 array (n_pairs,)
        How many dissimilarities are smaller.
    n_tied : int
        Number of tied pairs of dissimilarities.
    """

    ranks: np.ndarray
    n_tied: int

    @classmethod
    def of(cls, vector: np.ndarray) -> "RankedRDM":
        """Rank an RDM, (n_pairs,)."""
        in_order = SortedRDM.of(vector)
        return cls(in_order.ranks(), in_order.n_tied)


def tau_a(net: int, n_pairs: int, _ties: tuple[int, int]) -> float:
    """Return concordant less discordant pairs over all pairs."""
    return net / (n_pairs * (n_pairs - 1) // 2)


def tau_b(net: int, n_pairs: int, ties: tuple[int, int]) -> float:
    """Return concordant less discordant pairs over those untied; NaN where all are tied."""
    total = n_pairs * (n_pairs - 1) // 2
    untied = [total - tied for tied in ties]
    if not all(untied):
        return float("nan")
    return net / np.sqrt(untied[0]) / np.sqrt(untied[1])


def kendall_table(
    models: np.ndarray, brains: np.ndarray, statistic: Callable[[int, int, tuple], float]
) -> np.ndarray:
    """Return Kendall's tau of every model RDM with every brain RDM.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    brains : float array (n_brains, n_pairs)
    statistic : `tau_a` or `tau_b`

    Returns
    -------
    float64 array (n_models, n_brains)

    Notes
    -----
    The side with fewer RDMs is kept as ranks (4 bytes per dissimilarity); of the other, each
    thread holds one RDM sorted (8 bytes) and room to count in (8 bytes).

    References
    ----------
    Knight 1966, J Am Stat Assoc 61:436 (the algorithm); Nili et al. 2014, PLoS Comput Biol
    10:e1003553 (tau-a for RDMs).
    """
    if len(models) > len(brains):
        return kendall_table(brains, models, statistic).T
    ranked = [RankedRDM.of(vector) for vector in models]

    def column(brain: np.ndarray) -> list[float]:
        return kendall_column(ranked, SortedRDM.of(brain), statistic)

    return np.array(in_threads(column, brains)).T


def kendall_column(
    models: Sequence[RankedRDM],
    brain: SortedRDM,
    statistic: Callable[[int, int, tuple], float],
) -> list[float]:
    """Return Kendall's tau of several model RDMs with one brain RDM."""
    sequence, room = np.empty((2, brain.order.size), np.int32)
    return [
        statistic(
            _net_concordance(
                model.ranks, model.n_tied, brain.order, brain.ordered, brain.n_tied, sequence, room
            ),
            brain.order.size,
            (model.n_tied, brain.n_tied),
        )
        for model in models
    ]


@numba.njit(cache=True, nogil=True)
def _ranks_in_order(ordered: np.ndarray, ranks: np.ndarray) -> int:
    """Write how many values are smaller than each of a sorted array; return its tied pairs."""
    n_tied, start = 0, 0
    for position in range(ordered.size):
        if ordered[position] != ordered[start]:
            start = position
        ranks[position] = start
        n_tied += position - start
    return n_tied


@numba.njit(cache=True, nogil=True)
def _inversions(sequence: np.ndarray, room: np.ndarray) -> int:
    """Return the pairs of which the larger element comes first; sorts the sequence.

    The highest bit in which two elements differ decides: elements with a one are counted as they
    come, and every zero adds that count. Parting zeros from ones, in order, leaves two shorter
    problems of one bit less. Without branches on the data, and in the cache but for a few bits.
    """
    if sequence.size <= SHORT:
        return _insertions(sequence, 0, sequence.size)
    largest, top = sequence.max(), 0
    while largest >> (top + 1):
        top += 1
    # Two parts per bit are waiting at most.
    begins, ends, bits = np.empty((3, 2 * top + 4), np.int64)
    begins[0], ends[0], bits[0] = 0, sequence.size, top
    waiting, total = 1, 0
    while waiting:
        waiting -= 1
        begin, end, bit = begins[waiting], ends[waiting], bits[waiting]
        if end - begin <= SHORT:
            total += _insertions(sequence, begin, end)
            continue
        ones, zeros, inverted = 0, begin, 0
        for position in range(begin, end):
            element = sequence[position]
            is_one = (element >> bit) & 1
            sequence[zeros] = element
            room[ones] = element
            ones += is_one
            zeros += 1 - is_one
            inverted += ones & (is_one - 1)
        sequence[zeros:end] = room[:ones]
        total += inverted
        if bit:
            begins[waiting], ends[waiting], bits[waiting] = begin, zeros, bit - 1
            begins[waiting + 1], ends[waiting + 1], bits[waiting + 1] = zeros, end, bit - 1
            waiting += 2
    return total


@numba.njit(cache=True, nogil=True)
def _insertions(sequence: np.ndarray, begin: int, end: int) -> int:
    """Return the inversions of a short part by sorting it."""
    total = 0
    for position in range(begin + 1, end):
        element = sequence[position]
        place = position
        while place > begin and sequence[place - 1] > element:
            sequence[place] = sequence[place - 1]
            place -= 1
        sequence[place] = element
        total += position - place
    return total


@numba.njit(cache=True, nogil=True)
def _net_concordance(
    x_ranks: np.ndarray,
    x_tied: int,
    y_order: np.ndarray,
    y_ordered: np.ndarray,
    y_tied: int,
    sequence: np.ndarray,
    room: np.ndarray,
) -> int:
    """Return concordant less discordant pairs of dissimilarities.

    `sequence` and `room`, int32 (n_pairs,), are overwritten.
    """
    n = x_ranks.size
    for position in range(n):
        sequence[position] = x_ranks[y_order[position]]
    both_tied = _sort_runs(sequence, y_ordered, room)
    # All pairs are concordant, discordant or tied in x, in y, or in both.
    untied = n * (n - 1) // 2 - x_tied - y_tied + both_tied
    return untied - 2 * _inversions(sequence, room)


@numba.njit(cache=True, nogil=True)
def _sort_runs(sequence: np.ndarray, ordered: np.ndarray, room: np.ndarray) -> int:
    """Sort the sequence where `ordered` is tied, so that it has no inversion there.

    Returns the pairs of equal elements in such runs.
    """
    n_tied, begin = 0, 0
    while begin < sequence.size:
        end = begin + 1
        while end < sequence.size and ordered[end] == ordered[begin]:
            end += 1
        if end - begin > 1:
            _inversions(sequence[begin:end], room)
        start = begin
        for position in range(begin, end):
            if sequence[position] != sequence[start]:
                start = position
            n_tied += position - start
        begin = end
    return n_tied
