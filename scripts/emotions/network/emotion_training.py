"""The task of telling emotions apart in volumes: batches, loss, steps, and the best epoch.

What `workflow.lib.training.loop` trains. A volume is named by its subject and its row in the table
of labels; volumes are read batch by batch, so that never all are held, and the next batch is read
while the network works on one.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from scripts.emotions.network.batches import batches
from scripts.emotions.network.emotion_cnn import LOGITS, EmotionCNN
from workflow.lib.errors import InputError
from workflow.lib.training.batches import BatchOrder
from workflow.lib.training.digest import digest_of_arrays
from workflow.lib.training.history import VALIDATION
from workflow.lib.training.measures import accuracy, balanced_accuracy, classified
from workflow.lib.training.options import TrainingOptions
from workflow.lib.training.task import SupervisedTask, adamw

# Voxels that are evaluated at once: eight volumes of the published size, of which the widest layer
# takes 57 MB each.
VOXELS_AT_ONCE = 8 * 80 * 80 * 35


# What the best epoch is highest in.
ACCURACY, BALANCED = "accuracy", "balanced accuracy"


@dataclass(kw_only=True)
class EmotionOptions(TrainingOptions):
    """How a network is trained; the other options are those of `TrainingOptions`.

    Attributes
    ----------
    n_epochs : int
        The learning rate falls as a cosine to zero over as many (Loshchilov & Hutter 2017,
        arXiv:1608.03983).
    batch : int
        Volumes of a step.
    patience : int or None
        Epochs without a higher accuracy on validation volumes (at the same accuracy, a lower loss)
        before training stops; None for never. It is not the loss alone: in runs that a network has
        not seen it soon rises with the confidence in what is wrong, while more is told right.
    noise : float
        Standard deviation of white noise that is added to voxels of the brain in training, anew in
        every step: with few moments of the movie to learn from, a network learns them by heart
        otherwise (Bishop 1995, doi:10.1162/neco.1995.7.1.108). None as published.
    balanced : bool
        Whether all classes weigh the same, however many volumes they have: in the loss, and in the
        accuracy by which epochs are compared, then the mean over classes.
    """

    n_epochs: int = 50
    batch: int = 16
    weight_decay: float = 1e-4
    patience: int | None = 10
    noise: float = 0.0
    balanced: bool = False


class Volumes(Protocol):
    """Where volumes come from.

    Attributes
    ----------
    shape : voxels of a volume along x, y and z
    """

    shape: tuple[int, int, int]

    def read(self, subjects: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return float32 (k, *shape) of k subjects (their numbers) and rows of the labels."""
        ...


@dataclass(frozen=True, eq=False)
class Examples:
    """Volumes with their labels.

    Attributes
    ----------
    subjects : int array (n,)
        Numbers of subjects.
    rows : int array (n,)
        Of the table of labels.
    codes : int array (n,)
        Classes; -1 where there is none.
    """

    subjects: np.ndarray
    rows: np.ndarray
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: np.ndarray | slice) -> "Examples":
        return Examples(self.subjects[which], self.rows[which], self.codes[which])


def examples_of(chosen: np.ndarray, codes: np.ndarray) -> Examples:
    """Return the volumes of a bool array (n_subjects, n_rows), with codes of the rows (n_rows,)."""
    subjects, rows = np.nonzero(chosen)
    return Examples(subjects, rows, codes[rows])


