"""How well any model could do: the agreement of subjects with one another."""

import numpy as np

from workflow.lib.comparators import comparator, dot_products, prepare, rank
from workflow.lib.errors import InputError


def noise_ceiling(subjects: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each subject's share in the lower and upper noise ceiling.

    Lower: its similarity with the mean RDM of the other subjects. Upper: with the mean RDM of
    all subjects, its own included. RDMs are pooled in the units of the comparator: as ranks for
    rank comparators (their mean is ranked again), centred and scaled to unit length otherwise.

    Parameters
    ----------
    subjects : float array (n_subjects, n_pairs)
        One ROI's RDMs.
    name : str
        A key of `workflow.lib.comparators.COMPARATORS`.

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
    vectors = rank(subjects) if chosen.ranks else subjects
    scaled = np.stack([chosen.scale(vector) for vector in vectors])
    # Ranks are pooled as they are: their sums are exact, so that pairs with equal sums stay tied,
    # where sums of scaled ranks would be told apart by rounding.
    poolable = vectors if chosen.ranks else scaled
    total = poolable.sum(axis=0)
    upper = dot_products(scaled, prepare(total[None], name))[:, 0]
    lower = np.empty(n_subjects)
    for subject in range(n_subjects):
        others = prepare((total - poolable[subject])[None], name)
        lower[subject] = dot_products(scaled[[subject]], others).item()
    return lower, upper
