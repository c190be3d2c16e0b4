"""The task of telling images of several kinds apart: batches, loss, steps and evaluation.

What `workflow.lib.training.loop` trains. Batches hold so many images of each kind (digits,
objects), changed at random in the way of their kind. Weight decay is part of the loss. Whatever is
reported of images is measured in evaluation mode: without dropout, without change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import nn

from scripts.digits.data.labelled_images import ImageSet
from scripts.digits.network.augmentation import (
    Affine,
    Change,
    change_batch,
    change_digit,
    change_object,
    colour_components,
)
from scripts.digits.network.trained import Scaling, as_tensor
from scripts.digits.network.vgg import VGG
from workflow.lib.errors import InputError
from workflow.lib.features.devices import autocast
from workflow.lib.seeds import generator
from workflow.lib.training.digest import digest_of_arrays
from workflow.lib.training.history import VALIDATION
from workflow.lib.training.measures import accuracy, classified
from workflow.lib.training.options import TrainingOptions
from workflow.lib.training.task import SupervisedTask

# Training images as they are, seen by the network after an epoch: what accuracy on validation
# images is to be compared with, other than that of `TRAINING`, with dropout, of changed images.
EVALUATED = "training images, evaluated"
# The kind that is turned, shifted and enlarged; pictures of all others are cropped and mirrored,
# and their colours changed.
TURNED = "digit"
BATCH_SIZE = 32
# Pixels that are evaluated at once: 32 images of the published size.
PIXELS_AT_ONCE = 32 * 224 * 224


@dataclass(kw_only=True)
class ClassifierOptions(TrainingOptions):
    """How a network is trained; the other options are those of `TrainingOptions`.

    Attributes
    ----------
    categories : mapping, kind of image (digit, object) -> its categories
        In the order of the logits.
    size : str
        Of the network, a key of `scripts.digits.network.vgg.SIZES`.
    weights : "untrained", "torchvision" or a path, from which convolutions are taken
    decay, decay_steps : float, int
        Adam's learning rate is multiplied by `decay` every so many steps.
    weight_decay : float
        Half the sum of squared weights (biases are free) times this is added to the loss.
    dropout : float
        In fc6.
    batch : mapping, kind -> images in a batch
        In proportion to the categories, 32 in all, if empty.
    """

    categories: Mapping[str, Sequence[str]]
    size: str
    weights: str
    decay: float
    decay_steps: int
    dropout: float
    batch: Mapping[str, int] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """All categories, in the order of the logits."""
        return [category for those in self.categories.values() for category in those]

    @property
    def batch_sizes(self) -> dict[str, int]:
        """Images of each kind in a batch."""
        return dict(self.batch) or proportional_batch(self.categories)


def proportional_batch(
    categories: Mapping[str, Sequence[str]], size: int = BATCH_SIZE
) -> dict[str, int]:
    """Return how many images of each kind make a batch, in proportion to its categories.

    Ten digits and six objects give 20 and 12. Of what is left after rounding down, kinds with the
    largest remainder get one more; no kind gets none.
    """
    numbers = {kind: len(those) for kind, those in categories.items()}
    exact = {kind: size * n / sum(numbers.values()) for kind, n in numbers.items()}
    sizes = {kind: int(share) for kind, share in exact.items()}
    by_remainder = sorted(exact, key=lambda kind: sizes[kind] - exact[kind])
    for kind in by_remainder[: size - sum(sizes.values())]:
        sizes[kind] += 1
    return {kind: max(n, 1) for kind, n in sizes.items()}


class Classification(SupervisedTask):
    """The task: cross-entropy, weight decay, Adam; the weights of the last epoch are kept.

    Parameters
    ----------
    network : VGG
    training, validation : ImageSet
        Images of the network's size.
    options : ClassifierOptions
    scaling : Scaling
    device : torch.device
    seed : int
        Of the run.

    Raises
    ------
    InputError
        Images of another size, a category without images, a kind without place in a batch, or
        fewer images of a kind than a batch takes.
    """

    def __init__(
        self,
        network: VGG,
        training: ImageSet,
        validation: ImageSet,
        options: ClassifierOptions,
        *,
        scaling: Scaling,
        device: torch.device,
        seed: int,
    ):
        for part, images in (("training", training), ("validation", validation)):
            _check_images(images, network.size.image, options.classes, part)
        # Convolutions on a CPU take two thirds of the time with channels last.
        network = network.to(device, memory_format=torch.channels_last)
        optimiser = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
        schedule = torch.optim.lr_scheduler.StepLR(optimiser, options.decay_steps, options.decay)
        super().__init__(network, options, optimiser=optimiser, step_schedule=schedule)
        self.training, self.validation = training, validation
        self.scaling, self.seed = scaling, seed
        self.codes = torch.from_numpy(training.codes(options.classes))
        self.kind_of = {
            category: kind for kind, those in options.categories.items() for category in those
        }
        self.rows = {
            kind: np.flatnonzero(np.isin(training.labels, list(those)))
            for kind, those in options.categories.items()
        }
        _check_batches(self.rows, options.batch_sizes)
        self.changes = {kind: self._change(kind) for kind in self.rows}

    def _change(self, kind: str) -> Change:
        """Return how images of a kind are changed in training."""
        if kind == TURNED:
            return partial(change_digit, affine=Affine())
        return partial(
            change_object, colours=colour_components(self.training.images[self.rows[kind]])
        )

    def n_batches(self, epoch: int) -> int:
        """Return how many batches show the kind of which there are most batches once."""
        sizes = self.options.batch_sizes
        return max(len(rows) // sizes[kind] for kind, rows in self.rows.items())

    def _batch(self, epoch: int, step: int) -> np.ndarray:
        """Return the rows of a batch: of each kind as many as it takes, in random order."""
        chosen = []
        for kind, rows in self.rows.items():
            size = self.options.batch_sizes[kind]
            rounds, place = divmod(step * size, len(rows) // size * size)
            order = generator(self.seed, "batches", kind, str(epoch), str(rounds)).permutation(rows)
            chosen.append(order[place : place + size])
        return np.concatenate(chosen)

    def loss(
        self, epoch: int, step: int, rng: np.random.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss of a batch with its penalty; apart from it, loss, penalty, accuracy."""
        rows = self._batch(epoch, step)
        kinds = [self.kind_of[label] for label in self.training.labels[rows].tolist()]
        images = as_tensor(self.training.images[rows], self.device)
        changed = change_batch(images, kinds, rng, self.changes)
        codes = self.codes[rows].to(self.device)
        logits = self._forward(changed, self.options.precision)
        loss = nn.functional.cross_entropy(logits, codes)
        penalty = self.options.weight_decay * weight_penalty(self.network)
        return loss + penalty, {
            "loss": loss.item(),
            "penalty": penalty.item(),
            "accuracy": accuracy(logits, codes),
        }

    def _forward(self, images: torch.Tensor, precision: str) -> torch.Tensor:
        """Return float32 logits of images from 0 to 1."""
        scaled = self.scaling(images).contiguous(memory_format=torch.channels_last)
        with autocast(self.device, precision):
            return self.network(scaled).float()

    def validate(self, epoch: int) -> dict[str, dict[str, float]]:
        """Return loss and accuracy on validation images, and on as many of the training ones."""
        order = generator(self.seed, "evaluated").permutation(len(self.training))
        some = np.sort(order[: len(self.validation)])
        of_validation = torch.from_numpy(self.validation.codes(self.options.classes))
        return {
            VALIDATION: classified(self.logits(self.validation.images), of_validation),
            EVALUATED: classified(self.logits(self.training.images[some]), self.codes[some]),
        }

    def score(self, measures: Mapping[str, float]) -> None:
        """Return nothing: no epoch is chosen on the images that accuracy is reported of."""

    def data_digest(self) -> str:
        """Return what tells these images and labels from others."""
        sets = (self.training, self.validation)
        return digest_of_arrays(*(v for images in sets for v in (images.images, images.labels)))

    @torch.inference_mode()
    def logits(self, images: np.ndarray) -> torch.Tensor:
        """Return the logits (n, n_classes) of uint8 images (n, side, side, 3), on the CPU.

        In float32, as whoever reads the saved network computes them.
        """
        self.network.eval()
        at_once = max(1, PIXELS_AT_ONCE // self.network.size.image**2)
        return torch.cat(
            [
                self._forward(as_tensor(part, self.device), "float32").cpu()
                for part in np.split(images, range(at_once, len(images), at_once))
            ]
        )


def weight_penalty(network: nn.Module) -> torch.Tensor:
    """Return half the sum of squares of all weights; biases are free."""
    return sum(
        parameter.square().sum() / 2
        for name, parameter in network.named_parameters()
        if name.endswith("weight")
    )


def _check_images(images: ImageSet, side: int, classes: Sequence[str], part: str) -> None:
    """Stop at images that the network cannot take, or a category of which there are none."""
    if images.images.shape[1:] != (side, side, 3):
        raise InputError(
            f"{part} images: found the shape {images.images.shape[1:]}, expected "
            f"{(side, side, 3)}, which the network takes; set `images.side` to {side}, or take a "
            "network of another size"
        )
    counts = np.bincount(images.codes(classes), minlength=len(classes))
    if not counts.all():
        raise InputError(
            f"{part} images: found none of {classes[int(counts.argmin())]!r}, expected some of "
            f"each of the {len(classes)} categories; give images of it, or leave it out of "
            "`categories`"
        )


def _check_batches(rows: Mapping[str, np.ndarray], sizes: Mapping[str, int]) -> None:
    """Stop at a kind of which a batch has none, or of which there are too few images for one."""
    if set(sizes) != set(rows):
        raise InputError(
            f"batch: found sizes for {', '.join(sizes)}, expected one for each of "
            f"{', '.join(rows)}; correct `network.batch`, or leave it out"
        )
    for kind, size in sizes.items():
        if not 0 < size <= len(rows[kind]):
            raise InputError(
                f"training images of kind {kind!r}: found {len(rows[kind])} for batches of {size}, "
                "expected a batch or more; lower `network.batch`, or give more images"
            )
