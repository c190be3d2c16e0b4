"""Codes fitted together: independent contrasts with an intercept, on layers or on brain RDMs.

Codes overlap. Digits against digits, objects against objects and digits against objects are all
pairs there are, so that no fit can tell the three from a constant; the difference of the first two,
and the third, can be fitted.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rdms.vectors import n_conditions

# A contrast is explained by others if they leave less than this share of its length.
EXPLAINED = 1e-6
# A coefficient smaller than this has no part in the explanation.
SMALL = 1e-6
# Least determinant of the correlations of contrasts at which a resample can be fitted.
LEAST_DETERMINANT = 1e-10
# Variance in a resample, as a part of that over all pairs, below which there is none.
CONSTANT = 1e-9


def contrast_rdms(
    codes: RDMStore, contrasts: Mapping[str, Mapping[str, float]]
) -> tuple[list[str], np.ndarray]:
    """Return the names and the vectors (n_contrasts, n_pairs) of contrasts of codes.

    Parameters
    ----------
    codes : RDMs of the codes
    contrasts : mapping, contrast -> code -> weight; the codes themselves if empty

    Raises
    ------
    InputError
        A code that there is not; contrasts that, with the intercept, explain one another.
    """
    return contrast_vectors(
        dict(zip(codes.labels["layer"], codes.vectors(), strict=True)), contrasts
    )


def contrast_vectors(
    rdms: Mapping[str, np.ndarray], contrasts: Mapping[str, Mapping[str, float]]
) -> tuple[list[str], np.ndarray]:
    """Return what `contrast_rdms` does, of codes (name -> vector) that need not lie in a file."""
    chosen = contrasts or {code: {code: 1.0} for code in rdms}
    for contrast, weights in chosen.items():
        unknown = [code for code in weights if code not in rdms]
        if unknown:
            raise InputError(
                f"contrasts.{contrast}: found the code {unknown[0]!r}, expected one of "
                f"{', '.join(rdms)}; add it to `codes`"
            )
    names = list(chosen)
    vectors = np.stack(
        [sum(weight * rdms[code] for code, weight in chosen[name].items()) for name in names]
    )
    check_independent(names, vectors)
    return names, vectors


def check_independent(names: Sequence[str], vectors: np.ndarray) -> None:
    """Raise InputError, with their names, if contrasts and an intercept explain one another.

    Parameters
    ----------
    names : sequence of n str
    vectors : float array (n, n_pairs)
    """
    constant = np.ones((1, vectors.shape[1]))
    for row, vector in enumerate(vectors):
        before = np.concatenate([constant, vectors[:row]])
        weights = np.linalg.lstsq(before.T, vector)[0]
        rest = vector - weights @ before
        if np.linalg.norm(rest) > EXPLAINED * np.linalg.norm(vector):
            continue
        parts = [
            name for name, weight in zip(names, weights[1:], strict=False) if abs(weight) > SMALL
        ]
        raise InputError(
            f"contrasts: found that {' and '.join([*parts, 'a constant'])} explain all of "
            f"{names[row]}, expected contrasts that no others explain; leave one of "
            f"{', '.join([*parts, names[row]])} out, or take differences of codes"
        )


def joint_coefficients(
    contrasts: np.ndarray, rdms: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the coefficients of contrasts in the regression of each RDM on all of them.

    Parameters
    ----------
    contrasts : float array (n_contrasts, n_pairs)
    rdms : float array (n_rdms, n_pairs)
    weights : float array (n_fits, n_pairs), optional
        Of the pairs, for each fit; one fit of equal weights if not given.

    Returns
    -------
    float64 array (n_fits, n_contrasts, n_rdms)
        In standard deviations of the RDM over its pairs, for one unit of the contrast. NaN where
        the weights leave no difference between contrasts, or an RDM constant.

    Notes
    -----
    Ordinary least squares with an intercept; a resample that holds categories i and j c_i and c_j
    times weighs their pair c_i c_j.
    """
    weights = np.ones((1, contrasts.shape[1])) if weights is None else weights
    shares = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1)
    # Equal shifts of all pairs change nothing but the rounding.
    contrasts, rdms = (
        side - side.mean(axis=1, keepdims=True) for side in (contrasts, rdms.astype(np.float64))
    )
    among, across = (_covariances(contrasts, side, shares) for side in (contrasts, rdms))
    of_contrasts = np.einsum("rkk->rk", among)
    of_rdms = shares @ (rdms**2).T - (shares @ rdms.T) ** 2
    # What is constant in a resample has the variance of its rounding.
    fits = (of_contrasts > CONSTANT * contrasts.var(axis=1)).all(axis=1)
    varies = of_rdms > CONSTANT * rdms.var(axis=1)
    lengths = np.sqrt(np.where(fits[:, np.newaxis], of_contrasts, 1))
    fits &= np.linalg.det(among / lengths[:, :, np.newaxis] / lengths[:, np.newaxis]) > (
        LEAST_DETERMINANT
    )
    safe = np.where(fits[:, np.newaxis, np.newaxis], among, np.eye(len(contrasts)))
    found = np.linalg.solve(safe, across) / np.sqrt(np.where(varies, of_rdms, 1))[:, np.newaxis]
    defined = fits[:, np.newaxis, np.newaxis] & varies[:, np.newaxis]
    return np.where(defined, found, np.nan)


