"""Permutation of images (Mantel test) and correction over a table of tests.

Dissimilarities of one image are not independent: the p-value of a correlation over pairs gives
far too many false positives. Here whole images are relabelled, which keeps every dependence.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from workflow.lib.comparators import prepare
from workflow.lib.rdm import to_square, working_dtype

# Rows of the permuted matrices gathered at a time: bounds memory, and is fixed so that sums do
# not depend on the machine.
ROWS = 64
# Statistics equal to the observed one up to rounding count as reaching it.
TIE_TOLERANCE = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-6}


def mantel_test(
    models: np.ndarray,
    brains: np.ndarray,
    name: str,
    *,
    n_images: int,
    n_permutations: int,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
) -> np.ndarray:
    """Return one-sided p-values of every model x brain similarity, by permuting images.

    The null: the model's dissimilarities have nothing to do with which image is which (within
    its group, where groups are given). All cells see the same permutations.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    brains : float array (n_brains, n_pairs)
    name : str
        A comparator.
    n_images : int
    n_permutations : int
    rng : numpy Generator
    groups : sequence of n_images labels, optional
        Images change places only within their group.

    Returns
    -------
    float64 array (n_models, n_brains)
        p = (k + 1) / (n_permutations + 1), k permutations reaching the observed similarity.

    References
    ----------
    Mantel 1967, Cancer Res 27:209; Phipson & Smyth 2010, Stat Appl Genet Mol Biol 9:39.
    """
    return permutation_p(
        prepare(np.atleast_2d(models), name),
        prepare(np.atleast_2d(brains), name),
        n_images=n_images,
        n_permutations=n_permutations,
        rng=rng,
        groups=groups,
    )


def permutation_p(
    models: np.ndarray,
    brains: np.ndarray,
    *,
    n_images: int,
    n_permutations: int,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the p-values of `mantel_test` for RDMs that a comparator has prepared.

    The similarity is the dot product of prepared vectors, see `workflow.lib.comparators.prepare`;
    a model may be the mean of several prepared vectors, whose mean similarity is then tested.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    brains : float array (n_brains, n_pairs)
    n_images, n_permutations, rng, groups : as in `mantel_test`

    Returns
    -------
    float64 array (n_models, n_brains)
    """
    left, right = _squares(models, n_images), _squares(brains, n_images)
    # The side with fewer RDMs is the cheaper one to relabel.
    swapped = len(left) > len(right)
    if swapped:
        left, right = right, left
    observed = _permuted_products(left, right, np.arange(n_images))
    tolerance = TIE_TOLERANCE[left.dtype]
    reached = np.zeros(observed.shape, dtype=np.int64)
    for order in permutations(n_images, n_permutations, rng, groups):
        reached += _permuted_products(left, right, order) >= observed - tolerance
    p = (reached + 1) / (n_permutations + 1)
    return p.T if swapped else p


def permutations(
    n_images: int,
    n_permutations: int,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
) -> Iterator[np.ndarray]:
    """Yield random orders of the images, within groups where these are given."""
    if groups is None:
        for _ in range(n_permutations):
            yield rng.permutation(n_images)
        return
    labels = np.asarray(groups)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    for _ in range(n_permutations):
        order = np.arange(n_images)
        for member in members:
            order[member] = rng.permutation(member)
        yield order


def _squares(vectors: np.ndarray, n_images: int) -> np.ndarray:
    """Return condensed RDMs as (n_rdms, n, n) in the working type for their size."""
    squares = np.empty((len(vectors), n_images, n_images), working_dtype(n_images))
    for row, vector in enumerate(vectors):
        squares[row] = to_square(vector, n_images)
    return squares


def _permuted_products(left: np.ndarray, right: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the dot products over the upper triangle of left[order, order] with right.

    Parameters
    ----------
    left : array (m, n, n), right : array (k, n, n)
        Symmetric, zero on the diagonal.
    order : int array (n,)

    Returns
    -------
    float64 array (m, k)
    """
    m, n = left.shape[:2]
    k = len(right)
    total = np.zeros((m, k))
    for start in range(0, n, ROWS):
        stop = min(start + ROWS, n)
        # Left of `start` stands only what earlier blocks, mirrored, have counted already.
        columns = order[start:]
        permuted = np.take(left[:, order[start:stop]], columns, axis=2)
        # The block on the diagonal holds its pairs twice.
        permuted[:, :, : stop - start] *= 0.5
        total += permuted.reshape(m, -1) @ right[:, start:stop, start:].reshape(k, -1).T
    return total


def false_discovery_rate(p: np.ndarray) -> np.ndarray:
    """Return Benjamini-Hochberg q-values of a family of p-values, any shape.

    References
    ----------
    Benjamini & Hochberg 1995, J R Stat Soc B 57:289.
    """
    flat = p.ravel()
    order = np.argsort(flat)[::-1]
    q = np.empty(flat.size)
    q[order] = np.minimum.accumulate(flat[order] * flat.size / np.arange(flat.size, 0, -1))
    return np.minimum(q, 1.0).reshape(p.shape)
