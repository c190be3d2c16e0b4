"""Feature-reweighted RSA: mixtures of layers, fitted on some images and scored on others."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.optimize

from workflow.lib.errors import InputError
from workflow.lib.inference.folds import UNCENTRED, compare_varying, pairs_among, pairs_between
from workflow.lib.rsa.comparators import dot_products

# A variance below this share of the mean square is that of an RDM constant over the pairs.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Reweighted:
    """Held-out similarity of the best non-negative mixture of model RDMs.

    Attributes
    ----------
    similarity : float64 array (n_folds, n_brains)
        Of the mixture, over pairs of test images; 0 where no model got any weight, since a
        constant prediction tells no pair from another. NaN where the brain RDM does not vary.
    weights : float64 array (n_folds, n_brains, n_models)
        Of RDMs scaled to unit standard deviation (unit mean square without intercept) over the
        training pairs, for a target scaled alike.
    single : float64 array (n_folds, n_brains, n_models)
        Similarity of each model alone over the same test pairs.
    training : float64 array (n_folds, n_brains, n_models)
        Correlation (cosine without intercept) of each model with the target over training pairs.
    """

    similarity: np.ndarray
    weights: np.ndarray
    single: np.ndarray
    training: np.ndarray

    @property
    def single_best(self) -> np.ndarray:
        """Similarity of the model that is the best on the training pairs, (n_folds, n_brains)."""
        best = self.training.argmax(axis=-1)[..., np.newaxis]
        return np.take_along_axis(self.single, best, axis=-1)[..., 0]


def reweighted_similarities(
    models: np.ndarray,
    brains: np.ndarray,
    name: str,
    *,
    n_images: int,
    folds: Sequence[np.ndarray],
    across_subjects: bool = False,
) -> Reweighted:
    """Fit non-negative weights of model RDMs to brain RDMs, cross-validated over images.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
        RDMs to mix: layers of a network, or several models.
    brains : float array (n_brains, n_pairs)
        ROIs, each fitted by itself; or, with `across_subjects`, subjects.
    name : str
        Comparator that scores the mixture on the test pairs.
    n_images : int
    folds : sequence of int arrays
        Test images of each fold, see `workflow.lib.inference.folds.rdm_folds`.
    across_subjects : bool
        Fit to the mean of the other subjects' RDMs on training images, and score on the
        subject's own RDM of the test images: neither the images nor the subject were seen.

    Raises
    ------
    InputError
        Folds that share images or lack some, or one subject to cross-validate over.

    Notes
    -----
    Minimises mean (y - b - X w)^2 subject to w >= 0 over pairs of training images (without b for
    cosines), whichever comparator scores. All that is needed of the pairs are their
    Gram matrices, of which every fold's is a sum of blocks: each pair is read once. A non-negative
    mixture of squared Euclidean RDMs is the RDM of rescaled features; for correlation distances it
    is an approximation to that.

    References
    ----------
    Khaligh-Razavi & Kriegeskorte 2014, PLoS Comput Biol 10:e1003915; Storrs et al. 2021, J Cogn
    Neurosci 33:2044; Kaniuth & Hebart 2022, NeuroImage 257:119294; Lawson & Hanson 1974, Solving
    Least Squares Problems, ch. 23.
    """
    _check(n_images, folds, len(brains) if across_subjects else None)
    # Where no mean is taken off an RDM, the fit has no intercept either.
    intercept = name not in UNCENTRED
    n_models = len(models)
    similarity = np.empty((len(folds), len(brains)))
    weights = np.zeros((len(folds), len(brains), n_models))
    single, training = np.empty_like(weights), np.empty_like(weights)
    for fold, moments in enumerate(_training_moments(models, brains, n_images, folds, intercept)):
        covariances, deviations = _standardised(moments)
        targets = covariances[:n_models, n_models:]
        if across_subjects:
            targets = _mean_of_others(covariances, n_models)
        training[fold] = targets.T
        gram = covariances[:n_models, :n_models]
        test = pairs_among(np.asarray(folds[fold]), n_images)
        test_models, test_brains = models[:, test], brains[:, test]
        single[fold] = compare_varying(test_models, test_brains, name).T
        similarity[fold] = np.where(np.isnan(single[fold]).any(axis=1), np.nan, 0)
        for brain, products in enumerate(targets.T):
            found = nonnegative_weights(gram, products)
            weights[fold, brain] = found
            if found.any():
                prediction = (found / deviations[:n_models]) @ test_models
                similarity[fold, brain] = compare_varying(
                    prediction[np.newaxis], test_brains[[brain]], name
                ).item()
    return Reweighted(similarity, weights, single, training)


def nonnegative_weights(gram: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Return the w >= 0 that minimises w'Gw - 2 w'c: least squares without the data.

    Parameters
    ----------
    gram : float64 array (n, n)
        G = X'X.
    products : float64 array (n,)
        c = X'y.

    Returns
    -------
    float64 array (n,)

    Notes
    -----
    With G = V D V', the problem is that of the square matrix D^(1/2) V' and the vector
    D^(-1/2) V'c, whose Gram matrix and products are G and c; directions without variance drop out.
    """
    values, vectors = np.linalg.eigh(gram)
    kept = values > np.finfo(np.float64).eps * len(values) * values[-1]
    if not kept.any():
        return np.zeros(len(products))
    roots = np.sqrt(values[kept])
    basis = vectors[:, kept].T
    return scipy.optimize.nnls(roots[:, np.newaxis] * basis, (basis @ products) / roots)[0]


