"""Encode, then compare: ridge regression from features to vertices, and the RDM of what it says.

Predicts the responses to each image, and from these the dissimilarity of two images as it would be
measured.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from scripts.dissimilarity.least_squares import Line
from scripts.dissimilarity.pair_features import blocks, image_folds, some_pairs
from scripts.dissimilarity.pair_models import Items, Training
from scripts.dissimilarity.shared_noise import without_shared_noise
from workflow.lib.errors import InputError
from workflow.lib.pairs.sampling import Pairs
from workflow.lib.rdms.distances import FROM_PRODUCTS
from workflow.lib.rsa.encoding import ALPHAS

log = logging.getLogger(__name__)

# Vertices multiplied at a time: bounds memory.
BLOCK_VERTICES = 1024
# A squared length, of which the product with another is not zero.
SMALLEST = 1e-100
# Singular values below this share of the largest are rounding.
ROUNDING = 1e-10
# Of lines: noise is accounted for, so that differences between predictions are never too small by
# themselves, only where hardly anything is predicted.
SLOPES = (0.0, 1.0)
# Of what was measured of a seen image, in place of what is predicted of it.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
# With as many features as images, all responses are predicted perfectly, noise too, and nothing is
# left to tell how much of it is noise.
IMAGES_PER_FEATURE = 2


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
    patterns are shrunk in what is predicted (`scripts.dissimilarity.shared_noise`). Without it,
    RDMs of many vertices are predicted a fifth worse than those of few, of 100 images.

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
    encoder: "Encoder" = field(init=False, repr=False)
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
        self.encoder = _encoder(features, gram, images, self.n_patterns)
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


def response_products(
    responses: np.ndarray, images: np.ndarray, *, centre: bool, standardise: bool = True
) -> np.ndarray:
    """Return the products of the responses to images.

    Parameters
    ----------
    responses : float array (n_images, n_vertices)
    images : int array (n,)
    centre : bool
        Whether responses to an image are centred over vertices.
    standardise : bool
        Whether each vertex is standardised by these images, as what is measured of pairs is.

    Returns
    -------
    float64 array (n, n)
    """
    products, sums = np.zeros((images.size, images.size)), np.zeros(images.size)
    for start in range(0, responses.shape[1], BLOCK_VERTICES):
        block = responses[images, start : start + BLOCK_VERTICES].astype(np.float64)
        if standardise:
            spreads = block.std(axis=0)
            block = (block - block.mean(axis=0)) / np.where(spreads > 0, spreads, 1)
        products += block @ block.T
        sums += block.sum(axis=1)
    return products - np.outer(sums, sums) / responses.shape[1] if centre else products


@dataclass(frozen=True)
class Encoder:
    """Ridge regression on some images, for any penalty.

    Predictions are z(x)' A' Y M with Y the images' responses, A the mean and the left singular
    vectors of the features, z(x) one and the features' coordinates, shrunk by the penalty, and M
    what shrinks patterns of noise (`scripts.dissimilarity.shared_noise`).

    Attributes
    ----------
    images : int array (n,)
        That it is fitted to.
    features : int array (n_features,)
        That it looks at.
    means : float64 array (n_features,)
    values : float64 array (n_components,)
        Singular values of the centred features.
    right : float64 array (n_features, n_components)
        Right singular vectors.
    basis : float64 array (n, 1 + n_components)
        A.
    crossed : float64 array (n, 1 + n_components)
        Y M Y' A.
    products : float64 array (1 + n_components, 1 + n_components)
        A' Y M M Y' A.
    totals : (float, float)
        Traces of Y M Y' and of Y M M Y'.
    lengths : float64 array (n,)
        Squared lengths of responses.
    """

    images: np.ndarray
    features: np.ndarray
    means: np.ndarray
    values: np.ndarray
    right: np.ndarray
    basis: np.ndarray
    crossed: np.ndarray
    products: np.ndarray
    totals: tuple[float, float]
    lengths: np.ndarray

    @classmethod
    def of(
        cls,
        features: np.ndarray,
        gram: np.ndarray,
        images: np.ndarray,
        *,
        most_features: int | None = None,
        n_patterns: int = 0,
    ) -> "Encoder":
        """Return the encoder of images.

        Parameters
        ----------
        features : float64 array (n, n_features)
        gram : float64 array (n, n)
            Products of responses.
        images : int array (n,)
            What they are called.
        most_features : int or None
            Of more, those that say most of the responses are looked at.
        n_patterns : int
            Of noise, at most.
        """
        looked_at = _telling(features, gram, most_features)
        features = features[:, looked_at]
        means = features.mean(axis=0)
        left, values, right = np.linalg.svd(features - means, full_matrices=False)
        kept = values > ROUNDING * max(values[0], np.finfo(np.float64).tiny)
        basis = np.column_stack([np.full(len(gram), 1 / len(gram)), left[:, kept]])
        shrunk = without_shared_noise(gram, left[:, kept], n_patterns)
        return cls(
            *(images, looked_at, means, values[kept], right[kept].T),
            *(basis, shrunk.times(basis, 1), basis.T @ shrunk.times(basis, 2)),
            totals=(shrunk.trace(1), shrunk.trace(2)),
            lengths=np.diagonal(gram).copy(),
        )

    def code(self, features: np.ndarray, alpha: float, share: float = 1.0) -> "Code":
        """Return what is predicted of images.

        Parameters
        ----------
        features : float64 array (n_images, n_features)
            Of all images, among them those it is fitted to.
        alpha : float
            Penalty, in units of the mean squared length of the features.
        share : float, 0 to 1
            Of what was measured of an image that the encoder is fitted to; the rest is predicted.
        """
        penalty = alpha * (self.values**2).sum() / len(self.basis)
        kept = self.values**2 / (self.values**2 + penalty)
        features = features[:, self.features] - self.means
        coordinates = features @ self.right * (kept / self.values)
        coordinates = np.column_stack([np.ones(len(features)), coordinates])
        once, twice = self._residuals(kept)
        left = coordinates @ (self.products - twice * (self.basis.T @ self.basis))
        signal = np.maximum(np.einsum("ij,ij->i", left, coordinates), 0)
        squares, seen = signal.copy(), np.zeros(len(features), bool)
        seen[self.images] = True
        measured = self.crossed - once * self.basis
        left[self.images] = share * measured + (1 - share) * left[self.images]
        squares[self.images] = self.lengths
        return Code(left, coordinates, squares, seen)

    def _residuals(self, kept: np.ndarray) -> tuple[float, float]:
        """Return the noise of an image's responses after M and M M, summed over vertices."""
        n_images = len(self.basis)
        freedom = n_images - 1 - kept.sum()
        if freedom <= ROUNDING * n_images:
            return 0.0, 0.0
        once = np.einsum("ij,ij->j", self.basis, self.crossed)
        left_over = [
            max(total - n_images * products[0] - products[1:].sum(), 0.0)
            + ((1 - kept) ** 2 * products[1:]).sum()
            for total, products in zip(self.totals, (once, np.diagonal(self.products)), strict=True)
        ]
        return float(left_over[0] / freedom), float(left_over[1] / freedom)


