"""The task of telling emotions apart in volumes: batches, loss, steps, and the best epoch.

What `workflow.lib.training.loop` trains. A volume is named by its subject and its row in the table
of labels; volumes are read batch by batch, so that never all are held, and the next batch is read
while the network works on one.
"""

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import nn

from scripts.emotions.batches import batches
from scripts.emotions.emotion_cnn import LOGITS, EmotionCNN
from workflow.lib.errors import InputError
from workflow.lib.features.devices import autocast
from workflow.lib.seeds import generator
from workflow.lib.training.history import VALIDATION
from workflow.lib.training.loop import fit

# Voxels that are evaluated at once: eight volumes of the published size, of which the widest layer
# takes 57 MB each.
VOXELS_AT_ONCE = 8 * 80 * 80 * 35


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    Attributes
    ----------
    n_epochs : int
        The learning rate falls as a cosine to zero over as many (Loshchilov & Hutter 2017,
        arXiv:1608.03983).
    batch : int
        Volumes of a step.
    learning_rate, weight_decay : float
        Of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101).
    patience : int or None
        Epochs without a higher accuracy on validation volumes (at the same accuracy, a lower loss)
        before training stops; None for never. Wherever there are validation volumes, the weights
        of the best epoch are kept. It is not the loss alone: in runs that a network has not seen
        it soon rises with the confidence in what is wrong, while more is told right.
    noise : float
        Standard deviation of white noise that is added to voxels of the brain in training, anew in
        every step: with few moments of the movie to learn from, a network learns them by heart
        otherwise (Bishop 1995, doi:10.1162/neco.1995.7.1.108). None as published.
    balanced : bool
        Whether all classes weigh the same in the loss, however many volumes they have.
    precision : "float32", "bfloat16" or "float16"
        Of training on a GPU.
    """

    n_epochs: int = 50
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    patience: int | None = 10
    noise: float = 0.0
    balanced: bool = False
    precision: str = "float32"


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


class Best:
    """The weights of the epoch that was best on validation volumes."""

    def __init__(self) -> None:
        self.accuracy, self.loss, self.epoch = -1.0, np.inf, -1
        self.weights: dict[str, torch.Tensor] = {}

    def offer(self, accuracy: float, loss: float, epoch: int, network: nn.Module) -> None:
        """Keep the weights of a network if they are better than those before; NaN is not."""
        if (accuracy, -loss) > (self.accuracy, -self.loss):
            self.accuracy, self.loss, self.epoch = accuracy, loss, epoch
            self.weights = {name: value.clone() for name, value in network.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Return all of it."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` returned."""
        vars(self).update(state)


