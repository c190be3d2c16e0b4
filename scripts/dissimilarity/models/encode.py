"""Encode, then compare: ridge regression from features to vertices, and the RDM of what it says.

Predicts the responses to each image, and from these the dissimilarity of two images as it would be
measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from scripts.dissimilarity.least_squares import Line
from scripts.dissimilarity.pair_features import image_folds, some_pairs
from scripts.dissimilarity.pair_models import Items, Training
from workflow.lib.errors import InputError
from workflow.lib.pairs.splits import CLEAN, ONE_SEEN
from workflow.lib.rdms.distances import FROM_PRODUCTS
from workflow.lib.rsa.encoding import ALPHAS

# Vertices fitted at a time: bounds memory.
BLOCK_VERTICES = 4096
# Singular values below this share of the largest are rounding.
ROUNDING = 1e-10


@dataclass
class Model:
    """The dissimilarity of predicted responses plus noise, on a line through held-out pairs.

    Attributes
    ----------
    n_folds : int
        Of the training images: each fold is predicted without it, for the size of the noise and
        for the line from predicted to measured dissimilarities.
    alphas : sequence of float
        Penalties, of which each vertex gets that of least generalised cross-validation error; in
        units of the mean squared length of the images' features.
    max_pairs : int
        Of the training pairs, that the line is fitted to those of which both images are in one
        fold; random ones if there are more.

    Notes
    -----
    Predictions are linear in the features, so that products of the predictions of two images are
    x' W W' y with x and y the images' features and W all vertices' weights: responses of no image
    are ever written down, and predicting a pair does not depend on the number of vertices. To the
    product of an image with itself comes what the predictions of held-out images miss, noise and
    signal, on average, which makes 1 - r and the Euclidean distance those of noisy responses: else
    two images of which next to nothing is predicted would be as likely to be at r = 1 as at 0.

    The penalty's choice costs a product with the responses; by folds, as himalaya's RidgeCV has it,
    one for each fold and penalty. Tests hold weights and quality to himalaya's.

    References
    ----------
    Naselaris et al. 2011, NeuroImage 56:400 (encoding); Golub, Heath & Wahba 1979, Technometrics
    21:215 (penalty); Kriegeskorte & Diedrichsen 2016, Phil Trans R Soc B 371:20160278 (RDMs of
    encoding models).
    """

    needs: ClassVar[tuple[str, ...]] = ("features", "responses")
    splits: ClassVar[tuple[str, ...]] = (CLEAN, ONE_SEEN)
    symmetric: ClassVar[bool] = True

    n_folds: int = 5
    alphas: Sequence[float] = tuple(ALPHAS.tolist())
    max_pairs: int = 1_000_000
    metric: str = field(init=False, repr=False)
    code: "Code" = field(init=False, repr=False)
    line: Line = field(init=False, repr=False)

    def fit(self, training: Training) -> None:
        """Learn the weights, the noise and the line.

        Raises
        ------
        InputError
            Fewer than two folds, or fewer than four images with responses.
        """
        items, self.metric = training.items, training.metric
        images = _images_with_responses(items.responses)
        self._check(images)
        folds = image_folds(images, self.n_folds, training)
        sets = [images, *(np.setdiff1d(images, fold) for fold in folds)]
        encoders = [Encoder.of(items.features[these], np.array(self.alphas)) for these in sets]
        codes, noise = _learn(encoders, sets, folds, items, centre=self.metric == "correlation")
        self.code, *held_out = (code.with_noise(noise) for code in codes)
        pairs = some_pairs(training.pairs, self.max_pairs, training)
        predicted, measured = [], []
        for fold, code in zip(folds, held_out, strict=True):
            within = np.isin(pairs[0], fold) & np.isin(pairs[1], fold)
            first, second, values = (part[within] for part in pairs)
            predicted.append(code.distances(items.features, first, second, self.metric))
            measured.append(values)
        self.line = Line.fit(np.concatenate(predicted), np.concatenate(measured))

    def predict(self, items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the dissimilarity of images `first` and `second`, (n,) float64."""
        return self.line(self.code.distances(items.features, first, second, self.metric))

    def _check(self, images: np.ndarray) -> None:
        if self.n_folds < 2 or images.size < 4:
            raise InputError(
                f"encode: found {images.size} images with responses for {self.n_folds} folds, "
                "expected four images or more and two folds or more; correct the model's options "
                "or take more training images"
            )


def _images_with_responses(responses: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.isfinite(responses[:, 0]))


