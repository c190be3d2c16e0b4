"""Which code computes similarities, noise ceilings and resamples: ours, or rsatoolbox.

`engine: rsatoolbox` in the config runs the same study through the reference implementation, so
that anyone can see that the tables agree, at the price of time. What rsatoolbox has no code for
(permutation of images, influence functions) is computed by ours under either engine.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workflow.lib.inference.bootstrap import MIN_IMAGES, bootstrap_similarities
from workflow.lib.rsa.comparators import compare
from workflow.lib.rsa.noise_ceiling import noise_ceiling


@dataclass(frozen=True)
class Engine:
    """The three computations that both implementations have.

    Attributes
    ----------
    similarities : callable, (models, brains, comparator) -> (n_models, n_brains)
    noise_ceiling : callable, (subjects, comparator) -> lower, upper, each (n_subjects,)
    bootstrap : callable, (models, brains, comparator, counts, n_images=) ->
        (n_resamples, n_models, n_brains)
    """

    similarities: Callable[..., np.ndarray]
    noise_ceiling: Callable[..., tuple[np.ndarray, np.ndarray]]
    bootstrap: Callable[..., np.ndarray]


# Our name of a comparator -> rsatoolbox's.
RSATOOLBOX_NAMES = {
    "pearson": "corr",
    "cosine": "cosine",
    "spearman": "spearman",
    "rho-a": "rho-a",
    "tau-a": "tau-a",
    "tau-b": "tau-b",
    "cosine_cov": "cosine_cov",
    "corr_cov": "corr_cov",
}


def rsatoolbox_similarities(models: np.ndarray, brains: np.ndarray, name: str) -> np.ndarray:
    """Return the similarity of every model with every brain RDM, (n_models, n_brains)."""
    # Imported where it is used: the import takes longer than a small study does with our engine.
    from rsatoolbox.rdm import RDMs, compare

    return compare(RDMs(models), RDMs(brains), RSATOOLBOX_NAMES[name])


def rsatoolbox_noise_ceiling(subjects: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each subject's share in the lower and upper noise ceiling.

    The steps of `rsatoolbox.inference.boot_noise_ceiling`, which returns only their means.
    """
    from rsatoolbox.rdm import RDMs, compare
    from rsatoolbox.util.inference_util import pool_rdm

    method = RSATOOLBOX_NAMES[name]
    numbers = np.arange(len(subjects))

    def share(members: np.ndarray, subject: int) -> float:
        pooled = pool_rdm(RDMs(subjects[members]), method=method)
        return compare(pooled, RDMs(subjects[[subject]]), method).item()

    lower = np.array([share(numbers != subject, subject) for subject in numbers])
    return lower, np.array([share(numbers >= 0, subject) for subject in numbers])


def rsatoolbox_bootstrap(
    models: np.ndarray, brains: np.ndarray, name: str, counts: np.ndarray, *, n_images: int
) -> np.ndarray:
    """Return the similarities on resampled images, (n_resamples, n_models, n_brains).

    The RDMs are resampled as `rsatoolbox.inference.bootstrap_sample_pattern` does: an image drawn
    k times stands k times in the RDM, and the dissimilarities among its copies are left out.

    Notes
    -----
    A known fault of rsatoolbox 0.3.2: of RDMs that are constant over a resample (a category model
    where one category is drawn) it returns 0 or 1, and of two images 1 or -1, as if these were
    similarities; the cosines of one RDM that is zero go to another. They are left out, and NaN as
    in `workflow.lib.inference.bootstrap`.
    """
    from rsatoolbox.rdm import RDMs, compare

    model_rdms, brain_rdms = RDMs(models), RDMs(brains)
    draws = np.full((len(counts), len(models), len(brains)), np.nan)
    for draw in np.flatnonzero(np.count_nonzero(counts, axis=1) >= MIN_IMAGES):
        chosen = np.repeat(np.arange(n_images), counts[draw])
        sides = [rdms.subsample_pattern("index", chosen) for rdms in (model_rdms, brain_rdms)]
        varying = [np.flatnonzero(_SPREADS[name](side.dissimilarities) > 0) for side in sides]
        if all(map(len, varying)):
            draws[draw][np.ix_(*varying)] = compare(
                *(side.subset("index", rows) for side, rows in zip(sides, varying, strict=True)),
                RSATOOLBOX_NAMES[name],
            )
    return draws


def _range(vectors: np.ndarray) -> np.ndarray:
    return np.nanmax(vectors, axis=1) - np.nanmin(vectors, axis=1)


# What must be above zero for RDMs (n_rdms, n_pairs) to have a similarity. Rho-a divides by the
# length that ranks would have without ties, so that a constant RDM has similarity zero.
_SPREADS = {
    "pearson": _range,
    "spearman": _range,
    "cosine": lambda vectors: np.nanmax(np.abs(vectors), axis=1),
    "rho-a": lambda vectors: np.ones(len(vectors)),
}


ENGINES = {
    "fast": Engine(compare, noise_ceiling, bootstrap_similarities),
    "rsatoolbox": Engine(rsatoolbox_similarities, rsatoolbox_noise_ceiling, rsatoolbox_bootstrap),
}
