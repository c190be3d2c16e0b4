"""Embeddings of images: features, or the products between images where features are too many.

All that principal components and distances need of features is their Gram matrix: that of VGG-16's
200,504 and more features of 9,841 images takes 0.8 GB in place of 8.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import scipy.linalg

from workflow.lib.errors import InputError
from workflow.lib.files import written_whole
from workflow.lib.rdms.distances import METRICS
from workflow.lib.rdms.stimulus_rdms import (
    LEAST_VARIATION,
    distances_with_gaps,
    feature_distances,
    selected_images,
)

# Embeddings of more features are kept as products between images.
MOST_FEATURES = 4096
# Features that are multiplied in float64 at a time.
TILE_FEATURES = 2048
# Components of a smaller share of the largest one's variance are left out: features in float32 are
# rounded at 1e-7 of their size, and scores of unit variance have to be right to 1e-6.
LEAST_VARIANCE = 1e-10


@dataclass(frozen=True)
class Embedding:
    """Features of images, or what is kept of them.

    Attributes
    ----------
    name : str
    names : list of n_images str
    features : float32 array (n_images, n_features) or None
    gram : float64 array (n_images, n_images) or None
        Products between the images' features, where these are not kept.
    along_constant : float64 array (n_images,) or None
        With `gram`: products of the features with the vector of length one whose entries are all
        equal. The correlation, which takes the mean over features off, needs them.
    """

    name: str
    names: list[str]
    features: np.ndarray | None = None
    gram: np.ndarray | None = None
    along_constant: np.ndarray | None = None

    def as_they_are(self) -> np.ndarray:
        """Return the features as they are, neither centred nor scaled.

        Returns
        -------
        float32 array (n_images, n_features)

        Raises
        ------
        InputError
            Only products of them are kept.
        """
        if self.features is None:
            raise InputError(
                f"embedding {self.name}: found products between images, which are kept in place "
                f"of more than {MOST_FEATURES:,} features, expected fewer for models that see "
                "features as they are; give `n_components`"
            )
        return np.asarray(self.features, np.float32)

    def scores(self, train: np.ndarray, n_components: int) -> np.ndarray:
        """Return principal components that are found on the training images alone.

        Parameters
        ----------
        train : int array (n_training,)
            Positions of the training images.
        n_components : int
            As many at most.

        Returns
        -------
        float32 array (n_images, k)
            Of all images, the largest component first. Each has mean 0 and standard deviation 1
            (of n - 1) over the training images, of whose scores the largest is positive. k is at
            most n_training - 1 and n_features.

        Raises
        ------
        InputError
            Fewer than two training images, or features that do not vary over them.

        Notes
        -----
        With the centred features X = U S V' of the training images, scores X V S^-1 are also
        K U S^-2, K = XX': the Gram matrix gives those of all images without any feature. As
        sklearn.decomposition.PCA(whiten=True), but for signs. Of n_training - 1 components all
        training images have the same distance, whatever they show: these are the corners of a
        simplex, and `workflow.lib.config.pair_sizes` refuses to look for so many.

        References
        ----------
        Schölkopf, Smola & Müller 1998, Nonlinear component analysis as a kernel eigenvalue
        problem, Neural Comput 10:1299.
        """
        train = np.asarray(train)
        if len(train) < 2:
            raise InputError(
                f"embedding {self.name}: found {len(train)} training image(s), expected at least "
                "two to find principal components; give more images or fewer folds"
            )
        if self.features is not None and self.features.shape[1] < len(train):
            scores = _scores_from_features(self.features, train, n_components)
        else:
            scores = _scores_from_gram(self._products(), train, n_components)
        if not scores.shape[1]:
            raise InputError(
                f"embedding {self.name}: found the same features for all {len(train)} training "
                "images, expected features that vary; take another layer or other weights"
            )
        largest = np.abs(scores[train]).argmax(axis=0)
        signs = np.sign(scores[train[largest], np.arange(scores.shape[1])])
        return (scores * signs).astype(np.float32)

    def distances(self, metric: str) -> np.ndarray:
        """Return the distances between the embeddings of all pairs of images, as they are.

        Parameters
        ----------
        metric : "correlation" (1 - Pearson), "euclidean", "cosine" or "sq_euclidean"

        Returns
        -------
        float64 array (n_pairs,), condensed

        Raises
        ------
        InputError
            No such metric; an image whose features have no angle to any other's, since they do
            not vary (correlation) or vanish (cosine).
        """
        what = f"embedding {self.name}, {metric}"
        if metric not in METRICS:
            raise InputError(f"{what}: expected one of {', '.join(METRICS)}; correct the distance")
        found = (
            feature_distances(self.features, metric)
            if self.features is not None
            else distances_with_gaps(self._gram_for(metric), metric)
        )
        return selected_images(found, np.arange(len(self.names)), self.names, what)

    def _products(self) -> np.ndarray:
        if self.gram is not None:
            return self.gram
        features = self.features.astype(np.float64)
        return features @ features.T

    def _gram_for(self, metric: str) -> np.ndarray:
        """Return the Gram matrix from which the distances of a metric follow."""
        if metric != "correlation":
            return self.gram
        centred = self.gram - np.outer(self.along_constant, self.along_constant)
        # Of features that are all equal the rounding leaves a length, and so angles, of chance.
        constant = np.diagonal(centred) <= LEAST_VARIATION**2 * np.diagonal(self.gram)
        centred[constant] = centred[:, constant] = 0
        return centred


def embedding_from_blocks(
    name: str,
    names: Sequence[str],
    blocks: Iterable[np.ndarray],
    *,
    n_features: int,
    most_features: int = MOST_FEATURES,
) -> Embedding:
    """Return an embedding, of which no more than a block of features is held if it is wide.

    Parameters
    ----------
    name : str
    names : sequence of n_images str
    blocks : iterable of float arrays (n_images, any number)
        All features in order, such as `workflow.lib.features.unit_blocks.UnitBlocks`.
    n_features : int
        Of all blocks together.
    most_features : int
        Beyond which products are kept in place of features.

    Notes
    -----
    Products are taken in float64: principal components of little variance are what is left of
    them after much has cancelled.
    """
    if n_features <= most_features:
        features = np.concatenate([block.astype(np.float32) for block in blocks], axis=1)
        return Embedding(name, list(names), features=features)
    upper = np.zeros((len(names), len(names)), order="F")
    totals = np.zeros(len(names))
    for block in blocks:
        for start in range(0, block.shape[1], TILE_FEATURES):
            tile = block[:, start : start + TILE_FEATURES].astype(np.float64, order="C")
            # Added in place: another matrix of all images would be as large as all that is held.
            upper = scipy.linalg.blas.dsyrk(1.0, tile.T, beta=1.0, c=upper, trans=1, overwrite_c=1)
            totals += tile.sum(axis=1)
    for i in range(len(names)):
        upper[i + 1 :, i] = upper[i, i + 1 :]
    return Embedding(
        name, list(names), gram=upper.T, along_constant=totals / np.sqrt(float(n_features))
    )


def write_embedding(path: str | Path, embedding: Embedding) -> None:
    """Write an embedding as HDF5: `names`, and `features` or `gram` with `along_constant`."""
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["name"] = embedding.name
        file["names"] = np.array([name.encode() for name in embedding.names])
        for key in ("features", "gram", "along_constant"):
            value = getattr(embedding, key)
            if value is not None:
                file[key] = value


def read_embedding(path: str | Path) -> Embedding:
    """Return the embedding of a file written by `write_embedding`."""
    with h5py.File(path, "r") as file:
        return Embedding(
            name=str(file.attrs["name"]),
            names=[name.decode() for name in file["names"][()]],
            **{key: file[key][()] for key in ("features", "gram", "along_constant") if key in file},
        )


def _scores_from_features(features: np.ndarray, train: np.ndarray, n_components: int) -> np.ndarray:
    """Return the scores (n_images, k), signs as they come."""
    centred = features - features[train].mean(axis=0, dtype=np.float64)
    among = centred[train].T @ centred[train] / (len(train) - 1)
    variances, axes = _leading(among, n_components)
    return centred @ (axes / np.sqrt(variances))


def _scores_from_gram(gram: np.ndarray, train: np.ndarray, n_components: int) -> np.ndarray:
    """Return the scores (n_images, k), signs as they come."""
    centred = gram[:, train]
    of_mean = centred[train].mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)
    centred -= of_mean - of_mean.mean()
    variances, axes = _leading(centred[train] / (len(train) - 1), n_components)
    return centred @ (axes / variances) / np.sqrt(len(train) - 1)


def _leading(matrix: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest eigenvalues (k,) of a covariance, and their vectors (n, k)."""
    n = len(matrix)
    count = min(n_components, n)
    values, vectors = scipy.linalg.eigh(
        matrix, subset_by_index=[n - count, n - 1], overwrite_a=True, check_finite=False
    )
    kept = np.flatnonzero(values > LEAST_VARIANCE * max(values[-1], 0))[::-1]
    return values[kept], vectors[:, kept]
