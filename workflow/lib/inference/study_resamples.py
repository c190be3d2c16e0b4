"""The resamples of a study's images: the same for its subjects, comparators and noise ceilings."""

from collections import Counter

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.inference.bootstrap import RESAMPLED
from workflow.lib.inference.counts import group_counts, image_counts
from workflow.lib.inference.folds import most_folds, rdm_folds
from workflow.lib.inference.jackknife import standard_error
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rsa.comparators import COMPARATORS
from workflow.lib.seeds import generator

# Up to so many images all resamples are ranked anew unless the config says otherwise; beyond, as
# many as check the jackknife.
MANY_IMAGES, CHECKS = 1000, 100
# Repetitions of folds, so that one unlucky split does not decide.
REPEATS = 4
# What is drawn: all images alike, each group within itself, or whole groups.
RESAMPLING = {
    "images": lambda brain, n, rng: image_counts(brain.n_images, n, rng),
    "within_groups": lambda brain, n, rng: image_counts(brain.n_images, n, rng, brain.groups),
    "groups": lambda brain, n, rng: group_counts(brain.groups, n, rng),
}
# What then holds for the jackknife, and for folds.
GROUPING = {
    "images": lambda brain: {},
    "within_groups": lambda brain: {"strata": brain.groups},
    "groups": lambda brain: {"clusters": brain.groups},
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

    Raises
    ------
    InputError
        Whole groups are to be drawn, of which there is one, or images within groups of one image.
    """
    _check_groups(brain, resample)
    rng = generator(seed, "bootstrap", brain.descriptors["study"])
    return RESAMPLING[resample](brain, n_resamples, rng)


def _check_groups(brain: RDMStore, resample: str) -> None:
    """Raise InputError unless something varies between resamples."""
    where = f"rsa.{brain.descriptors['study']}.inference.resample"
    sizes = Counter(brain.groups)
    if resample == "groups" and len(sizes) < 2:
        raise InputError(
            f"{where}: found 'groups' and all images in the group {brain.groups[0]!r}, expected at "
            "least two groups to draw from; set images.groups, or resample: images"
        )
    alone = [name for name, size in sizes.items() if size < 2]
    if resample == "within_groups" and alone:
        raise InputError(
            f"{where}: found 'within_groups' and one image alone in {', '.join(map(repr, alone))}, "
            "expected at least two images to draw from in each group; join small groups or leave "
            "these images out (images.groups), or resample: images"
        )


def jackknife_error(influence: np.ndarray, brain: RDMStore, resample: str) -> np.ndarray:
    """Return the standard error over new images, drawn as the resamples of a study are.

    Parameters
    ----------
    influence : float array (n_images, ...)
        From `workflow.lib.inference.jackknife.image_influence`.
    brain : RDMs of any subject, which hold the groups of the images
    resample : a key of `RESAMPLING`

    Notes
    -----
    A first-order approximation, which needs many of what is drawn: of intervals over six groups of
    eight images 0.88 held the truth where those of the bootstrap did in 0.97, over twelve groups
    of five 0.93 and 0.96.
    """
    return standard_error(influence, **GROUPING[resample](brain))


def stretched(draws: np.ndarray, brain: RDMStore, resample: str) -> np.ndarray:
    """Return draws that vary as much as `n_drawn` independent images, or groups, say.

    Parameters
    ----------
    draws : float array (n_resamples, ...)
        A statistic on the resamples of `study_counts`.
    brain : RDMs of any subject, which hold the groups of the images
    resample : a key of `RESAMPLING`

    Returns
    -------
    float array (n_resamples, ...)
        `draws`, but where images are drawn within groups.

    Notes
    -----
    Draws within groups of k images vary by (k - 1)/k of what new images would: for n images in H
    groups by (n - H)/n in all, exactly so where groups are of one size or images weigh alike. What
    is made of draws multiplies variances by m/(m - 1) and takes m - 1 degrees of freedom, with
    m = n - H + 1 of `n_drawn`; deviations from the mean are multiplied by sqrt(n/m) here, so that
    the product is n/(n - H).

    References
    ----------
    Rao & Wu 1988, J Am Stat Assoc 83:231 (rescaled deviations of stratified draws); Korn &
    Graubard 1999, Analysis of health surveys, ch. 2 (degrees of freedom).
    """
    n = n_drawn(brain, resample)
    if resample != "within_groups" or not len(draws):
        return draws
    defined = np.isfinite(draws)
    with np.errstate(invalid="ignore"):
        mean = np.where(defined, draws, 0).sum(axis=0) / defined.sum(axis=0)
    return mean + np.sqrt(brain.n_images / n) * (draws - mean)


def study_folds(
    brain: RDMStore, *, n_folds: int, resample: str, seed: int
) -> list[list[np.ndarray]]:
    """Return the folds over the images of a study, as independent as its resamples.

    Parameters
    ----------
    brain : RDMs of any subject, which hold the images and their groups
    n_folds : folds over images; fewer where these would be too small
    resample : a key of `RESAMPLING`
        Whole groups are held out where whole groups are drawn; where images are drawn within
        their groups, these are spread evenly over the folds.
    seed : seed of the run

    Returns
    -------
    list of `REPEATS` lists of int arrays, see `workflow.lib.inference.folds.rdm_folds`, each of
    other folds; empty where the images, or groups of them, are too few for two folds
    """
    grouping = GROUPING[resample](brain)
    n_folds = min(n_folds, most_folds(brain.n_images, grouping.get("clusters")))
    if n_folds < 2:
        return []
    rng = generator(seed, "cross_validation", brain.descriptors["study"])
    return [rdm_folds(brain.n_images, n_folds, rng, **grouping) for _ in range(REPEATS)]


def n_drawn(brain: RDMStore, resample: str) -> int:
    """Return how many independent images, or groups of them, a resample draws.

    One more than its degrees of freedom, of which each group within which images are drawn takes
    one.
    """
    n_images, n_groups = brain.n_images, len(set(brain.groups))
    return {
        "images": n_images,
        "within_groups": n_images - n_groups + 1,
        "groups": n_groups,
    }[resample]


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
