"""Which code computes similarities, noise ceilings and resamples: ours, or rsatoolbox.

`engine: rsatoolbox` in the config runs the same study through the reference implementation, so
that anyone can see that the tables agree, at the price of time. What rsatoolbox has no code for
(permutation of images, influence functions) is computed by ours under either engine.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workflow.lib.inference.bootstrap import bootstrap_similarities
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
    """
    from rsatoolbox.rdm import RDMs, compare

    model_rdms, brain_rdms = RDMs(models), RDMs(brains)
    draws = np.empty((len(counts), len(models), len(brains)))
    for draw, weights in zip(draws, counts, strict=True):
        chosen = np.repeat(np.arange(n_images), weights)
        draw[:] = compare(
            model_rdms.subsample_pattern("index", chosen),
            brain_rdms.subsample_pattern("index", chosen),
            RSATOOLBOX_NAMES[name],
        )
    return draws


ENGINES = {
    "fast": Engine(compare, noise_ceiling, bootstrap_similarities),
    "rsatoolbox": Engine(rsatoolbox_similarities, rsatoolbox_noise_ceiling, rsatoolbox_bootstrap),
}
