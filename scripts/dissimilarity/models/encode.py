"""Encode, then compare: ridge regression from features to vertices, and the RDM of what it says.

Predicts the responses to each image, and from these the dissimilarity of two images as it would be
measured.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from scripts.dissimilarity.learning.encoder import (
    IMAGES_PER_FEATURE,
    Code,
    Encoder,
    HeldOut,
    encoder_of,
    response_products,
)
from scripts.dissimilarity.learning.least_squares import Line
from scripts.dissimilarity.learning.pair_features import image_folds, some_pairs
from scripts.dissimilarity.learning.pair_models import Items, Training
from workflow.lib.errors import InputError
from workflow.lib.pairs.sampling import Pairs
from workflow.lib.rsa.encoding import ALPHAS

log = logging.getLogger("workflow")

# Of lines: noise is accounted for, so that differences between predictions are never too small by
# themselves, only where hardly anything is predicted.
SLOPES = (0.0, 1.0)
# Of what was measured of a seen image, in place of what is predicted of it.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass
class Model:
    """The dissimilarity of predicted responses plus noise, on a line through held-out pairs.

    Attributes
    ----------
    n_folds : int
        Of the training images: each fold is predicted without it, for the penalty, the size of the
        noise, and the line from predicted to measured dissimilarities.
    alphas : sequence of float
        Penalties, of which that of least squared error on pairs within held-out folds is taken, for
        all vertices; in units of the mean squared length of the images' features.
    max_pairs : int
        Of the training pairs, that penalty and line are fitted to; random ones if there are more.
    n_patterns : int
        Patterns of noise that vertices share, which predictions are rid of; 0 for none.

    Notes
    -----
    Predicted responses H Y are weighted means of measured ones, so that products of predictions are
    H YY' H': the vertices, however many, enter through YY' alone, and products with what is noise
    in Y are known and taken off: s^2 HH', with s^2 the squared residuals over the degrees of
    freedom that are left. Without that, weights that differ from zero by chance make images differ
    in whatever their features differ in, and the penalty has to hold them down at the cost of those
    that are there. To the product of an image with itself comes what predictions miss, on average,
    which makes 1 - r and the Euclidean distance those of noisy responses: else two images of which
    next to nothing is predicted would be as likely to be at r = 1 as at 0. An image of the training
    was measured: its responses are in part these, and in part predicted, whatever does best for
    training images and held-out ones.

    Noise that vertices share lies in few patterns, so that taking off its mean leaves much: those
    patterns are shrunk in what is predicted (`scripts.dissimilarity.learning.shared_noise`).
    Without it, RDMs of many vertices are predicted a fifth worse than those of few, of 100 images.

    One penalty for all vertices: himalaya's RidgeCV gives each its own, to predict it best. That
    shrinks those that matter to the RDM by different factors, and predicts the RDM worse. Weights
    at a given penalty are himalaya's, as a test holds.

    Features are all of variance one, so that a penalty tells none from another: of more than one
    for two images, those that single regressions say most with are taken, of the same images that
    weights are learned from, and the log says so.

    References
    ----------
    Naselaris et al. 2011, NeuroImage 56:400 (encoding); Dupré la Tour et al. 2022, NeuroImage
    264:119728 (himalaya); Golub, Heath & Wahba 1979, Technometrics 21:215 (degrees of freedom);
    Kriegeskorte & Diedrichsen 2016, Phil Trans R Soc B 371:20160278 (RDMs of encoding models);
    Walther et al. 2016, NeuroImage 137:188 (distances without the bias that noise gives them); Fan
    & Lv 2008, J R Stat Soc B 70:849 (features chosen one by one).
    """

    needs: ClassVar[tuple[str, ...]] = ("features", "responses")
    leaked: ClassVar[bool] = False
    stepwise: ClassVar[bool] = False
    symmetric: ClassVar[bool] = True

    n_folds: int = 5
    alphas: Sequence[float] = tuple(ALPHAS.tolist())
    max_pairs: int = 200_000
    n_patterns: int = 10
    metric: str = field(init=False, repr=False)
    alpha: float = field(init=False, repr=False)
    noise: float = field(init=False, repr=False)
    share: float = field(init=False, repr=False)
    encoder: Encoder = field(init=False, repr=False)
    lines: tuple[Line, Line] = field(init=False, repr=False)

    def fit(self, training: Training) -> None:
        """Choose the penalty, and learn the weights, the noise and the lines.

        Raises
        ------
        InputError
            Fewer than two folds, or fewer than six images with responses.
        """
        items, self.metric = training.items, training.metric
        images = np.flatnonzero(np.isfinite(items.responses[:, 0]))
        self._check(images)
        features = items.features[images].astype(np.float64)
        gram = response_products(
            items.responses,
            images,
            centre=self.metric == "correlation",
            standardise=items.standardised,
        )
        everything = np.arange(images.size)
        pairs = _among(images, some_pairs(training.pairs, self.max_pairs, training))
        folds = [
            HeldOut.of(fold, features, gram, pairs, self.n_patterns)
            for fold in image_folds(everything, self.n_folds, training)
        ]
        found = [_calibrated(folds, features, alpha, self.metric) for alpha in self.alphas]
        best = int(np.argmin([error for error, _, _ in found]))
        _, self.noise, unseen = found[best]
        self.alpha = self.alphas[best]
        one_seen = [
            _one_seen(folds, features, self.alpha, self.noise, share, self.metric)
            for share in SHARES
        ]
        errors = [error for error, _ in one_seen]
        self.share = SHARES[int(np.argmin(errors))]
        self.lines = unseen, one_seen[int(np.argmin(errors))][1]
        self.encoder = encoder_of(features, gram, images, self.n_patterns)
        if self.encoder.features.size < features.shape[1]:
            log.warning(
                "%s: %d features of %d training images would be fitted to noise, too; only the %d "
                "that say most of the responses are used, one for %d images: lower n_components",
                *(training.purpose, features.shape[1], images.size),
                *(self.encoder.features.size, IMAGES_PER_FEATURE),
            )

    def predict(self, items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the dissimilarity of images `first` and `second`, (n,) float64."""
        code = self.encoder.code(items.features.astype(np.float64), self.alpha, self.share)
        code = code.with_noise(self.noise)
        distances = code.distances(first, second, self.metric)
        unseen, one_seen = (line(distances) for line in self.lines)
        return np.where(code.seen[first] | code.seen[second], one_seen, unseen)

    def _check(self, images: np.ndarray) -> None:
        if self.n_folds < 2 or images.size < 6:
            raise InputError(
                f"encode: found {images.size} images with responses for {self.n_folds} folds, "
                "expected six images or more and two folds or more; correct the model's options "
                "or take more training images"
            )
        if self.n_patterns < 0 or not len(self.alphas):
            raise InputError(
                f"encode: found n_patterns {self.n_patterns} and {len(self.alphas)} alphas, "
                "expected 0 or more patterns and at least one penalty; correct the model's options"
            )


