"""Comparing RDMs: every model with every brain RDM in one matrix product.

A comparator is a scaling of each RDM, or of its ranks, after which the similarity of two RDMs is a
dot product. To add one, write its scaling and enter it in `COMPARATORS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workflow.lib.errors import InputError

# Pairs per block of a product: float32 RDMs are multiplied in float64, a block at a time.
BLOCK = 1 << 18


@dataclass(frozen=True)
class Comparator:
    """How two RDMs are compared.

    Attributes
    ----------
    label : str
        Name in figures and captions.
    scale : callable, (n_pairs,) -> float64 (n_pairs,)
        Vector of which the dot product with another is the similarity.
    ranks : bool
        Whether ranks are scaled, so that only the order of the dissimilarities counts.
    """

    label: str
    scale: Callable[[np.ndarray], np.ndarray]
    ranks: bool = False


def rank(vectors: np.ndarray) -> np.ndarray:
    """Return the ranks 1 to n_pairs of each row, ties sharing their mean rank.

    Parameters
    ----------
    vectors : array (n_rdms, n_pairs)

    Returns
    -------
    float64 array (n_rdms, n_pairs)
    """
    return np.stack([_midranks(vector) for vector in np.atleast_2d(vectors)])


def _midranks(values: np.ndarray) -> np.ndarray:
    order = np.argsort(values)
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    counts = np.diff(starts, append=values.size)
    ranks = np.empty(values.size)
    # A run of c equal values from position a shares the mean of the ranks a + 1 to a + c.
    ranks[order] = np.repeat(starts + (counts + 1) / 2, counts)
    return ranks


def _unit_length(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt(np.einsum("i,i", vector, vector, dtype=np.float64))


def _centred(vector: np.ndarray) -> np.ndarray:
    return vector - vector.mean(dtype=np.float64)


def _centred_unit_length(vector: np.ndarray) -> np.ndarray:
    return _unit_length(_centred(vector))


def _centred_untied_length(vector: np.ndarray) -> np.ndarray:
    # The length that untied ranks would have, sqrt((n^3 - n) / 12), whatever the ties: this scores
    # ties as their expectation under random ordering.
    n = vector.size
    return _centred(vector) / np.sqrt((n**3 - n) / 12)


COMPARATORS = {
    "pearson": Comparator("Pearson $r$", _centred_unit_length),
    "cosine": Comparator("cosine similarity", _unit_length),
    "spearman": Comparator(r"Spearman $\rho$", _centred_unit_length, ranks=True),
    "rho-a": Comparator(r"Spearman $\rho_a$", _centred_untied_length, ranks=True),
}


def comparator(name: str) -> Comparator:
    """Return a comparator by its name in the config.

    References
    ----------
    Nili et al. 2014, PLoS Comput Biol 10:e1003553 (pearson, spearman);
    Schütt et al. 2023, eLife 12:e82566 (cosine, rho-a).
    """
    if name not in COMPARATORS:
        raise InputError(f"found the comparator {name!r}, expected one of {', '.join(COMPARATORS)}")
    return COMPARATORS[name]


def prepare(vectors: np.ndarray, name: str) -> np.ndarray:
    """Return vectors of which the dot products are the similarities of a comparator.

    Works RDM by RDM: only one is ever held in float64, or as ranks.

    Parameters
    ----------
    vectors : float array (n_rdms, n_pairs)
    name : str
        A key of `COMPARATORS`.

    Returns
    -------
    array (n_rdms, n_pairs), dtype of `vectors`
    """
    chosen = comparator(name)
    prepared = np.empty_like(vectors)
    for row, vector in enumerate(vectors):
        prepared[row] = chosen.scale(_midranks(vector) if chosen.ranks else vector)
    return prepared


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
    """
    return dot_products(prepare(np.atleast_2d(models), name), prepare(np.atleast_2d(brains), name))


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
