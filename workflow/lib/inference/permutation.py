"""Permutation of images (Mantel test), with correction over the cells of a table.

Dissimilarities of one image are not independent: the p-value of a correlation over pairs gives far
too many false positives. Here whole images are relabelled, which keeps every dependence, and whole
groups of images where those of one group are not independent.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numba
import numpy as np

from workflow.lib.inference.orders import image_orders
from workflow.lib.rdms.vectors import take_conditions, to_square, working_dtype
from workflow.lib.rsa.comparators import comparator, mean_of_members, prepare
from workflow.lib.rsa.kendall import RankedRDM, SortedRDM, kendall_column
from workflow.lib.threads import in_threads

# Rows of the permuted matrices gathered at a time: bounds memory, and is fixed so that sums do
# not depend on the machine.
ROWS = 32
# Orders held at a time.
BATCH = 512
# Statistics equal to the observed one up to rounding count as reaching it.
TIE_TOLERANCE = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-6}


@dataclass(frozen=True)
class PermutationTest:
    """Similarities under every relabelling of the images, and what follows from them.

    Attributes
    ----------
    similarity : float64 array (n_models, n_brains)
        As observed.
    null : float64 array (n_orders, n_models, n_brains)
        Under each order of the images, of which the first is theirs.
    tolerance : float
        How far below the observed similarity another still equals it, but for rounding.
    complete : bool
        Whether these are all orders there are, each once, so that p is exact.
    """

    similarity: np.ndarray
    null: np.ndarray
    tolerance: float
    complete: bool

    @property
    def p(self) -> np.ndarray:
        """One-sided p-values, float64 (n_models, n_brains).

        The share of orders that reach the observed similarity, their own order counted: (k + 1) /
        (N + 1) of N random orders, k / N of all N. NaN where there is no observed similarity.
        """
        p = np.mean(self.null >= self.similarity - self.tolerance, axis=0)
        return np.where(np.isnan(self.similarity), np.nan, p)

    @property
    def can_change(self) -> np.ndarray:
        """Whether any order changes a cell, bool (n_models, n_brains).

        Where none does, p means nothing: within groups, no order changes a model of these groups.
        """
        return np.ptp(self.null, axis=0) > self.tolerance

    @property
    def n_permutations(self) -> int:
        """Number of orders: all, the images' own among them, or the random ones beside it."""
        return len(self.null) - (not self.complete)

    def family_wise_p(self, families: Sequence | None = None) -> np.ndarray:
        """Return p-values corrected for the number of cells, by the largest of them.

        Parameters
        ----------
        families : sequence of n_brains labels, optional
            Cells of brain RDMs with one label are corrected together; all of them if not given.

        Returns
        -------
        float64 array (n_models, n_brains)
            The share of orders whose largest cell, in units of its own null, reaches this one's.
            A cell that no order changes has 1, one without observed similarity NaN; neither takes
            part in the others.

        Notes
        -----
        Each cell's null has a spread of its own; without its mean taken off and division by its
        standard deviation the cells of the widest null decide alone. Both are computed over all
        orders, the observed one among them: orders stay exchangeable, and the test exact.

        References
        ----------
        Westfall & Young 1993, Resampling-based multiple testing; Nichols & Holmes 2002, Hum Brain
        Mapp 15:1.
        """
        centred = self.null - self.null.mean(axis=0)
        deviation = np.sqrt(np.mean(centred**2, axis=0))
        varies = deviation > self.tolerance
        scale = np.where(varies, deviation, 1.0)
        scores = np.where(varies, centred / scale, -np.inf)
        least = scores[0] - self.tolerance / scale
        labels = np.zeros(least.shape[1]) if families is None else np.asarray(families)
        p = np.empty(least.shape)
        for label in np.unique(labels):
            family = labels == label
            maxima = scores[:, :, family].max(axis=(1, 2))
            p[:, family] = np.mean(maxima[:, np.newaxis, np.newaxis] >= least[:, family], axis=0)
        return np.where(np.isnan(self.similarity), np.nan, p)


def permute_images(
    models: np.ndarray,
    brains: np.ndarray,
    name: str,
    *,
    n_images: int,
    n_permutations: int,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
    members: Sequence[int] | None = None,
) -> PermutationTest:
    """Test every model x brain similarity against zero, by permuting the images of the models.

    The null: the model's dissimilarities have nothing to do with which image is which (within
    its group, where groups are given; with which cluster is which, where these are). All cells see
    the same permutations.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    brains : float array (n_brains, n_pairs)
    name : str
        A comparator.
    n_images : int
    n_permutations : int
        Where the images have no more orders than this, every one is taken once.
    rng : numpy Generator
    groups, clusters : sequence of n_images labels, optional
        As in `workflow.lib.inference.orders.image_orders`.
    members : sequence of n_models int, optional
        Models of one number are members of one group; their mean similarity is tested, and
        n_groups takes the place of n_models.

    Returns
    -------
    PermutationTest

    Notes
    -----
    For linear comparators a permutation costs one product of the table's size. Kendall's tau is
    counted anew: n_models x n_brains x O(n_pairs log n_pairs), some 0.2 s a cell for 2,985 images.

    References
    ----------
    Mantel 1967, Cancer Res 27:209; Phipson & Smyth 2010, Stat Appl Genet Mol Biol 9:39.
    """
    models, brains = np.atleast_2d(models), np.atleast_2d(brains)
    orders, complete = image_orders(n_images, n_permutations, rng, groups, clusters)
    tau = comparator(name).tau
    if tau is None:
        similarities = _Products(
            mean_of_members(prepare(models, name), members),
            prepare(brains, name),
            n_images,
        )
    else:
        similarities = _Counts(models, brains, tau, members)
    return _test(similarities, orders, complete)


