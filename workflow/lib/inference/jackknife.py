"""Infinitesimal jackknife: the variance over images of every comparator, in one pass.

A similarity is a function of how often each image is drawn. Its slope in the count of image i, at
one draw of each, is the influence of that image; a bootstrap over images has, to first order, the
variance sum_i influence_i^2. The influence of a difference of similarities, of a mean over members
or subjects, or of any other contrast is the same difference, mean or contrast of influences, and
the covariance of two of them the sum of products of their influences.

References
----------
Jaeckel 1972, The infinitesimal jackknife, Bell Labs MM 72-1215-11; Efron 1982, The jackknife, the
bootstrap and other resampling plans.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.inference.rank_slopes import (
    RankedSide,
    concordances,
    own_tail_sums,
    tail_sums,
    untied,
)
from workflow.lib.rdms.rows import ROWS, equal_parts, upper_rows
from workflow.lib.rsa.comparators import comparator

# RDMs of one side held as sorted pairs and as ranks: bounds memory.
HELD_RDMS = 8


def image_influence(models: np.ndarray, brains: np.ndarray, name: str, n_images: int) -> np.ndarray:
    """Return the influence of every image on the similarity of every model and brain RDM.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    brains : float array (n_brains, n_pairs)
        Condensed RDMs over the same images in the same order.
    name : str
        A key of `workflow.lib.rsa.comparators.COMPARATORS`.
    n_images : int

    Returns
    -------
    float64 array (n_images, n_models, n_brains)
        Sums to zero over images. NaN for an RDM that does not vary.

    Raises
    ------
    InputError
        Fewer than four images, or an unknown comparator.

    Notes
    -----
    With w_i the count of image i, a pair of images weighs w_i w_j, and a similarity is a ratio of
    weighted sums whose slopes are summed over the pairs of an image. For pearson (centred) and
    cosine, with x and y of unit length: sum_j x_ij y_ij - r/2 (sum_j x_ij^2 + sum_j y_ij^2).
    For ranks the slope of sum(w u v), u and v centred midranks, in the weight of pair p is

        u_p v_p + sum over pairs with x > x_p of v + sum over pairs with y > y_p of u,

    ties counted half. For Kendall's tau it is the number of pairs concordant with p less those
    discordant. Normalisers follow the weights: of spearman and tau-b the ties, of rho-a and tau-a
    only the number of pairs. The whitened comparators have no form in which copies of an image
    drop out; there each image is left out in turn, and its influence is (n-1)/n (mean - r_(i)):
    their squares sum to (n-1)/n of the jackknife's variance, by which a bootstrap falls short too.

    A bootstrap varies more, by what the drawing of two images together adds to that of each. It
    is little where images differ in how well they agree, and most where only noise independent
    between pairs is compared: the standard errors of true repetitions, of the jackknife and of
    the bootstrap are then as 1 : sqrt 2 : sqrt 3. Where few images hold most of the variance
    (pearson and cosine with one image far from all others), slopes say little: use the bootstrap.
    """
    comparator(name)
    if n_images < 4:
        raise InputError(
            f"found {n_images} images, expected at least four for a variance over images; leave "
            "intervals out"
        )
    models, brains = np.atleast_2d(models), np.atleast_2d(brains)
    influence = np.empty((n_images, len(models), len(brains)))
    for some_models in equal_parts(len(models), HELD_RDMS):
        for some_brains in equal_parts(len(brains), HELD_RDMS):
            influence[:, some_models, some_brains] = _INFLUENCES[name](
                models[some_models], brains[some_brains], n_images
            )
    return influence - influence.mean(axis=0)


def standard_error(
    influence: np.ndarray,
    *,
    strata: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the standard error over new images.

    Parameters
    ----------
    influence : float array (n_images, ...)
        From `image_influence`, or a contrast of such.
    strata : sequence of n_images labels, optional
        Images are drawn within their group, as `workflow.lib.inference.counts.image_counts`
        does; at least two of each.
    clusters : sequence of n_images labels, optional
        Whole groups are drawn, as `workflow.lib.inference.counts.group_counts` does.

    Returns
    -------
    float64 array (...)

    Raises
    ------
    InputError
        Labels of another number of images.

    Notes
    -----
    A bootstrap from k images varies by (k - 1)/k of what k new ones would, so that the squared
    influences of a stratum of k, about their mean, are multiplied by k/(k - 1); without strata all
    images, or clusters of them, are one stratum.

    References
    ----------
    Rao & Wu 1988, Resampling inference with complex survey data, J Am Stat Assoc 83:231.
    """
    if clusters is not None:
        influence = _group_sums(influence, clusters)
    labels = np.zeros(len(influence)) if strata is None else strata
    number, size = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)[1:]
    of_images = [-1] + [1] * (influence.ndim - 1)
    means = _group_sums(influence, labels) / size.reshape(of_images)
    corrected = np.sqrt(size / (size - 1)).reshape(of_images)
    return np.sqrt((((influence - means[number]) * corrected[number]) ** 2).sum(axis=0))