def _covariances(contrasts: np.ndarray, others: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return weighted covariances (n_fits, n_contrasts, n_others); `shares` add up to one."""
    products = np.stack([(shares * contrast) @ others.T for contrast in contrasts], axis=1)
    means = shares @ contrasts.T, shares @ others.T
    return products - means[0][:, :, np.newaxis] * means[1][:, np.newaxis]


def category_influence(
    contrasts: np.ndarray, rdms: np.ndarray, strata: Sequence[str] | None
) -> np.ndarray:
    """Return how far each category moves the coefficients, from fits that leave it out.

    Parameters
    ----------
    contrasts : float array (n_contrasts, n_pairs)
    rdms : float array (n_rdms, n_pairs)
    strata : sequence of n_categories labels, or None
        Kinds within which new categories would be drawn; at least two categories of each.

    Returns
    -------
    float64 array (n_categories, n_contrasts, n_rdms)
        Its squares sum over categories to the variance for new categories, and so do those of a
        mean over subjects, or a difference. NaN where no contrast is left without a category.

    Notes
    -----
    The jackknife: sqrt((k - 1)/k) (mean of the fits less the fit without the category), of the k
    categories of a stratum. It counts the noise of single pairs twice, and errs on the large side.

    References
    ----------
    Arvesen 1969, Ann Math Stat 40:2076 (jackknife of U-statistics); Jones 1974, Biometrika 61:343
    (within strata).
    """
    n_categories = n_conditions(contrasts.shape[1])
    without_each = pair_weights(1 - np.eye(n_categories))
    fits = joint_coefficients(contrasts, rdms, without_each)
    labels = np.zeros(n_categories) if strata is None else np.asarray(strata)
    influence = np.empty_like(fits)
    for label in np.unique(labels):
        members = labels == label
        k = members.sum()
        influence[members] = np.sqrt((k - 1) / k) * (fits[members].mean(axis=0) - fits[members])
    return influence


def varies_within(contrast: np.ndarray, kinds: Sequence[str]) -> bool:
    """Return whether a contrast (n_pairs,) differs between pairs of the same two kinds."""
    first, second = np.triu_indices(len(kinds), 1)
    blocks: dict[frozenset, set] = {}
    for i, j, value in zip(first, second, contrast, strict=True):
        blocks.setdefault(frozenset((kinds[i], kinds[j])), set()).add(float(value))
    return any(len(values) > 1 for values in blocks.values())


def pair_weights(counts: np.ndarray) -> np.ndarray:
    """Return how often each pair of categories stands in each resample, (n_resamples, n_pairs).

    Parameters
    ----------
    counts : array (n_resamples, n_categories)
        How often each category is drawn; pairs of a repeated category with itself drop out.
    """
    first, second = np.triu_indices(counts.shape[1], 1)
    return (counts[:, first] * counts[:, second]).astype(np.float64)
