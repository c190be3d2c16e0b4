"""The weights of the best epoch, and when to stop looking for a better one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

# What epochs are compared by: a number, or several of which the later break ties.
Score = float | tuple[float, ...]


class Best:
    """The weights of the epoch with the lowest score on data that is not trained on.

    Attributes
    ----------
    score : tuple of float, or None before the first epoch
    epoch : int
        From 0; -1 before the first.
    weights : dict, name of a network -> its state dict
        Empty once networks have them.
    """

    def __init__(self) -> None:
        self.score: tuple[float, ...] | None = None
        self.epoch = -1
        self.weights: dict[str, dict[str, torch.Tensor]] = {}

    def offer(self, score: Score, epoch: int, networks: Mapping[str, nn.Module]) -> None:
        """Keep the weights of networks if they are better than those before; NaN never is."""
        found = tuple(np.atleast_1d(score).astype(float).tolist())
        if np.isnan(found).any() or (self.score is not None and found >= self.score):
            return
        self.score, self.epoch = found, epoch
        self.weights = {
            name: {key: value.clone() for key, value in network.state_dict().items()}
            for name, network in networks.items()
        }

    def stopped(self, epoch: int, patience: int | None) -> bool:
        """Return whether no epoch before this one was better for longer than patience lasts."""
        return patience is not None and 0 <= self.epoch < epoch - patience

    @property
    def found(self) -> bool:
        """Whether any epoch was scored."""
        return self.epoch >= 0

    def move_into(self, networks: Mapping[str, nn.Module]) -> None:
        """Give networks the weights of the best epoch, if any was scored, and keep no others."""
        for name, weights in self.weights.items():
            networks[name].load_state_dict(weights)
        self.weights = {}

    def state_dict(self) -> dict[str, Any]:
        """Return all of it."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` returned."""
        vars(self).update(state)
