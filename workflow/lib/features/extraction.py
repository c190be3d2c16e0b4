"""Activations of networks to images, a row per image and a file per layer, of any width."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from workflow.lib.errors import InputError
from workflow.lib.features.devices import autocast, one_thread_each, reused_memory
from workflow.lib.features.stimuli import Stimuli
from workflow.lib.features.unit_blocks import BLOCK_UNITS, UnitBlocks, check_free_disk
from workflow.lib.threads import in_threads

POOLING = {
    "none": lambda activations, axes: activations,
    "mean": lambda activations, axes: activations.mean(axes),
    "max": lambda activations, axes: activations.amax(axes),
}
# Images that a thread of a CPU shows to a network at a time. Convolutions round by how many images
# and how many threads they have, so that neither may follow the threads of the job; with fewer
# images, the layout of the weights, made anew each time, costs more than it saves.
PART_IMAGES = 16


def extract_features(
    extractor: nn.Module,
    transforms: Callable[..., torch.Tensor],
    stimuli: Stimuli,
    *,
    device: torch.device,
    folder: Path,
    batch_size: int = 32,
    pooling: str = "none",
    precision: str = "float32",
    block_units: int = BLOCK_UNITS,
) -> dict[str, UnitBlocks]:
    """Return the activations of every layer to every image, on disk.

    Parameters
    ----------
    extractor : torch.nn.Module
        Gives {label: output} for images (n, 3, height, width), see
        `workflow.lib.features.networks.layer_extractor`.
    transforms : callable, PIL image -> tensor (3, height, width)
    stimuli : Stimuli
    device : torch.device
    folder : Path
        Of the temporary files; they take 4 bytes per image and unit.
    batch_size : int
    pooling : "none", "mean" or "max"
        none, every unit, in the order of the output's axes; mean or max over space, see
        `pooled`.
    precision : "float32", "bfloat16" or "float16"
        Of the network, on a GPU.
    block_units : int
        Units per block of the files.

    Returns
    -------
    dict, label -> UnitBlocks (n_images, n_units), which the caller closes

    Raises
    ------
    InputError
        A layer's output is no array of numbers per image, or is not finite for some image; too
        little room on the disk or on the GPU.
    """
    if pooling not in POOLING:
        raise InputError(f"found the pooling {pooling!r}, expected one of {', '.join(POOLING)}")
    extractor = extractor.to(device)
    layers: dict[str, UnitBlocks] = {}
    writing: Future | None = None
    try:
        with (
            ThreadPoolExecutor(1) as writer,
            tqdm(total=len(stimuli), unit="image", disable=None) as progress,
            autocast(device, precision),
            reused_memory(),
        ):
            for names, images in image_batches(stimuli, transforms, batch_size):
                parts = shown_in_parts(extractor, images.to(device), names, pooling)
                layers = layers or _open_files(parts[0], len(stimuli), folder, block_units)
                if writing:
                    writing.result()  # so that one batch waits at most, and errors are not lost
                writing = writer.submit(_append, layers, parts)
                progress.update(len(names))
            if writing:
                writing.result()
    except BaseException:
        for blocks in layers.values():
            blocks.close()
        raise
    return layers


def _append(layers: Mapping[str, UnitBlocks], parts: list[dict[str, np.ndarray]]) -> None:
    """Write the rows of a batch, and forget each layer's as soon as they are written."""
    for label, blocks in layers.items():
        for rows in parts:
            blocks.append(rows.pop(label))


def image_batches(
    stimuli: Stimuli, transforms: Callable[..., torch.Tensor], batch_size: int
) -> Iterator[tuple[list[str], torch.Tensor]]:
    """Yield images as a network takes them; a thread prepares the next ones meanwhile.

    Yields
    ------
    names : list of n str
    images : float32 tensor (n, 3, height, width)
    """

    def prepared(start: int) -> tuple[list[str], torch.Tensor]:
        stop = min(start + batch_size, len(stimuli))
        images = [transforms(stimuli.image(i)) for i in range(start, stop)]
        return stimuli.names[start:stop], torch.stack(images)

    starts = range(0, len(stimuli), batch_size)
    with ThreadPoolExecutor(1) as thread:
        # Two at most exist at a time: the one in use and the one in the making.
        coming = thread.submit(prepared, 0)
        for start in itertools.chain(starts[1:], [None]):
            batch = coming.result()
            if start is not None:
                coming = thread.submit(prepared, start)
            yield batch