def permute_prepared(
    models: np.ndarray,
    brains: np.ndarray,
    *,
    n_images: int,
    n_permutations: int,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
) -> PermutationTest:
    """Test RDMs that a linear comparator has prepared, as `permute_images` does.

    The similarity is the dot product of prepared vectors, see
    `workflow.lib.rsa.comparators.prepare`; a model may be the mean of several prepared vectors,
    whose mean similarity is then tested.

    Parameters
    ----------
    models : float array (n_models, n_prepared)
    brains : float array (n_brains, n_prepared)
    n_images, n_permutations, rng, groups, clusters : as in `permute_images`

    Returns
    -------
    PermutationTest
    """
    orders, complete = image_orders(n_images, n_permutations, rng, groups, clusters)
    return _test(_Products(models, brains, n_images), orders, complete)


def _test(
    similarities: "_Products | _Counts", orders: Iterable[np.ndarray], complete: bool
) -> PermutationTest:
    """Evaluate the similarities under all orders, several at once."""
    tables, orders = [], iter(orders)
    while batch := list(itertools.islice(orders, BATCH)):
        tables += in_threads(similarities, batch)
    null = np.stack(tables)
    return PermutationTest(null[0], null, TIE_TOLERANCE[similarities.dtype], complete)


class _Products:
    """Similarities under an order of the models' images, as products of prepared RDMs.

    A prepared RDM is permuted as the RDM is, and that of a whitened comparator with its diagonal.
    Products are taken over the upper triangle, condensed.
    """

    def __init__(self, models: np.ndarray, brains: np.ndarray, n_images: int) -> None:
        # The side with fewer RDMs is the cheaper one to relabel, in the inverse order.
        self.swapped = len(models) > len(brains)
        relabelled, fixed = (brains, models) if self.swapped else (models, brains)
        self.dtype = np.dtype(working_dtype(n_images))
        self.n_images, self.n_pairs = n_images, n_images * (n_images - 1) // 2
        self.fixed = fixed.astype(self.dtype, copy=False)
        self.squares = np.empty((len(relabelled), n_images, n_images), self.dtype)
        for square, vector in zip(self.squares, relabelled, strict=True):
            square[:] = to_square(vector[: self.n_pairs], n_images)
        self.diagonals = relabelled[:, self.n_pairs :].astype(self.dtype, copy=False)

    def __call__(self, order: np.ndarray) -> np.ndarray:
        """Return the similarities, float64 (n_models, n_brains)."""
        if self.swapped:
            return self._table(np.argsort(order)).T
        return self._table(order)

    def _table(self, order: np.ndarray) -> np.ndarray:
        n, m, order = self.n_images, len(self.squares), order.astype(np.uint32)
        permuted = np.empty((m, ROWS * n), self.dtype)
        total, begin = np.zeros((m, len(self.fixed))), 0
        for row in range(0, n, ROWS):
            stop = min(row + ROWS, n)
            size = _gather(self.squares, order, row, stop, permuted)
            total += permuted[:, :size] @ self.fixed[:, begin : begin + size].T
            begin += size
        if self.diagonals.size:
            total += self.diagonals[:, order] @ self.fixed[:, begin:].T
        return total


@numba.njit(cache=True, nogil=True)
def _gather(
    squares: np.ndarray, order: np.ndarray, begin: int, end: int, permuted: np.ndarray
) -> int:
    """Write rows `begin` to `end` of the upper triangles of permuted matrices; return their length.

    Parameters
    ----------
    squares : array (m, n, n)
    order : uint32 array (n,)
        Unsigned, so that no index is looked at for being negative: three times as fast.
    permuted : array (m, length or more)
        Is overwritten, condensed.
    """
    length = 0
    for rdm in range(len(squares)):
        length = 0
        for i in range(begin, end):
            row, columns = squares[rdm, order[i]], order[i + 1 :]
            part = permuted[rdm, length : length + columns.size]
            for j in range(columns.size):
                part[j] = row[columns[j]]
            length += columns.size
    return length


class _Counts:
    """Kendall's tau under an order of the models' images, counted anew for each."""

    dtype = np.dtype(np.float64)

    def __init__(
        self,
        models: np.ndarray,
        brains: np.ndarray,
        tau: Callable[[int, int, tuple[int, int]], float],
        members: Sequence[int] | None,
    ) -> None:
        self.models = [RankedRDM.of(vector) for vector in models]
        self.brains = [SortedRDM.of(vector) for vector in brains]
        self.tau, self.members = tau, members

    def __call__(self, order: np.ndarray) -> np.ndarray:
        """Return the similarities, float64 (n_models or n_groups, n_brains)."""
        permuted = [
            RankedRDM(take_conditions(model.ranks, order), model.n_tied) for model in self.models
        ]
        columns = [kendall_column(permuted, brain, self.tau) for brain in self.brains]
        return mean_of_members(np.array(columns).T, self.members)
