"""Images changed at random as they are shown in training, digits and objects each in their way.

Images are float32 tensors (3, height, width) from 0 to 1; what is outside an image is black.

References
----------
Krizhevsky, Sutskever, Hinton 2012, NeurIPS (colour components);
Lee, Jung, Lustig, Lee 2023, Hum Brain Mapp, doi:10.1002/hbm.26189 (which change for what).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional

# An image is cropped to this part of its side, at one of 3 x 3 places.
CROP = 224 / 256
N_PLACES = 3


@dataclass(frozen=True)
class ColourComponents:
    """How the colours of the training images vary.

    Attributes
    ----------
    directions : float64 array (3, 3)
        Columns are the principal components of the pixels' red, green and blue.
    spreads : float64 array (3,)
        Standard deviations along them, of colours from 0 to 1.
    """

    directions: np.ndarray
    spreads: np.ndarray


def colour_components(images: np.ndarray) -> ColourComponents:
    """Return the principal components of the colours of uint8 images (n, height, width, 3)."""
    sums, products, n_pixels = np.zeros(3), np.zeros((3, 3)), images.size // 3
    # An image at a time: all of them at once would be many gigabytes.
    for image in images:
        pixels = image.reshape(-1, 3) / 255
        sums += pixels.sum(axis=0)
        products += pixels.T @ pixels
    covariance = (products - np.outer(sums, sums) / n_pixels) / (n_pixels - 1)
    values, directions = np.linalg.eigh(covariance)
    return ColourComponents(directions, np.sqrt(values.clip(min=0)))


@dataclass(frozen=True)
class Affine:
    """How far a digit is turned, shifted and enlarged.

    Attributes
    ----------
    scale : largest enlargement, 1.08 for 8 %
    shift : largest shift in either direction, as a part of the side
    degrees : largest rotation to either side
    """

    scale: float = 1.08
    shift: float = 0.08
    degrees: float = 15.0


def change_digit(image: torch.Tensor, rng: np.random.Generator, affine: Affine) -> torch.Tensor:
    """Return an image that is turned, shifted and enlarged at random, in one interpolation."""
    angle = np.radians(rng.uniform(-affine.degrees, affine.degrees))
    scale = rng.uniform(1, affine.scale)
    # The grid runs from -1 to 1 over the image, a shift of one side is 2.
    shift = 2 * rng.uniform(-affine.shift, affine.shift, size=2)
    # Where in the original each point of the result lies: the inverse of the change.
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    matrix = image.new_tensor(np.column_stack([turn, -turn @ shift]))
    grid = torch.nn.functional.affine_grid(
        matrix[np.newaxis], list(image[np.newaxis].shape), align_corners=False
    )
    return torch.nn.functional.grid_sample(image[np.newaxis], grid, align_corners=False)[0]


def change_object(
    image: torch.Tensor,
    rng: np.random.Generator,
    colours: ColourComponents,
    *,
    colour_spread: float = 0.1,
) -> torch.Tensor:
    """Return an image cropped at one of nine places or whole, flipped or not, in other light.

    `colour_spread` is how far the colours move along each component, as a part of how far the
    training images spread along it. It is a share of a standard deviation, so that it means the
    same whatever the units of the images.
    """
    place = rng.integers(N_PLACES**2 + 1)
    if place < N_PLACES**2:
        image = _cropped(image, *divmod(int(place), N_PLACES))
    if rng.random() < 0.5:
        image = image.flip(2)
    moves = rng.normal(0, colour_spread, size=3)
    light = image.new_tensor(colours.directions @ (moves * colours.spreads))
    return (image + light[:, None, None]).clamp(0, 1)


def _cropped(image: torch.Tensor, row: int, column: int) -> torch.Tensor:
    """Return the crop at one of 3 x 3 places, in the size of the image."""
    side = image.shape[1]
    kept = round(CROP * side)
    top, left = ((side - kept) * i // (N_PLACES - 1) for i in (row, column))
    crop = image[np.newaxis, :, top : top + kept, left : left + kept]
    return torch.nn.functional.interpolate(
        crop, size=(side, side), mode="bilinear", align_corners=False, antialias=False
    )[0]


Change = Callable[[torch.Tensor, np.random.Generator], torch.Tensor]


def change_batch(
    images: torch.Tensor,
    kinds: list[str],
    rng: np.random.Generator,
    changes: Mapping[str, Change],
) -> torch.Tensor:
    """Return a batch in which each image is changed as its kind (digit, object) demands.

    Raises
    ------
    KeyError
        A kind that has no change.
    """
    return torch.stack(
        [changes[kind](image, rng) for image, kind in zip(images, kinds, strict=True)]
    )
