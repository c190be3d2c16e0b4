"""Draw the networks of pairs from the modules themselves: layers, shapes and parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import FancyBboxPatch
from torch import fx, nn

from scripts.dissimilarity.learning.pair_networks import example_networks, n_parameters
from scripts.dissimilarity.learning.pair_training import PairOptions
from workflow.lib.config.pair_kinds import is_stepwise
from workflow.lib.jobs import script_job
from workflow.lib.plotting import PAGE_WIDTH, use_style, write_figure

# Inches. A network with two branches takes two units, any other one.
N_UNITS = 7
UNIT = PAGE_WIDTH / N_UNITS
BOX_WIDTH, BOX_HEIGHT, ROW = 0.95, 0.27, 0.38
# From the top of a network to its first layer, with its name and inputs; of the title.
HEADING, TOP = 0.62, 0.35
FONT_SIZE = 5.8
# Only the shape changes; the shapes stand in the boxes.
SHAPE_ONLY = ("flatten", "squeeze", "unsqueeze", "view", "reshape")
# Written into the box of the layer that they follow.
ACTIVATIONS = ("relu", "gelu", "tanh", "sigmoid")
FILLS = {nn.Conv2d: "#cfe3f2", nn.Linear: "#fbe3c0"}
OTHER_FILL, ACTION_FILL = "0.93", "#d8efe6"

LABELS: dict[type[nn.Module], Callable[[Any], str]] = {
    nn.Conv2d: lambda layer: f"conv {_product(layer.kernel_size)}, {layer.out_channels}",
    nn.Linear: lambda layer: f"dense {layer.out_features:,}",
    nn.MaxPool2d: lambda layer: f"max pool {layer.kernel_size}",
    nn.Dropout: lambda layer: f"dropout {layer.p:g}",
}


@dataclass
class Layer:
    """A box of the diagram.

    Attributes
    ----------
    label : what it does
    shape : of what comes out for one pair
    n_parameters : of its weights, all of them
    branch : "first" or "second" image alone, or "both"
    sources : positions of the layers that it follows
    row : number of layers before it on the longest path
    target : name of its module; "" for an operation without one
    fill : colour of the box
    note : first line of the module's own description, if it is one of ours
    """

    label: str
    shape: tuple[int, ...]
    n_parameters: int
    branch: str
    sources: list[int]
    row: int
    target: str
    fill: str
    note: str = ""


class _Tracer(fx.Tracer):
    """Goes into modules down to those without children."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not list(module.children())


