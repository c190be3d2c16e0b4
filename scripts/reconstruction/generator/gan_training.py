"""The task of learning to draw images: a generator against a discriminator of patches.

What `workflow.lib.training.loop` trains. A step first teaches the discriminator to tell real
images from those that the generator makes now, then the generator to deceive it, and to come close
to the image that was really seen. The latter weighs so much more that the former only decides what
pixels leave open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR

from scripts.reconstruction.generator.generator_inputs import Inputs
from scripts.reconstruction.generator.losses import (
    PerceptualLoss,
    adversarial_loss,
    discriminator_loss,
    pixel_loss,
)
from scripts.reconstruction.generator.patch_gan import PatchGAN
from scripts.reconstruction.generator.trained_generator import as_signed, drawn
from scripts.reconstruction.generator.unet import UNet
from workflow.lib.training.batches import BatchOrder
from workflow.lib.training.digest import digest_of_arrays
from workflow.lib.training.history import VALIDATION
from workflow.lib.training.options import TrainingOptions
from workflow.lib.training.samples import Samples
from workflow.lib.training.task import NetworkTask

GENERATOR, DISCRIMINATOR = "generator", "discriminator"
PIXEL, PERCEPTUAL = "pixel loss", "perceptual loss"
# Of both optimisers (Radford et al. 2016, arXiv:1511.06434): a long memory makes GANs oscillate.
BETAS = (0.5, 0.999)


@dataclass(kw_only=True)
class GanOptions(TrainingOptions):
    """How a generator is built and trained; defaults are those of the published one.

    Attributes
    ----------
    n_epochs : int
        Over the second half of them the learning rate falls to zero in a line, as in the code
        (pytorch-CycleGAN-and-pix2pix) of the authors of Isola et al. 2017, arXiv:1611.07004.
    widths : sequence of int or None
        Channels of the U-Net after each halving; None for those of the published network, as deep
        as the image allows.
    discriminator_widths : sequence of int or None
        Channels of the discriminator's layers; None as above.
    dropout : float
        Of the U-Net, where maps are small.
    pixel_weight : float
        Of the mean absolute difference of images from -1 to 1, beside the adversarial loss.
    perceptual_weight : float
        Of the perceptual loss; 0 for none.
    perceptual : mapping
        network, layers, weights, see `PerceptualLoss`.
    sample_every : int
        Epochs between samples; 0 for none.
    n_samples : int
        Images that are sampled.
    """

    n_epochs: int = 200
    batch: int = 16
    learning_rate: float = 2e-4
    widths: list[int] | None = None
    discriminator_widths: list[int] | None = None
    dropout: float = 0.5
    pixel_weight: float = 130.0
    perceptual_weight: float = 0.0
    perceptual: dict[str, Any] = field(default_factory=dict)
    sample_every: int = 20
    n_samples: int = 8


@dataclass(frozen=True, eq=False)
class Examples:
    """Images with what was decoded of them.

    Attributes
    ----------
    images : uint8 array (n, size, size, 3)
    inputs : Inputs of n images
    """

    images: np.ndarray
    inputs: Inputs

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray | slice) -> "Examples":
        return Examples(self.images[rows], self.inputs[rows])

    def on(self, device: torch.device) -> tuple[torch.Tensor, Inputs]:
        """Return images (n, 3, size, size) from -1 to 1, and inputs, on a device."""
        return as_signed(self.images, device), self.inputs.to(device)


class GanTask(NetworkTask):
    """A generator and a discriminator, with an optimiser each.

    Parameters
    ----------
    generator, discriminator : UNet, PatchGAN
        On one device.
    training : Examples
    validation : Examples
        The epoch whose weights are kept is the best on these; none for the last epoch. As many of
        them as `options.n_samples` are sampled.
    options : GanOptions
    seed : int
    purpose : str
        Batches of the same seed and purpose are the same.
    """

    options: GanOptions

    def __init__(
        self,
        generator: UNet,
        discriminator: PatchGAN,
        *,
        training: Examples,
        validation: Examples,
        options: GanOptions,
        seed: int,
        purpose: str,
    ) -> None:
        networks = {GENERATOR: generator, DISCRIMINATOR: discriminator}
        adam = partial(
            torch.optim.AdamW,
            lr=options.learning_rate,
            betas=BETAS,
            weight_decay=options.weight_decay,
            fused=True,
        )
        optimisers = {name: adam(network.parameters()) for name, network in networks.items()}
        self.order = BatchOrder(len(training), options.batch, seed, purpose)
        schedules = {
            name: self._falling(optimiser, options) for name, optimiser in optimisers.items()
        }
        super().__init__(networks, optimisers, options, step_schedules=schedules)
        self.generator, self.discriminator = generator, discriminator
        self.training, self.validation = training, validation
        self.perceptual = None
        if options.perceptual_weight:
            self.perceptual = PerceptualLoss(**options.perceptual).to(self.device)
        self.samples = self.parts["samples"] = Samples(
            options.n_epochs, every=options.sample_every if self.sampled else 0
        )

    def _falling(self, optimiser: torch.optim.Optimizer, options: GanOptions) -> LambdaLR:
        n_steps = options.n_epochs * self.order.n_batches
        return LambdaLR(optimiser, lambda step: min(1.0, 2 * (1 - step / n_steps)))

    @property
    def sampled(self) -> Examples:
        """What is drawn at intervals: images that are not trained on."""
        return self.validation[: self.options.n_samples]

    def n_batches(self, epoch: int) -> int:
        """Return the whole batches of the training images."""
        return self.order.n_batches

    def data_digest(self) -> str:
        """Return what tells images and what was decoded of them from others."""
        parts = (self.training, self.validation)
        return digest_of_arrays(
            *(array for p in parts for array in (p.images, p.inputs.shapes, p.inputs.vectors))
        )

    def step(self, epoch: int, step: int, rng: np.random.Generator) -> dict[str, float]:
        """Teach the discriminator, then the generator, on one batch."""
        true, shown = self.training[self.order.rows(epoch, step)].on(self.device)
        self.training_mode()
        with self.autocast():
            made = self.generator(shown.shapes, shown.vectors)
            real = self.discriminator(true, shown.shapes)
            detected = self.discriminator(made.detach(), shown.shapes)
        told_apart = discriminator_loss(real, detected)
        self.descend(told_apart, DISCRIMINATOR)
        with self.autocast():
            detected = self.discriminator(made, shown.shapes)
            errors = self._errors(made, true)
        deceived = adversarial_loss(detected)
        self.descend(deceived + self._weighed(errors), GENERATOR)
        return {
            "discriminator loss": told_apart.item(),
            "adversarial loss": deceived.item(),
            **{name: error.item() for name, error in errors.items()},
        }

    def _errors(self, made: torch.Tensor, true: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return how far images are from the true ones, by name of the loss."""
        errors = {PIXEL: pixel_loss(made, true)}
        if self.perceptual is not None:
            errors[PERCEPTUAL] = self.perceptual(made, true)
        return errors

    def _weighed(self, errors: Mapping[str, Any]) -> Any:
        weights = {PIXEL: self.options.pixel_weight, PERCEPTUAL: self.options.perceptual_weight}
        return sum(weights[name] * error for name, error in errors.items())

    def validate(self, epoch: int) -> dict[str, dict[str, float]]:
        """Return how far validation images are from what is drawn of them."""
        if not len(self.validation):
            return {}
        sums: dict[str, float] = {}
        for start in range(0, len(self.validation), self.options.batch):
            part = self.validation[start : start + self.options.batch]
            true, shown = part.on(self.device)
            for name, error in self._errors(
                self.generator(shown.shapes, shown.vectors), true
            ).items():
                sums[name] = sums.get(name, 0.0) + len(part) * error.item()
        return {VALIDATION: {name: total / len(self.validation) for name, total in sums.items()}}

    def score(self, measures: Mapping[str, float]) -> float:
        """Return what is minimised but for the adversarial loss, which no epoch shares."""
        return self._weighed(measures)

    def after_epoch(self, epoch: int) -> None:
        """Draw the sampled images at intervals."""
        if self.samples.due(epoch):
            self.samples.add(epoch, drawn(self.generator, self.sampled.inputs))
