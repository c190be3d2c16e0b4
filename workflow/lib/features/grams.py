"""RDMs and Gram matrices of layers of any width, from their activations on disk."""

import functools
from collections.abc import Callable

import numpy as np
import torch

from workflow.lib.errors import InputError
from workflow.lib.features.devices import one_thread_each
from workflow.lib.features.unit_blocks import UnitBlocks
from workflow.lib.rdms.distances import METRICS
from workflow.lib.rdms.stimulus_rdms import LEAST_VARIATION, distances_with_gaps
from workflow.lib.rdms.wide_patterns import PRODUCT_CHANNELS, TILE_CHANNELS, standardise_channels
from workflow.lib.threads import in_slices

# Which means leave a metric as it is (correlation: is what defines it) and are taken off.
CENTRED_OVER = {
    "correlation": "units",
    "cosine": None,
    "euclidean": "images",
    "sq_euclidean": "images",
}
# Rows of a product that a thread of a CPU computes at a time.
STRIPE_IMAGES = 128


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

    Only C is multiplied in float32, `PRODUCT_CHANNELS` at a time, for nothing large cancels in it:
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
        for start in range(0, mean.size, PRODUCT_CHANNELS):
            self.products += products(rest[:, start : start + PRODUCT_CHANNELS])
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
