"""Training networks on pairs of images: batches drawn on the fly, the best epoch, predictions.

What is learned from is an `Objective`; how it is learned (Adam, precision, early stopping, what a
kill leaves) is the same for all. An epoch is so many steps: with 48 million pairs nobody waits for
each pair to be seen once before looking at the validation pairs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch

from scripts.dissimilarity.learning.pair_features import some_pairs
from scripts.dissimilarity.learning.pair_models import Items, Training
from scripts.dissimilarity.learning.pair_networks import PUBLISHED, PairNetwork
from workflow.lib.errors import InputError
from workflow.lib.features.initial import seeded_network, weights_seed
from workflow.lib.seeds import generator
from workflow.lib.training.digest import digest_of_arrays
from workflow.lib.training.history import VALIDATION
from workflow.lib.training.options import TrainingOptions
from workflow.lib.training.task import SupervisedTask
from workflow.lib.training.task import train as train_task

# More pairs than these say nothing more of a mean, a spread or a loss.
ENOUGH_PAIRS = 100_000
# Pairs that are drawn to tell these from others.
DIGEST_PAIRS = 4096
# Numbers in the inputs of a network at once: 256 MB of float32, before its layers.
AT_ONCE = 1 << 26
IMAGES_AT_ONCE = 64
TARGETS = ("standardised", "raw")


@dataclass(kw_only=True)
class PairOptions(TrainingOptions):
    """How any network of pairs is trained; the other options are those of `TrainingOptions`.

    Attributes
    ----------
    n_steps : int or None
        Batches of an epoch; None for as many as the pairs make.
    batch : int
        Pairs (contrastive: images) of a step.
    """

    n_steps: int | None = None
    learning_rate: float = 0.01


class Objective(Protocol):
    """What is learned."""

    def loss(self, network: PairNetwork, rng: np.random.Generator) -> torch.Tensor:
        """Return the loss of a random batch."""
        ...

    def n_batches(self, batch: int) -> int:
        """Return how many batches the data make."""
        ...

    def validate(self, network: PairNetwork) -> dict[str, float]:
        """Return measures on the validation pairs, none if there are no such pairs."""
        ...

    def score(self, measures: Mapping[str, float]) -> float:
        """Return what the best epoch is lowest in."""
        ...


class PairTask(SupervisedTask):
    """The task of learning an objective.

    Parameters
    ----------
    network : PairNetwork
        On its device.
    objective : Objective
    options : PairOptions
    training : Training
    inputs : array (n_images, ...)
        What the network sees of the images.
    """

    def __init__(
        self,
        network: PairNetwork,
        objective: Objective,
        options: PairOptions,
        training: Training,
        inputs: Any,
    ) -> None:
        super().__init__(network, options)
        self.objective, self.training, self.inputs = objective, training, inputs

    def n_batches(self, epoch: int) -> int:
        """Return the batches of an epoch."""
        return self.options.n_steps or self.objective.n_batches(self.options.batch)

    def loss(
        self, epoch: int, step: int, rng: np.random.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss of a random batch."""
        with self.autocast():
            return self.objective.loss(self.network, rng), {}

    def validate(self, epoch: int) -> dict[str, dict[str, float]]:
        """Return measures on the validation pairs, in float32."""
        return {VALIDATION: self.objective.validate(self.network)}

    def score(self, measures: Mapping[str, float]) -> float:
        """Return what the best epoch is lowest in."""
        return self.objective.score(measures)

    def data_digest(self) -> str:
        """Return what tells these inputs and pairs from others."""
        arrays = [self.inputs]
        for pairs in (self.training.pairs, self.training.validation):
            if pairs is not None and len(pairs):
                some = pairs.draw(generator(0, "digest of pairs"), DIGEST_PAIRS)
                arrays += [np.array(len(pairs)), *some]
        return digest_of_arrays(*arrays)


