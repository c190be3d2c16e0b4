"""Control models: features of the images that need no network.

A layer is worth interest where it explains a region better than these. Each function takes stimuli
and its own options, and returns float32 (n_images, n_features).
"""

import inspect
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy.fft
from PIL import Image
from skimage.color import rgb2lab
from skimage.filters import gabor_kernel

from workflow.lib.errors import InputError
from workflow.lib.features.stimuli import Stimuli

# CIELAB of what sRGB can hold: L, a, b.
LAB_RANGES = ((0.0, 100.0), (-87.0, 99.0), (-108.0, 95.0))
# Single precision leaves a uniform image less energy than this, of 1 for black against white; the
# faintest grating that 8 bits hold has a hundred times as much.
LEAST_ENERGY = 1e-6


def pixel(stimuli: Stimuli, *, side: int = 64, colour: bool = False) -> np.ndarray:
    """Return the pixels of images, from 0 to 1.

    Parameters
    ----------
    stimuli : Stimuli
    side : int
        Images are resized to side x side, whatever their shape was.
    colour : bool
        Three features per pixel, red, green and blue, in place of its luminance.

    Returns
    -------
    float32 array (n_images, side * side) or (n_images, side * side * 3)
    """
    return np.stack([image.ravel() for image in _resized(stimuli, side, colour)])


def gabor(
    stimuli: Stimuli,
    *,
    side: int = 128,
    frequencies: Sequence[float] = (0.25, 0.125, 0.0625, 0.03125),
    orientations: int = 8,
    grid: int = 8,
) -> np.ndarray:
    """Return the energies of Gabor filters, a model of V1's complex cells.

    Parameters
    ----------
    stimuli : Stimuli
    side : int
        Images are turned to luminance and resized to side x side.
    frequencies : sequence of float
        Of the filters, in cycles per pixel of the resized image. The filters of a frequency have a
        bandwidth of one octave.
    orientations : int
        Number of orientations, evenly over 180 degrees.
    grid : int
        Energies are averaged within grid x grid equal cells.

    Returns
    -------
    float32 array (n_images, n_frequencies * orientations * grid * grid)

    Notes
    -----
    The energy is the modulus of the response to an even and an odd filter (Adelson and Bergen
    1985). Filters sum to zero, so that uniform images have none; beyond their edges images are
    continued by their mirror images.
    """
    if side % grid:
        raise InputError(
            f"found a Gabor grid of {grid} cells over {side} pixels, expected a divisor of the "
            "side; change one of them"
        )
    kernels = [
        zero_mean_gabor(frequency, np.pi * i / orientations)
        for frequency in frequencies
        for i in range(orientations)
    ]
    margin = max(max(kernel.shape) // 2 for kernel in kernels)
    size = scipy.fft.next_fast_len(side + 2 * margin)
    spectra = [_centred_spectrum(kernel, size) for kernel in kernels]
    features = []
    for image in _resized(stimuli, side, colour=False):
        spectrum = scipy.fft.fft2(np.pad(image, margin, mode="symmetric"), (size, size))
        inside = slice(margin, margin + side)
        energies = (np.abs(scipy.fft.ifft2(spectrum * s))[inside, inside] for s in spectra)
        features.append(np.concatenate([_cell_means(energy, grid) for energy in energies]))
    found = np.stack(features).astype(np.float32)
    found[found < LEAST_ENERGY] = 0
    return found


def colour_histogram(
    stimuli: Stimuli, *, bins: int = 8, joint: bool = False, side: int = 128
) -> np.ndarray:
    """Return the share of an image's pixels in bins of CIELAB colour.

    Parameters
    ----------
    stimuli : Stimuli
    bins : int
        Bins per channel, of equal width over the colours that sRGB can hold.
    joint : bool
        One histogram over all three channels, in place of one for each.
    side : int
        Images are resized to side x side first.

    Returns
    -------
    float32 array (n_images, bins ** 3) or (n_images, 3 * bins)
        Every histogram sums to one.
    """
    edges = [np.linspace(low, high, bins + 1) for low, high in LAB_RANGES]
    features = []
    for image in _resized(stimuli, side, colour=True):
        lab = np.clip(rgb2lab(image).reshape(-1, 3), *np.transpose(LAB_RANGES))
        counts = (
            np.histogramdd(lab, edges)[0].ravel()
            if joint
            else np.concatenate([np.histogram(lab[:, c], edges[c])[0] for c in range(3)])
        )
        features.append(counts / len(lab))
    return np.stack(features).astype(np.float32)


CONTROLS: dict[str, Callable[..., np.ndarray]] = {
    "pixel": pixel,
    "gabor": gabor,
    "colour_histogram": colour_histogram,
}


def control_features(name: str, stimuli: Stimuli, **options: object) -> np.ndarray:
    """Return the features of a control model, float32 (n_images, n_features).

    Parameters
    ----------
    name : one of `CONTROLS`
    stimuli : Stimuli
    options
        Of that model's function.

    Raises
    ------
    InputError
        No such model, or no such option.
    """
    if name not in CONTROLS:
        raise InputError(f"found the control {name!r}, expected one of {', '.join(CONTROLS)}")
    known = list(inspect.signature(CONTROLS[name]).parameters)[1:]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise InputError(
            f"control {name}: found the option {unknown[0]!r}, expected some of {', '.join(known)}"
        )
    return CONTROLS[name](stimuli, **options)


def zero_mean_gabor(frequency: float, orientation: float) -> np.ndarray:
    """Return a complex Gabor filter whose sum is zero.

    The filter of scikit-image answers to the mean luminance, as no cell does: as much of its
    envelope is taken off as makes the sum vanish.

    Parameters
    ----------
    frequency : float
        In cycles per pixel.
    orientation : float
        In radians, of the direction in which the grating varies; 0 for vertical stripes.

    Returns
    -------
    complex128 array (height, width), both odd
    """
    kernel = gabor_kernel(frequency, theta=orientation, bandwidth=1)
    envelope = np.abs(kernel)
    return kernel - envelope * (kernel.sum() / envelope.sum())


def _resized(stimuli: Stimuli, side: int, colour: bool) -> Iterator[np.ndarray]:
    """Yield images as float32 from 0 to 1, (side, side) or (side, side, 3)."""
    mode = "RGB" if colour else "L"
    for i in range(len(stimuli)):
        image = stimuli.image(i).convert(mode).resize((side, side), Image.Resampling.BICUBIC)
        yield np.asarray(image, dtype=np.float32) / 255


def _centred_spectrum(kernel: np.ndarray, size: int) -> np.ndarray:
    """Return the spectrum with which a convolution leaves the image where it is."""
    height, width = kernel.shape
    padded = np.zeros((size, size), dtype=np.complex64)
    padded[:height, :width] = kernel
    return scipy.fft.fft2(np.roll(padded, (-(height // 2), -(width // 2)), axis=(0, 1)))


def _cell_means(energy: np.ndarray, grid: int) -> np.ndarray:
    """Return the mean energy in every cell, row by row, (grid * grid,)."""
    cell = len(energy) // grid
    return energy.reshape(grid, cell, grid, cell).mean(axis=(1, 3)).ravel()
