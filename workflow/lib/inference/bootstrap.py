"""Bootstrap over images and subjects: similarities and noise ceilings of resampled RDMs.

A resample is a vector of counts, and no resampled RDM is ever built. With zero-diagonal RDMs X and
Y, the pairs of two different drawn images contribute

    sum x = w'Xw / 2,    sum xy = w'(X o Y)w / 2,    N = ((sum w)^2 - sum w^2) / 2,

so that a thousand resamples of pearson and cosine are matrix products; pairs of an image with its
own copies drop out, as in rsatoolbox, where they are NaN. Ranks change with every resample, and
follow from the weights, see `workflow.lib.inference.weighted_ranks`.

All cells see the same resamples. So the mean over the members of a layer (the seeds of an untrained
network), over sessions or over subjects, a difference of layers, or any other contrast of
similarities has as its draws the same mean, difference or contrast of draws.

References
----------
Efron & Tibshirani 1993, An Introduction to the Bootstrap; Nili et al. 2014, PLoS Comput Biol
10:e1003553; Schütt et al. 2023, eLife 12:e82566.
"""

from collections.abc import Callable, Sequence

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.inference.weighted_ranks import (
    drawn_pairs,
    pooled_ranks,
    resampled_ranks,
    sorted_pairs,
    weighted_products,
    weighted_squares,
)
from workflow.lib.rdms.rows import ROWS, equal_parts, upper_rows

# Resamples multiplied at a time, and sorted RDMs held at a time: bound memory, and are fixed so
# that sums do not depend on the machine.
RESAMPLES = 1024
SORTED_RDMS = 24
# Two images have one dissimilarity, of which nothing can be said.
MIN_IMAGES = 3
# Variances below this share of the mean square are rounding errors of a constant.
CONSTANT = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-5}


def bootstrap_similarities(
    models: np.ndarray, brains: np.ndarray, name: str, counts: np.ndarray, *, n_images: int
) -> np.ndarray:
    """Return the similarity of every model with every brain RDM in every resample of the images.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    brains : float array (n_brains, n_pairs)
        Condensed RDMs over the same images in the same order.
    name : str
        pearson, cosine, spearman or rho-a.
    counts : int array (n_resamples, n_images)
        From `image_counts` or `group_counts` of `workflow.lib.inference.counts`.
    n_images : int

    Returns
    -------
    float64 array (n_resamples, n_models, n_brains)
        NaN where a resample holds fewer than three images, or an RDM does not vary over it.
        Matrix products are taken in the type of the RDMs.

    Raises
    ------
    InputError
        A comparator without weighted form, or counts for another number of images.

    Notes
    -----
    Equal to `rsatoolbox.rdm.compare` of RDMs from `subsample_pattern` with the same images.
    """
    _check_counts(counts, n_images)
    return _chosen(_SIMILARITIES, name)(
        np.atleast_2d(models), np.atleast_2d(brains), name, counts, n_images
    )