class EmotionTask(SupervisedTask):
    """The task: cross-entropy, AdamW, a cosine over epochs.

    Parameters
    ----------
    network : EmotionCNN
    volumes : Volumes
    training, validation : Examples
        All with a class; validation may be empty.
    options : EmotionOptions
    device : torch.device
    seed : int
    purpose : str
        Tells the batches of this training from those of others.
    volumes_digest : str
        What tells the volumes from others; their labels and split are told apart here.

    Raises
    ------
    InputError
        Fewer training volumes than a batch takes, or a class without any.
    """

    def __init__(
        self,
        network: EmotionCNN,
        volumes: Volumes,
        *,
        training: Examples,
        validation: Examples,
        options: EmotionOptions,
        device: torch.device,
        seed: int,
        purpose: str,
        volumes_digest: str = "",
    ):
        n_classes = network.head.out_features
        counts = _checked_counts(training, n_classes, options.batch, purpose)
        # Convolutions on a CPU take two thirds of the time with channels last.
        network = network.to(device, memory_format=torch.channels_last_3d)
        optimiser = adamw(network, options)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.n_epochs)
        super().__init__(network, options, optimiser=optimiser, epoch_schedule=cosine)
        self.volumes, self.volumes_digest = volumes, volumes_digest
        self.training, self.validation = training, validation
        self.order = BatchOrder(len(training), options.batch, seed, purpose)
        weights = counts.sum() / (n_classes * counts) if options.balanced else np.ones(n_classes)
        self.class_weights = torch.tensor(weights, dtype=torch.float32, device=device)
        # One thread: HDF5 serves one at a time.
        self._reader = ThreadPoolExecutor(1)
        self._waiting: dict[tuple[int, int], Future[np.ndarray]] = {}

    def n_batches(self, epoch: int) -> int:
        """Return the whole batches of an epoch."""
        return self.order.n_batches

    def data_digest(self) -> str:
        """Return what tells these volumes, labels and split from others."""
        parts = (self.training, self.validation)
        numbers = (v for part in parts for v in (part.subjects, part.rows, part.codes))
        return f"{self.volumes_digest} {digest_of_arrays(*numbers)}"

    def loss(
        self, epoch: int, step: int, rng: np.random.Generator
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return loss and accuracy of a batch, with dropout on."""
        batch, values = self._batch(epoch, step), self._values(epoch, step)
        codes = torch.from_numpy(batch.codes).to(self.device)
        with self.autocast():
            logits = self.network(self._noisy(values)).float()
        loss = nn.functional.cross_entropy(logits, codes, self.class_weights)
        return loss, {ACCURACY: accuracy(logits, codes)}

    def _noisy(self, values: torch.Tensor) -> torch.Tensor:
        """Return volumes with noise; what is outside the brain, zero, stays as it is."""
        if not self.options.noise:
            return values
        return values + self.options.noise * torch.randn_like(values) * (values != 0)

    def _batch(self, epoch: int, step: int) -> Examples:
        return self.training[self.order.rows(epoch, step)]

    def _values(self, epoch: int, step: int) -> torch.Tensor:
        """Return the volumes of a step, and have those of the next one read meanwhile."""
        waiting = self._waiting.pop((epoch, step), None) or self._reading(epoch, step)
        if step + 1 < self.order.n_batches:
            self._waiting = {(epoch, step + 1): self._reading(epoch, step + 1)}
        return torch.from_numpy(waiting.result()).to(self.device)

    def _reading(self, epoch: int, step: int) -> Future[np.ndarray]:
        batch = self._batch(epoch, step)
        return self._reader.submit(self.volumes.read, batch.subjects, batch.rows)

    def validate(self, epoch: int) -> dict[str, dict[str, float]]:
        """Return loss and accuracy on validation volumes."""
        if not len(self.validation):
            return {}
        logits = torch.cat(
            [
                outputs[LOGITS].cpu()
                for outputs in outputs_of(self.network, self.volumes, self.validation)
            ]
        )
        codes = torch.from_numpy(self.validation.codes)
        measures = classified(logits, codes, self.class_weights.cpu())
        if self.options.balanced:
            measures[BALANCED] = balanced_accuracy(logits, codes)
        return {VALIDATION: measures}

    def score(self, measures: Mapping[str, float]) -> tuple[float, float]:
        """Return what the best epoch is lowest in: minus the accuracy, and then the loss."""
        return -measures[BALANCED if self.options.balanced else ACCURACY], measures["loss"]


@torch.inference_mode()
def outputs_of(
    network: EmotionCNN, volumes: Volumes, examples: Examples
) -> Iterator[dict[str, torch.Tensor]]:
    """Yield what every layer gives for some volumes after others, in float32, see `EmotionCNN`.

    The network is in evaluation mode afterwards.
    """
    network.eval()
    device = next(network.parameters()).device
    at_once = max(1, VOXELS_AT_ONCE // int(np.prod(volumes.shape)))
    for values in batches(volumes, examples.subjects, examples.rows, size=at_once):
        yield network.layer_outputs(torch.from_numpy(values).to(device))


def class_probabilities(outputs: Mapping[str, torch.Tensor]) -> np.ndarray:
    """Return the probability of every class by `outputs_of`, float32 (n, n_classes)."""
    return torch.softmax(outputs[LOGITS], dim=1).cpu().numpy()


def _checked_counts(examples: Examples, n_classes: int, batch: int, what: str) -> np.ndarray:
    """Return the volumes of each class, or stop where there is nothing to learn from."""
    counts = np.bincount(examples.codes, minlength=n_classes)
    if not counts.all():
        raise InputError(
            f"{what}: found no training volume of class {int(counts.argmin()) + 1} of {n_classes}, "
            "expected some of each; choose fewer folds or another split, or leave the class out of "
            "`labels.classes`"
        )
    if len(examples) < batch:
        raise InputError(
            f"{what}: found {len(examples)} training volumes, expected a batch of {batch} or more; "
            "lower `training.batch`"
        )
    return counts
