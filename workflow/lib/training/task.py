"""What the trainings of all networks share: optimisers, precision, validation, the best epoch.

`NetworkTask` is any number of networks, each with an optimiser of its own or none; a subclass takes
its steps. `SupervisedTask` is one network that follows the loss of a batch. `train` fits either.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from workflow.lib.features.devices import autocast
from workflow.lib.training.best import Best, Score
from workflow.lib.training.history import KEPT, VALIDATION
from workflow.lib.training.loop import Stateful, fit
from workflow.lib.training.options import TrainingOptions

# The network of a task that has one.
NETWORK = "network"


def adamw(network: nn.Module, options: TrainingOptions) -> torch.optim.AdamW:
    """Return the optimiser of all parameters of a network."""
    return torch.optim.AdamW(
        network.parameters(),
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
        fused=True,
    )


class NetworkTask(ABC):
    """A task of `workflow.lib.training.loop`: subclasses say how many steps, and take them.

    Parameters
    ----------
    networks : mapping of str to nn.Module
        All that change while training, on one device. A network that only helps to compute a loss
        is none of them.
    optimisers : mapping of str to Optimizer
        By what `descend` calls them: the names of networks, usually.
    options : TrainingOptions
    step_schedules, epoch_schedules : mapping, name of an optimiser -> its schedule
        Advanced after each of the optimiser's steps, or after each epoch.

    Attributes
    ----------
    device : torch.device
    parts : dict of str to Stateful
        All of it, as `Task` says; a subclass adds what else it has to keep, such as `Samples`.
    best : Best
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        optimisers: Mapping[str, Optimizer],
        options: TrainingOptions,
        *,
        step_schedules: Mapping[str, LRScheduler] | None = None,
        epoch_schedules: Mapping[str, LRScheduler] | None = None,
    ) -> None:
        self.networks, self.optimisers, self.options = dict(networks), dict(optimisers), options
        self.device = next(next(iter(self.networks.values())).parameters()).device
        self.step_schedules = dict(step_schedules or {})
        self.epoch_schedules = dict(epoch_schedules or {})
        # Half precision alone needs its gradients scaled, those of every optimiser by themselves.
        halved = self.device.type == "cuda" and options.precision == "float16"
        self.scalers = {
            name: torch.amp.GradScaler(self.device.type, enabled=halved) for name in optimisers
        }
        self.best = Best()
        # What nobody needs once the last step is taken, and is the larger part of a checkpoint.
        self._of_steps: dict[str, Stateful] = {
            **_named("optimiser", self.optimisers),
            **_named("scaler", self.scalers),
            **_named("schedule", self.step_schedules | self.epoch_schedules),
        }
        self.parts: dict[str, Stateful] = {
            **self.networks,
            **self._of_steps,
            "best": self.best,
        }

    @abstractmethod
    def n_batches(self, epoch: int) -> int:
        """Return the steps of an epoch."""

    @abstractmethod
    def step(self, epoch: int, step: int, rng: np.random.Generator) -> Mapping[str, float]:
        """Take a step, by `training_mode`, `autocast` and `descend`, and return its measures."""

    def validate(self, epoch: int) -> Mapping[str, Mapping[str, float]]:
        """Return the measures of every part of the data (`VALIDATION`, ...) after an epoch.

        Networks are in evaluation mode, and no gradients are kept. Nothing, where there is no data
        that is not trained on.
        """
        return {}

    def score(self, measures: Mapping[str, float]) -> Score | None:
        """Return what the best epoch is lowest in, of its measures of `VALIDATION`.

        None for the weights of the last epoch, as they are.
        """
        return None

    def after_epoch(self, epoch: int) -> None:  # noqa: B027, most tasks have nothing to do
        """Do what is to be done after an epoch, such as to take samples; nothing by itself."""

    def finish(self) -> Mapping[str, Stateful]:
        """Give networks the weights of the best epoch, and return all parts but those of steps."""
        self.best.move_into(self.networks)
        return {name: part for name, part in self.parts.items() if name not in self._of_steps}

    def data_digest(self) -> str:
        """Return what tells the data from other data, see `digest_of_arrays`."""
        return ""

    def training_mode(self) -> None:
        """Have networks drop out, and normalise by the batch."""
        for network in self.networks.values():
            network.train()

    def autocast(self) -> contextlib.AbstractContextManager:
        """Return the context in which networks train, in the precision of the options."""
        return autocast(self.device, self.options.precision)

    def descend(self, loss: torch.Tensor, name: str = NETWORK) -> None:
        """Take a step of an optimiser down a loss.

        Gradients of other parameters that the loss depends on are not computed: those of the
        discriminator, in a step of the generator.
        """
        optimiser, scaler = self.optimisers[name], self.scalers[name]
        optimiser.zero_grad()
        scaler.scale(loss).backward(inputs=_trained(optimiser))
        scaler.step(optimiser)
        scaler.update()
        if name in self.step_schedules:
            self.step_schedules[name].step()

    def n_steps(self, epoch: int) -> int:
        """Return the steps of an epoch, none once patience has run out."""
        return 0 if self._stopped(epoch) else self.n_batches(epoch)

    @torch.no_grad()
    def evaluate(self, epoch: int) -> Mapping[str, Mapping[str, float]]:
        """Return what `validate` finds, and remember the weights of the best epoch."""
        if self._stopped(epoch):
            return {}
        for schedule in self.epoch_schedules.values():
            schedule.step()
        for network in self.networks.values():
            network.eval()
        measured = self.validate(epoch)
        if measured.get(VALIDATION):
            score = self.score(measured[VALIDATION])
            if score is not None:
                self.best.offer(score, epoch, self.networks)
        return measured

    def _stopped(self, epoch: int) -> bool:
        return self.best.stopped(epoch, self.options.patience)