@dataclass(frozen=True)
class Encoder:
    """Ridge regression on some images, before it has seen any response.

    Attributes
    ----------
    means : float64 array (n_features,)
        Of the features.
    left : float64 array (n_images, n_components)
        Left singular vectors of the centred features.
    values : float64 array (n_components,)
        Singular values.
    right : float64 array (n_features, n_components)
    penalties : float64 array (n_penalties,)
    """

    means: np.ndarray
    left: np.ndarray
    values: np.ndarray
    right: np.ndarray
    penalties: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, alphas: np.ndarray) -> "Encoder":
        """Return the encoder of images, (n_images, n_features)."""
        features = features.astype(np.float64)
        means = features.mean(axis=0)
        left, values, right = np.linalg.svd(features - means, full_matrices=False)
        kept = values > ROUNDING * max(values[0], np.finfo(np.float64).tiny)
        unit = (values**2).sum() / len(features) or 1.0
        return cls(means, left[:, kept], values[kept], right[kept].T, alphas * unit)

    def weights(self, responses: np.ndarray) -> np.ndarray:
        """Return intercept and weights of each vertex, with the penalty that suits it.

        Parameters
        ----------
        responses : float64 array (n_images, n_vertices)

        Returns
        -------
        float64 array (1 + n_features, n_vertices)

        Notes
        -----
        The penalty of least generalised cross-validation error, the mean squared residual over the
        squared share of degrees of freedom that are left.
        """
        means = responses.mean(axis=0)
        centred = responses - means
        squares = (self.left.T @ centred) ** 2
        left_over = self.penalties[:, np.newaxis] / (self.values**2 + self.penalties[:, np.newaxis])
        beyond = np.maximum((centred**2).sum(axis=0) - squares.sum(axis=0), 0)
        n_beyond = len(responses) - 1 - self.values.size
        freedom = n_beyond + left_over.sum(axis=1, keepdims=True)
        errors = (beyond + left_over**2 @ squares) / freedom**2
        chosen = self.penalties[errors.argmin(axis=0)]
        shrunk = self.values[:, np.newaxis] / (self.values[:, np.newaxis] ** 2 + chosen)
        weights = self.right @ (shrunk * (self.left.T @ centred))
        return np.vstack([means - self.means @ weights, weights])


@dataclass(frozen=True)
class Code:
    """Where images lie in the space of predicted responses, without its empty directions.

    Attributes
    ----------
    axes : float64 array (1 + n_features, n_axes)
        From one and the features to coordinates whose products are those of predicted responses.
    noise : float
        Mean squared length of what is not predicted.
    """

    axes: np.ndarray
    noise: float = 0.0

    @classmethod
    def of(cls, products: np.ndarray) -> "Code":
        """Return the code of products W W' (1 + n_features, 1 + n_features) of weights."""
        values, vectors = np.linalg.eigh(products)
        return cls(vectors * np.sqrt(np.maximum(values, 0)))

    def with_noise(self, noise: float) -> "Code":
        """Return the code with another length of noise."""
        return Code(self.axes, noise)

    def distances(
        self, features: np.ndarray, first: np.ndarray, second: np.ndarray, metric: str
    ) -> np.ndarray:
        """Return the dissimilarities (n_pairs,) of predicted responses with noise."""
        places = _with_one(features) @ self.axes
        # A length of zero has no correlation with any other.
        squares = np.einsum("ij,ij->i", places, places) + (self.noise or np.finfo(np.float64).tiny)
        products = np.zeros(len(first))
        for axis in places.T:
            products += axis[first] * axis[second]
        return FROM_PRODUCTS[metric](products, squares[first], squares[second])


def _with_one(features: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(features)), features.astype(np.float64)])


def _learn(
    encoders: Sequence[Encoder],
    sets: Sequence[np.ndarray],
    folds: Sequence[np.ndarray],
    items: Items,
    *,
    centre: bool,
) -> tuple[list[Code], float]:
    """Return the code of each encoder, and the mean squared length that the folds' miss.

    Parameters
    ----------
    encoders, sets : of all images with responses, and of all but each fold
    folds : sequence of int arrays
    items : Items
    centre : bool
        Whether responses to an image are centred over vertices.
    """
    n_weights = 1 + items.features.shape[1]
    products = np.zeros((len(encoders), n_weights, n_weights))
    sums = np.zeros((len(encoders), n_weights))
    missed, missed_sums = np.zeros((2, len(items.features)))
    seen = _with_one(items.features)
    n_vertices = items.responses.shape[1]
    for responses in _standard_blocks(items.responses, sets[0]):
        for number, (encoder, images) in enumerate(zip(encoders, sets, strict=True)):
            weights = encoder.weights(responses[images])
            products[number] += weights @ weights.T
            sums[number] += weights.sum(axis=1)
            if number:
                fold = folds[number - 1]
                residuals = responses[fold] - seen[fold] @ weights
                missed[fold] += np.einsum("ij,ij->i", residuals, residuals)
                missed_sums[fold] += residuals.sum(axis=1)
    if centre:
        products -= sums[:, :, np.newaxis] * sums[:, np.newaxis] / n_vertices
        missed -= missed_sums**2 / n_vertices
    return [Code.of(these) for these in products], float(missed[sets[0]].mean())


def _standard_blocks(responses: np.ndarray, images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the responses of some vertices at a time, standardised by these images."""
    for start in range(0, responses.shape[1], BLOCK_VERTICES):
        block = responses[:, start : start + BLOCK_VERTICES].astype(np.float64)
        means, spreads = block[images].mean(axis=0), block[images].std(axis=0)
        yield (block - means) / np.where(spreads > 0, spreads, 1)
