"""Comparing RDMs: every model with every brain RDM, by any comparator, in one call.

Most comparators are linear: a scaling of each RDM, or of its ranks, after which the similarity of
two RDMs is a dot product. Kendall's tau are not: they count pairs of dissimilarities. To add one,
enter it in `COMPARATORS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.vectors import n_conditions
from workflow.lib.rsa.kendall import kendall_table, tau_a, tau_b
from workflow.lib.rsa.ranking import MOST_FLOAT32_RANKS, midranks
from workflow.lib.rsa.whitening import whitened
from workflow.lib.threads import in_threads

# Pairs per block of a product, which then stays in the processor's cache.
BLOCK = 1 << 13
# Pairs that one thread takes at a time.
PART = 1 << 20


@dataclass(frozen=True)
class Comparator:
    """How two RDMs are compared.

    Attributes
    ----------
    scale : callable, (n_pairs,) -> float64 (n_prepared,); None for Kendall's tau
        Vector of which the dot product with another is the similarity.
    pool : callable, (n_pairs,) -> float64 (n_pairs,)
        Units in which the RDMs of several subjects are summed to one that stands for all (for a
        noise ceiling), as rsatoolbox has it: length one, or ranks.
    table : callable, (m, n_pairs), (k, n_pairs) -> float64 (m, k), optional
        All similarities at once, without scaled copies, from RDMs, or from ranks where these are
        scaled.
    tau : callable, optional
        Kendall's tau from counts, see `workflow.lib.rsa.kendall`.
    ranks : bool
        Whether only the order of the dissimilarities counts, so that ranks stand for an RDM.
    whitened : bool
        Whether prepared vectors hold the diagonal of a matrix after its upper triangle.
    zero_is_null : bool
        Whether unrelated RDMs have a similarity of zero on average. The cosine of two RDMs without
        negative dissimilarities is above zero whatever they are.
    """

    scale: Callable[[np.ndarray], np.ndarray] | None
    pool: Callable[[np.ndarray], np.ndarray]
    table: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    tau: Callable[[int, int, tuple[int, int]], float] | None = None
    ranks: bool = False
    whitened: bool = False
    zero_is_null: bool = True

    @property
    def linear(self) -> bool:
        """Whether similarities are dot products of prepared vectors.

        The similarity of a group of RDMs (the seeds of an untrained network) is the mean of its
        members' similarities. Where it is linear, that of the mean of their prepared vectors.
        """
        return self.tau is None


def rank(vectors: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """Return the ranks 1 to n_pairs of each row, ties sharing their mean rank.

    Parameters
    ----------
    vectors : float array (n_rdms, n_pairs)
    dtype : numpy.float64 or numpy.float32
        float32 is exact, in half the memory, for up to 4,096 images; sums of its ranks are not.

    Returns
    -------
    array (n_rdms, n_pairs) of `dtype`

    Raises
    ------
    InputError
        More dissimilarities than float32 can rank.
    """
    return np.stack(in_threads(partial(midranks, dtype=dtype), np.atleast_2d(vectors)))


def _unit_length(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt(np.einsum("i,i", vector, vector, dtype=np.float64))


def _centred(vector: np.ndarray) -> np.ndarray:
    return vector - vector.mean(dtype=np.float64)


def _centred_unit_length(vector: np.ndarray) -> np.ndarray:
    return _unit_length(_centred(vector))


def _centred_untied_length(vector: np.ndarray) -> np.ndarray:
    return _centred(vector) / _untied_length(vector.size)


def _untied_length(n: int) -> float:
    # The length that centred ranks would have without ties, whatever the ties: this scores ties
    # as their expectation under random ordering.
    return np.sqrt((n**3 - n) / 12)


def _whitened_unit_length(vector: np.ndarray) -> np.ndarray:
    return _unit_length(whitened(vector))


def _centred_whitened_unit_length(vector: np.ndarray) -> np.ndarray:
    return _whitened_unit_length(_centred(vector))


def _cosine_table(models: np.ndarray, brains: np.ndarray) -> np.ndarray:
    cross, of_models, of_brains = _moments(models, brains, centred=False)
    return cross / np.sqrt(np.outer(of_models, of_brains))


def _pearson_table(models: np.ndarray, brains: np.ndarray) -> np.ndarray:
    cross, of_models, of_brains = _moments(models, brains, centred=True)
    # Rounding would leave a constant RDM some variance, and similarities of any size.
    of_models[~_vary(models)], of_brains[~_vary(brains)] = np.nan, np.nan
    return cross / np.sqrt(np.outer(of_models, of_brains))


def _vary(vectors: np.ndarray) -> np.ndarray:
    """Return which RDMs (n_rdms, n_pairs) are not constant; the first pairs tell of nearly all."""
    vary = np.ptp(vectors[:, :BLOCK], axis=1) > 0
    unsure = np.flatnonzero(~vary)
    vary[unsure] = [np.ptp(vectors[row]) > 0 for row in unsure]
    return vary


def _rho_a_table(models: np.ndarray, brains: np.ndarray) -> np.ndarray:
    cross, _, _ = _moments(models, brains, centred=True)
    return cross / _untied_length(models.shape[1]) ** 2


def _moments(
    models: np.ndarray, brains: np.ndarray, *, centred: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return products of RDMs, and of each with itself, in one pass and without a copy.

    Parameters
    ----------
    models : float array (m, n_pairs), brains : float array (k, n_pairs)
    centred : bool
        Whether each RDM's mean is taken off first.

    Returns
    -------
    cross : float64 array (m, k)
    of_models, of_brains : float64 arrays (m,), (k,)
    """
    n_pairs = models.shape[1]
    sides = models, brains
    # A mean of part of an RDM is near that of the whole: what is left to take off is small.
    pivots = [
        side[:, :BLOCK].mean(axis=1, dtype=np.float64) if centred else np.zeros(len(side))
        for side in sides
    ]
    # Parts of fixed size, added in order: sums do not depend on the number of threads.
    parts = in_threads(
        lambda start: _block_moments([side[:, start : start + PART] for side in sides], pivots),
        range(0, n_pairs, PART),
    )
    products, squares, sums = (
        [sum(terms) for terms in zip(*kind, strict=True)] for kind in zip(*parts, strict=True)
    )
    if centred:
        products = [products[0] - np.outer(*sums) / n_pairs]
        squares = [square - total**2 / n_pairs for square, total in zip(squares, sums, strict=True)]
    return *products, *squares