def bootstrap_ceilings(
    subjects: np.ndarray, name: str, counts: np.ndarray, *, n_images: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return each subject's share in the noise ceilings of every resample.

    Pooled RDMs are made from the resampled RDMs, as in `workflow.lib.rsa.noise_ceiling`: from ranks
    in the resample, which are pooled and ranked again, or from RDMs scaled to unit length in it.

    Parameters
    ----------
    subjects : float array (n_subjects, n_pairs)
        One ROI's RDMs.
    name : str
        pearson, cosine, spearman or rho-a.
    counts : int array (n_resamples, n_images)
        As in `bootstrap_similarities`.
    n_images : int

    Returns
    -------
    lower, upper : float64 arrays (n_resamples, n_subjects)
        The ceilings of a resample are the means over subjects, as in
        `rsatoolbox.inference.boot_noise_ceiling`. NaN as in `bootstrap_similarities`.

    Raises
    ------
    InputError
        Fewer than two subjects, a comparator without weighted form, or counts for another number
        of images.
    """
    _check_counts(counts, n_images)
    if len(subjects) < 2:
        raise InputError(
            f"found {len(subjects)} subject, expected at least two for a noise ceiling; leave the "
            "ceiling out"
        )
    return _chosen(_CEILINGS, name)(subjects, name, counts, n_images)


def _chosen(table: dict[str, Callable], name: str) -> Callable:
    if name not in table:
        raise InputError(
            f"found the comparator {name!r}, expected one of {', '.join(table)} for a bootstrap; "
            "use the jackknife, workflow.lib.inference.jackknife"
        )
    return table[name]


def _check_counts(counts: np.ndarray, n_images: int) -> None:
    if counts.ndim != 2 or counts.shape[1] != n_images:
        raise InputError(
            f"found counts of shape {counts.shape}, expected (resamples, {n_images}): one count "
            "per image; draw them with image_counts"
        )


def _too_few(counts: np.ndarray) -> np.ndarray:
    """Return which resamples hold fewer images than a comparison needs."""
    return np.count_nonzero(counts, axis=1) < MIN_IMAGES


# Pearson and cosine: quadratic forms


def _product_similarities(models, brains, name, counts, n_images):
    n_models, n_brains = len(models), len(brains)
    # Every model with every brain RDM.
    partners = [range(n_models, n_models + n_brains)] * n_models + [range(0)] * n_brains
    correlations = _weighted_correlations([*models, *brains], partners, name, counts, n_images)
    return correlations[:, :n_models, n_models:]


def _product_ceilings(subjects, name, counts, n_images):
    n_subjects = len(subjects)
    partners = [range(subject + 1, n_subjects) for subject in range(n_subjects)]
    among = _weighted_correlations(list(subjects), partners, name, counts, n_images)
    among = np.where(np.isnan(among), among.transpose(0, 2, 1), among)
    everyone = np.ones(n_subjects)
    lower = np.empty((len(counts), n_subjects))
    for subject in range(n_subjects):
        others = everyone.copy()
        others[subject] = 0
        lower[:, subject] = _pooled(among, others)[:, subject]
    return lower, _pooled(among, everyone)


def _pooled(among: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return the correlations of RDMs with a pooled one, from those among them.

    Parameters
    ----------
    among : float64 array (n_resamples, n, n)
    members : float64 array (n,)
        One for each RDM that, scaled to unit length, is in the sum, else zero.

    Returns
    -------
    float64 array (n_resamples, n)
    """
    with_sum = among @ members
    length = np.sqrt(with_sum @ members)
    with np.errstate(invalid="ignore", divide="ignore"):
        return with_sum / length[:, np.newaxis]


def _weighted_correlations(
    vectors: Sequence[np.ndarray],
    partners: Sequence[range],
    name: str,
    counts: np.ndarray,
    n_images: int,
) -> np.ndarray:
    """Return the pearson correlation or the cosine of pairs of RDMs in every resample.

    Parameters
    ----------
    vectors : n_rdms float arrays (n_pairs,)
    partners : n_rdms ranges
        Which RDMs each one is compared with.

    Returns
    -------
    float64 array (n_resamples, n_rdms, n_rdms)
        One on the diagonal, NaN for RDMs that are not partners.
    """
    correlations = np.empty((len(counts), len(vectors), len(vectors)))
    for start in range(0, len(counts), RESAMPLES):
        block = counts[start : start + RESAMPLES]
        n_pairs = (block.sum(axis=1) ** 2 - (block**2).sum(axis=1)) / 2
        sums, squares, products = _weighted_sums(vectors, partners, name, block, n_images)
        variances = squares
        if name == "pearson":
            with np.errstate(invalid="ignore", divide="ignore"):
                means = sums / n_pairs[:, np.newaxis]
            products -= sums[:, :, np.newaxis] * means[:, np.newaxis, :]
            variances = squares - sums * means
        # RDMs are scaled to a mean square of one over all images.
        too_small = variances <= CONSTANT[_float_type(vectors)] * squares
        variances[too_small | _too_few(block)[:, np.newaxis]] = np.nan
        lengths = np.sqrt(variances)
        products /= lengths[:, :, np.newaxis] * lengths[:, np.newaxis, :]
        correlations[start : start + RESAMPLES] = products
    return correlations


def _weighted_sums(vectors, partners, name, counts, n_images):
    """Return sums, sums of squares and of products over the pairs of every resample.

    Returns
    -------
    sums, squares : float64 arrays (n_resamples, n_rdms)
    products : float64 array (n_resamples, n_rdms, n_rdms), NaN for RDMs that are not partners
    """
    n_rdms = len(vectors)
    weights = counts.astype(_float_type(vectors))
    sums, squares = np.zeros((2, len(counts), n_rdms))
    products = np.full((len(counts), n_rdms, n_rdms), np.nan)
    for row, others in enumerate(partners):
        products[:, row, others] = 0
    shifts, scales = zip(*(_shift_and_scale(vector, name) for vector in vectors), strict=True)
    for start in range(0, n_images, ROWS):
        block = upper_rows(
            vectors, start, n_images, dtype=weights.dtype, shifts=shifts, scales=scales
        )
        left, right = weights[:, start : start + ROWS], weights[:, start:]
        sums += _quadratic_forms(left, block, right)
        squares += _quadratic_forms(left, block**2, right)
        for row, others in enumerate(partners):
            if len(others):
                others = slice(others.start, others.stop)
                products[:, row, others] += _quadratic_forms(
                    left, block[row] * block[others], right
                )
    products[:, np.arange(n_rdms), np.arange(n_rdms)] = squares
    return sums, squares, products


def _float_type(vectors: Sequence[np.ndarray]) -> np.dtype:
    return np.result_type(np.float32, *{vector.dtype for vector in vectors})


def _shift_and_scale(vector: np.ndarray, name: str) -> tuple[float, float]:
    """Return (mean, 1 / root mean square) by which less cancels in a resample's sums."""
    shift = float(vector.mean(dtype=np.float64)) if name == "pearson" else 0.0
    square = float(np.einsum("i,i", vector, vector, dtype=np.float64)) / vector.size - shift**2
    return shift, 1 / np.sqrt(square) if square > 0 else 1.0


def _quadratic_forms(left: np.ndarray, block: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return left[r] block[k] right[r] for all resamples r and matrices k.

    Parameters
    ----------
    left : array (n_resamples, rows)
    block : array (k, rows, columns)
    right : array (n_resamples, columns)

    Returns
    -------
    array (n_resamples, k)
    """
    k, rows, columns = block.shape
    products = right @ block.reshape(k * rows, columns).T
    return (products.reshape(-1, k, rows) @ left[:, :, np.newaxis])[:, :, 0]


# Spearman and rho-a: ranks in every resample


def _rank_similarities(models, brains, name, counts, n_images):
    similarities = np.empty((len(counts), len(models), len(brains)))
    # Models and brain RDMs in as few, equal parts as memory allows.
    for some_models in equal_parts(len(models), SORTED_RDMS // 2):
        coded_models = sorted_pairs(models[some_models], n_images)
        for some_brains in equal_parts(len(brains), SORTED_RDMS // 2):
            coded_brains = sorted_pairs(brains[some_brains], n_images)
            for resample, count in enumerate(counts):
                drawn = drawn_pairs(count)
                left = resampled_ranks(coded_models, drawn)
                right = resampled_ranks(coded_brains, drawn)
                similarities[resample, some_models, some_brains] = _rank_correlations(
                    left, right, name, drawn
                )
    similarities[_too_few(counts)] = np.nan
    return similarities


def _rank_correlations(left, right, name, drawn):
    products = weighted_products(left, right, drawn.weights)
    if name == "rho-a":
        # Ranks are doubled, hence 3 and not 12.
        return products * 3 / max(float(drawn.n_pairs) ** 3 - drawn.n_pairs, 1)
    lengths = [np.sqrt(weighted_squares(ranks, drawn.weights)) for ranks in (left, right)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return products / np.outer(*lengths)


def _rank_ceilings(subjects, name, counts, n_images):
    coded = sorted_pairs(subjects, n_images)
    n_subjects = len(subjects)
    # Sums without each of the subjects, and last that of all.
    pools = np.vstack([1 - np.eye(n_subjects, dtype=np.int64), np.ones(n_subjects, np.int64)])
    lower, upper = np.full((2, len(counts), n_subjects), np.nan)
    for resample in np.flatnonzero(~_too_few(counts)):
        drawn = drawn_pairs(counts[resample])
        ranks = resampled_ranks(coded, drawn)
        similarity = _rank_correlations(ranks, pooled_ranks(ranks, pools, drawn), name, drawn)
        lower[resample], upper[resample] = similarity.diagonal(), similarity[:, -1]
    return lower, upper


_SIMILARITIES = {
    "pearson": _product_similarities,
    "cosine": _product_similarities,
    "spearman": _rank_similarities,
    "rho-a": _rank_similarities,
}
# Comparators that the bootstrap recomputes; the others' draws are linearised.
RESAMPLED = tuple(_SIMILARITIES)
_CEILINGS = {
    "pearson": _product_ceilings,
    "cosine": _product_ceilings,
    "spearman": _rank_ceilings,
    "rho-a": _rank_ceilings,
}