def linearised_draws(estimate: np.ndarray, influence: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return what resamples would give were the similarity linear in the counts.

    Parameters
    ----------
    estimate : float array (...)
    influence : float array (n_images, ...)
    counts : int array (n_resamples, n_images)

    Returns
    -------
    float64 array (n_resamples, ...)
        estimate + (counts - 1)' influence
    """
    return estimate + np.tensordot(counts - 1.0, influence, axes=1)


def _group_sums(influence: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    labels = np.asarray(groups)
    if labels.shape != influence.shape[:1]:
        raise InputError(
            f"found {labels.size} group labels, expected one for each of {len(influence)} images"
        )
    names, number = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(names), *influence.shape[1:]))
    np.add.at(sums, number, influence)
    return sums


# A form is a weighted sum with its slopes in the counts of the images, slopes in front:
# (value (...), slopes (n_images, ...)).
Form = tuple[np.ndarray, np.ndarray]


def _form(slopes: np.ndarray, degree: int) -> Form:
    """Return a form from its slopes, which sum to 2 degree times the value.

    A form of degree d in the weights of pairs is one of degree 2 d in the counts of images (Euler).
    """
    return slopes.sum(axis=0) / (2 * degree), slopes


def _ratio_slopes(cross: Form, left: Form, right: Form) -> np.ndarray:
    """Return the slopes (n_images, m, k) of c / sqrt(a b) for forms c (m, k), a (m,), b (k,)."""
    (c, c_slopes), (a, a_slopes), (b, b_slopes) = cross, left, right
    with np.errstate(invalid="ignore", divide="ignore"):
        length = np.sqrt(np.outer(a, b))
        relative = (a_slopes / a)[:, :, np.newaxis] + (b_slopes / b)[:, np.newaxis, :]
        return c_slopes / length - c / length * relative / 2


def _same_for_all(value: float, slope: float, n_images: int, n_rdms: int) -> Form:
    return np.full(n_rdms, value), np.full((n_images, n_rdms), slope)


# Pearson and cosine


def _cosine_influence(models, brains, n_images):
    return _product_influence(models, brains, n_images, centred=False)


def _pearson_influence(models, brains, n_images):
    return _product_influence(models, brains, n_images, centred=True)


def _product_influence(models, brains, n_images, *, centred):
    left, right = (_Rows(side, n_images, centred=centred) for side in (models, brains))
    return _ratio_slopes(
        _form(left.products(right), 1), _form(left.squares(), 1), _form(right.squares(), 1)
    )


# Spearman and rho-a: forms of third degree, of doubled ranks


def _spearman_influence(models, brains, n_images):
    left, right = (RankedSide.of(side, n_images) for side in (models, brains))
    own = [
        _form(_Rows(side.ranks, n_images).squares() + 2 * own_tail_sums(side), 3)
        for side in (left, right)
    ]
    return _ratio_slopes(_rank_products(left, right, n_images), *own)


def _rho_a_influence(models, brains, n_images):
    left, right = (RankedSide.of(side, n_images) for side in (models, brains))
    n = float(n_images * (n_images - 1) // 2)
    value, slope = (n**3 - n) / 3, (n**2 - 1 / 3) * (n_images - 1)
    own = [_same_for_all(value, slope, n_images, len(side.ranks)) for side in (left, right)]
    return _ratio_slopes(_rank_products(left, right, n_images), *own)


def _rank_products(left: RankedSide, right: RankedSide, n_images: int) -> Form:
    slopes = _Rows(left.ranks, n_images).products(_Rows(right.ranks, n_images))
    slopes += tail_sums(left, right.ranks)
    slopes += tail_sums(right, left.ranks).transpose(0, 2, 1)
    return _form(slopes, 3)


# Kendall's tau: forms of second degree


def _tau_a_influence(models, brains, n_images):
    left, right = (RankedSide.of(side, n_images) for side in (models, brains))
    n = n_images * (n_images - 1) // 2
    value, slope = n * (n - 1) / 2, (n - 0.5) * (n_images - 1)
    own = [_same_for_all(value, slope, n_images, len(side.ranks)) for side in (left, right)]
    return _ratio_slopes(_form(concordances(left, right), 2), *own)


def _tau_b_influence(models, brains, n_images):
    left, right = (RankedSide.of(side, n_images) for side in (models, brains))
    own = [_form(untied(side), 2) for side in (left, right)]
    return _ratio_slopes(_form(concordances(left, right), 2), *own)


# Whitened comparators: every image left out in turn


def _cosine_cov_influence(models, brains, n_images):
    return _left_out_influence(models, brains, n_images, centred=False)


def _corr_cov_influence(models, brains, n_images):
    return _left_out_influence(models, brains, n_images, centred=True)


def _left_out_influence(models, brains, n_images, *, centred):
    left, right = (_Rows(side, n_images, centred=centred) for side in (models, brains))
    left_sums, right_sums = left.sums(), right.sums()
    cross = _left_out_products(
        left.products(right),
        left.times(right_sums) + right.times(left_sums).transpose(0, 2, 1),
        left_sums[:, :, np.newaxis],
        right_sums[:, np.newaxis, :],
        centred=centred,
    )
    own = [
        _left_out_products(side.squares(), 2 * side.times_own(sums), sums, sums, centred=centred)
        for side, sums in ((left, left_sums), (right, right_sums))
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        similarity = cross / np.sqrt(own[0][:, :, np.newaxis] * own[1][:, np.newaxis, :])
    return -(n_images - 1) / n_images * similarity


def _left_out_products(products, crossed, left_sums, right_sums, *, centred):
    """Return the dot products of two doubly centred RDMs, each image left out in turn.

    Parameters
    ----------
    products : (n_images, ...), sum_j x_ij y_ij
    crossed : (n_images, ...), (X s + Y r)_i with r and s the row sums of X and Y
    left_sums, right_sums : (n_images, ...), r and s
    centred : bool
        Whether the mean dissimilarity is taken off first (corr_cov).

    Notes
    -----
    For m images left, the sum over all entries of (HXH) o (HYH) is
    sum(X o Y) - 2 r's/m + sum(X) sum(Y)/m^2. Leaving out image i takes its row and column off each
    sum. Taking a mean a off all dissimilarities of X adds a to HXH on the diagonal, less its mean.
    """
    m = len(products) - 1
    left_total = left_sums.sum(axis=0) - 2 * left_sums
    right_total = right_sums.sum(axis=0) - 2 * right_sums
    of_sums = left_sums * right_sums
    of_sums = of_sums.sum(axis=0) - of_sums - crossed + products
    dot = products.sum(axis=0) - 2 * products - 2 * of_sums / m + left_total * right_total / m**2
    if centred:
        left_mean, right_mean = (total / (m * (m - 1)) for total in (left_total, right_total))
        dot -= (right_mean * left_total + left_mean * right_total) / m
        dot += left_mean * right_mean * (m - 1)
    return dot


class _Rows:
    """Sums over the pairs of each image of the RDMs of one side, in float64.

    Parameters
    ----------
    vectors : array (n_rdms, n_pairs)
    n_images : int
    centred : bool
        Whether the mean over pairs is taken off each RDM.
    """

    def __init__(self, vectors: np.ndarray, n_images: int, *, centred: bool = False) -> None:
        self.vectors, self.n_images = vectors, n_images
        self.means = vectors.mean(axis=1, dtype=np.float64) if centred else None

    def blocks(self) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Yield rows, columns and the upper triangle there, (n_rdms, rows, columns)."""
        for start in range(0, self.n_images, ROWS):
            yield (
                slice(start, start + ROWS),
                slice(start, None),
                upper_rows(self.vectors, start, self.n_images, dtype=np.float64, shifts=self.means),
            )

    def products(self, other: "_Rows") -> np.ndarray:
        """Return sum_j x_ij y_ij, (n_images, n_rdms, n_rdms of the other side)."""
        sums = np.zeros((self.n_images, len(self.vectors), len(other.vectors)))
        for (rows, columns, x), (*_, y) in zip(self.blocks(), other.blocks(), strict=True):
            sums[rows] += x.transpose(1, 0, 2) @ y.transpose(1, 2, 0)
            sums[columns] += x.transpose(2, 0, 1) @ y.transpose(2, 1, 0)
        return sums

    def sums(self) -> np.ndarray:
        """Return sum_j x_ij, (n_images, n_rdms)."""
        return self._row_sums(lambda x: x)

    def squares(self) -> np.ndarray:
        """Return sum_j x_ij^2, (n_images, n_rdms)."""
        return self._row_sums(np.square)

    def _row_sums(self, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        sums = np.zeros((self.n_images, len(self.vectors)))
        for rows, columns, x in self.blocks():
            sums[rows] += of(x).sum(axis=2).T
            sums[columns] += of(x).sum(axis=1).T
        return sums

    def times(self, factors: np.ndarray) -> np.ndarray:
        """Return sum_j x_ij f_jk, (n_images, n_rdms, k), for factors (n_images, k)."""
        sums = np.zeros((self.n_images, len(self.vectors), factors.shape[1]))
        for rows, columns, x in self.blocks():
            sums[rows] += (x @ factors[columns]).transpose(1, 0, 2)
            sums[columns] += (x.transpose(0, 2, 1) @ factors[rows]).transpose(1, 0, 2)
        return sums

    def times_own(self, factors: np.ndarray) -> np.ndarray:
        """Return sum_j x_ij f_j, each RDM with its own column of factors (n_images, n_rdms)."""
        return np.einsum("imm->im", self.times(factors))


_INFLUENCES = {
    "pearson": _pearson_influence,
    "cosine": _cosine_influence,
    "spearman": _spearman_influence,
    "rho-a": _rho_a_influence,
    "tau-a": _tau_a_influence,
    "tau-b": _tau_b_influence,
    "cosine_cov": _cosine_cov_influence,
    "corr_cov": _corr_cov_influence,
}