def shown_in_parts(
    extractor: nn.Module, images: torch.Tensor, names: Sequence[str], pooling: str
) -> list[dict[str, np.ndarray]]:
    """Return what layers give for images, see `layer_rows`: on a CPU part by part of the images.

    The parts are computed in threads, each by one: rows are then the same however many threads
    there are, and no slower to compute.

    Parameters
    ----------
    extractor : torch.nn.Module
        On the device of the images, gives {label: output}.
    images : float32 tensor (n, 3, height, width)
    names, pooling : see `layer_rows`

    Returns
    -------
    list of dict, label -> float32 array (n_of_part, n_units)
    """

    def rows(part: slice) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            return layer_rows(_run(extractor, images[part]), names[part], pooling)

    if images.device.type != "cpu":
        return [rows(slice(None))]
    starts = range(0, len(images), PART_IMAGES)
    with one_thread_each():
        return in_threads(rows, [slice(start, start + PART_IMAGES) for start in starts])


def layer_rows(
    outputs: Mapping[str, torch.Tensor], names: Sequence[str], pooling: str
) -> dict[str, np.ndarray]:
    """Return the outputs of layers as rows of float32, a row per image, all finite.

    Parameters
    ----------
    outputs : mapping, label -> tensor (n, ...)
    names : sequence of n str
        The images.
    pooling : "none", "mean" or "max"

    Returns
    -------
    dict, label -> float32 array (n, n_units)
    """
    rows = {}
    for label, output in outputs.items():
        _check_output(label, output, len(names))
        flat = pooled(output.float(), pooling).reshape(len(names), -1)
        # A sum is finite only if all its terms are: one pass and no array of truth values.
        finite = torch.isfinite(flat.sum(dim=1))
        if not finite.all():
            _check_finite(label, flat, names)
        rows[label] = flat.cpu().numpy()
    return rows


def pooled(output: torch.Tensor, pooling: str) -> torch.Tensor:
    """Return a layer's output (n, ...) pooled over space.

    A map (n, channels, height, width) becomes (n, channels), and so does one with the channels
    last, as in the Swin transformers: of a square image, space is the two axes of one length.
    Tokens (n, tokens, channels) become (n, channels), pooled over all tokens, the class token
    among them; to have it alone, take a layer after it is picked out. Vectors stay as they are.
    """
    shape = output.shape
    if output.ndim == 4 and shape[1] == shape[2] != shape[3]:
        axes = (1, 2)
    elif output.ndim == 3:
        axes = (1,)
    else:
        axes = tuple(range(2, output.ndim))
    return POOLING[pooling](output, axes) if axes else output


def _run(extractor: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    try:
        return extractor(images)
    except torch.cuda.OutOfMemoryError as error:
        raise InputError(
            f"found too little memory on the GPU for batches of {len(images)} images, expected "
            "room for one; make the batch size smaller"
        ) from error


def _open_files(
    rows: Mapping[str, np.ndarray], n_images: int, folder: Path, block_units: int
) -> dict[str, UnitBlocks]:
    """Return a file for every layer, after checking that the disk has room for all of them."""
    n_units = {label: array.shape[1] for label, array in rows.items()}
    check_free_disk(Path(folder), 4 * n_images * sum(n_units.values()))
    return {
        label: UnitBlocks(
            Path(folder) / f"layer-{number}.float32", n_images, width, block_units, name=label
        )
        for number, (label, width) in enumerate(n_units.items())
    }


def _check_output(label: str, output: object, n_images: int) -> None:
    is_layer = torch.is_tensor(output) and output.is_floating_point() and output.ndim > 1
    if is_layer and len(output) == n_images:
        return
    found = (
        f"a tensor of {str(output.dtype).removeprefix('torch.')} and shape {tuple(output.shape)}"
        if torch.is_tensor(output)
        else type(output).__name__
    )
    raise InputError(
        f"layer {label}: found an output that is {found} for {n_images} images, expected an array "
        "of numbers for each; take the layer before or after it"
    )


def _check_finite(label: str, rows: torch.Tensor, names: Sequence[str]) -> None:
    bad = ~torch.isfinite(rows).all(dim=1)
    if bad.any():
        n_values = int((~torch.isfinite(rows)).sum())
        raise InputError(
            f"layer {label}: found {n_values} activations that are NaN or infinite, the first for "
            f"the image {names[int(bad.nonzero()[0])]}, expected numbers; look at the weights and "
            "the image, and compute in float32"
        )
