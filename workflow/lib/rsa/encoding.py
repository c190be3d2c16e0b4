"""Ridge encoding: predicting every channel's responses from a layer's features."""

import numpy as np
from himalaya.kernel_ridge import KernelRidgeCV
from sklearn.model_selection import KFold
from sklearn.preprocessing import KernelCenterer

from workflow.lib.errors import InputError

# Gram matrices are scaled to a mean diagonal of one, so that their eigenvalues average one.
ALPHAS = np.logspace(-4, 5, 19)
INNER_FOLDS = 5
MIN_IMAGES_PER_FOLD = 3


def held_out_predictions(
    gram: np.ndarray, responses: np.ndarray, folds: list[np.ndarray]
) -> np.ndarray:
    """Return predictions of each image's responses by a model fitted without these responses.

    Ridge regression in its kernel form: only products of features are needed, so a layer of
    800,000 units costs no more than one of 800. The penalty is chosen per channel by
    cross-validation within the training images. Means come from the training images. The features
    themselves may have been standardised over all images, which uses no response.

    Parameters
    ----------
    gram : float64 array (n_images, n_images)
        Products of the features of all pairs of images.
    responses : float64 array (n_images, n_channels)
    folds : list of int arrays
        Test images of each fold.

    Returns
    -------
    float64 array (n_images, n_channels)
    """
    # The scale of a kernel is the scale of its penalty: the same penalties then serve all layers.
    gram = gram / np.diagonal(gram).mean()
    predictions = np.empty_like(responses)
    for test in folds:
        train = np.setdiff1d(np.arange(len(gram)), test)
        centre = KernelCenterer().fit(gram[np.ix_(train, train)])
        mean = responses[train].mean(axis=0)
        ridge = KernelRidgeCV(
            alphas=ALPHAS,
            kernel="precomputed",
            cv=KFold(INNER_FOLDS, shuffle=True, random_state=0),
            warn=False,
        )
        ridge.fit(centre.transform(gram[np.ix_(train, train)]), responses[train] - mean)
        predictions[test] = ridge.predict(centre.transform(gram[np.ix_(test, train)])) + mean
    return predictions


def image_folds(n_images: int, n_folds: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the test images of each fold, every image in exactly one.

    Raises
    ------
    InputError
        Too few images for a correlation within each fold.
    """
    if n_images < MIN_IMAGES_PER_FOLD * n_folds:
        raise InputError(
            f"found {n_images} images for {n_folds} folds, expected at least "
            f"{MIN_IMAGES_PER_FOLD * n_folds}; lower encoding.folds or leave encoding out"
        )
    return [np.sort(fold) for fold in np.array_split(rng.permutation(n_images), n_folds)]


def fold_correlations(
    predictions: np.ndarray, responses: np.ndarray, folds: list[np.ndarray]
) -> np.ndarray:
    """Return each channel's Pearson r of prediction and response, averaged over folds.

    Correlating within folds keeps the folds' different training means out of the score: pooled
    over folds, these push a useless model below zero.

    Returns
    -------
    float64 array (n_channels,)
    """
    return np.mean([_correlations(predictions[fold], responses[fold]) for fold in folds], axis=0)


def _correlations(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = left - left.mean(axis=0), right - right.mean(axis=0)
    lengths = np.sqrt((left**2).sum(axis=0) * (right**2).sum(axis=0))
    # A constant prediction explains nothing.
    return np.divide(
        (left * right).sum(axis=0), lengths, out=np.zeros(left.shape[1]), where=lengths > 0
    )


def permuted_scores(
    predictions: np.ndarray,
    responses: np.ndarray,
    folds: list[np.ndarray],
    n_permutations: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the mean score over channels with the images of each fold relabelled.

    Returns
    -------
    float64 array (n_permutations,)
    """
    scores = np.empty(n_permutations)
    for number in range(n_permutations):
        shuffled = np.empty_like(predictions)
        for fold in folds:
            shuffled[fold] = predictions[rng.permutation(fold)]
        scores[number] = fold_correlations(shuffled, responses, folds).mean()
    return scores


def reliability_ceiling(first_half: np.ndarray, second_half: np.ndarray) -> float:
    """Return how well a perfect model could predict the mean of both halves' responses.

    The square root of the split-half reliability, averaged over channels and stepped up to both
    halves (Spearman-Brown). The signed values are averaged first: taking negative ones as zero
    channel by channel would give pure noise a ceiling.

    Parameters
    ----------
    first_half, second_half : float64 arrays (n_images, n_channels)
        Responses to the same images in two halves of the runs.
    """
    split_half = max(_correlations(first_half, second_half).mean(), 0.0)
    return float(np.sqrt(2 * split_half / (1 + split_half)))
