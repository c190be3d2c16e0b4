"""Networks of torchvision.models: weights, the preprocessing that goes with them, and layers.

    python -m workflow.lib.features.networks               names of all networks
    python -m workflow.lib.features.networks resnet50      names of the layers of one

The networks are those that classify images. Each is traced to a graph (torch.fx), so that any
intermediate result can be a layer, and nothing is computed after the last one wanted.
"""

import contextlib
import copy
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import torch
from torch import nn

from workflow.lib.errors import InputError
from workflow.lib.features.initial import seeded_network
from workflow.lib.features.state_dicts import fit_state, read_state, renamed
from workflow.lib.words import near, one_line


def _declare_missing_operators() -> None:
    """Declare torchvision's compiled operators nms and qnms where its compiled half is missing.

    PyPI's torchvision beside a PyTorch for CPUs cannot load its compiled half, and its import then
    ends with "operator torchvision::nms does not exist". Only object detectors call these two, and
    the import asks for no more than their declaration. Where the compiled half does load, it has
    to come first: it declares them itself, and cannot do so a second time.
    """
    package = importlib.util.find_spec("torchvision")
    for folder in (package.submodule_search_locations or []) if package else []:
        for library in Path(folder).glob("_C.*"):
            with contextlib.suppress(OSError):
                torch.ops.load_library(library)
    for operator in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, operator):
            torch.library.define(
                f"torchvision::{operator}",
                "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
            )


_declare_missing_operators()

import torchvision.models  # noqa: E402
from torchvision.models.feature_extraction import (  # noqa: E402
    create_feature_extractor,
    get_graph_node_names,
)

# What torchvision itself asks for when it loads its weights: their inputs were scaled otherwise
# than ImageNet's usual way, and their auxiliary classifiers are for training only.
_INCEPTION = {"transform_input": True, "aux_logits": False}
BUILD_OPTIONS: dict[str, dict] = {"googlenet": _INCEPTION, "inception_v3": _INCEPTION}
TRAINING_ONLY = ("aux1.", "aux2.", "AuxLogits.")
N_IMAGENET_CLASSES = 1000

# The DenseNets that torchvision publishes still have keys of 2017: "norm.1" for "norm1".
_OLD_DENSENET_KEY = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")

# They take images of the size of their crop alone; others take any.
ONE_SIZE = ("vit_", "maxvit_")

LIST_COMMAND = "python -m workflow.lib.features.networks"


def network_names() -> list[str]:
    """Return the names of all networks."""
    return torchvision.models.list_models(module=torchvision.models)


def load_network(
    name: str, weights: str | Path, seed: int = 0
) -> tuple[nn.Module, Callable[..., torch.Tensor]]:
    """Return a network in evaluation mode, on the CPU, and its preprocessing.

    Parameters
    ----------
    name : str
        Any of `network_names`.
    weights : "torchvision", "untrained", or path
        The default weights of torchvision, downloaded unless they were before; the network's own
        random initialisation; or a state dict (.pth, .pt, .safetensors), which may lie in a
        training checkpoint and have its own number of classes.
    seed : int
        Of the random initialisation. The global random state neither matters nor changes.

    Returns
    -------
    network : torch.nn.Module
    transforms : callable, PIL image -> float32 tensor (3, height, width)
        Those of torchvision's default weights (resize, crop, normalise), or the usual ones of
        ImageNet for a network without.

    Raises
    ------
    InputError
        No such network; weights that cannot be had, read, or fitted into it.
    """
    _check_name(name)
    transforms = _transforms(name)
    if weights == "untrained":
        return _build(name, transforms, seed=seed, init_weights=True), transforms
    if weights == "torchvision":
        what, state = f"torchvision's weights of {name}", _downloaded(name)
    else:
        what, state = Path(weights).name, read_state(Path(weights))
    return _fitted(name, transforms, state, what), transforms


@dataclass(frozen=True)
class DefaultWeights:
    """The weights that torchvision has for a network.

    Attributes
    ----------
    url : str
        Where they are downloaded from.
    bytes : int
        Their size, within a few kilobytes.
    path : Path
        Where the download is kept, and not repeated while it is there.
    """

    url: str
    bytes: int
    path: Path


def default_weights(name: str) -> DefaultWeights:
    """Return the weights that `load_network` loads as "torchvision"; downloads nothing.

    Raises
    ------
    InputError
        No such network.
    """
    _check_name(name)
    default = torchvision.models.get_model_weights(name).DEFAULT
    path = Path(torch.hub.get_dir(), "checkpoints", PurePosixPath(default.url).name)
    return DefaultWeights(default.url, round(default.meta["_file_size"] * 2**20), path)


def _check_name(name: str) -> None:
    if name not in network_names():
        raise InputError(
            f"found the network {name!r}, expected one of torchvision.models, all of which "
            f"`{LIST_COMMAND}` lists{near(name, network_names())}"
        )


def _transforms(name: str) -> Callable[..., torch.Tensor]:
    usual = torchvision.models.ResNet50_Weights.IMAGENET1K_V1
    return getattr(torchvision.models.get_model_weights(name), "DEFAULT", usual).transforms()


def without_crop(name: str, transforms: Callable) -> Callable[..., torch.Tensor]:
    """Return a network's preprocessing of square images that shows it all of them.

    torchvision's resizes images and cuts their edges off, a quarter of all pixels.

    Parameters
    ----------
    name : str
        Of the network.
    transforms : callable
        Of `load_network`.
    """
    whole = copy.copy(transforms)
    whole.resize_size = transforms.crop_size if name.startswith(ONE_SIZE) else whole.resize_size
    whole.crop_size = whole.resize_size
    return whole


