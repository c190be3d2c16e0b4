"""Pictures in which shape and category have nothing to do with each other.

A picture shows one object on an even ground. Its outline, place, size and direction, and the light
and dark of its surface, are drawn at random: they are all that there is in the grey picture. What
its surface is of, its category, is in colour alone: hue and a pattern of two shades of it that have
the luminance of the place. So the grey picture tells nothing of the category, and the category
nothing of the grey picture.

Categories belong to materials, which are far apart in hue and pattern; the categories of a material
differ a little. Training and test images are of different categories of the same materials.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage

SIDE = 32
# Points of the outline along a side of a pixel.
FINE = 4
# Shares of the range of luminance: the ground, and of an object the mean, and the contrast of light
# and dark on it; the last two vary from object to object by these standard deviations.
GROUND, LUMINANCE, CONTRAST = 0.7, 0.43, 0.055
BRIGHTER, STRONGER = 0.02, 0.012
DARKEST, LIGHTEST = 0.32, 0.54
# Width of patches of light and dark, in pixels of the picture.
PATCH = 2.0
# Mean radius of objects, and how far from the middle they are, as shares of the side; harmonics of
# the outline, the standard deviation of the first in shares of the radius, and elongation.
RADIUS, OFF_CENTRE = (0.24, 0.28), 0.13
HARMONICS, RUGGED, ELONGATION = (2, 3, 4, 5), 0.26, (0.75, 1.33)
# Weights of red, green and blue in luminance (ITU-R BT.601, as in Pillow's grey images), and two
# directions at right angles in the plane of colours that have none.
WEIGHTS = np.array([0.299, 0.587, 0.114])
REDNESS = np.array([WEIGHTS[1], -WEIGHTS[0], 0.0])
REDNESS /= np.linalg.norm(REDNESS)
BLUENESS = np.cross(REDNESS, WEIGHTS)
BLUENESS *= np.sign(BLUENESS[2]) / np.linalg.norm(BLUENESS)
# Distance of a material's colour from grey, and of the two shades of its pattern from it.
SATURATION, SHADES = 0.26, 0.12
# Of the next category of a material: hue in degrees, and the width of its stripes.
HUE_STEP, WIDTH_STEP = 10.0, 1.15


@dataclass(frozen=True)
class Category:
    """What the surface of objects is of.

    Attributes
    ----------
    number : int
        Of the category, as of a synset.
    material : int
    place : int
        Among the categories of the material: 0 in the middle, others to its sides.
    """

    number: int
    material: int
    place: int

    @property
    def hue(self) -> float:
        """Direction of the colour, in degrees."""
        return 360 / N_MATERIALS * self.material + HUE_STEP * self.place

    @property
    def stripes(self) -> tuple[float, float]:
        """Width in pixels, and direction in degrees, of the pattern's stripes."""
        width, direction = PATTERNS[self.material]
        return width * WIDTH_STEP**self.place, direction


# Of each material, the width of stripes in pixels and their direction in degrees.
PATTERNS = ((2.5, 0.0), (2.5, 90.0), (4.0, 45.0), (2.5, 135.0), (4.0, 0.0), (4.0, 90.0))
N_MATERIALS = len(PATTERNS)
# Places of the categories of a material in training, and in test.
TRAINING_PLACES, TEST_PLACES = (-1, 1), (0,)
# As of synsets, n01000001 and so on.
FIRST_NUMBER = 1_000_001


def categories(places: tuple[int, ...], first: int = FIRST_NUMBER) -> list[Category]:
    """Return the categories of all materials at some places, numbered from `first`."""
    kinds = [(material, place) for place in places for material in range(N_MATERIALS)]
    return [Category(first + i, *kind) for i, kind in enumerate(kinds)]


@dataclass(frozen=True)
class Outlines:
    """The silhouettes of n objects.

    Attributes
    ----------
    x, y : float arrays (n,)
        Centres in pixels from the upper left corner.
    radius : float array (n,)
        Mean radius in pixels.
    elongation, direction : float arrays (n,)
        Ratio of the axes, and direction of the longer one in radians.
    waves : complex array (n, n_harmonics)
        Of the logarithm of the radius along the outline.
    """

    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    elongation: np.ndarray
    direction: np.ndarray
    waves: np.ndarray


