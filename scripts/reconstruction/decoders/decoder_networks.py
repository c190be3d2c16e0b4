"""Networks that decode shapes and categories from responses, and how they are trained.

The published decoders are fully connected: from V1 to 3,025 units and 256 x 256 pixels, both with
tanh; from higher visual cortex to 2,048, 1,024 and as many units as there are categories.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from workflow.lib.training.batches import BatchOrder
from workflow.lib.training.digest import digest_of_arrays
from workflow.lib.training.history import VALIDATION
from workflow.lib.training.measures import classified
from workflow.lib.training.options import TrainingOptions
from workflow.lib.training.task import SupervisedTask


class ShapeNetwork(nn.Module):
    """Responses to the grey values of a picture, from -1 to 1.

    Parameters
    ----------
    n_voxels : int
    widths : sequence of int
        Of the hidden layers, 3,025 as published.
    side : int
        Of the picture.

    References
    ----------
    Fang, Qi & Pan 2020, Reconstructing perceptive images from brain activity by shape-semantic
    GAN, NeurIPS 33:13038.
    """

    def __init__(self, n_voxels: int, widths: Sequence[int], side: int) -> None:
        super().__init__()
        self.side = side
        sizes = [n_voxels, *widths, side * side]
        self.layers = nn.Sequential(
            *[
                layer
                for n_in, n_out in itertools.pairwise(sizes)
                for layer in (nn.Linear(n_in, n_out), nn.Tanh())
            ]
        )

    def forward(self, responses: torch.Tensor) -> torch.Tensor:
        """Return pictures (n, side, side) of responses (n, n_voxels)."""
        return self.layers(responses).unflatten(1, (self.side, self.side))


class SemanticNetwork(nn.Module):
    """Responses to the category of a picture, by way of a vector that describes it.

    Parameters
    ----------
    n_voxels : int
    widths : sequence of int
        Of the hidden layers, 2,048 and 1,024 as published; the last is the vector.
    n_categories : int
    dropout : float
        Of hidden units while training.
    """

    def __init__(
        self, n_voxels: int, widths: Sequence[int], n_categories: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        sizes = [n_voxels, *widths]
        self.describe = nn.Sequential(
            *[
                layer
                for n_in, n_out in itertools.pairwise(sizes)
                for layer in (nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(dropout))
            ]
        )
        self.classify = nn.Linear(sizes[-1], n_categories)

    def forward(self, responses: torch.Tensor) -> torch.Tensor:
        """Return logits (n, n_categories) of responses (n, n_voxels)."""
        return self.classify(self.describe(responses))


@dataclass(frozen=True)
class Examples:
    """Responses and what is to be decoded from them.

    Attributes
    ----------
    responses : float32 tensor (n, n_voxels)
    targets : tensor (n, ...)
        Pictures from -1 to 1, or codes of categories.
    """

    responses: torch.Tensor
    targets: torch.Tensor

    @classmethod
    def on(cls, device: torch.device, responses: np.ndarray, targets: np.ndarray) -> "Examples":
        """Return the examples of arrays, on a device."""
        return cls(torch.from_numpy(responses).to(device), torch.from_numpy(targets).to(device))


class DecoderTask(SupervisedTask):
    """Training of one decoder; the best epoch is the one of least loss on validation images.

    Parameters
    ----------
    network : nn.Module
        On its device.
    training, validation : Examples
    options : TrainingOptions
    seed : int
    purpose : str
    """

    def __init__(
        self,
        network: nn.Module,
        training: Examples,
        validation: Examples,
        options: TrainingOptions,
        *,
        seed: int,
        purpose: str,
    ) -> None:
        adam = torch.optim.Adam(
            network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        super().__init__(network, options, optimiser=adam)
        self.training, self.validation = training, validation
        self.order = BatchOrder(len(training.targets), options.batch, seed, purpose)

    def n_batches(self, epoch: int) -> int:
        """Return the steps of an epoch."""
        return self.order.n_batches

    def data_digest(self) -> str:
        """Return what tells the examples from others."""
        return digest_of_arrays(
            *(
                values.cpu().numpy()
                for examples in (self.training, self.validation)
                for values in (examples.responses, examples.targets)
            )
        )

    def loss(
        self, epoch: int, step: int, rng: np.random.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss of a batch, and what else was measured of it."""
        rows = torch.from_numpy(self.order.rows(epoch, step)).to(self.device)
        with self.autocast():
            found = self.network(self.training.responses[rows])
        return self.measured(found.float(), self.training.targets[rows])

    def validate(self, epoch: int) -> dict[str, dict[str, float]]:
        """Return the measures of the validation images."""
        if not len(self.validation.targets):
            return {}
        found = self.network(self.validation.responses)
        loss, measures = self.measured(found, self.validation.targets)
        return {VALIDATION: {"loss": loss.item(), **measures}}

    def measured(
        self, found: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss, and other measures by name."""
        raise NotImplementedError


class ShapeTask(DecoderTask):
    """Mean absolute error of the pictures, as published."""

    def measured(
        self, found: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean absolute error."""
        return functional.l1_loss(found, targets), {}


class SemanticTask(DecoderTask):
    """Cross-entropy of the logits; the published code took it of their sigmoid."""

    def measured(
        self, found: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the cross-entropy and the accuracy."""
        measures = classified(found, targets)
        return functional.cross_entropy(found, targets), {"accuracy": measures["accuracy"]}
