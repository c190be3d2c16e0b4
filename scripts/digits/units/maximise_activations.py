"""Find images that drive single units of a trained network the most: classes and filters.

snakemake --cores 2 results/demo/digits/maximised/classes.npz
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from scripts.digits.data.labelled_images import ImageSet, read_images
from scripts.digits.network.trained import Trained, as_tensor, read_trained
from scripts.digits.units.ascent import Ascent, ascent_of
from scripts.digits.units.maximised import Maximised, write_maximised
from scripts.digits.units.unit_images import (
    CLASS_LAYER,
    CLASS_OBJECTIVES,
    FILTER_LAYERS,
    maximise_classes,
    maximise_filters,
    unit_activations,
)
from workflow.lib.errors import InputError
from workflow.lib.features.devices import choose_device, one_thread_each
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table
from workflow.lib.threads import in_threads


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