def _block_moments(sides: Sequence[np.ndarray], pivots: Sequence[np.ndarray]) -> tuple:
    """Return [products], squares and sums of part of the pairs, a block at a time in float64."""
    products = np.zeros([len(side) for side in sides])
    squares, sums = ([np.zeros(len(side)) for side in sides] for _ in range(2))
    for start in range(0, sides[0].shape[1], BLOCK):
        blocks = [
            np.subtract(side[:, start : start + BLOCK], pivot[:, np.newaxis], dtype=np.float64)
            for side, pivot in zip(sides, pivots, strict=True)
        ]
        products += blocks[0] @ blocks[1].T
        for square, total, block in zip(squares, sums, blocks, strict=True):
            square += np.einsum("ij,ij->i", block, block)
            total += block.sum(axis=1)
    return [products], squares, sums


def _as_ranks(vectors: np.ndarray) -> np.ndarray:
    exact = vectors.dtype == np.float32 and vectors.shape[1] <= MOST_FLOAT32_RANKS
    return rank(vectors, np.float32 if exact else np.float64)


COMPARATORS = {
    "pearson": Comparator(_centred_unit_length, _centred_unit_length, _pearson_table),
    "cosine": Comparator(_unit_length, _unit_length, _cosine_table, zero_is_null=False),
    "spearman": Comparator(_centred_unit_length, midranks, _pearson_table, ranks=True),
    "rho-a": Comparator(_centred_untied_length, midranks, _rho_a_table, ranks=True),
    "tau-a": Comparator(None, midranks, tau=tau_a, ranks=True),
    "tau-b": Comparator(None, midranks, tau=tau_b, ranks=True),
    "cosine_cov": Comparator(
        _whitened_unit_length, _unit_length, whitened=True, zero_is_null=False
    ),
    "corr_cov": Comparator(_centred_whitened_unit_length, _centred_unit_length, whitened=True),
}


