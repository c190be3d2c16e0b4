"""Activations of networks to images, and RDMs and Gram matrices of layers of any width."""

import functools
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
from workflow.lib.rdms.distances import METRICS
from workflow.lib.rdms.stimulus_rdms import LEAST_VARIATION, distances_with_gaps
from workflow.lib.rdms.wide_patterns import TILE_CHANNELS, standardise_channels
from workflow.lib.threads import in_slices, in_threads

POOLING = {
    "none": lambda activations, axes: activations,
    "mean": lambda activations, axes: activations.mean(axes),
    "max": lambda activations, axes: activations.amax(axes),
}
# Which means leave a metric as it is (correlation: is what defines it) and are taken off.
CENTRED_OVER = {
    "correlation": "units",
    "cosine": None,
    "euclidean": "images",
    "sq_euclidean": "images",
}
# Images that a thread of a CPU shows to a network at a time. Convolutions round by how many images
# and how many threads they have, so that neither may follow the threads of the job; with fewer
# images, the layout of the weights, made anew each time, costs more than it saves.
PART_IMAGES = 16
# Columns that one product in float32 sums over; sums of more of them round too much.
PRODUCT_UNITS = 2048
# Rows of a product that a thread of a CPU computes at a time.
STRIPE_IMAGES = 128


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


def feature_rdm(
    blocks: UnitBlocks,
    metric: str,
    standardise_units: bool,
    *,
    device: torch.device | None = None,
) -> np.ndarray:
    """Return the RDM of a layer, without holding more than a block of its units in memory.

    Parameters
    ----------
    blocks : UnitBlocks (n_images, n_units)
    metric : one of `workflow.lib.rdms.distances.METRICS`
    standardise_units : bool
        Give every unit mean 0 and standard deviation 1 over the images first. Units that do not
        vary are left out.
    device : torch.device, optional
        Of the matrix products; the CPU if not given.

    Returns
    -------
    float64 array (n_pairs,), condensed
        NaN for the pairs of an image whose pattern does not vary, where the metric needs it to.

    Raises
    ------
    InputError
        No unit varies.
    """
    if metric not in METRICS:
        raise InputError(f"found the metric {metric!r}, expected one of {', '.join(METRICS)}")
    gram = feature_gram(blocks, standardise_units, centred_over=CENTRED_OVER[metric], device=device)
    return distances_with_gaps(gram, metric)


def feature_gram(
    blocks: UnitBlocks,
    standardise_units: bool,
    *,
    centred_over: str | None = None,
    device: torch.device | None = None,
) -> np.ndarray:
    """Return the inner products of all pairs of images' patterns.

    Parameters
    ----------
    blocks : UnitBlocks (n_images, n_units)
    standardise_units : bool
        As in `feature_rdm`.
    centred_over : "units", "images" or None
        Take the mean over units off every image's pattern; or the mean over images off every unit,
        which standardised units have lost already; or none.
    device : torch.device, optional
        Of the matrix products; the CPU if not given.

    Returns
    -------
    float64 array (n_images, n_images)

    Notes
    -----
    Patterns X are split into the mean pattern over images, m, and what is left of them in a block
    of u units, and that into its mean over the block's units, a, and the rest C:

        XX' = sum over blocks (CC' + u aa') + (Xc m) 1' + 1 (Xc m)' + m'm    with Xc = X - 1m'

    Only C is multiplied in float32, `PRODUCT_UNITS` at a time, for nothing large cancels in it:
    correlations are then right to 1e-6 however large the common pattern is. All else, sums
    included, is float64.
    """
    products = products_on(device or torch.device("cpu"))
    sums = _Sums(blocks.n_images)
    for block in blocks:
        sums.add(block, standardise_units, products)
    if not sums.n_units:
        raise InputError(
            f"{blocks.name}: found none of {blocks.n_units} units that varies over "
            f"{blocks.n_images} images, expected some; take another layer, or look at the images "
            "and the weights"
        )
    return sums.gram(centred_over)


