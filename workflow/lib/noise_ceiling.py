"""How well any model could do: the agreement of subjects with one another."""

import numpy as np

from workflow.lib.comparators import comparator, dot_products
from workflow.lib.errors import InputError


def noise_ceiling(subjects: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each subject's share in the lower and upper noise ceiling.

    Lower: its similarity with the mean RDM of the other subjects. Upper: with the mean RDM of
    all subjects, its own included. RDMs are first prepared as the comparator does (ranked,
    centred, scaled), and the pooled RDM again, so that for rank comparators it is re-ranked.

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
    prepare = comparator(name).prepare
    prepared = prepare(subjects)
    total = prepared.sum(axis=0, dtype=np.float64)
    pooled = np.concatenate([total[None], total - prepared]).astype(prepared.dtype)
    similarity = dot_products(prepared, prepare(pooled))
    return np.diagonal(similarity[:, 1:]).copy(), similarity[:, 0].copy()
