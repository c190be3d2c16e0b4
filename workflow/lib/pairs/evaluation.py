"""How well dissimilarities of pairs are predicted, with intervals and tests that respect images.

Pairs that share an image are not independent: intervals resample images, p-values permute them.
All resamples and orders are sums over the pairs of each image, and no pair is looked up twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflow.lib.inference.permutation import TIE_TOLERANCE, PermutationTest
from workflow.lib.inference.variance import interval, one_factor_variance
from workflow.lib.pairs.predictions import PairPredictions
from workflow.lib.pairs.resampling import MEASURES, permuted, ratio_r2, resampled
from workflow.lib.pairs.tables import FoldTable
from workflow.lib.rdms.vectors import working_dtype


@dataclass(frozen=True)
class PairScores:
    """Scores of one model on one split.

    Attributes
    ----------
    table : DataFrame, a row per measure of `MEASURES`
        measure, value, low, high (95 % interval over images), p (one-sided), n_images, n_pairs.
    draws : float64 array (n_resamples, n_measures)
        The measures in every resample of the images. Those of two models tested on the same
        images with the same counts are paired.
    """

    table: pd.DataFrame
    draws: np.ndarray


def evaluate(
    tests: Sequence[PairPredictions],
    *,
    counts: np.ndarray,
    n_permutations: int,
    rng: np.random.Generator,
    level: float = 0.95,
    widening: float = 1.0,
) -> PairScores:
    """Return the scores of predictions, with intervals over images and p-values.

    Parameters
    ----------
    tests : sequence of PairPredictions, one per fold
    counts : int array (n_resamples, n_images)
        How often each image is drawn, from `image_counts` or, where other subjects saw some of the
        same images, `counts_by_name` of `workflow.lib.inference.counts`.
    n_permutations : int
    rng : numpy Generator
        Of the permutations.
    level : float
        Coverage of intervals.
    widening : float
        How many times wider than under permutations the null is taken;
        `workflow.lib.inference.held_out_null.WIDENING` for folds whose models learned from the
        images that other folds test.

    Returns
    -------
    PairScores

    Raises
    ------
    InputError
        Test pairs that are not all pairs of some images, a pair twice, or values that are no
        numbers.

    Notes
    -----
    r2
        1 - SSE / SST over the test pairs of all folds at once, SST around their mean.
    pearson, spearman
        Of the pairs of a fold, then the mean over folds. Over all pairs at once a model that says
        the mean of its training pairs would correlate negatively: where the pairs of a fold lie
        high, those that it learned from lie low.
    row_pearson
        Of the pairs of one image, then the mean over images: those tested, where the other image
        of a pair was seen in training.

    Predictions that do not vary tell no pair from another, and correlate by 0; so do those of
    pairs that are equally dissimilar.

    In a resample the pair of images i and j weighs w_i w_j, pairs of an image with its own copies
    drop out. Limits are value -+ t(n_images - 1) times the standard deviation of the draws, with
    the model as it was fitted: over test images, not over trainings.

    p is the share of orders of the images, their own counted, under which predictions score as well
    as they do: images change places with those that are seen, and not seen, in the same folds.
    Models are not fitted anew. Of one fold the test is exact. Scores of several folds vary together
    more than their orders tell, by up to what `workflow.lib.inference.held_out_null.widened` has:
    with `WIDENING`, all orders but their own count with sqrt(2) times their scores, which are 0 on
    average, and p is an upper bound: up to 0.1 also of a line through one distance, whose score is
    the size of a normal variable, for its sign is learned. Of 150 to 200 data sets without
    effect, 60 images in five folds, p <= 0.05 on clean pairs came up in 2 to 5 % for such a line (6
    to 11 % without widening), in 0 to 2 % for a ridge on 12 features, a learned metric of six, and
    encoding (3 to 6 %).

    Of 200 data sets with an effect 95 % intervals held the score of the population in 96 to 99 %:
    standard deviations of draws are a sixth too large, and those of `counts_by_name` larger by
    another 1/(2 n_images).

    References
    ----------
    Mantel 1967, Cancer Res 27:209; Efron & Tibshirani 1993, An Introduction to the Bootstrap;
    Phipson & Smyth 2010, Stat Appl Genet Mol Biol 9:39; Fafchamps & Gubert 2007, J Dev Econ 83:326
    (pairs that share a member).
    """
    folds = [FoldTable.of(test) for test in tests]
    true = np.concatenate([test.true for test in tests])
    error = np.concatenate([test.predicted for test in tests]) - true
    r2 = ratio_r2((error**2).sum(), ((true - true.mean()) ** 2).sum())
    observed, null = permuted(folds, n_permutations, rng)
    value = np.array([r2, *observed[1:]])
    draws = resampled(folds, counts, true.mean())
    n_images = np.unique(np.concatenate([fold.images for fold in folds])).size
    low, high = interval(value, one_factor_variance(draws, n_images), n_images - 1, level)
    test = PermutationTest(
        observed[np.newaxis],
        np.concatenate([observed[np.newaxis], widening * null])[:, np.newaxis],
        TIE_TOLERANCE[np.dtype(working_dtype(max(max(fold.true.shape) for fold in folds)))],
        complete=False,
    )
    table = pd.DataFrame(
        {
            "measure": MEASURES,
            "value": value,
            "low": low,
            "high": high,
            "p": test.p[0],
            "n_images": n_images,
            "n_pairs": true.size,
        }
    )
    return PairScores(table, draws)