def train(
    network: PairNetwork,
    objective: Objective,
    options: PairOptions,
    training: Training,
    inputs: Any,
) -> pd.DataFrame:
    """Train a network, and leave in it the weights of the best epoch.

    Parameters
    ----------
    network : PairNetwork
        On the device that it is trained on.
    objective : Objective
    options : PairOptions
    training : Training
    inputs : array (n_images, ...)
        What the network sees of the images.

    Returns
    -------
    DataFrame, as of `workflow.lib.training.loop.fit`
        Measure "loss" of the parts training and validation, and others of the validation pairs.
    """
    return train_task(
        PairTask(network, objective, options, training, inputs),
        seed=training.seed,
        purpose=training.purpose,
        checkpoint=training.checkpoint,
        # The name of the checkpoint is of its code, see `FinishedFits`.
        code="",
    )


def initial(
    build: Callable[[], PairNetwork], training: Training, device: torch.device
) -> PairNetwork:
    """Return a new network on a device; global random state neither matters nor changes."""
    return seeded_network(build, weights_seed(training.seed, training.purpose)).to(device)


def needed(items: Items, name: str) -> np.ndarray:
    """Return a field of the items, or stop where there is none."""
    value = getattr(items, name)
    if value is None:
        raise InputError(f"items: found no {name}, expected those that the model learns from")
    return value


def check_pairs(training: Training) -> None:
    """Stop where there is nothing to learn from."""
    if not len(training.pairs):
        raise InputError("found no training pairs, expected some; give more training images")


def compare(
    network: PairNetwork, inputs: torch.Tensor, first: np.ndarray, second: np.ndarray
) -> torch.Tensor:
    """Return what a network says of pairs (n,), each image encoded once.

    Parameters
    ----------
    network : PairNetwork
    inputs : tensor (n_images, ...) on the network's device
    first, second : int arrays (n,)
    """
    return network.compare(*_encoded(network, inputs, first, second))


