"""Trained networks on disk: safetensors, with what rebuilds and feeds the network in the header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from workflow.lib.errors import InputError
from workflow.lib.files import written_whole

DESCRIPTION = "description"


def write_weights(
    path: str | Path, state: Mapping[str, torch.Tensor], description: Mapping[str, Any]
) -> None:
    """Write a state dict, and a description that json can hold (architecture, classes, scaling)."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with written_whole(path) as temporary:
        # What `save_file` writes, others than its owner may not read.
        temporary.write_bytes(
            safetensors.torch.save(tensors, {DESCRIPTION: json.dumps(description)})
        )


def read_weights(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the state dict and the description of a network that `write_weights` wrote.

    Raises
    ------
    InputError
        Another kind of file.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            description = (file.metadata() or {}).get(DESCRIPTION)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise InputError(
            f"{Path(path).name}: found no safetensors ({error}), expected a network that this "
            "workflow trained; train it again"
        ) from error
    if description is None:
        raise InputError(
            f"{Path(path).name}: found weights without a description of their network, expected "
            "those that this workflow trained; train it again"
        )
    return state, json.loads(description)
