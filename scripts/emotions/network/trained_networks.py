"""Networks before training, and those of all folds of a split in one file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from scripts.emotions.network.emotion_cnn import (
    PUBLISHED_CLASSES,
    PUBLISHED_WIDTHS,
    EmotionCNN,
    build_network,
    read_published_weights,
)
from workflow.lib.errors import InputError
from workflow.lib.training.weights import read_weights, write_weights

UNTRAINED = "untrained"


@dataclass(frozen=True)
class NetworkOptions:
    """How a network looks before training; the block `network` of the config.

    Attributes
    ----------
    widths : sequence of int
        Channels of the first convolution, and of each block.
    expansion : int
        How many times wider a block is inside.
    dropout : float
    average : bool
        Whether the linear layer is given means over places, as published, or all places.
    scale_volumes : bool
        Whether each volume gets mean 0 and standard deviation 1 over the brain, as those that the
        published weights were learned from.
    weights : "untrained", or the path of the published network's file
        With weights nothing is trained: they have seen what they have seen.
    """

    widths: Sequence[int] = PUBLISHED_WIDTHS
    expansion: int = 2
    dropout: float = 0.3
    average: bool = True
    scale_volumes: bool = False
    weights: str = UNTRAINED

    @property
    def trains(self) -> bool:
        """Whether the network is to be trained."""
        return self.weights == UNTRAINED


def network_of(
    options: NetworkOptions, n_classes: int, shape: Sequence[int], *, seed: int
) -> EmotionCNN:
    """Return a network before training, or the published one as it was trained.

    Parameters
    ----------
    options : NetworkOptions
    n_classes : int
    shape : voxels of volumes along x, y and z
    seed : int
        Of the initial weights.

    Raises
    ------
    InputError
        Published weights for another network.
    """
    network = build_network(
        options.widths,
        n_classes,
        seed=seed,
        expansion=options.expansion,
        dropout=options.dropout,
        shape=None if options.average else shape,
    )
    if options.trains:
        return network
    published = NetworkOptions()
    if (
        n_classes != PUBLISHED_CLASSES
        or replace(
            options,
            widths=tuple(options.widths),
            dropout=published.dropout,
            scale_volumes=published.scale_volumes,
            weights=UNTRAINED,
        )
        != published
    ):
        raise InputError(
            f"models, network: found weights for {options} and {n_classes} classes, expected the "
            f"widths {list(published.widths)}, expansion {published.expansion}, averages and "
            f"{PUBLISHED_CLASSES} classes of the published network; set these, or leave `weights` "
            "out"
        )
    network.load_state_dict(read_published_weights(options.weights))
    return network.eval()


def write_networks(
    path: str | Path,
    networks: Sequence[EmotionCNN],
    options: NetworkOptions,
    classes: Sequence[str],
    shape: Sequence[int],
) -> None:
    """Write the networks of a split's folds, in their order; arguments as of `network_of`."""
    state = {
        f"fold{number}.{name}": tensor
        for number, network in enumerate(networks)
        for name, tensor in network.state_dict().items()
    }
    description = {
        "widths": list(options.widths),
        "expansion": options.expansion,
        "classes": list(classes),
        "shape": None if options.average else list(shape),
        "scaled": options.scale_volumes,
        "n_folds": len(networks),
    }
    write_weights(path, state, description)


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks of a split.

    Attributes
    ----------
    folds : list of EmotionCNN
        One per fold, in evaluation mode, on the CPU.
    classes : list of str
    scaled : bool
        Whether they are shown volumes of mean 0 and standard deviation 1.
    """

    folds: list[EmotionCNN]
    classes: list[str]
    scaled: bool


def read_networks(path: str | Path) -> Networks:
    """Return what `write_networks` wrote."""
    state, description = read_weights(path)
    classes = description["classes"]
    networks = []
    for number in range(description["n_folds"]):
        network = EmotionCNN(
            description["widths"],
            len(classes),
            expansion=description["expansion"],
            shape=description["shape"],
        )
        own = f"fold{number}."
        network.load_state_dict(
            {
                name.removeprefix(own): tensor
                for name, tensor in state.items()
                if name.startswith(own)
            }
        )
        networks.append(network.eval().to(memory_format=torch.channels_last_3d))
    return Networks(networks, classes, description["scaled"])