def _encoder(
    features: np.ndarray, gram: np.ndarray, images: np.ndarray, n_patterns: int
) -> Encoder:
    """Return the encoder of images with as many features and patterns as they allow."""
    most_features = max(1, images.size // IMAGES_PER_FEATURE)
    return Encoder.of(features, gram, images, most_features=most_features, n_patterns=n_patterns)


def _telling(features: np.ndarray, gram: np.ndarray, most: int | None) -> np.ndarray:
    """Return the features that say most of responses, each by itself, int (n,), in their order."""
    n_features = features.shape[1]
    if most is None or n_features <= most:
        return np.arange(n_features)
    centred = features - features.mean(axis=0)
    squares = (centred**2).sum(axis=0)
    explained = np.einsum("ij,ij->j", centred, gram @ centred)
    explained /= np.where(squares > 0, squares, np.inf)
    return np.sort(np.argsort(-explained, kind="stable")[:most])


@dataclass(frozen=True)
class Code:
    """What an encoder knows of images.

    Attributes
    ----------
    left, right : float64 arrays (n_images, n_components)
        Rows whose products, of the left of one image with the right of another that was not seen,
        are the products of their responses.
    squares : float64 array (n_images,)
        Squared lengths of responses, measured or predicted.
    seen : bool array (n_images,)
        Images that were measured.
    """

    left: np.ndarray
    right: np.ndarray
    squares: np.ndarray
    seen: np.ndarray

    def with_noise(self, noise: float) -> "Code":
        """Return the code with the squared length of what is not predicted where it is not seen."""
        return replace(self, squares=np.where(self.seen, self.squares, self.squares + noise))

    def distances(self, first: np.ndarray, second: np.ndarray, metric: str) -> np.ndarray:
        """Return the dissimilarities (n_pairs,) of images, of which one at most was seen."""
        # The seen one stands left; of two others always the same one, for sums of equal order.
        turn = np.where(self.seen[first] == self.seen[second], first > second, self.seen[second])
        first, second = np.where(turn, second, first), np.where(turn, first, second)
        products = np.empty(len(first))
        for block in blocks(len(first)):
            sides = self.left[first[block]], self.right[second[block]]
            products[block] = np.einsum("ij,ij->i", *sides)
        # A length of zero has no correlation with any other.
        squares = np.maximum(self.squares, SMALLEST)
        return FROM_PRODUCTS[metric](products, squares[first], squares[second])


@dataclass(frozen=True)
class HeldOut:
    """A fold of the training images, and the encoder of the others.

    Attributes
    ----------
    images : int array
    encoder : Encoder
    lengths : float64 array
        Squared lengths of the responses to the fold's images.
    within, crossing : Pairs
        Of two of its images, and of one.
    """

    images: np.ndarray
    encoder: Encoder
    lengths: np.ndarray
    within: Pairs
    crossing: Pairs

    @classmethod
    def of(
        cls,
        images: np.ndarray,
        features: np.ndarray,
        gram: np.ndarray,
        pairs: Pairs,
        n_patterns: int,
    ) -> "HeldOut":
        """Return a fold of images with their features, products of responses, and pairs."""
        others = np.setdiff1d(np.arange(len(gram)), images)
        encoder = _encoder(features[others], gram[np.ix_(others, others)], others, n_patterns)
        n_held_out = np.isin(pairs[0], images).astype(int) + np.isin(pairs[1], images)
        within, crossing = (tuple(part[n_held_out == n] for part in pairs) for n in (2, 1))
        return cls(images, encoder, np.diagonal(gram)[images], within, crossing)


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
