"""Find images that drive single units of a trained network the most: classes and filters.

snakemake --cores 2 results/demo/digits/maximised/classes.npz

The ascent is that of the publication (Deepdraw): steps along the gradient, all of one mean size in
pixels, a slight blur after each, and colours that stay within their range. The sizes of blur and
step glide from round to round; the published code meant the same, but adds the first size of a
round where it should not (`start + end - start * i / n`). A unit is the mean over places of a
channel before it is rectified, so that one that is silent at first has a gradient as well.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.ndimage
import torch
from torch import nn
from tqdm import tqdm

from scripts.digits.image_sets import ImageSet, read_images
from scripts.digits.maximised import Maximised, write_maximised
from scripts.digits.trained import Scaling, Trained, as_tensor, read_trained
from scripts.digits.vgg import ANALYSED_LAYERS, VGG
from workflow.lib.errors import InputError
from workflow.lib.features.devices import choose_device
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table
from workflow.lib.threads import in_threads

*FILTER_LAYERS, CLASS_LAYER = ANALYSED_LAYERS
# Standard deviation of the noise with which an ascent begins, of 1. From 8 / 255, as published,
# some classes never leave the plain image, at which next to nothing drives them.
NOISE = 0.1
# Images that are shown at once.
SHOWN = 64


@dataclass(frozen=True)
class Round:
    """Some steps of the ascent.

    Attributes
    ----------
    iterations : int
    blur : float
        Standard deviation in pixels of the blur after the first step; it glides to that of the
        next round, in the last one to 0.
    step : float
        Size of the first step as a part of `Ascent.learning_rate`; it glides likewise.
    """

    iterations: int
    blur: float = 0.0
    step: float = 1.0


@dataclass(frozen=True)
class Ascent:
    """How activations are maximised.

    Attributes
    ----------
    rounds : sequence of Round
    learning_rate : float
        Mean change of a pixel (0 to 1) in a step.
    norm_penalty : float
        Of the mean square of the image as the network takes it, which is zero at the mean colour.
    variation_penalty : float
        Of the mean absolute difference between neighbouring pixels, likewise.
    jitter : int
        Largest shift of the image in a step, pixels, round its edges.
    starts : int
        Ascents from different noise, of which the one that went furthest counts: some units are
        silent at first, and stay so.
    """

    rounds: Sequence[Round]
    learning_rate: float
    norm_penalty: float = 0.0
    variation_penalty: float = 0.0
    jitter: int = 0
    starts: int = 1

    def steps(self) -> Iterator[tuple[float, float]]:
        """Yield the size of each step and the blur after it."""
        following = [*self.rounds[1:], Round(0, blur=0.0, step=0.0)]
        for now, then in zip(self.rounds, following, strict=True):
            for i in range(now.iterations):
                part = i / now.iterations
                yield (
                    self.learning_rate * (now.step + part * (then.step - now.step)),
                    now.blur + part * (then.blur - now.blur),
                )


def ascend(
    objective: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    ascent: Ascent,
    *,
    scaling: Scaling,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Return images that have been changed until each has much of what is wanted of it.

    Parameters
    ----------
    objective : callable
        Images (n, 3, side, side) as the network takes them -> what each should have, (n,), in
        comparable units, such as activations by their standard deviation over images.
    images : float32 tensor (n, 3, side, side)
        From 0 to 1.
    ascent : Ascent
    scaling : Scaling
    rng : Generator
        Of the shifts.

    Returns
    -------
    float32 tensor (n, 3, side, side)
        From 0 to 1.

    Notes
    -----
    An image x climbs a(z) - p |z|^2 - v |grad z|, where z is x as the network takes it, and the
    two penalties are means over pixels and colours.

    References
    ----------
    Deepdraw, https://github.com/auduno/deepdraw; Lee, Jung, Lustig, Lee 2022, Hum Brain Mapp,
    doi:10.1002/hbm.26189; shifts as in Mordvintsev, Olah, Tyka 2015, "Inceptionism"; total
    variation as in Mahendran & Vedaldi 2015, arXiv:1412.0035.
    """
    for step, blur in ascent.steps():
        shift = rng.integers(-ascent.jitter, ascent.jitter + 1, size=2).tolist()
        images = images.detach().requires_grad_()
        scaled = scaling(images)
        climbed = objective(scaled.roll(shift, dims=(2, 3)))
        climbed = climbed - ascent.norm_penalty * scaled.square().mean(dim=(1, 2, 3))
        climbed = climbed - ascent.variation_penalty * total_variation(scaled)
        (gradient,) = torch.autograd.grad(climbed.sum(), images)
        size = gradient.abs().mean(dim=(1, 2, 3), keepdim=True)
        size = size.clamp(min=torch.finfo(size.dtype).tiny)
        images = blurred((images.detach() + step * gradient / size).clamp(0, 1), blur)
    return images