class _Sums:
    """What `feature_gram` sums over blocks.

    Attributes
    ----------
    products : float64 array (n, n)
        Of patterns less their mean over images.
    along_mean : float64 array (n,)
        Their products with that mean pattern, whose own is `mean_square`.
    totals : float64 array (n,)
        Sums of the patterns over units.
    lows, highs : float32 arrays (n,)
        Extremes of the patterns over units.
    """

    def __init__(self, n_images: int) -> None:
        self.products = np.zeros((n_images, n_images))
        self.along_mean, self.totals = np.zeros((2, n_images))
        self.lows, self.highs = np.full((2, n_images), [[np.inf], [-np.inf]], dtype=np.float32)
        self.mean_square, self.n_units = 0.0, 0

    def add(
        self, block: np.ndarray, standardise: bool, products: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        """Add a block (n, u), which is overwritten."""
        if not standardise:
            self._note_extremes(block)
        rest, mean, along_mean = _centred_units(block, standardise)
        if not mean.size:
            return
        if standardise:
            self._note_extremes(rest)
        level = rest.mean(axis=1, dtype=np.float64)
        rest -= level.astype(np.float32)[:, None]
        for start in range(0, mean.size, PRODUCT_UNITS):
            self.products += products(rest[:, start : start + PRODUCT_UNITS])
        self.products += mean.size * np.outer(level, level)
        self.along_mean += along_mean
        self.totals += mean.size * level + mean.sum()
        self.mean_square += mean @ mean
        self.n_units += mean.size

    def _note_extremes(self, patterns: np.ndarray) -> None:
        np.minimum(self.lows, patterns.min(axis=1), out=self.lows)
        np.maximum(self.highs, patterns.max(axis=1), out=self.highs)

    def gram(self, centred_over: str | None) -> np.ndarray:
        """Return the Gram matrix (n, n)."""
        if centred_over == "images":
            return self.products
        gram = self.products + self.along_mean[:, None] + self.along_mean + self.mean_square
        largest = np.maximum(np.abs(self.lows), np.abs(self.highs))
        vanishes = largest == 0
        if centred_over == "units":
            gram -= np.outer(self.totals, self.totals / self.n_units)
            vanishes = self.highs - self.lows <= LEAST_VARIATION * largest
        # Patterns that vanish have a length of zero, not one of what the rounding left of it.
        gram[vanishes] = gram[:, vanishes] = 0
        return gram


def products_on(device: torch.device) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that multiplies float32 (n, k) with its transpose on a device."""
    if device.type == "cpu":
        return _products_in_stripes
    return functools.partial(_products_there, device)


def _products_in_stripes(rows: np.ndarray) -> np.ndarray:
    """Compute the half that the symmetry leaves, the same for any number of threads.

    Libraries split a product by the threads that they have, and round otherwise for each split.
    """
    here = torch.from_numpy(rows)
    products = np.empty((len(rows), len(rows)), dtype=np.float32)

    def fill(stripe: slice) -> None:
        found = (here[stripe] @ here[: stripe.stop].T).numpy()
        square = found[:, stripe.start :]
        square[:] = np.tril(square) + np.tril(square, -1).T
        products[stripe, : stripe.stop] = found
        products[: stripe.stop, stripe] = found.T

    with one_thread_each():
        in_slices(fill, len(rows), STRIPE_IMAGES)
    return products


def _products_there(device: torch.device, rows: np.ndarray) -> np.ndarray:
    there = torch.from_numpy(rows).to(device)
    return (there @ there.T).cpu().numpy()


def _centred_units(
    block: np.ndarray, standardise: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take their mean over images off units, or standardise them, in place.

    Returns
    -------
    rest : float32 array (n_images, n_kept), a part of `block`
    mean : float64 array (n_kept,)
        What was taken off; zero for standardised units, whose patterns have no other mean.
    along_mean : float64 array (n_images,)
        Products of `rest` with `mean`.
    """
    if standardise:
        rest = standardise_channels(block)
        return rest, np.zeros(rest.shape[1]), np.zeros(len(block))
    means, along_mean = [], np.zeros(len(block))
    for start in range(0, block.shape[1], TILE_CHANNELS):
        tile = block[:, start : start + TILE_CHANNELS].astype(np.float64)
        mean = tile.mean(axis=0)
        tile -= mean
        means.append(mean)
        along_mean += tile @ mean
        block[:, start : start + mean.size] = tile
    return block, np.concatenate(means), along_mean


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