def _among(images: np.ndarray, pairs: Pairs) -> Pairs:
    """Return the pairs of images, which are counted from 0 among themselves."""
    first, second, values = pairs
    known = np.isin(first, images) & np.isin(second, images)
    first, second = (np.searchsorted(images, side[known]) for side in (first, second))
    return first, second, values[known].astype(np.float64)


def _calibrated(
    folds: Sequence[HeldOut], features: np.ndarray, alpha: float, metric: str
) -> tuple[float, float, Line]:
    """Return the summed squared error of a penalty on held-out pairs, its noise and its line."""
    codes = [fold.encoder.code(features, alpha) for fold in folds]
    missed = [
        fold.lengths - code.squares[fold.images] for fold, code in zip(folds, codes, strict=True)
    ]
    noise = max(float(np.concatenate(missed).mean()), 0.0)
    codes = [code.with_noise(noise) for code in codes]
    predicted, measured = _points(codes, [fold.within for fold in folds], metric)
    line = Line.fit(predicted, measured, SLOPES)
    return float(((measured - line(predicted)) ** 2).sum()), noise, line


def _one_seen(
    folds: Sequence[HeldOut],
    features: np.ndarray,
    alpha: float,
    noise: float,
    share: float,
    metric: str,
) -> tuple[float, Line]:
    """Return the summed squared error on pairs of which one image is held out, and their line."""
    codes = [fold.encoder.code(features, alpha, share).with_noise(noise) for fold in folds]
    predicted, measured = _points(codes, [fold.crossing for fold in folds], metric)
    line = Line.fit(predicted, measured, SLOPES)
    return float(((measured - line(predicted)) ** 2).sum()), line


def _points(
    codes: Sequence[Code], pairs: Sequence[Pairs], metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted and measured dissimilarities of each code's pairs, one after the other."""
    predicted = [
        code.distances(first, second, metric)
        for code, (first, second, _) in zip(codes, pairs, strict=True)
    ]
    return np.concatenate(predicted), np.concatenate([values for *_, values in pairs])
