"""Networks with random weights that follow from a seed alone."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from workflow.lib.seeds import generator

Network = TypeVar("Network", bound=nn.Module)


def seeded_network(build: Callable[[], Network], seed: int) -> Network:
    """Return what `build` makes, with the random weights of a seed.

    Parameters
    ----------
    build : callable without arguments
        Draws weights from PyTorch's global random state.
    seed : int
        The global random state neither matters nor changes.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which also seeds every GPU.
        torch.default_generator.manual_seed(seed)
        return build()


def weights_seed(seed: int, *purpose: str) -> int:
    """Return the seed of the initial weights of a purpose, see `workflow.lib.seeds.generator`."""
    return int(generator(seed, "initial weights", *purpose).integers(2**63))
