"""Features are mapped so that images which the brain finds alike come to lie close together."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
import torch

from scripts.dissimilarity.learning.pair_features import some_pairs
from scripts.dissimilarity.learning.pair_models import Items, Training
from scripts.dissimilarity.learning.pair_networks import Encoder
from scripts.dissimilarity.learning.pair_training import (
    ENOUGH_PAIRS,
    PairOptions,
    Scale,
    check_pairs,
    initial,
    needed,
    predicted,
    train,
)
from workflow.lib.features.devices import choose_device
from workflow.lib.pairs.sampling import PairSet

ROWS_AT_ONCE = 512
# Those of ten images: a line through fewer pairs is no better than one through training pairs.
MIN_CALIBRATION_PAIRS = 45


@dataclass(kw_only=True)
class Model(PairOptions):
    """InfoNCE over neighbours in the brain; the other options are those of `PairOptions`.

    Attributes
    ----------
    n_neighbours : int
        An image's nearest ones in the brain RDM of the training pairs are its positives.
    temperature : float
    n_codes : int
        Length of the vectors.
    width : int
        Of a rectified layer; 0 for a linear map.
    dropout : float
        Of features.

    Notes
    -----
    A batch of images, each with one of its neighbours at random, is compared with itself. With
    cosines s_ij over the temperature, positives P_i, and K_i the images of the batch whose
    dissimilarity to i is known,

        loss = mean over i, and over p in P_i, of
               log(sum over k in K_i of exp(s_ik)) - s_ip - log |K_i|

    and is 0 where all cosines are equal, however large the batch. Predicted is an affine function
    of 1 - cosine, fitted on the validation pairs: on training images vectors lie as they were
    pulled, and a slope fitted there is too steep for others.

    References
    ----------
    van den Oord, Li & Vinyals 2018, arXiv:1807.03748; several positives as in Khosla et al. 2020,
    arXiv:2004.11362.
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)
    leaked: ClassVar[bool] = True
    stepwise: ClassVar[bool] = True
    symmetric: ClassVar[bool] = True

    batch: int = 256
    learning_rate: float = 0.003
    n_neighbours: int = 20
    temperature: float = 0.3
    n_codes: int = 128
    width: int = 0
    dropout: float = 0.0

    def fit(self, training: Training) -> pd.DataFrame:
        """Learn from neighbours, and return the learning curve."""
        device = choose_device(training.n_gpus)
        features = np.asarray(needed(training.items, "features"), np.float32)
        build = partial(
            Encoder,
            features.shape[1],
            n_codes=self.n_codes,
            width=self.width,
            dropout=self.dropout,
        )
        self._network = initial(build, training, device)
        objective = Contrast(training, torch.from_numpy(features).to(device), self)
        history = train(self._network, objective, self, training, features)
        self._scale = objective.calibration(self._network)
        return history

    def predict(self, items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the dissimilarity of images `first` and `second`, (n,) float64."""
        features = torch.from_numpy(np.asarray(needed(items, "features"), np.float32))
        return self._scale.back(predicted(self._network, features, first, second))


class Neighbours:
    """Which images are near each other, and of which that is known.

    Parameters
    ----------
    pairs : PairSet
    n_neighbours : int
        Of each image; fewer where fewer are known.

    Attributes
    ----------
    images : int array (m,)
    known, near : bool arrays (m, m)
        By places in `images`. An image is not known to itself; `near` is not symmetric.
    """

    def __init__(self, pairs: PairSet, n_neighbours: int) -> None:
        self.images = pairs.images
        m = self.images.size
        values = np.full((m, m), np.inf, np.float32)
        for first, second, value in pairs.blocks():
            rows, columns = (np.searchsorted(self.images, side) for side in (first, second))
            values[rows, columns] = values[columns, rows] = value
        self.known = np.isfinite(values)
        self.near = np.zeros((m, m), bool)
        n = min(n_neighbours, m - 1)
        for start in range(0, m, ROWS_AT_ONCE):
            block = values[start : start + ROWS_AT_ONCE]
            nearest = np.argpartition(block, n - 1, axis=1)[:, :n]
            np.put_along_axis(self.near[start : start + ROWS_AT_ONCE], nearest, True, axis=1)
        self.near &= self.known

    def batch(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return places of random images and of one neighbour each, sorted and distinct."""
        if size >= self.images.size:
            return np.arange(self.images.size)
        anchors = rng.choice(self.images.size, size, replace=False)
        lots = np.where(self.near[anchors], rng.random((size, self.images.size)), -1.0)
        return np.union1d(anchors, lots.argmax(axis=1))


def info_nce(
    codes: torch.Tensor, near: torch.Tensor, known: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return the loss of unit vectors, less that of equal cosines; see `Model`.

    Parameters
    ----------
    codes : tensor (n, n_codes)
    near, known : bool tensors (n, n)
        Images without positives are anchors of nothing.
    temperature : float
    """
    anchors = near.any(dim=1)
    near, known = near[anchors], known[anchors]
    similarity = (codes[anchors] @ codes.T) / temperature
    total = similarity.masked_fill(~known, -torch.inf).logsumexp(dim=1)
    positive = similarity.masked_fill(~near, 0.0).sum(dim=1) / near.sum(dim=1)
    return (total - positive - known.sum(dim=1, dtype=codes.dtype).log()).mean()


class Contrast:
    """The objective of having an image's neighbours closer than others.

    Parameters
    ----------
    training : Training
    features : tensor (n_images, n_features)
        On the network's device.
    options : Model
    """

    def __init__(self, training: Training, features: torch.Tensor, options: Model) -> None:
        check_pairs(training)
        self.training, self.features, self.options = training, features, options
        self.neighbours = Neighbours(training.pairs, options.n_neighbours)
        self.validation = self.validation_pairs = None
        if training.validation is not None and len(training.validation):
            # As near as the same share of the images that are known.
            share = options.n_neighbours / self.neighbours.known.sum(axis=1).mean()
            n_known = 2 * len(training.validation) / training.validation.images.size
            self.validation = Neighbours(training.validation, max(1, round(share * n_known)))
            self.validation_pairs = some_pairs(
                training.validation, ENOUGH_PAIRS, training, "validation"
            )

    def n_batches(self, batch: int) -> int:
        """Return how many batches show as many images as there are."""
        return max(1, self.neighbours.images.size // batch)

    def loss(self, network: Encoder, rng: np.random.Generator) -> torch.Tensor:
        """Return the loss of random training images."""
        places = self.neighbours.batch(rng, self.options.batch)
        return self._loss(network, self.neighbours, places)

    def _loss(self, network: Encoder, neighbours: Neighbours, places: np.ndarray) -> torch.Tensor:
        device = self.features.device
        images = torch.from_numpy(neighbours.images[places]).to(device)
        square = np.ix_(places, places)
        near, known = (
            torch.from_numpy(which[square]).to(device)
            for which in (neighbours.near, neighbours.known)
        )
        codes = network.encode(self.features[images], 0).float()
        return info_nce(codes, near, known, self.options.temperature)

    def validate(self, network: Encoder) -> dict[str, float]:
        """Return the loss of the validation images, and r of 1 - cosine with the dissimilarity."""
        if self.validation is None:
            return {}
        # One batch of them, the same in every epoch.
        places = self.validation.batch(np.random.default_rng(0), self.options.batch)
        loss = self._loss(network, self.validation, places).item()
        first, second, values = self.validation_pairs
        found = predicted(network, self.features, first, second)
        return {"loss": loss, "pearson": float(np.corrcoef(found, values)[0, 1])}

    def score(self, measures: Mapping[str, float]) -> float:
        """Return the negative correlation: the affine function that follows does not matter."""
        return -measures["pearson"]

    def calibration(self, network: Encoder) -> Scale:
        """Return the affine function that takes 1 - cosine to dissimilarities."""
        pairs = self.validation_pairs
        if pairs is None or len(pairs[0]) < MIN_CALIBRATION_PAIRS:
            pairs = some_pairs(self.training.pairs, ENOUGH_PAIRS, self.training, "calibration")
        first, second, values = pairs
        found = predicted(network, self.features, first, second)
        slope = np.cov(found, values)[0, 1] / (found.var(ddof=1) or 1.0)
        return Scale(float(values.mean() - slope * found.mean()), float(slope))
