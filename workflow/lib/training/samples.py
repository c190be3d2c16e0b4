"""What a network makes of the same inputs as training goes on: rows of a grid of samples."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


class Samples:
    """Samples taken after the first epoch, the last, and every so many between.

    A part of a task: what was taken travels with the checkpoint, and a training that was cut short
    ends with all rows of the grid.

    Parameters
    ----------
    n_epochs : int
        Of the training.
    every : int
        Epochs from one row of the grid to the next; 0 for none at all.
    """

    def __init__(self, n_epochs: int, *, every: int) -> None:
        self.n_epochs, self.every = n_epochs, every
        self._taken: dict[int, torch.Tensor] = {}

    def due(self, epoch: int) -> bool:
        """Return whether samples are taken after an epoch (from 0)."""
        number = epoch + 1
        return self.every > 0 and (number in (1, self.n_epochs) or number % self.every == 0)

    def add(self, epoch: int, images: np.ndarray | torch.Tensor) -> None:
        """Keep the samples (n, ...) of an epoch (from 0), in place of those that it had before."""
        self._taken[epoch] = torch.as_tensor(images).detach().cpu().clone()

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the epochs (n_rows,), from 1, and their samples (n_rows, n, ...)."""
        epochs = sorted(self._taken)
        rows = [self._taken[epoch].numpy() for epoch in epochs]
        return np.array(epochs, dtype=int) + 1, np.stack(rows) if rows else np.zeros((0, 0))

    def state_dict(self) -> dict[str, Any]:
        """Return what was taken."""
        return {"taken": self._taken}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` returned."""
        self._taken = state["taken"]
