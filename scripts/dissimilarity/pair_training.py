"""Training networks on pairs of images: batches drawn on the fly, the best epoch, predictions.

What is learned from is an `Objective`; how it is learned (Adam, precision, early stopping, what a
kill leaves) is the same for all. An epoch is so many steps: with 48 million pairs nobody waits for
each pair to be seen once before looking at the validation pairs.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import nn

from scripts.dissimilarity.pair_features import some_pairs
from scripts.dissimilarity.pair_models import Items, Training
from scripts.dissimilarity.pair_networks import PUBLISHED, PairNetwork
from workflow.lib.errors import InputError
from workflow.lib.features.devices import autocast
from workflow.lib.seeds import generator
from workflow.lib.training.history import VALIDATION
from workflow.lib.training.loop import fit

# More pairs than these say nothing more of a mean, a spread or a loss.
ENOUGH_PAIRS = 100_000
# Pairs that are drawn to tell these from others.
DIGEST_PAIRS = 4096
# Numbers in the inputs of a network at once: 256 MB of float32, before its layers.
AT_ONCE = 1 << 26
IMAGES_AT_ONCE = 64
TARGETS = ("standardised", "raw")


@dataclass
class Options:
    """How any network of pairs is trained.

    Attributes
    ----------
    n_epochs : int
    n_steps : int or None
        Batches of an epoch; None for as many as the pairs make.
    batch : int
        Pairs (contrastive: images) of a step.
    learning_rate, weight_decay : float
        Of Adam, with decoupled decay (Loshchilov & Hutter 2019, arXiv:1711.05101).
    patience : int or None
        Epochs without a better validation before training stops; None for never. Whenever there
        are validation pairs, the weights of the best epoch are those that predict.
    precision : "float32", "bfloat16" or "float16"
        Of training on a GPU.
    """

    n_epochs: int = 10
    n_steps: int | None = None
    batch: int = 32
    learning_rate: float = 0.01
    weight_decay: float = 0.0
    patience: int | None = None
    precision: str = "float32"


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


class Best:
    """The weights of the epoch that was best on the validation pairs."""

    def __init__(self) -> None:
        self.score, self.epoch = np.inf, -1
        self.weights: dict[str, torch.Tensor] = {}

    def offer(self, score: float, epoch: int, network: nn.Module) -> None:
        """Keep the weights of a network if it is better than those before; NaN is not."""
        if score < self.score:
            self.score, self.epoch = score, epoch
            self.weights = {name: value.clone() for name, value in network.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Return all of it."""
        return {"score": self.score, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` returned."""
        self.score, self.epoch, self.weights = state["score"], state["epoch"], state["weights"]


class PairTask:
    """A task of `workflow.lib.training.loop`.

    Parameters
    ----------
    network : PairNetwork
        On its device.
    objective : Objective
    options : Options
    """

    def __init__(self, network: PairNetwork, objective: Objective, options: Options) -> None:
        self.network, self.objective, self.options = network, objective, options
        self.device = next(network.parameters()).device
        self.best = Best()
        self.parts = {
            "network": network,
            "optimiser": torch.optim.AdamW(
                network.parameters(),
                lr=options.learning_rate,
                weight_decay=options.weight_decay,
                fused=True,
            ),
            # Half precision alone needs its gradients scaled.
            "scaler": torch.amp.GradScaler(
                self.device.type,
                enabled=self.device.type == "cuda" and options.precision == "float16",
            ),
            "best": self.best,
        }

    def n_steps(self, epoch: int) -> int:
        """Return the batches of an epoch, none once patience has run out."""
        if self._stopped(epoch):
            return 0
        return self.options.n_steps or self.objective.n_batches(self.options.batch)

    def _stopped(self, epoch: int) -> bool:
        patience = self.options.patience
        return patience is not None and 0 <= self.best.epoch < epoch - patience

    def step(self, epoch: int, step: int, rng: np.random.Generator) -> dict[str, float]:
        """Train on one batch."""
        self.network.train()
        with autocast(self.device, self.options.precision):
            loss = self.objective.loss(self.network, rng)
        optimiser, scaler = self.parts["optimiser"], self.parts["scaler"]
        optimiser.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        return {"loss": loss.item()}

    @torch.no_grad()
    def evaluate(self, epoch: int) -> dict[str, dict[str, float]]:
        """Return measures on the validation pairs, in float32, and remember the best weights."""
        if self._stopped(epoch):
            return {}
        self.network.eval()
        measures = self.objective.validate(self.network)
        if measures:
            self.best.offer(self.objective.score(measures), epoch, self.network)
        return {VALIDATION: measures}


def train(
    network: PairNetwork, objective: Objective, options: Options, training: Training, inputs: Any
) -> pd.DataFrame:
    """Train a network, and leave in it the weights of the best epoch.

    Parameters
    ----------
    network : PairNetwork
        On the device that it is trained on.
    objective : Objective
    options : Options
    training : Training
    inputs : array (n_images, ...)
        What the network sees of the images.

    Returns
    -------
    DataFrame, as of `workflow.lib.training.loop.fit`
        Measure "loss" of the parts training and validation, and others of the validation pairs.
    """
    task = PairTask(network, objective, options)
    history = fit(
        task,
        n_epochs=options.n_epochs,
        seed=training.seed,
        purpose=training.purpose,
        checkpoint=training.checkpoint,
        settings={**asdict(options), "data": _digest(training, inputs)},
    )
    if task.best.weights:
        network.load_state_dict(task.best.weights)
    network.eval()
    return history


def initial(
    build: Callable[[], PairNetwork], training: Training, device: torch.device
) -> PairNetwork:
    """Return a new network on a device; global random state neither matters nor changes."""
    rng = generator(training.seed, "initial weights", training.purpose)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        return build().to(device)


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
    options : Options
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
        options: Options,
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


def _digest(training: Training, inputs: Any) -> str:
    """Return what tells these inputs and pairs from others."""
    digest = hashlib.sha256(np.ascontiguousarray(inputs))
    for pairs in (training.pairs, training.validation):
        if pairs is not None and len(pairs):
            digest.update(str(len(pairs)).encode())
            for part in pairs.draw(generator(0, "digest of pairs"), DIGEST_PAIRS):
                digest.update(np.ascontiguousarray(part))
    return digest.hexdigest()
