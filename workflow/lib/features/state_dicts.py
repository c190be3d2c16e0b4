"""State dicts of other people's networks: read from files, renamed, and fitted into networks."""

import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from workflow.lib.bombs import check_unpacked_size
from workflow.lib.errors import InputError
from workflow.lib.words import one_line

# Under what names training scripts nest a state dict, and what wrappers put before its keys.
NESTED_UNDER = ("state_dict", "model_state_dict", "model")
WRAPPER_PREFIXES = ("module.", "_orig_mod.", "model.")


def read_state(path: Path) -> Mapping[str, torch.Tensor]:
    """Return the state dict of a file, whatever it is nested in, with tensors on the CPU.

    Parameters
    ----------
    path : path of a file .pth, .pt or .safetensors

    Raises
    ------
    InputError
        No such file, one that holds something else, that could run code, or that unpacks to far
        more than is stored.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: found no such file, expected the weights of a network; correct `weights`, "
            "or say torchvision or untrained"
        )
    readers = {".pth": _read_torch, ".pt": _read_torch, ".safetensors": safetensors.torch.load_file}
    if path.suffix not in readers:
        raise InputError(
            f"{path.name}: found the suffix {path.suffix!r}, expected one of {', '.join(readers)}; "
            "save the network's state dict in one of these formats"
        )
    try:
        found = readers[path.suffix](path)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path.name}: found more than tensors, which could run code when it is read, expected "
            "a state dict; save it again by torch.save(network.state_dict(), ...)"
        ) from error
    except InputError:
        raise
    except Exception as e:  # torch raises almost anything on a damaged file
        raise InputError(
            f"{path.name}: found {path.stat().st_size} bytes that are no readable weights "
            f"({one_line(e)}), expected a whole file; download or copy it again"
        ) from e
    return _unwrapped(_unnested(found, path.name))


def _read_torch(path: Path) -> object:
    # Older versions of torch wrote no zip.
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            n_bytes = sum(member.file_size for member in archive.infolist())
        check_unpacked_size(path.name, n_bytes, path.stat().st_size)
    return torch.load(path, map_location="cpu", weights_only=True)


def _unnested(found: object, what: str) -> Mapping[str, torch.Tensor]:
    for key in NESTED_UNDER:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    is_state = isinstance(found, Mapping) and all(torch.is_tensor(v) for v in found.values())
    if not is_state or not found:
        held = (
            f"a mapping with the keys {', '.join(map(repr, list(found)[:5]))}"
            if isinstance(found, Mapping)
            else type(found).__name__
        )
        raise InputError(
            f"{what}: found {held}, expected a state dict (names to tensors), by itself or under "
            f"{' or '.join(NESTED_UNDER)}; save it by torch.save(network.state_dict(), ...)"
        )
    return found


def _unwrapped(state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """Return a state dict without what DataParallel and other wrappers put before its keys."""
    for prefix in WRAPPER_PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = renamed(state, lambda key, prefix=prefix: key.removeprefix(prefix))
    return state


def renamed(
    state: Mapping[str, torch.Tensor], rename: Callable[[str], str]
) -> Mapping[str, torch.Tensor]:
    """Return a state dict with other keys, and the versions of its modules under theirs."""
    found = type(state)((rename(key), value) for key, value in state.items())
    if hasattr(state, "_metadata"):
        # The name of a module is its keys' prefix without the dot.
        found._metadata = {
            rename(f"{module}.").removesuffix("."): versions
            for module, versions in state._metadata.items()
        }
    return found


def fit_state(
    network: nn.Module, state: Mapping[str, torch.Tensor], *, name: str, what: str
) -> None:
    """Load a state dict into a network that it fits.

    Parameters
    ----------
    network : nn.Module
    state : mapping of str to tensor
    name, what : what errors call the network, and the weights

    Raises
    ------
    InputError
        Weights are missing, have another shape, or are of something that the network has not; how
        many, and one of them, is said.
    """
    reference = network.state_dict()
    misshapen = [
        f"{key!r}, {tuple(state[key].shape)} in place of {tuple(reference[key].shape)}"
        for key in reference
        if key in state and state[key].shape != reference[key].shape
    ]
    # Modules rename keys of older versions while they load, so that only this tells what is amiss.
    missing, unknown = (
        (reference.keys() - state.keys(), state.keys() - reference.keys())
        if misshapen
        else network.load_state_dict(state, strict=False)
    )
    # Early PyTorch did not keep this count of training batches, and nothing here uses it.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    faults = {"missing": missing, "unknown": unknown, "of another shape": misshapen}
    described = [
        f"{len(keys)} {fault}, for example {min(keys)}" for fault, keys in faults.items() if keys
    ]
    if described:
        raise InputError(
            f"{what}: found weights that do not fit {name} (keys: {'; '.join(described)}), "
            f"expected those of {name}; give the network that they belong to, or other weights"
        )
