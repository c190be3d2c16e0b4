"""A training loop that can be interrupted at any step, and then ends with the same network.

All randomness of a step (augmentation, dropout, noise) follows from the seed and the number of the
step, never from what ran before it. What has to be kept is then only the state of networks and
optimisers; an interrupted run that takes up its checkpoint goes through the same steps as one that
was never interrupted.
"""

import functools
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from workflow.lib.errors import InputError
from workflow.lib.files import written_whole
from workflow.lib.seeds import generator
from workflow.lib.training.history import TRAINING, VALIDATION

log = logging.getLogger("workflow")


class Stateful(Protocol):
    """A network, an optimiser, a schedule or a gradient scaler."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


class Task(Protocol):
    """What is trained: one network or several, with optimisers of their own.

    Attributes
    ----------
    parts : mapping of str to Stateful
        All that changes while training: networks, optimisers, schedules, scalers.
    """

    parts: Mapping[str, Stateful]

    def n_steps(self, epoch: int) -> int:
        """Return the number of steps of an epoch; with an epoch that has none, training ends."""
        ...

    def step(self, epoch: int, step: int, rng: np.random.Generator) -> Mapping[str, float]:
        """Take one step of optimisation, and return its measures (loss, accuracy, ...).

        `rng` is the step's own; PyTorch's global one has been seeded from it.
        """
        ...

    def evaluate(self, epoch: int) -> Mapping[str, Mapping[str, float]]:
        """Return the measures of every part of the data, with networks in evaluation mode.

        Part `VALIDATION` is data that is not trained on; no part is called `TRAINING`.
        """
        ...

    def after_epoch(self, epoch: int) -> None:
        """Do what else is to be done after an epoch with steps, such as to take samples.

        Called once the epoch is evaluated. A run that was cut short calls it again for the epochs
        that it had not saved, with parts as they were then: what is done again has to give the
        same, and to take the place of what was. What it draws at random has no effect on later
        steps.
        """
        ...

    def finish(self) -> Mapping[str, Stateful]:
        """End training, and return those of the parts that hold its result.

        They are all that is kept of a training that has ended. Not called where it had ended
        before, and the result was read.
        """
        ...


@dataclass
class Progress:
    """Where training stands.

    Attributes
    ----------
    epoch, step : int
        The next step to take.
    sums : dict, measure -> sum over the steps of the epoch so far
    history : list of dict
        A row per epoch, part and measure: epoch, part, measure, value.
    finished : bool
        Whether training has ended; then the parts are those of `Task.finish`.
    """

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False


def fit(
    task: Task,
    *,
    n_epochs: int,
    seed: int,
    purpose: str,
    checkpoint: Path,
    settings: Mapping[str, Any],
    save_every: float,
) -> pd.DataFrame:
    """Train, going on from the checkpoint if there is one of the same settings.

    Parameters
    ----------
    task : Task
        The parts that `finish` returns hold the trained state afterwards.
    n_epochs : int
    seed : int
        Of the run.
    purpose : str
        What is trained, such as "digits/vgg16"; trainings of other purposes draw otherwise.
    checkpoint : path
        Written now and then, and with the result alone at the end; the caller removes it once
        that is safe.
    settings : mapping that json can write
        What the result depends on. A checkpoint of others is left alone and overwritten.
    save_every : float
        Seconds between checkpoints. Epochs do not matter: they may be short, and networks large.

    Returns
    -------
    DataFrame, a row per epoch, part and measure
        epoch (from 1), part, measure, value. Measures of part `TRAINING` are means over the epoch's
        steps, taken while the network changes; the other parts are those that the task evaluates.

    Raises
    ------
    InputError
        A measure is no longer finite; the step is named.
    """
    written = json.dumps(
        {**settings, "n_epochs": n_epochs, "seed": seed, "purpose": purpose}, sort_keys=True
    )
    progress = _resumed(task, checkpoint, written)
    if not progress.finished:
        saver = _Saver(task, checkpoint, written, save_every)
        _take_steps(task, progress, saver, n_epochs=n_epochs, seed=seed, purpose=purpose)
        progress.finished = True
        saver.save(progress, task.finish())
    n_trained = max((row["epoch"] for row in progress.history), default=0)
    log.info("trained %s, %d epochs%s", purpose, n_trained, _last_measures(progress))
    return pd.DataFrame(progress.history, columns=["epoch", "part", "measure", "value"])


def _take_steps(
    task: Task, progress: Progress, saver: "_Saver", *, n_epochs: int, seed: int, purpose: str
) -> None:
    """Go through the steps that are left."""
    bar = bar_of_job()
    bar.total += sum(task.n_steps(epoch) for epoch in range(progress.epoch, n_epochs))
    bar.total -= progress.step
    while progress.epoch < n_epochs:
        epoch = progress.epoch
        for step in range(progress.step, task.n_steps(epoch)):
            rng = generator(seed, "training", purpose, str(epoch), str(step))
            torch.manual_seed(int(rng.integers(2**63)))
            _add(progress.sums, task.step(epoch, step, rng), f"epoch {epoch + 1}, step {step}")
            progress.step = step + 1
            bar.update()
            saver.save_if_due(progress)
        if not progress.step:
            # Training has stopped early.
            break
        _end_epoch(task, progress)
        task.after_epoch(epoch)
        progress.epoch, progress.step, progress.sums = epoch + 1, 0, {}
        bar.set_postfix_str(f"{purpose}{_last_measures(progress)}", refresh=False)
        saver.save_if_due(progress)
    bar.total = bar.n


@functools.cache
def bar_of_job() -> tqdm:
    """Return the progress bar of this process, one for all that it trains.

    A job may train hundreds of networks. Without a terminal there is none: logs have a line for
    each network.
    """
    return tqdm(total=0, unit="step", mininterval=1, disable=None)


def _add(sums: dict[str, float], measures: Mapping[str, float], where: str) -> None:
    for name, value in measures.items():
        if not np.isfinite(value):
            raise InputError(
                f"training: found {name} {value} at {where}, expected a finite number; lower the "
                "learning rate, or use float32 or bfloat16"
            )
        sums[name] = sums.get(name, 0.0) + float(value)


def _end_epoch(task: Task, progress: Progress) -> None:
    """Write the measures of an epoch into the history."""
    means = {name: total / progress.step for name, total in progress.sums.items()}
    for part, measures in {TRAINING: means, **task.evaluate(progress.epoch)}.items():
        progress.history += [
            {"epoch": progress.epoch + 1, "part": part, "measure": name, "value": float(value)}
            for name, value in measures.items()
        ]


def _last_measures(progress: Progress) -> str:
    """Return the measures of the validation after the last epoch trained, if there are any."""
    validated = [row for row in progress.history if row["part"] == VALIDATION]
    return "".join(
        f", {row['measure']} {row['value']:.3g}"
        for row in validated
        if row["epoch"] == validated[-1]["epoch"]
    )


class _Saver:
    """Writes the checkpoint of a training."""

    def __init__(self, task: Task, checkpoint: Path, settings: str, save_every: float) -> None:
        self.task, self.checkpoint, self.settings = task, checkpoint, settings
        self.save_every, self.saved = save_every, time.monotonic()

    def save_if_due(self, progress: Progress) -> None:
        """Save all parts, if it was long ago that they were."""
        if time.monotonic() - self.saved > self.save_every:
            self.save(progress, self.task.parts)

    def save(self, progress: Progress, parts: Mapping[str, Stateful]) -> None:
        """Save these parts."""
        state = {
            "settings": self.settings,
            "names": sorted(self.task.parts),
            "progress": vars(progress),
            "parts": {name: part.state_dict() for name, part in parts.items()},
        }
        with written_whole(self.checkpoint) as temporary, open(temporary, "wb") as file:
            # Given a path, PyTorch makes the archive's name of it, which not every path allows.
            torch.save(state, file)
        self.saved = time.monotonic()


def _resumed(task: Task, checkpoint: Path, settings: str) -> Progress:
    """Return where a checkpoint stands, after loading it; the beginning if there is none."""
    if not checkpoint.exists():
        return Progress()
    # Written by ourselves and whole or not at all, but nothing is unpickled all the same.
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    if state["settings"] != settings or state.get("names") != sorted(task.parts):
        log.warning("%s is of other settings: training starts anew", checkpoint.name)
        return Progress()
    for name, saved in state["parts"].items():
        task.parts[name].load_state_dict(saved)
    progress = Progress(**state["progress"])
    log.info("going on at epoch %d, step %d", progress.epoch + 1, progress.step)
    return progress
