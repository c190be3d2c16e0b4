"""The resamples of a study's images: the same for its subjects, comparators and noise ceilings."""

import numpy as np

from workflow.lib.inference.bootstrap import group_counts, image_counts
from workflow.lib.inference.jackknife import standard_error
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rsa.comparators import COMPARATORS
from workflow.lib.seeds import generator

# Comparators that the bootstrap recomputes; the others' draws are linearised.
RESAMPLED = ("pearson", "cosine", "spearman", "rho-a")
# Up to so many images all resamples are ranked anew unless the config says otherwise; beyond, as
# many as check the jackknife.
MANY_IMAGES, CHECKS = 1000, 100
# What is drawn: all images alike, each group within itself, or whole groups.
RESAMPLING = {
    "images": lambda brain, n, rng: image_counts(brain.n_images, n, rng),
    "within_groups": lambda brain, n, rng: image_counts(brain.n_images, n, rng, brain.groups),
    "groups": lambda brain, n, rng: group_counts(brain.groups, n, rng),
}


def study_counts(brain: RDMStore, *, n_resamples: int, resample: str, seed: int) -> np.ndarray:
    """Return how often each image stands in each bootstrap resample of a study.

    Parameters
    ----------
    brain : RDMs of any subject, which hold the images and their groups
    n_resamples : number of resamples
    resample : a key of `RESAMPLING`
    seed : seed of the run

    Returns
    -------
    int array (n_resamples, n_images)
    """
    rng = generator(seed, "bootstrap", brain.descriptors["study"])
    return RESAMPLING[resample](brain, n_resamples, rng)


def jackknife_error(influence: np.ndarray, brain: RDMStore, resample: str) -> np.ndarray:
    """Return the standard error over new images that the resamples of a study would find.

    Parameters
    ----------
    influence : float array (n_images, ...)
        From `workflow.lib.inference.jackknife.image_influence`.
    brain : RDMs of any subject, which hold the groups of the images
    resample : a key of `RESAMPLING`
    """
    groups = {
        "images": {},
        "within_groups": {"strata": brain.groups},
        "groups": {"clusters": brain.groups},
    }
    # A resample of n images varies by (n - 1) / n of what n new ones would.
    n = n_drawn(brain, resample)
    return standard_error(influence, **groups[resample]) * np.sqrt(n / (n - 1))


def n_drawn(brain: RDMStore, resample: str) -> int:
    """Return how many images, or groups of them, a resample draws."""
    return len(set(brain.groups)) if resample == "groups" else brain.n_images


def n_exact_resamples(
    comparator: str, n_images: int, n_resamples: int, n_exact_ranks: int | None
) -> int:
    """Return how many resamples of a comparator are recomputed exactly.

    Parameters
    ----------
    comparator : str
    n_images : images of the study
    n_resamples : resamples of the study
    n_exact_ranks : resamples for which ranks are computed anew; None for as many as are cheap
    """
    if comparator not in RESAMPLED:
        return 0
    if not COMPARATORS[comparator].ranks:
        return n_resamples
    if n_exact_ranks is None:
        # The jackknife needs many images where some lie far from all others, and ranking few
        # images again is quick: see the calibration, and benchmarks/.
        n_exact_ranks = n_resamples if n_images <= MANY_IMAGES else CHECKS
    return min(n_exact_ranks, n_resamples)