def _check(n_images: int, folds: Sequence[np.ndarray], n_subjects: int | None) -> None:
    if not np.array_equal(np.sort(np.concatenate(folds)), np.arange(n_images)):
        raise InputError(
            f"found folds of {sum(map(len, folds))} images, expected each of {n_images} images in "
            "one fold; make them with rdm_folds"
        )
    if n_subjects == 1:
        raise InputError(
            "found 1 subject, expected at least two to fit on others; cross-validate over images "
            "only"
        )


def _training_moments(
    models: np.ndarray,
    brains: np.ndarray,
    n_images: int,
    folds: Sequence[np.ndarray],
    intercept: bool,
) -> list[np.ndarray]:
    """Return (co)variances of all RDMs over the training pairs of each fold.

    Returns
    -------
    list of float64 arrays (n_models + n_brains, n_models + n_brains)
    """
    shift = np.concatenate(
        [vectors.mean(axis=1, keepdims=True, dtype=np.float64) for vectors in (models, brains)]
    )
    blocks = {}
    for a, b in itertools.combinations_with_replacement(range(len(folds)), 2):
        left, right = np.asarray(folds[a]), np.asarray(folds[b])
        pairs = pairs_among(left, n_images) if a == b else pairs_between(left, right, n_images)
        # Without the common offset less cancels where the mean is taken off below.
        rows = np.concatenate([models[:, pairs], brains[:, pairs]]) - shift * intercept
        rows = np.concatenate([np.ones((1, pairs.size)), rows])
        blocks[a, b] = dot_products(rows, rows)
    moments = []
    for fold in range(len(folds)):
        total = sum(block for key, block in blocks.items() if fold not in key)
        moment = total[1:, 1:] / total[0, 0]
        if intercept:
            means = total[0, 1:] / total[0, 0]
            squares = np.diagonal(moment)
            moment = moment - np.outer(means, means)
            moment[np.diagonal(moment) <= ROUNDING * squares] = 0
        moments.append(moment)
    return moments


def _standardised(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return correlations and standard deviations; RDMs that do not vary correlate with none."""
    variances = np.diagonal(moments)
    deviations = np.sqrt(np.where(variances > 0, variances, np.inf))
    return moments / np.outer(deviations, deviations), deviations


def _mean_of_others(correlations: np.ndarray, n_models: int) -> np.ndarray:
    """Return the models' correlations with the standardised mean of all subjects but each.

    Returns
    -------
    float64 array (n_models, n_subjects)
    """
    with_models, among = correlations[:n_models, n_models:], correlations[n_models:, n_models:]
    others = 1 - np.eye(len(among))
    variances = np.einsum("is,ij,js->s", others, among, others)
    return with_models @ others / np.sqrt(np.where(variances > 0, variances, np.inf))
