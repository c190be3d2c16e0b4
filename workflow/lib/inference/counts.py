"""How often images and subjects are drawn in each resample of a bootstrap."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from workflow.lib.errors import InputError


def image_counts(
    n_images: int,
    n_resamples: int,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
) -> np.ndarray:
    """Return how often each image is drawn in each resample.

    Parameters
    ----------
    n_images, n_resamples : int
    rng : numpy Generator
    groups : sequence of n_images labels, optional
        Stratified: as many images are drawn from each group as it has.

    Returns
    -------
    int64 array (n_resamples, n_images)
    """
    if groups is None:
        return rng.multinomial(n_images, np.full(n_images, 1 / n_images), size=n_resamples)
    counts = np.zeros((n_resamples, n_images), np.int64)
    for members in _groups(groups, n_images):
        chances = np.full(members.size, 1 / members.size)
        counts[:, members] = rng.multinomial(members.size, chances, size=n_resamples)
    return counts


def counts_by_name(
    names: Iterable[str], n_resamples: int, rng_of: Callable[[str], np.random.Generator]
) -> np.ndarray:
    """Return how often each image is drawn in each resample, by the image's name alone.

    For subjects who saw some of the same images: an image is drawn as often in all of them, and
    others independently, without knowing what others saw. A statistic over subjects then has as
    its draws the same statistic of the draws of subjects.

    Parameters
    ----------
    names : iterable of n_images str
    n_resamples : int
    rng_of : callable, name -> numpy Generator
        A stream of each name's own.

    Returns
    -------
    int64 array (n_resamples, n_images)
        Their sum varies: for statistics that do not depend on it, as means and correlations.

    Notes
    -----
    Poisson numbers of mean 1, which those of `image_counts` are, given their sum. Of n images a
    mean varies as it would for new ones, but for terms of 1/n^2; with `image_counts`, by the share
    (n - 1)/n of that variance.

    References
    ----------
    Hanley & MacGibbon 2006, Comput Methods Programs Biomed 83:57.
    """
    return np.stack([rng_of(name).poisson(1, n_resamples) for name in names], axis=1)


def group_counts(groups: Sequence[str], n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each image is drawn where whole groups are drawn (cluster bootstrap).

    As many groups are drawn as there are, each with all its images: for images that are not
    independent within their group (frames of one film, exemplars of one category).

    Parameters
    ----------
    groups : sequence of n_images labels
    n_resamples : int
    rng : numpy Generator

    Returns
    -------
    int64 array (n_resamples, n_images)
        Images of one group share their count. Their sum varies if groups differ in size.
    """
    _, number = np.unique(np.asarray(groups), return_inverse=True)
    n_groups = int(number.max()) + 1
    return image_counts(n_groups, n_resamples, rng)[:, number]


def subject_counts(n_subjects: int, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each subject is drawn, int64 array (n_resamples, n_subjects)."""
    return image_counts(n_subjects, n_resamples, rng)


def _groups(groups: Sequence[str], n_images: int) -> Iterator[np.ndarray]:
    labels = np.asarray(groups)
    if labels.shape != (n_images,):
        raise InputError(
            f"found {labels.size} group labels, expected one for each of {n_images} images"
        )
    for label in np.unique(labels):
        yield np.flatnonzero(labels == label)