def comparator(name: str) -> Comparator:
    """Return a comparator by its name in the config.

    References
    ----------
    Nili et al. 2014, PLoS Comput Biol 10:e1003553 (pearson, spearman, tau-a);
    Schütt et al. 2023, eLife 12:e82566 (cosine, rho-a);
    Diedrichsen et al. 2020, arXiv:2007.02789 (cosine_cov, corr_cov).
    """
    if name not in COMPARATORS:
        raise InputError(f"found the comparator {name!r}, expected one of {', '.join(COMPARATORS)}")
    return COMPARATORS[name]


def prepare(vectors: np.ndarray, name: str) -> np.ndarray:
    """Return vectors of which the dot products are the similarities of a linear comparator.

    Works RDM by RDM: only one is ever held in float64, or as ranks.

    Parameters
    ----------
    vectors : float array (n_rdms, n_pairs)
    name : str
        A key of `COMPARATORS`, of a linear one.

    Returns
    -------
    array (n_rdms, n_prepared), dtype of `vectors`
        n_prepared = n_pairs, and n_conditions more for the whitened comparators.

    Raises
    ------
    InputError
        A comparator that is not linear.
    """
    chosen, scale = comparator(name), _scaling(name)
    n_rdms, n_pairs = vectors.shape
    n_diagonal = n_conditions(n_pairs) if chosen.whitened else 0
    prepared = np.empty((n_rdms, n_pairs + n_diagonal), vectors.dtype)
    for row, vector in enumerate(vectors):
        prepared[row] = scale(midranks(vector) if chosen.ranks else vector)
    return prepared


def _scaling(name: str) -> Callable[[np.ndarray], np.ndarray]:
    chosen = comparator(name)
    if not chosen.linear:
        raise InputError(
            f"found the comparator {name!r}, expected one that is linear, to multiply prepared "
            "RDMs; use workflow.lib.rsa.comparators.compare or "
            "workflow.lib.inference.permutation.permute_images"
        )
    return chosen.scale


def compare(models: np.ndarray, brains: np.ndarray, name: str) -> np.ndarray:
    """Return the similarity of every model RDM with every brain RDM.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    brains : float array (n_brains, n_pairs)
        Condensed RDMs over the same conditions in the same order.
    name : str
        A key of `COMPARATORS`.

    Returns
    -------
    float64 array (n_models, n_brains)
        Of pearson and spearman NaN for a constant RDM.
    """
    models, brains = np.atleast_2d(models), np.atleast_2d(brains)
    chosen = comparator(name)
    if chosen.tau:
        return kendall_table(models, brains, chosen.tau)
    if chosen.table is None:
        return dot_products(prepare(models, name), prepare(brains, name))
    if chosen.ranks:
        models, brains = _as_ranks(models), _as_ranks(brains)
    return chosen.table(models, brains)


def mean_of_members(rows: np.ndarray, members: Sequence[int] | None) -> np.ndarray:
    """Return the mean of the rows of each group, which stands for its members.

    Parameters
    ----------
    rows : float array (n_members, ...)
        Similarities, or prepared vectors of a linear comparator.
    members : sequence of n_members int, 0 to n_groups - 1; None for rows that stand alone

    Returns
    -------
    float array (n_groups, ...)
    """
    if members is None:
        return rows
    number = np.asarray(members)
    return np.stack([rows[number == group].mean(axis=0) for group in range(number.max() + 1)])


def dot_products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return left @ right.T in float64, over blocks of `BLOCK` columns.

    Parameters
    ----------
    left : float array (m, n_pairs)
    right : float array (k, n_pairs)

    Returns
    -------
    float64 array (m, k)
    """
    total = np.zeros((left.shape[0], right.shape[0]))
    for start in range(0, left.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        total += _float64(left[:, block]) @ _float64(right[:, block]).T
    return total


def _float64(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64, copy=False)