def _encoded(
    network: PairNetwork, inputs: torch.Tensor, first: np.ndarray, second: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the codes (n, n_codes) of the first and of the second images."""
    if not network.shared:
        return tuple(
            _codes(network, inputs, side, place) for place, side in enumerate((first, second))
        )
    codes = _codes(network, inputs, np.concatenate([first, second]), 0)
    return codes[: len(first)], codes[len(first) :]


def _codes(
    network: PairNetwork, inputs: torch.Tensor, images: np.ndarray, place: int
) -> torch.Tensor:
    distinct, where = np.unique(images, return_inverse=True)
    codes = network.encode(inputs[torch.from_numpy(distinct).to(inputs.device)], place)
    return codes[torch.from_numpy(where).to(inputs.device)]


@torch.no_grad()
def predicted(
    network: PairNetwork, inputs: torch.Tensor, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Return what a network says of any number of pairs, float64 (n,), in float32 arithmetic.

    Parameters
    ----------
    network : PairNetwork
    inputs : tensor (n_images, ...)
        On any device; parts of it go to the network's.
    first, second : int arrays (n,)
    """
    network.eval()
    device = next(network.parameters()).device
    distinct, where = np.unique(np.concatenate([first, second]), return_inverse=True)
    codes = [
        torch.cat(
            [
                network.encode(inputs[torch.from_numpy(part)].to(device), place)
                for part in np.split(distinct, range(IMAGES_AT_ONCE, len(distinct), IMAGES_AT_ONCE))
            ]
        )
        for place in range(1 if network.shared else 2)
    ]
    places = torch.from_numpy(where).to(device).split(len(first))
    at_once = max(1, AT_ONCE // (2 * codes[0].shape[1]))
    values = [
        network.compare(codes[0][a], codes[-1][b]).cpu()
        for a, b in zip(*(place.split(at_once) for place in places), strict=True)
    ]
    return torch.cat(values).numpy().astype(np.float64)


@dataclass(frozen=True)
class Scale:
    """What dissimilarities are measured in while a network learns them.

    Attributes
    ----------
    offset, spread : float
    """

    offset: float
    spread: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return values as the network learns them."""
        return (values - self.offset) / self.spread

    def back(self, values: np.ndarray) -> np.ndarray:
        """Return what a network says as dissimilarities."""
        return values * self.spread + self.offset


def scale_of(training: Training, targets: str, head: str = "linear") -> Scale:
    """Return the scale of a network's targets.

    Parameters
    ----------
    training : Training
        Its training pairs alone say what is usual.
    targets : "standardised" or "raw"
        Raw ones are as published. Euclidean distances of fMRI responses are in the hundreds, which
        a new network takes long to reach.
    head : "linear" or "sigmoid2"
        2 sigmoid reaches from 0 to 2: the correlation distance as it is, and the Euclidean one
        over its mean.
    """
    if targets not in TARGETS:
        raise InputError(f"found the targets {targets!r}, expected one of {', '.join(TARGETS)}")
    check_pairs(training)
    values = some_pairs(training.pairs, ENOUGH_PAIRS, training, "scale")[2].astype(np.float64)
    if head == "sigmoid2":
        return Scale(0.0, 1.0 if training.metric == "correlation" else float(values.mean()))
    if targets == "raw":
        return Scale(0.0, 1.0)
    return Scale(float(values.mean()), float(values.std()) or 1.0)


def pair_loss(
    found: torch.Tensor, true: torch.Tensor, *, correlation_share: float = 0.0
) -> torch.Tensor:
    """Return share * (-r) + (1 - share) * mean squared error of a batch.

    Parameters
    ----------
    found, true : tensors (n,)
    correlation_share : float, 0 to 1
        0.5 as published for the siamese network; r is Pearson's correlation in the batch.
    """
    error = (found - true).square().mean()
    if not correlation_share:
        return error
    return (1 - correlation_share) * error - correlation_share * _pearson(found, true)


def _pearson(found: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    x, y = found - found.mean(), true - true.mean()
    # A batch without spread has no correlation, and its gradient must not be NaN.
    return (x * y).sum() / (x.square().sum() * y.square().sum() + 1e-8).sqrt()


class Regression:
    """The objective of predicting the dissimilarity of every pair.

    Parameters
    ----------
    training : Training
    inputs : tensor (n_images, ...)
        What the network sees of the images, on its device.
    scale : Scale
    options : PairOptions
    form : "published", "both_orders" or "symmetric"
        Published training shows a pair in one order alone, the image with the smaller number first.
    correlation_share : float
        Of the loss.
    """

    def __init__(
        self,
        training: Training,
        inputs: torch.Tensor,
        scale: Scale,
        options: PairOptions,
        *,
        form: str,
        correlation_share: float,
    ) -> None:
        self.training, self.inputs, self.scale, self.options = training, inputs, scale, options
        self.form, self.correlation_share = form, correlation_share
        self.validation = (
            some_pairs(training.validation, ENOUGH_PAIRS, training, "validation")
            if training.validation is not None and len(training.validation)
            else None
        )

    def n_batches(self, batch: int) -> int:
        """Return how many batches show as many pairs as there are."""
        return max(1, len(self.training.pairs) // batch)

    def loss(self, network: PairNetwork, rng: np.random.Generator) -> torch.Tensor:
        """Return the loss of random training pairs."""
        first, second, values = self.training.pairs.draw(rng, self.options.batch)
        if self.form == PUBLISHED:
            first, second = np.minimum(first, second), np.maximum(first, second)
        found = compare(network, self.inputs, first, second)
        return self._loss(found.float(), values)

    def _loss(self, found: torch.Tensor, values: np.ndarray) -> torch.Tensor:
        true = torch.from_numpy(self.scale(values).astype(np.float32)).to(found.device)
        return pair_loss(found, true, correlation_share=self.correlation_share)

    def validate(self, network: PairNetwork) -> dict[str, float]:
        """Return the loss over all validation pairs at once, and R2."""
        if self.validation is None:
            return {}
        first, second, values = self.validation
        found = predicted(network, self.inputs, first, second)
        errors = np.square(self.scale.back(found) - values).mean()
        loss = self._loss(torch.from_numpy(found).float(), values).item()
        return {"loss": loss, "r2": 1 - float(errors / (values.var() or 1.0))}

    def score(self, measures: Mapping[str, float]) -> float:
        """Return the loss."""
        return measures["loss"]
