"""How well any model could do: the agreement of subjects with one another."""

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rsa.comparators import comparator, compare, dot_products, prepare


def noise_ceiling(subjects: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each subject's share in the lower and upper noise ceiling.

    Lower: its similarity with the mean RDM of the other subjects. Upper: with the mean RDM of
    all subjects, its own included. RDMs are pooled in the units of the comparator: as ranks for
    rank comparators and Kendall's tau (their mean is ranked again), otherwise scaled to unit
    length, for the correlations centred before.

    Parameters
    ----------
    subjects : float array (n_subjects, n_pairs)
        One ROI's RDMs.
    name : str
        A key of `workflow.lib.rsa.comparators.COMPARATORS`.

    Returns
    -------
    lower, upper : float64 arrays (n_subjects,)
        The ceilings are their means.

    Raises
    ------
    InputError
        Fewer than two subjects: a subject agrees with itself perfectly, which bounds nothing.

    References
    ----------
    Nili et al. 2014, PLoS Comput Biol 10:e1003553.
    """
    n_subjects = len(subjects)
    if n_subjects < 2:
        raise InputError(
            f"found {n_subjects} subject, expected at least two for a noise ceiling; leave the "
            "ceiling out"
        )
    chosen = comparator(name)
    if chosen.table is not None and not chosen.ranks:
        return _from_similarities(chosen.table(subjects, subjects))
    return _from_pooled(subjects, name)


def _from_similarities(among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares in the ceilings of RDMs pooled at unit length.

    Their sums are never built: their products with each RDM, and their lengths, follow from the
    similarities among the RDMs, (n_subjects, n_subjects).
    """
    with_all, without = among.sum(axis=1), among.sum() - 2 * among.sum(axis=1) + np.diag(among)
    lower = (with_all - np.diag(among)) / np.sqrt(without)
    return lower, with_all / np.sqrt(among.sum())


def _from_pooled(subjects: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares in the ceilings, with the pooled RDMs built."""
    n_subjects, chosen = len(subjects), comparator(name)
    # Ranks are pooled as they are: their sums are exact, so that pairs with equal sums stay tied,
    # where sums of scaled ranks would be told apart by rounding.
    poolable = np.stack([chosen.pool(subject) for subject in subjects])
    scaled = np.stack([chosen.scale(vector) for vector in poolable]) if chosen.linear else None

    def similarity(members: slice, pooled: np.ndarray) -> np.ndarray:
        if scaled is None:
            return compare(subjects[members], pooled[np.newaxis], name)[:, 0]
        return dot_products(scaled[members], prepare(pooled[np.newaxis], name))[:, 0]

    total = poolable.sum(axis=0)
    upper = similarity(slice(None), total)
    lower = np.empty(n_subjects)
    for subject in range(n_subjects):
        lower[subject] = similarity(slice(subject, subject + 1), total - poolable[subject]).item()
    return lower, upper