class SupervisedTask(NetworkTask):
    """One network that learns by the loss of a batch; subclasses give `loss` and `n_batches`.

    Parameters
    ----------
    network : nn.Module
        On its device.
    options : TrainingOptions
    optimiser : Optimizer, optional
        `adamw` if not given.
    step_schedule, epoch_schedule : LRScheduler, optional
        Of that optimiser.
    """

    def __init__(
        self,
        network: nn.Module,
        options: TrainingOptions,
        *,
        optimiser: Optimizer | None = None,
        step_schedule: LRScheduler | None = None,
        epoch_schedule: LRScheduler | None = None,
    ) -> None:
        self.network = network
        super().__init__(
            {NETWORK: network},
            {NETWORK: optimiser or adamw(network, options)},
            options,
            step_schedules={NETWORK: step_schedule} if step_schedule else None,
            epoch_schedules={NETWORK: epoch_schedule} if epoch_schedule else None,
        )

    @abstractmethod
    def loss(
        self, epoch: int, step: int, rng: np.random.Generator
    ) -> tuple[torch.Tensor, Mapping[str, float]]:
        """Return what is minimised in a step, and measures other than that as "loss"."""

    def step(self, epoch: int, step: int, rng: np.random.Generator) -> dict[str, float]:
        """Train on one batch."""
        self.training_mode()
        loss, measures = self.loss(epoch, step, rng)
        self.descend(loss)
        return {"loss": loss.item(), **measures}

    def score(self, measures: Mapping[str, float]) -> Score | None:
        """Return the loss on validation data."""
        return measures["loss"]


def train(
    task: NetworkTask,
    *,
    seed: int,
    purpose: str,
    checkpoint: Path,
    code: str,
    settings: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Train, going on from the checkpoint if there is one, and leave the best weights.

    Parameters
    ----------
    task : NetworkTask
        Its networks are in evaluation mode afterwards.
    seed, purpose, checkpoint : see `workflow.lib.training.loop.fit`
    code : str
        Digest of the code that trains: a checkpoint of other code is not gone on from.
    settings : mapping that json can write
        What else the result depends on: what neither the options of the task nor the shapes of its
        networks tell, such as dropout.

    Returns
    -------
    DataFrame with the columns `COLUMNS`, otherwise as of `workflow.lib.training.loop.fit`
    """
    shapes = {
        name: [list(value.shape) for value in network.state_dict().values()]
        for name, network in task.networks.items()
    }
    options = asdict(task.options)
    save_every = options.pop("save_every")
    history = fit(
        task,
        n_epochs=task.options.n_epochs,
        seed=seed,
        purpose=purpose,
        checkpoint=checkpoint,
        settings={
            **options,
            "networks": shapes,
            "data": task.data_digest(),
            "code": code,
            "further": dict(settings or {}),
        },
        save_every=save_every,
    )
    for network in task.networks.values():
        network.eval()
    kept = task.best.epoch + 1 if task.best.found else history["epoch"].max()
    return history.assign(**{KEPT: (history["epoch"] == kept).astype(int)})


def _named(what: str, parts: Mapping[str, Stateful]) -> dict[str, Stateful]:
    """Return parts under the names of what they are and what they belong to."""
    return {f"{what} of {name}": part for name, part in parts.items()}


def _trained(optimiser: Optimizer) -> list[nn.Parameter]:
    """Return the parameters of an optimiser that are not frozen."""
    return [
        parameter
        for group in optimiser.param_groups
        for parameter in group["params"]
        if parameter.requires_grad
    ]