def total_variation(images: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute difference of neighbours down plus that across, (n,)."""
    return sum(images.diff(dim=axis).abs().mean(dim=(1, 2, 3)) for axis in (2, 3))


def blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return images (n, 3, height, width) smoothed by a Gaussian, reflected at their edges.

    `sigma` is its standard deviation in pixels.
    """
    if not sigma:
        return images
    # A blur along an axis is a product with the blurred unit vectors.
    down, across = (
        images.new_tensor(scipy.ndimage.gaussian_filter1d(np.eye(size), sigma, axis=0))
        for size in images.shape[2:]
    )
    return down @ images @ across.T


def logit(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the logit of the class of each image, (n,)."""
    return logits.gather(1, classes[:, None])[:, 0]


def log_odds(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return log(p / (1 - p)) of the class of each image, (n,)."""
    others = logits.scatter(1, classes[:, None], -torch.inf)
    return logit(logits, classes) - others.logsumexp(dim=1)


# What is wanted of the image of a class. The logit as published; what all objects have in common
# raises the logit of each, and the odds only what its class has for itself.
CLASS_OBJECTIVES = {"logit": logit, "log_odds": log_odds}


@torch.inference_mode()
def unit_activations(trained: Trained, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the activations of all units, before they are rectified, as means over places.

    Parameters
    ----------
    trained : Trained
    images : float32 tensor (n, 3, side, side)
        From 0 to 1, on any device.

    Returns
    -------
    dict, layer -> float32 tensor (n, n_units), on the CPU
    """
    device = next(trained.network.parameters()).device
    found: dict[str, list[torch.Tensor]] = {layer: [] for layer in ANALYSED_LAYERS}
    for shown in images.split(SHOWN):
        values = trained.scaling(shown.to(device))
        for name, module in trained.network.layers.named_children():
            values = module(values)
            if name in found:
                found[name].append(values.mean(dim=(2, 3)).cpu())
    return {layer: torch.cat(parts) for layer, parts in found.items()}


def layers_to(network: VGG, layer: str) -> nn.Sequential:
    """Return the part of a network that ends with a convolution, not rectified."""
    names = [name for name, _ in network.layers.named_children()]
    return network.layers[: names.index(layer) + 1]


def maximise_classes(
    trained: Trained, seen: torch.Tensor, ascent: Ascent, objective: str, rng: np.random.Generator
) -> torch.Tensor:
    """Return an image for each class.

    Parameters
    ----------
    trained : Trained
    seen : float32 tensor (n_images, n_classes)
        Logits of validation images.
    ascent : Ascent
    objective : a key of `CLASS_OBJECTIVES`
    rng : Generator

    Returns
    -------
    float32 tensor (n_classes, 3, side, side)
        From 0 to 1.
    """
    of_class, classes = CLASS_OBJECTIVES[objective], torch.arange(seen.shape[1])
    odds = [of_class(seen, torch.full((len(seen),), number)) for number in classes.tolist()]

    def wanted(images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return of_class(trained.network(images), classes)

    return _best_of_ascents(trained, wanted, classes, torch.stack(odds, dim=1), ascent, rng)


def maximise_filters(
    trained: Trained,
    layer: str,
    filters: np.ndarray,
    seen: torch.Tensor,
    ascent: Ascent,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Return an image for each of some filters of a layer.

    Parameters
    ----------
    trained : Trained
    layer : one of `FILTER_LAYERS`
    filters : int array (n,)
    seen : float32 tensor (n_images, n_units)
        Activations of the layer to validation images, as of `unit_activations`.
    ascent : Ascent
    rng : Generator

    Returns
    -------
    float32 tensor (n, 3, side, side)
        From 0 to 1.
    """
    part = layers_to(trained.network, layer)

    def wanted(images: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(len(filters), device=filters.device)
        return part(images)[rows, filters].mean(dim=(1, 2))

    return _best_of_ascents(
        trained, wanted, torch.from_numpy(filters), seen[:, filters], ascent, rng
    )


def _best_of_ascents(
    trained: Trained,
    wanted: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    units: torch.Tensor,
    seen: torch.Tensor,
    ascent: Ascent,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Return the image of each unit that went furthest among some starts.

    `wanted` gives (n,) for images as the network takes them and units (n,); `seen` (n_images, n)
    is what validation images have of it.
    """
    images = _start(trained, ascent.starts * len(units), rng)
    repeated = units.to(images.device).repeat(ascent.starts)
    spreads = _spreads(seen).to(images.device).repeat(ascent.starts)
    images = ascend(
        lambda images: wanted(images, repeated) / spreads,
        images,
        ascent,
        scaling=trained.scaling,
        rng=rng,
    )
    with torch.inference_mode():
        reached = wanted(trained.scaling(images), repeated).view(ascent.starts, len(units))
    best = reached.argmax(dim=0) * len(units) + torch.arange(len(units), device=images.device)
    return images[best]


def _spreads(seen: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation of each column, 1 where there is none."""
    spreads = seen.std(dim=0)
    return torch.where(spreads > 0, spreads, 1)


def _start(trained: Trained, n: int, rng: np.random.Generator) -> torch.Tensor:
    """Return images of the mean colour, with a little noise."""
    side = trained.network.size.image
    weight = next(trained.network.parameters())
    noise = NOISE * rng.standard_normal((n, 3, side, side), dtype=np.float32)
    images = trained.scaling.undone(torch.zeros(n, 3, side, side)) + torch.from_numpy(noise)
    # Convolutions of few channels run faster with the channels last.
    return images.clamp(0, 1).to(weight.device, memory_format=torch.channels_last)


def maximise(
    trained: Trained,
    validation: ImageSet,
    *,
    classes: Ascent,
    filters: Ascent,
    class_objective: str,
    n_filters: int,
    seed: int,
    purpose: str,
) -> tuple[Maximised, Maximised]:
    """Return images for all classes, and for some filters of each layer.

    Parameters
    ----------
    trained : Trained
        On the device on which it shall run.
    validation : ImageSet
        With which activations are compared.
    classes, filters : Ascent
    class_objective : a key of `CLASS_OBJECTIVES`
    n_filters : int
        Of each layer but the last, drawn at random; all of a layer that has fewer.
    seed : seed of the run
    purpose : name of the study

    Returns
    -------
    classes, filters : Maximised

    Raises
    ------
    InputError
        An unknown objective, or images of another size than the network's.
    """
    _check(trained, validation, class_objective)
    trained.network.requires_grad_(False).to(memory_format=torch.channels_last)
    seen = unit_activations(trained, as_tensor(validation.images))
    units = {
        layer: np.sort(
            generator(seed, "filters", purpose, layer).permutation(seen[layer].shape[1])[:n_filters]
        )
        for layer in (FILTER_LAYERS if n_filters else ())
    } | {CLASS_LAYER: np.arange(len(trained.categories))}

    def images_of(layer: str) -> torch.Tensor:
        rng = generator(seed, "maximised", purpose, layer)
        if layer == CLASS_LAYER:
            return maximise_classes(trained, seen[layer], classes, class_objective, rng)
        return maximise_filters(trained, layer, units[layer], seen[layer], filters, rng)

    images = _of_layers(images_of, list(units), next(trained.network.parameters()).device)
    found = {
        layer: _maximised(trained, layer, units[layer], images[layer], seen[layer])
        for layer in units
    }
    side = trained.network.size.image
    return found.pop(CLASS_LAYER), _joined(found.values(), side)


def _check(trained: Trained, validation: ImageSet, class_objective: str) -> None:
    if class_objective not in CLASS_OBJECTIVES:
        raise InputError(
            f"maximisation.class_objective: found {class_objective!r}, expected one of "
            f"{', '.join(CLASS_OBJECTIVES)}"
        )
    side = trained.network.size.image
    if validation.images.shape[1:3] != (side, side):
        found = " x ".join(map(str, validation.images.shape[1:3]))
        raise InputError(
            f"validation images: found {found} pixels, expected {side} x {side}, the size of the "
            "network's; set `images.side`, or train a network of another size"
        )


def _of_layers(
    images_of: Callable[[str], torch.Tensor], layers: Sequence[str], device: torch.device
) -> dict[str, torch.Tensor]:
    """Return the images of every layer, on a CPU several layers at a time."""
    bar = tqdm(total=len(layers), unit="layer", disable=None)

    def counted(layer: str) -> torch.Tensor:
        images = images_of(layer)
        bar.update()
        return images

    # Later layers take longer and come first, so that no thread is idle in the end.
    last_first = layers[::-1]
    with bar:
        if device.type == "cpu":
            with one_thread_each():
                images = in_threads(counted, last_first)
        else:
            images = [counted(layer) for layer in last_first]
    return dict(zip(last_first, images, strict=True))


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
    """Let PyTorch compute every operation in the thread that asks for it.

    Results are then the same however many threads there are.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _maximised(
    trained: Trained, layer: str, units: np.ndarray, images: torch.Tensor, seen: torch.Tensor
) -> Maximised:
    """Return the images of a layer's units with what the network makes of them."""
    activations = unit_activations(trained, images)
    probabilities = activations[CLASS_LAYER].softmax(dim=1).numpy()
    rows, names = np.arange(len(units)), np.array(trained.categories)
    is_class = layer == CLASS_LAYER
    return Maximised(
        images=images.permute(0, 2, 3, 1).cpu().contiguous().numpy(),
        layer=np.repeat(layer, len(units)),
        unit=units,
        label=names[units] if is_class else np.repeat("", len(units)),
        activation=activations[layer][rows, units].numpy(),
        highest_seen=seen.amax(dim=0)[units].numpy(),
        n_seen=np.full(len(units), len(seen)),
        probability=(
            probabilities[rows, units] if is_class else np.full(len(units), np.nan, np.float32)
        ),
        predicted=names[probabilities.argmax(axis=1)],
    )


def _joined(parts: Sequence[Maximised], side: int) -> Maximised:
    """Return the images of several layers as one; of none as an empty one."""
    nothing = Maximised(
        images=np.zeros((0, side, side, 3), np.float32),
        layer=np.zeros(0, "U1"),
        unit=np.zeros(0, int),
        label=np.zeros(0, "U1"),
        activation=np.zeros(0, np.float32),
        highest_seen=np.zeros(0, np.float32),
        n_seen=np.zeros(0, int),
        probability=np.zeros(0, np.float32),
        predicted=np.zeros(0, "U1"),
    )
    parts = [nothing, *parts]
    return Maximised(
        **{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(nothing)}
    )


def table_of(*parts: Maximised) -> pd.DataFrame:
    """Return a row per unit: all of `Maximised` but the images."""
    tables = (
        pd.DataFrame({name: values for name, values in vars(part).items() if name != "images"})
        for part in parts
    )
    return pd.concat(tables, ignore_index=True)


def ascent_of(settings: Mapping, schedule: Sequence[Mapping], starts: int) -> Ascent:
    """Return the ascent of the config's block `maximisation`, with one of its schedules."""
    return Ascent(
        rounds=[Round(**block) for block in schedule],
        starts=starts,
        **{key: settings[key] for key in ("learning_rate", "norm_penalty", "variation_penalty")},
        jitter=settings["jitter"],
    )


if __name__ == "__main__":
    with script_job(snakemake):
        settings = snakemake.params.settings
        trained = read_trained(Path(snakemake.input.network))
        trained.network.to(choose_device(snakemake.resources.get("gpu", 0)))
        found = maximise(
            trained,
            read_images(Path(snakemake.input.images)),
            classes=ascent_of(settings, settings["schedule"], settings["starts"]),
            filters=ascent_of(settings, settings["filter_schedule"], 1),
            class_objective=settings["class_objective"],
            n_filters=settings["n_filters"],
            seed=snakemake.params.seed,
            purpose=snakemake.wildcards.study,
        )
        for part, path in zip(
            found, (snakemake.output.classes, snakemake.output.filters), strict=True
        ):
            write_maximised(path, part)
        write_table(table_of(*found), snakemake.output.table)
