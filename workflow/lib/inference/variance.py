"""How sure a similarity is: variance over images, over subjects and over both, and intervals.

A bootstrap over images and subjects at once counts the noise of single cells more than once; the
variance that new images and new subjects would cause is put together from three bootstraps.
"""

import numpy as np
from scipy.special import stdtrit

from workflow.lib.errors import InputError


def two_factor_variance(
    similarities: np.ndarray,
    draws: np.ndarray,
    subject_counts: np.ndarray,
    *,
    n_images: int,
) -> np.ndarray:
    """Return the variance of the mean over subjects, for new subjects and new images.

    The mean over a resampled set of subjects is a mean of the subjects' own similarities, weighted
    by how often each was drawn; so draws per subject serve all three bootstraps.

    Parameters
    ----------
    similarities : float array (n_subjects, ...)
        Each subject's similarities (or differences of them) over all images.
    draws : float array (n_resamples, n_subjects, ...)
        The same in resamples of the images, the same images for all subjects; from
        `workflow.lib.inference.bootstrap.bootstrap_similarities`.
    subject_counts : int array (n_resamples, n_subjects)
        How often each subject is drawn; from `workflow.lib.inference.counts.subject_counts`.
    n_images : int
        Images that a resample draws, or groups of them where whole groups are drawn.

    Returns
    -------
    float64 array (...)

    Raises
    ------
    InputError
        As `combined_variance`.
    """
    n_subjects = len(similarities)
    weights = subject_counts / subject_counts.sum(axis=1, keepdims=True)
    return combined_variance(
        both=np.einsum("rs,rs...->r...", weights, draws),
        subject=np.einsum("rs,s...->r...", weights, similarities),
        image=draws.mean(axis=1),
        n_subjects=n_subjects,
        n_images=n_images,
    )


def combined_variance(
    *, both: np.ndarray, subject: np.ndarray, image: np.ndarray, n_subjects: int, n_images: int
) -> np.ndarray:
    """Return the two-factor variance of a statistic from its draws in three bootstraps.

    For statistics that are no mean over subjects, such as a noise ceiling or a model's distance
    from it. The three bootstraps share their draws of subjects and of images.

    Parameters
    ----------
    both, subject, image : float arrays (n_resamples, ...)
        The statistic when subjects and images, only subjects, or only images are drawn.
    n_subjects, n_images : int

    Returns
    -------
    float64 array (...)

    Raises
    ------
    InputError
        Fewer than two subjects or images.

    Notes
    -----
    V = R/(R-1) Vs + P/(P-1) Vi - R P / ((R-1) (P-1)) (Vb - Vs - Vi) for R subjects and P images,
    not above Vb, and not below R/(R-1) Vs or P/(P-1) Vi; Vs, Vi and Vb are the variances of the
    draws over subjects, images and both. Resamples in which one of the three is undefined (NaN)
    are left out. As `rsatoolbox.inference.eval_dual_bootstrap`, but for the order of the bounds:
    Vb is that of resamples, too small by (R-1)/R where subjects differ far more than images do. As
    the last word, as there, it leaves 72 % of the standard error over two subjects alone, and 82 %
    of that over three.

    References
    ----------
    Schütt et al. 2023, Statistical inference on representational geometries, eLife 12:e82566.
    """
    for what, number in (("subject", n_subjects), ("image", n_images)):
        if number < 2:
            raise InputError(
                f"found {number} {what}, expected at least two for a variance over {what}s; use "
                "the variance over the other factor alone"
            )
    undefined = ~(np.isfinite(both) & np.isfinite(subject) & np.isfinite(image))
    over_both, over_subjects, over_images = (
        draw_variance(np.where(undefined, np.nan, draws)) for draws in (both, subject, image)
    )
    r, p = n_subjects / (n_subjects - 1), n_images / (n_images - 1)
    variance = (
        r * over_subjects + p * over_images - r * p * (over_both - over_subjects - over_images)
    )
    one_factor = np.maximum(r * over_subjects, p * over_images)
    return np.maximum(np.minimum(variance, over_both), one_factor)


def one_factor_variance(draws: np.ndarray, n: int) -> np.ndarray:
    """Return the variance of a statistic for new images, or new subjects, from a bootstrap.

    Parameters
    ----------
    draws : float array (n_resamples, ...)
    n : int
        Number of images (or subjects) that are drawn from: a resample varies by (n - 1) / n of
        what a new sample would.

    Returns
    -------
    float64 array (...)
    """
    return draw_variance(draws) * n / (n - 1)


def draw_variance(draws: np.ndarray) -> np.ndarray:
    """Return the variance (...) of draws (n_resamples, ...), undefined (NaN) ones left out."""
    defined = np.isfinite(draws)
    n = defined.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        deviations = draws - np.where(defined, draws, 0).sum(axis=0) / n
        return np.where(defined, deviations**2, 0).sum(axis=0) / np.where(n > 1, n - 1, np.nan)


def interval(
    estimate: np.ndarray, variance: np.ndarray, dof: int, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of a confidence interval, estimate -+ t(dof) sqrt(variance).

    Parameters
    ----------
    estimate, variance : float arrays (...)
    dof : int
        One less than the number of images or subjects, whichever varies; than the smaller of
        the two if both do.
    level : float
        Share of intervals that hold the truth.

    Returns
    -------
    lower, upper : float64 arrays (...)

    Raises
    ------
    InputError
        No degree of freedom, or a level that is no probability.
    """
    half = _quantile(dof, level) * np.sqrt(variance)
    return estimate - half, estimate + half


def share_interval(
    share: np.ndarray, variance: np.ndarray, n: int, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of a confidence interval of a share, which lie between 0 and 1.

    Parameters
    ----------
    share, variance : float arrays (...)
        The variance for new images, as of `one_factor_variance`.
    n : int
        Number of images.
    level : float
        Share of intervals that hold the truth.

    Returns
    -------
    lower, upper : float64 arrays (...)

    Raises
    ------
    InputError
        Fewer than two images, or a level that is no probability.

    Notes
    -----
    Wilson's score interval with the quantile of t(n - 1), for as many independent yes-or-no answers
    as would vary as much: share (1 - share) / variance. Where nothing varies, for n of them.

    References
    ----------
    Wilson 1927, Probable inference, the law of succession, and statistical inference, J Am Stat
    Assoc 22:209. Korn & Graubard 1998, Confidence intervals for proportions with small expected
    number of positive counts estimated from survey data, Survey Methodology 24:193.
    """
    share, variance = np.broadcast_arrays(np.asarray(share, float), np.asarray(variance, float))
    share = share.clip(0, 1)
    answers = share * (1 - share)
    n_effective = np.divide(
        answers, variance, out=np.full(share.shape, float(n)), where=(variance > 0) & (answers > 0)
    )
    shift = _quantile(n - 1, level) ** 2 / n_effective
    middle = (share + shift / 2) / (1 + shift)
    half = np.sqrt(shift * (answers + shift / 4)) / (1 + shift)
    return middle - half, middle + half


def _quantile(dof: int, level: float) -> float:
    if dof < 1 or not 0 < level < 1:
        raise InputError(
            f"found {dof} degrees of freedom and the level {level}, expected at least 1 and a "
            "level between 0 and 1; give more subjects, or the interval over images alone"
        )
    return float(stdtrit(dof, (1 + level) / 2))
