"""Ridge regression on images for any penalty, and what it knows of the responses to others."""

from dataclasses import dataclass, replace

import numpy as np

from scripts.dissimilarity.learning.pair_features import blocks
from scripts.dissimilarity.learning.shared_noise import without_shared_noise
from workflow.lib.pairs.sampling import Pairs
from workflow.lib.rdms.distances import FROM_PRODUCTS

# Vertices multiplied at a time: bounds memory.
BLOCK_VERTICES = 1024
# A squared length, of which the product with another is not zero.
SMALLEST = 1e-100
# Singular values below this share of the largest are rounding.
ROUNDING = 1e-10
# With as many features as images, all responses are predicted perfectly, noise too, and nothing is
# left to tell how much of it is noise.
IMAGES_PER_FEATURE = 2


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
    what shrinks patterns of noise (`scripts.dissimilarity.learning.shared_noise`).

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


def encoder_of(
    features: np.ndarray, gram: np.ndarray, images: np.ndarray, n_patterns: int
) -> Encoder:
    """Return the encoder of images with as many features and patterns as they allow.

    Parameters
    ----------
    features : float64 array (n, n_features)
    gram : float64 array (n, n)
        Products of responses.
    images : int array (n,)
        What they are called.
    n_patterns : int
        Of noise, at most.
    """
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
        encoder = encoder_of(features[others], gram[np.ix_(others, others)], others, n_patterns)
        n_held_out = np.isin(pairs[0], images).astype(int) + np.isin(pairs[1], images)
        within, crossing = (tuple(part[n_held_out == n] for part in pairs) for n in (2, 1))
        return cls(images, encoder, np.diagonal(gram)[images], within, crossing)