def draw_outlines(n: int, rng: np.random.Generator) -> Outlines:
    """Return n random silhouettes."""
    middle, reach = SIDE / 2, OFF_CENTRE * SIDE
    x, y = rng.uniform(middle - reach, middle + reach, (2, n))
    falling = RUGGED / np.arange(1, len(HARMONICS) + 1)
    waves = falling * (rng.standard_normal((n, len(HARMONICS), 2)) @ [1, 1j]) / np.sqrt(2)
    return Outlines(
        x=x,
        y=y,
        radius=SIDE * rng.uniform(*RADIUS, n),
        elongation=np.exp(rng.uniform(*np.log(ELONGATION), n)),
        direction=rng.uniform(0, np.pi, n),
        waves=waves,
    )


def coverage(outlines: Outlines) -> np.ndarray:
    """Return the share of each pixel that is inside, float array (n, SIDE, SIDE)."""
    along = ((np.arange(FINE * SIDE) + 0.5) / FINE).astype(np.float32)
    found = np.empty((len(outlines.x), SIDE, SIDE))
    for i, waves in enumerate(outlines.waves):
        place = (along - outlines.x[i]) + 1j * (along[:, None] - outlines.y[i])
        place *= np.exp(-1j * outlines.direction[i])
        stretch = np.sqrt(outlines.elongation[i])
        place = place.real / stretch + 1j * place.imag * stretch
        distance = np.maximum(np.abs(place), np.finfo(np.float32).tiny)
        unit = place / distance
        log_radius = sum((w * unit**k).real for k, w in zip(HARMONICS, waves, strict=True))
        inside = distance < outlines.radius[i] * np.exp(log_radius)
        found[i] = inside.reshape(SIDE, FINE, SIDE, FINE).mean(axis=(1, 3))
    return found


def shading(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return light and dark on n surfaces, in shares of the range of luminance (n, SIDE, SIDE)."""
    white = rng.standard_normal((n, SIDE, SIDE))
    patches = scipy.ndimage.gaussian_filter(white, PATCH, axes=(1, 2), mode="wrap")
    patches /= patches.std(axis=(1, 2), keepdims=True)
    brighter, stronger = rng.standard_normal((2, n, 1, 1))
    levels = LUMINANCE + BRIGHTER * brighter + (CONTRAST + STRONGER * stronger) * patches
    return np.clip(levels, DARKEST, LIGHTEST)


def colours(category: Category, phase: float) -> np.ndarray:
    """Return what a category adds to luminance, (SIDE, SIDE, 3), itself of none."""
    along = np.arange(SIDE) + 0.5
    width, direction = category.stripes
    angle = np.deg2rad(direction)
    across = along * np.cos(angle) + along[:, None] * np.sin(angle)
    wave = np.sin(np.pi * across / width + phase)
    hue = np.deg2rad(category.hue)
    radial = np.cos(hue) * REDNESS + np.sin(hue) * BLUENESS
    beside = -np.sin(hue) * REDNESS + np.cos(hue) * BLUENESS
    return SATURATION * radial + SHADES * wave[..., None] * beside


def draw_pictures(shown: Sequence[Category], rng: np.random.Generator) -> np.ndarray:
    """Return a picture of a random object of each category, uint8 (n, SIDE, SIDE, 3)."""
    inside = coverage(draw_outlines(len(shown), rng))[..., None]
    levels = shading(len(shown), rng)[..., None]
    phases = rng.uniform(0, 2 * np.pi, len(shown))
    added = np.array(list(map(colours, shown, phases)))
    return np.rint(255 * (inside * (levels + added) + (1 - inside) * GROUND)).astype(np.uint8)


def luminance(pictures: np.ndarray) -> np.ndarray:
    """Return the luminance of pictures (..., 3), in shares of the range of levels."""
    return pictures @ WEIGHTS / 255
