"""Ridge encoding: predicting every channel's responses from a layer's features."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.preprocessing import KernelCenterer

# Gram matrices are scaled to a mean diagonal of one, so that their eigenvalues average one.
ALPHAS = np.logspace(-4, 5, 19)
# Columns of responses that are predicted at a time: bounds memory, and is fixed so that sums do
# not depend on the machine.
BLOCK_COLUMNS = 4096
# Correlations in float32 that equal each other but for rounding.
TIE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class FoldModel:
    """Ridge regression on all images but those of a fold, before it has seen any response.

    Ridge regression in its kernel form: only products of features are needed, so a layer of
    800,000 units costs no more than one of 800. The kernel is decomposed once; predicting any
    responses, each channel with the penalty that suits it, is then three matrix products.

    Attributes
    ----------
    test, train : int arrays
        Images of the fold, and the others.
    eigenvalues : float array (n_train,)
        Of the kernel of the training images, centred.
    project : float array (n_train, n_train)
        From training responses to their coordinates along the eigenvectors, less the mean.
    predict_from : float array (n_test, n_train)
        From these coordinates, each divided by eigenvalue plus penalty, to predictions.
    risk : float array (n_alphas, n_train)
        Weight of each squared coordinate in the generalised cross-validation error of a penalty.
    """

    test: np.ndarray
    train: np.ndarray
    eigenvalues: np.ndarray
    project: np.ndarray
    predict_from: np.ndarray
    risk: np.ndarray

    @classmethod
    def without(cls, test: np.ndarray, gram: np.ndarray) -> "FoldModel":
        """Return the model fitted without the images of a fold.

        Parameters
        ----------
        test : int array (n_test,)
        gram : float64 array (n_images, n_images)
            Products of the features of all pairs of images.
        """
        # The scale of a kernel is the scale of its penalty: the same ones then serve all layers.
        gram = gram / (np.diagonal(gram).mean() or 1.0)
        train = np.setdiff1d(np.arange(len(gram)), test)
        kernel = gram[np.ix_(train, train)]
        centre = KernelCenterer().fit(kernel)
        eigenvalues, vectors = np.linalg.eigh(centre.transform(kernel))
        eigenvalues = np.maximum(eigenvalues, 0)
        left_over = ALPHAS[:, np.newaxis] / (eigenvalues + ALPHAS[:, np.newaxis])
        # The mean is fitted as well: of the constant direction nothing is left over.
        freedom = left_over.sum(axis=1, keepdims=True) - 1
        return cls(
            test=test,
            train=train,
            eigenvalues=eigenvalues,
            project=vectors.T - vectors.mean(axis=0)[:, np.newaxis],
            predict_from=centre.transform(gram[np.ix_(test, train)]) @ vectors,
            risk=(left_over / freedom) ** 2,
        )

    def single(self) -> "FoldModel":
        """Return the model in float32."""
        names = ("eigenvalues", "project", "predict_from", "risk")
        return replace(self, **{name: getattr(self, name).astype(np.float32) for name in names})

    def predictions(self, responses: np.ndarray) -> np.ndarray:
        """Return predicted responses to the fold's images, from the responses to the others.

        Parameters
        ----------
        responses : float array (n_images, n_channels)

        Returns
        -------
        float array (n_test, n_channels)

        Notes
        -----
        The penalty of a channel is the one of least generalised cross-validation error over the
        training images, which is leave-one-out error in rotated coordinates, at the price of one
        product. Testing refits thousands of times; splitting the training images anew for each
        would cost ten times as much and choose no better.

        References
        ----------
        Golub, Heath & Wahba 1979, Technometrics 21:215; Patil et al. 2021, AISTATS 130:3178 (more
        features than images).
        """
        measured = responses[self.train]
        coordinates = self.project @ measured
        chosen = (self.risk @ coordinates**2).argmin(axis=0)
        coordinates /= self.eigenvalues[:, np.newaxis] + ALPHAS.astype(responses.dtype)[chosen]
        return self.predict_from @ coordinates + measured.mean(axis=0)


def held_out_predictions(models: Iterable[FoldModel], responses: np.ndarray) -> np.ndarray:
    """Return predictions of each image's responses by the model fitted without these responses.

    Means and penalties come from the training images. The features themselves may have been
    standardised over all images, which uses no response.

    Parameters
    ----------
    models : one for each fold; every image is in the test set of exactly one
    responses : float array (n_images, n_channels)

    Returns
    -------
    float array (n_images, n_channels)
    """
    predictions = np.empty_like(responses)
    for model in models:
        predictions[model.test] = model.predictions(responses)
    return predictions


def explained_variance(
    predictions: np.ndarray,
    responses: np.ndarray,
    folds: Sequence[np.ndarray],
    n_sets: int = 1,
) -> np.ndarray:
    """Return the share of the variance over images and channels that predictions explain.

    The squared Pearson r, with the sign of r, over all held-out images and channels at once: what
    the predictions explain once all of them are scaled by one factor. Responses of every channel
    have unit variance, predictions are in their units, and both are centred within each fold: the
    folds' different training means would push a useless model below zero. A channel counts as much
    as its predictions vary, little where ridge regression found nothing but noise.

    Parameters
    ----------
    predictions, responses : float arrays (n_images, n_sets * n_channels)
    folds : sequence of int arrays
    n_sets : int
        Sets of channels that are scored each by itself.

    Returns
    -------
    float64 array (n_sets,)
        0 for constant predictions.

    Notes
    -----
    The mean over channels of r has no ceiling that can be estimated: that would be a mean of square
    roots of the channels' reliabilities, biased for noisy channels, and the square root of their
    mean is far above it where they differ. Shares of variance add up: `explainable_variance` is
    the ceiling of this one, without bias.

    References
    ----------
    Schoppe et al. 2016, Front Comput Neurosci 10:10 (covariances, and powers of signal and noise);
    Pospisil & Bair 2021, PLoS Comput Biol 17:e1009212 (bias of corrected correlations).
    """
    shared, predicted, measured = np.zeros((3, responses.shape[1]), responses.dtype)
    for fold in folds:
        left = predictions[fold] - predictions[fold].mean(axis=0)
        right = responses[fold] - responses[fold].mean(axis=0)
        shared += np.einsum("ij,ij->j", left, right)
        predicted += np.einsum("ij,ij->j", left, left)
        measured += np.einsum("ij,ij->j", right, right)
    # A channel that does not vary counts as one of which nothing is predicted.
    share, size = (
        np.divide(sums, measured, out=np.zeros_like(sums), where=measured > 0)
        .reshape(n_sets, -1)
        .mean(axis=1, dtype=np.float64)
        for sums in (shared, predicted)
    )
    return np.divide(share * np.abs(share), size, out=np.zeros(n_sets), where=size > 0)


def fold_correlations(
    predictions: np.ndarray, responses: np.ndarray, folds: Sequence[np.ndarray]
) -> np.ndarray:
    """Return each channel's Pearson r of prediction and response, averaged over folds.

    What the literature mostly reports the mean of. It has no ceiling, see `explained_variance`.

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
    models: Iterable[FoldModel], responses: np.ndarray, orders: Iterable[np.ndarray]
) -> np.ndarray:
    """Return the score of models that are refitted to the responses in other orders.

    The images of the responses change places as a whole, the same for all folds and channels, and
    every fold is fitted anew, penalties included. Relabelling predictions after the fit would not
    do: each fold's predictions were fitted to the responses of the others, so that the scores of
    folds vary together, and a null without that is too narrow (twice as many false positives as
    stated).

    Parameters
    ----------
    models : one for each fold
    responses : float array (n_images, n_channels)
    orders : iterable of int arrays (n_images,)

    Returns
    -------
    float64 array (n_orders,)
        As Pearson r: without an effect its squares are no larger than what float32 rounds.

    References
    ----------
    Ojala & Garriga 2010, J Mach Learn Res 11:1833.
    """
    models, orders = [model.single() for model in models], iter(orders)
    spread = responses.std(axis=0)
    # Scores do not depend on a channel's mean and scale, but float32 does.
    standard = (responses - responses.mean(axis=0)) / np.where(spread > 0, spread, 1)
    standard = standard.astype(np.float32)
    folds = [model.test for model in models]
    scores = []
    while block := list(itertools.islice(orders, max(1, BLOCK_COLUMNS // standard.shape[1]))):
        permuted = standard[np.stack(block, axis=1)].reshape(len(standard), -1)
        predictions = held_out_predictions(models, permuted)
        explained = explained_variance(predictions, permuted, folds, len(block))
        scores.append(np.copysign(np.sqrt(np.abs(explained)), explained))
    return np.concatenate(scores)


def explainable_variance(repeats: np.ndarray, n_runs: Sequence[int] | None = None) -> float:
    """Return the share of the variance over images, mean over channels, that is signal.

    The ceiling of `explained_variance` of the mean over repeats, which predictions that are the
    true means reach, whatever the reliabilities of the channels.

    Parameters
    ----------
    repeats : float array (n_repeats, n_images, n_channels)
        Responses to the same images in two or more runs, or other parts of the data.
    n_runs : sequence of n_repeats int, optional
        Runs that each is a mean of, where these differ: noise falls, and weight rises with them.

    Returns
    -------
    float
        Without bias, so that it is as often below zero as above it where there is no signal; cut
        off at zero, noise would have a ceiling.

    Notes
    -----
    The noise variance of a mean is the variance of the residuals of images + repeats over the
    number of repeats; what a repeat adds to all images alike is no noise. Its ratio to the
    variance of the means, which have n - 1 degrees of freedom, is expected to be larger than the
    ratio of the expectations by (n - 1) / (n - 3).

    References
    ----------
    Sahani & Linden 2003, Adv Neural Inf Process Syst 15:125; Hsu, Borst & Theunissen 2004, Network
    15:91; Schoppe et al. 2016, Front Comput Neurosci 10:10.
    """
    n_repeats, n_images, _ = repeats.shape
    weights = np.ones(n_repeats) if n_runs is None else np.asarray(n_runs, dtype=np.float64)
    mean = np.average(repeats, axis=0, weights=weights)
    centred = mean - mean.mean(axis=0)
    residuals = repeats - repeats.mean(axis=1, keepdims=True) - centred
    squares = np.einsum("r,ric->c", weights, residuals**2)
    noise = squares / ((n_repeats - 1) * (n_images - 1)) / weights.sum()
    variance = (centred**2).sum(axis=0) / (n_images - 1)
    ratio = np.divide(noise, variance, out=np.ones_like(noise), where=variance > 0)
    return float(np.mean(1 - (n_images - 3) / (n_images - 1) * ratio))