def _build(
    name: str, transforms: Callable, *, seed: int, init_weights: bool, **options: int
) -> nn.Module:
    """Return a randomly initialised network, with the global random state left as it was."""
    options = BUILD_OPTIONS.get(name, {}) | options
    if name in BUILD_OPTIONS:
        options["init_weights"] = init_weights  # slow, and a waste where weights are loaded
    if name.startswith("vit_"):
        options["image_size"] = transforms.crop_size[0]
    build = partial(torchvision.models.get_model, name, weights=None, **options)
    return seeded_network(build, seed).eval()


def _downloaded(name: str) -> Mapping[str, torch.Tensor]:
    default = torchvision.models.get_model_weights(name).DEFAULT
    try:
        return default.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"torchvision's weights of {name}: found no way to download {default.url} "
            f"({one_line(error)}), expected a connection to it or the file in "
            f"{torch.hub.get_dir()}/checkpoints; download it elsewhere, and give its path as "
            "`weights`"
        ) from error


# Weights that fit.


def _fitted(
    name: str, transforms: Callable, state: Mapping[str, torch.Tensor], what: str
) -> nn.Module:
    """Return the network with the weights of a state dict."""
    if name.startswith("densenet"):
        state = renamed(state, lambda key: _OLD_DENSENET_KEY.sub(r"\1\2", key))
    network = _build(name, transforms, seed=0, init_weights=False)
    classes = _other_number_of_classes(network.state_dict(), state)
    if classes:
        network = _build(name, transforms, seed=0, init_weights=False, num_classes=classes)
    reference = network.state_dict()
    kept = type(reference)(
        (key, value) for key, value in state.items() if not key.startswith(TRAINING_ONLY)
    )
    # .safetensors have no versions of modules, without which MNASNet refuses its weights.
    kept._metadata = getattr(state, "_metadata", reference._metadata)
    fit_state(network, kept, name=name, what=what)
    return network


def _other_number_of_classes(
    reference: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]
) -> int | None:
    """Return the number of classes of weights that differ from a network's in nothing else."""
    pairs = [(reference[key].shape, state[key].shape) for key in reference if key in state]
    differing = [(ours, theirs) for ours, theirs in pairs if ours != theirs]
    only_rows = all(
        ours[:1] == (N_IMAGENET_CLASSES,) and ours[1:] == theirs[1:] for ours, theirs in differing
    )
    numbers = {theirs[:1] for _, theirs in differing}
    return numbers.pop()[0] if only_rows and len(numbers) == 1 else None


# Layers.


class LayerExtractor(nn.Module):
    """A network that returns the outputs of some of its layers, and computes no further.

    Attributes
    ----------
    nodes : dict, label -> name of the node of the graph
    """

    def __init__(self, graph: nn.Module, nodes: Mapping[str, str]) -> None:
        super().__init__()
        self.graph, self.nodes = graph, dict(nodes)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return {label: output}; the images are (n, 3, height, width)."""
        outputs = self.graph(images)
        return {label: outputs[node] for label, node in self.nodes.items()}


def layer_extractor(network: nn.Module, nodes: Mapping[str, str]) -> LayerExtractor:
    """Return a module that gives the outputs of layers of a network.

    An operation that would overwrite a layer's output (a ReLU in place) is made not to: the layer
    `features.0` is what the convolution gives, not what the ReLU after it makes of it. That holds
    for the network itself from then on, and changes none of its results.

    Parameters
    ----------
    network : torch.nn.Module
        As from `load_network`; the extractor shares its weights.
    nodes : mapping, label -> layer
        Names of nodes as in `layer_nodes`. A prefix such as "layer1" is its last node.

    Raises
    ------
    InputError
        A layer that the network does not have.
    """
    available = _evaluation_nodes(network)
    found = {label: _resolved(node, available) for label, node in nodes.items()}
    graph = create_feature_extractor(
        network, {node: node for node in found.values()}, suppress_diff_warning=True
    ).eval()
    _overwrite_nothing(graph)
    return LayerExtractor(graph, found).eval()


def layer_nodes(name: str) -> list[str]:
    """Return the names of all layers of a network, in the order in which they are computed."""
    network, _ = load_network(name, "untrained")
    return _evaluation_nodes(network)


def _evaluation_nodes(network: nn.Module) -> list[str]:
    return get_graph_node_names(network, suppress_diff_warning=True)[1]


def _resolved(layer: str, available: Sequence[str]) -> str:
    within = [node for node in available if node == layer or node.startswith(f"{layer}.")]
    if not within:
        raise InputError(
            f"found the layer {layer!r}, expected one of the network's, all of which "
            f"`{LIST_COMMAND} <network>` lists{near(layer, _with_prefixes(available))}"
        )
    return within[-1]


def _with_prefixes(nodes: Sequence[str]) -> list[str]:
    """Return the names of nodes and of the modules that hold them."""
    parts = [node.split(".") for node in nodes]
    names = (".".join(part[: i + 1]) for part in parts for i in range(len(part)))
    return list(dict.fromkeys(names))


def _overwrite_nothing(graph: nn.Module) -> None:
    """Turn off the operations that write their result over their input."""
    for module in graph.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    for node in graph.graph.nodes:
        if node.kwargs.get("inplace"):
            node.kwargs = {**node.kwargs, "inplace": False}
    graph.recompile()


if __name__ == "__main__":
    try:
        listed = layer_nodes(sys.argv[1]) if len(sys.argv) > 1 else network_names()
    except InputError as error:
        sys.exit(str(error))
    print("\n".join(listed))