class EmotionTask:
    """A task of `workflow.lib.training.loop`: cross-entropy, AdamW, a cosine over epochs.

    Parameters
    ----------
    network : EmotionCNN
    volumes : Volumes
    training, validation : Examples
        All with a class; validation may be empty.
    settings : Settings
    device : torch.device
    seed : int
    purpose : str
        Tells the batches of this training from those of others.

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
        settings: Settings,
        device: torch.device,
        seed: int,
        purpose: str,
    ):
        n_classes = network.head.out_features
        counts = _checked_counts(training, n_classes, settings.batch, purpose)
        # Convolutions on a CPU take two thirds of the time with channels last.
        self.network = network.to(device, memory_format=torch.channels_last_3d)
        self.volumes, self.training, self.validation = volumes, training, validation
        self.settings, self.device, self.seed, self.purpose = settings, device, seed, purpose
        weights = counts.sum() / (n_classes * counts) if settings.balanced else np.ones(n_classes)
        self.class_weights = torch.tensor(weights, dtype=torch.float32, device=device)
        # One thread: HDF5 serves one at a time.
        self._reader = ThreadPoolExecutor(1)
        self._waiting: dict[tuple[int, int], Future[np.ndarray]] = {}
        self._order = -1, np.zeros(0, dtype=int)
        self.best = Best()
        optimiser = torch.optim.AdamW(
            network.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.parts = {
            "network": self.network,
            "optimiser": optimiser,
            "schedule": torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.n_epochs),
            # Half precision alone needs its gradients scaled.
            "scaler": torch.amp.GradScaler(
                device.type, enabled=device.type == "cuda" and settings.precision == "float16"
            ),
            "best": self.best,
        }

    def n_steps(self, epoch: int) -> int:
        """Return the whole batches of an epoch, none once patience has run out."""
        return 0 if self._stopped(epoch) else len(self.training) // self.settings.batch

    def _stopped(self, epoch: int) -> bool:
        patience = self.settings.patience
        return patience is not None and 0 <= self.best.epoch < epoch - patience

    def step(self, epoch: int, step: int, rng: np.random.Generator) -> dict[str, float]:
        """Train on one batch; return loss and accuracy, with dropout on."""
        batch, values = self._batch(epoch, step), self._values(epoch, step)
        codes = torch.from_numpy(batch.codes).to(self.device)
        self.network.train()
        with autocast(self.device, self.settings.precision):
            logits = self.network(self._noisy(values)).float()
        loss = nn.functional.cross_entropy(logits, codes, self.class_weights)
        optimiser, scaler = self.parts["optimiser"], self.parts["scaler"]
        optimiser.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        return {"loss": loss.item(), "accuracy": (logits.argmax(1) == codes).float().mean().item()}

    def _noisy(self, values: torch.Tensor) -> torch.Tensor:
        """Return volumes with noise; what is outside the brain, zero, stays as it is."""
        if not self.settings.noise:
            return values
        return values + self.settings.noise * torch.randn_like(values) * (values != 0)

    def _batch(self, epoch: int, step: int) -> Examples:
        """Return the examples of a step: all in random order, over the steps of an epoch."""
        if self._order[0] != epoch:
            rng = generator(self.seed, "batches", self.purpose, str(epoch))
            self._order = epoch, rng.permutation(len(self.training))
        start = step * self.settings.batch
        return self.training[self._order[1][start : start + self.settings.batch]]

    def _values(self, epoch: int, step: int) -> torch.Tensor:
        """Return the volumes of a step, and have those of the next one read meanwhile."""
        waiting = self._waiting.pop((epoch, step), None) or self._reading(epoch, step)
        if step + 1 < self.n_steps(epoch):
            self._waiting = {(epoch, step + 1): self._reading(epoch, step + 1)}
        return torch.from_numpy(waiting.result()).to(self.device)

    def _reading(self, epoch: int, step: int) -> Future[np.ndarray]:
        batch = self._batch(epoch, step)
        return self._reader.submit(self.volumes.read, batch.subjects, batch.rows)

    def evaluate(self, epoch: int) -> dict[str, dict[str, float]]:
        """Return loss and accuracy on validation volumes, and remember the best weights."""
        if self._stopped(epoch):
            return {}
        self.parts["schedule"].step()
        if not len(self.validation):
            return {}
        logits = torch.cat(
            [
                outputs[LOGITS].cpu()
                for outputs in outputs_of(self.network, self.volumes, self.validation)
            ]
        )
        codes = torch.from_numpy(self.validation.codes)
        loss = nn.functional.cross_entropy(logits, codes, self.class_weights.cpu()).item()
        accuracy = (logits.argmax(1) == codes).float().mean().item()
        self.best.offer(accuracy, loss, epoch, self.network)
        return {VALIDATION: {"loss": loss, "accuracy": accuracy}}


def train(task: EmotionTask, *, checkpoint: Path, digest: str) -> pd.DataFrame:
    """Train, going on from the checkpoint if there is one, and leave the best weights.

    Parameters
    ----------
    task : EmotionTask
        Its network is in evaluation mode afterwards.
    checkpoint : path
        The caller removes it once the results are safe.
    digest : str
        What tells the volumes from others; their labels and split are told apart here.

    Returns
    -------
    DataFrame, as of `workflow.lib.training.loop.fit`
    """
    history = fit(
        task,
        n_epochs=task.settings.n_epochs,
        seed=task.seed,
        purpose=task.purpose,
        checkpoint=checkpoint,
        settings={
            **asdict(task.settings),
            "shapes": [list(value.shape) for value in task.network.state_dict().values()],
            "volumes": digest,
            "examples": _digest_of(task.training, task.validation),
        },
    )
    if task.best.weights:
        task.network.load_state_dict(task.best.weights)
    task.network.eval()
    return history


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


def probabilities_of(network: EmotionCNN, volumes: Volumes, examples: Examples) -> np.ndarray:
    """Return the probability of every class, float32 (n, n_classes)."""
    n_classes = network.head.out_features
    parts = [
        torch.softmax(outputs[LOGITS], dim=1).cpu().numpy()
        for outputs in outputs_of(network, volumes, examples)
    ]
    return np.concatenate([np.zeros((0, n_classes), np.float32), *parts])


def _digest_of(*sets: Examples) -> str:
    digest = hashlib.sha256()
    for examples in sets:
        for values in (examples.subjects, examples.rows, examples.codes):
            digest.update(np.ascontiguousarray(values, dtype=np.int64))
        digest.update(b"next")
    return digest.hexdigest()


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