class _Shapes(fx.Interpreter):
    """Runs a network and keeps the shape of everything that it computes."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[str, tuple[int, ...]] = {}

    def run_node(self, node: fx.Node) -> Any:
        value = super().run_node(node)
        if isinstance(value, torch.Tensor):
            self.shapes[node.name] = tuple(value.shape[1:])
        return value


def layers_of(network: nn.Module, pair: tuple[torch.Tensor, torch.Tensor]) -> list[Layer]:
    """Return the layers of a network of pairs, in the order in which they run.

    Parameters
    ----------
    network : nn.Module
        Whose `forward` takes two tensors.
    pair : two tensors
        The first axis counts pairs.

    Returns
    -------
    list of Layer
        Without modules that do nothing and operations that only change a shape; activations are
        part of the layer that they follow.
    """
    graph = _Tracer().trace(network)
    interpreter = _Shapes(fx.GraphModule(network, graph))
    with torch.no_grad():
        interpreter.run(*pair)
    layers: list[Layer] = []
    # Of every value: which layers it comes from, and from which images.
    origins: dict[fx.Node, tuple[list[int], set[str]]] = {}
    images = iter(("first", "second"))
    for node in graph.nodes:
        sources = list(dict.fromkeys(i for n in node.all_input_nodes for i in origins[n][0]))
        of_images = set().union(*(origins[n][1] for n in node.all_input_nodes))
        if node.op == "placeholder":
            origins[node] = ([], {next(images)})
            continue
        module = network.get_submodule(node.target) if node.op == "call_module" else None
        name = _operation(node, module)
        if node.op == "output" or name in SHAPE_ONLY or _does_nothing(module):
            origins[node] = (sources, of_images)
        elif name in ACTIVATIONS and len(sources) == 1:
            layers[sources[0]].label += f", {name}"
            origins[node] = (sources, of_images)
        else:
            layers.append(
                Layer(
                    label=_label(name, module),
                    shape=interpreter.shapes[node.name],
                    n_parameters=0 if module is None else n_parameters(module),
                    branch=min(of_images) if len(of_images) == 1 else "both",
                    sources=sources,
                    row=max((layers[i].row + 1 for i in sources), default=0),
                    target=str(node.target) if module is not None else "",
                    fill=_fill(module),
                    note=_note(module),
                )
            )
            origins[node] = ([len(layers) - 1], of_images)
    return layers


def _operation(node: fx.Node, module: nn.Module | None) -> str:
    if module is not None:
        return type(module).__name__.lower()
    return node.target if isinstance(node.target, str) else node.target.__name__


def _does_nothing(module: nn.Module | None) -> bool:
    return isinstance(module, nn.Identity) or (isinstance(module, nn.Dropout) and not module.p)


def _label(name: str, module: nn.Module | None) -> str:
    if module is None:
        return name
    return LABELS.get(type(module), lambda layer: type(layer).__name__)(module)


def _fill(module: nn.Module | None) -> str:
    if module is None or type(module) in FILLS:
        return FILLS.get(type(module), OTHER_FILL)
    return ACTION_FILL if _is_ours(module) else OTHER_FILL


def _is_ours(module: nn.Module) -> bool:
    return not type(module).__module__.startswith("torch")


def _note(module: nn.Module | None) -> str:
    if module is None or not _is_ours(module):
        return ""
    description = (type(module).__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return f"{type(module).__name__}, {description[:1].lower()}{description[1:]}"


def _product(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{n:,}" for n in shape) or "1"


def has_branches(layers: list[Layer]) -> bool:
    """Return whether images go through layers of their own before they meet."""
    return any(layer.branch != "both" for layer in layers)


def shared_targets(layers: list[Layer]) -> set[str]:
    """Return the modules with weights that both images go through."""
    first, second = (
        {layer.target for layer in layers if layer.branch == branch and layer.n_parameters}
        for branch in ("first", "second")
    )
    return first & second


def plot_architectures(
    networks: Mapping[str, tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]],
    *,
    used: str,
    title: str,
) -> tuple[plt.Figure, str]:
    """Draw a diagram per network, from its input at the top, and return figure and caption.

    Parameters
    ----------
    networks : name -> network and an example pair
    used : what `sizes_used` says
    title : name of the study
    """
    diagrams = {name: layers_of(*network) for name, network in networks.items()}
    lines = _lines(diagrams)
    heights = [
        HEADING + ROW * (1.5 + max(layer.row for name in line for layer in diagrams[name]))
        for line in lines
    ]
    height = TOP + sum(heights)
    use_style()
    figure = plt.figure(figsize=(PAGE_WIDTH, height))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, PAGE_WIDTH), ylim=(0, height))
    axis.set_axis_off()
    axis.text(
        PAGE_WIDTH / 2,
        height - 0.05,
        f"{title}: networks at published sizes (sizes used here: caption)",
        ha="center",
        va="top",
        size=9.5,
    )
    top = height - TOP
    for line, line_height in zip(lines, heights, strict=True):
        left = (PAGE_WIDTH - UNIT * sum(_units(diagrams[name]) for name in line)) / 2
        for name in line:
            width = UNIT * _units(diagrams[name])
            network, pair = networks[name]
            _draw(axis, diagrams[name], left + width / 2, top)
            _draw_inputs(axis, pair, has_branches(diagrams[name]), left + width / 2, top)
            heading = f"{name}\n{n_parameters(network):,} parameters"
            axis.text(left + width / 2, top, heading, ha="center", va="top", fontsize=6.4)
            left += width
        top -= line_height
    return figure, f"{_caption(diagrams)} {used}"


def _units(layers: list[Layer]) -> int:
    return 2 if has_branches(layers) else 1


def _lines(diagrams: Mapping[str, list[Layer]]) -> list[list[str]]:
    """Return names in lines of at most `N_UNITS`."""
    lines: list[list[str]] = [[]]
    used = 0
    for _, family in groupby(diagrams, key=lambda name: name.partition(",")[0]):
        names = list(family)
        # One whole line holds variants of a network where it can.
        if used and used + sum(_units(diagrams[name]) for name in names) > N_UNITS:
            lines.append([])
            used = 0
        for name in names:
            if used + _units(diagrams[name]) > N_UNITS:
                lines.append([])
                used = 0
            lines[-1].append(name)
            used += _units(diagrams[name])
    return lines


def _draw(axis: plt.Axes, layers: list[Layer], middle: float, top: float) -> None:
    beside = {"first": -UNIT / 2, "second": UNIT / 2, "both": 0.0}
    first_row = top - HEADING - BOX_HEIGHT / 2
    places = [(middle + beside[layer.branch], first_row - ROW * layer.row) for layer in layers]
    for layer, (x, y) in zip(layers, places, strict=True):
        for source in layer.sources:
            start = (places[source][0], places[source][1] - BOX_HEIGHT / 2)
            _arrow(axis, start, (x, y + BOX_HEIGHT / 2))
        axis.add_patch(
            FancyBboxPatch(
                (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2),
                BOX_WIDTH,
                BOX_HEIGHT,
                boxstyle="round,pad=0,rounding_size=0.03",
                fc=layer.fill,
                ec="0.35",
                lw=0.6,
            )
        )
        axis.text(x, y, _text(layer), ha="center", va="center", fontsize=FONT_SIZE, linespacing=1.1)
    for target in shared_targets(layers):
        y = next(
            place[1] for layer, place in zip(layers, places, strict=True) if layer.target == target
        )
        gap = (UNIT - BOX_WIDTH) / 2
        axis.plot([middle - gap, middle + gap], [y, y], color="#d55e00", lw=2.4)


def _draw_inputs(
    axis: plt.Axes, pair: tuple[torch.Tensor, torch.Tensor], apart: bool, middle: float, top: float
) -> None:
    """Write what goes in above the first layers: side by side, or both into one box."""
    shapes = [_product(tuple(values.shape[1:])) for values in pair]
    y, bottom = top - HEADING + ROW / 2 - 0.05, top - HEADING
    places = {middle - UNIT / 2: f"a: {shapes[0]}", middle + UNIT / 2: f"b: {shapes[1]}"}
    for x, text in (places if apart else {middle: f"a: {shapes[0]}; b: {shapes[1]}"}).items():
        axis.text(x, y, text, ha="center", va="bottom", fontsize=FONT_SIZE)
        _arrow(axis, (x, y - 0.01), (x, bottom))


def _text(layer: Layer) -> str:
    parameters = f"; {layer.n_parameters:,}" if layer.n_parameters else ""
    return f"{layer.label}\n{_product(layer.shape)}{parameters}"


def _arrow(axis: plt.Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": "0.3", "lw": 0.7, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, arrowprops={**style, "mutation_scale": 5})


def _caption(diagrams: Mapping[str, list[Layer]]) -> str:
    notes = dict.fromkeys(
        layer.note for layers in diagrams.values() for layer in layers if layer.note
    )
    shared = [name for name, layers in diagrams.items() if shared_targets(layers)]
    said = (
        f" Red bars join layers with common weights, which are counted once ({', '.join(shared)})."
        if shared
        else ""
    )
    explained = f" {'; '.join(notes)}." if notes else ""
    return (
        f"Networks of pairs at published sizes (n = {len(diagrams)} networks), not those of this "
        "study, drawn from the modules as they run on one pair. Boxes: layer, the "
        "shape of what comes out, and after the semicolon its number of parameters; left and right "
        "columns: the two images, a and b, before they meet. Blue: convolutions; yellow: dense; "
        f"green: modules of this repository; grey: PyTorch's others.{said}{explained}"
    )


def sizes_used(models: Mapping[str, Mapping[str, Any]], n_components: int | None) -> str:
    """Return what a study changes of its networks, as its config says it.

    Parameters
    ----------
    models : name -> block of the config: kind, options, variants
    n_components : of each embedding that networks see; None for its features as they are
    """
    of_training = {field.name for field in fields(PairOptions)}
    said = []
    for name, block in models.items():
        if not is_stepwise(block["kind"]):
            continue
        variants = [
            {**block["options"], **options} for options in (block["variants"] or {"": {}}).values()
        ]
        values: dict[str, dict[str, None]] = {}
        for option, value in (pair for options in variants for pair in options.items()):
            if option not in of_training:
                text = " and ".join(map(str, value)) if isinstance(value, list) else str(value)
                values.setdefault(option, {})[text] = None
        changed = ", ".join(f"{option} {' / '.join(texts)}" for option, texts in values.items())
        said.append(f"{name} ({block['kind']}): {changed or 'as drawn'}")
    if not said:
        return "This study has none of them."
    features = f"{n_components} components at most" if n_components else "its features as they are"
    return (
        f"Sizes used here, of options that are not those of the figure: {'; '.join(said)}; an "
        f"embedding has {features}."
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        figure, caption = plot_architectures(
            example_networks(),
            used=sizes_used(params.models, params.n_components),
            title=params.title,
        )
        write_figure(snakemake, figure, caption)
