"""Images that drive single units of a trained network the most: a class, or a filter of a layer.

A unit is the mean over places of a channel before it is rectified, so that one that is silent at
first has a gradient as well.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from scripts.digits.network.trained import Trained
from scripts.digits.network.vgg import ANALYSED_LAYERS, VGG
from scripts.digits.units.ascent import Ascent, ascend

*FILTER_LAYERS, CLASS_LAYER = ANALYSED_LAYERS
# Standard deviation of the noise with which an ascent begins, of 1. From 8 / 255, as published,
# some classes never leave the plain image, at which next to nothing drives them.
NOISE = 0.1
# Images that are shown at once.
SHOWN = 64


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
