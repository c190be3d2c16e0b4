"""Pictures of six kinds of objects, drawn by rule: bed, bird, cat, dog, house, tree.

Each picture differs in pose (turned, mirrored, stretched), place, size, proportions, colours,
texture and background, so that no single pixel, colour or outline tells the kind. Drawn at four
times the size and scaled down, which smooths the edges.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# Pixels of a drawing per pixel of the picture.
FINE = 4
# Least difference in luminance between object and background, of 255.
LEAST_CONTRAST = 70

Points = list[tuple[float, float]]
# The role of each outline, part or detail (in a second colour), and its corners.
Shapes = list[tuple[str, Points]]


def _ellipse(x: float, y: float, width: float, height: float) -> tuple[str, Points]:
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return "part", [(x + width / 2 * np.cos(a), y + height / 2 * np.sin(a)) for a in angles]


def _box(left: float, top: float, right: float, bottom: float) -> tuple[str, Points]:
    return "part", [(left, top), (right, top), (right, bottom), (left, bottom)]


def _polygon(*points: tuple[float, float]) -> tuple[str, Points]:
    return "part", list(points)


def _detail(shape: tuple[str, Points]) -> tuple[str, Points]:
    """Return a shape to be drawn in the second colour."""
    return "detail", shape[1]


# Each returns outlines in a square from -1 to 1, y downwards; `rng` varies the proportions.


def _bed(rng: np.random.Generator) -> Shapes:
    head, foot, thick = rng.uniform(0.5, 0.95), rng.uniform(0.1, 0.4), rng.uniform(0.2, 0.4)
    return [
        _box(-0.95, 0.4 - head, -0.8, 0.75),
        _box(0.8, 0.4 - foot, 0.95, 0.75),
        _box(-0.85, 0.2, 0.85, 0.2 + thick),
        _detail(_ellipse(-0.55, 0.1, rng.uniform(0.35, 0.55), 0.25)),
        _detail(_box(rng.uniform(-0.3, 0.1), 0.14, 0.85, 0.22 + thick)),
    ]


def _bird(rng: np.random.Generator) -> Shapes:
    wing = rng.uniform(-1.0, 0.6)
    return [
        _ellipse(0, 0.1, rng.uniform(0.95, 1.2), rng.uniform(0.5, 0.7)),
        _ellipse(0.6, -0.25, 0.45, 0.42),
        _polygon((-0.4, 0.1), (-1.0, rng.uniform(-0.35, 0.1)), (-0.95, 0.35)),
        _detail(_polygon((-0.25, 0.0), (0.3, 0.0), (-0.1, wing))),
        _detail(_polygon((0.78, -0.3), (1.05, -0.2), (0.78, -0.12))),
        _polygon((-0.05, 0.35), (0.02, 0.35), (0.02, 0.8), (-0.05, 0.8)),
        _polygon((0.15, 0.35), (0.22, 0.35), (0.22, 0.8), (0.15, 0.8)),
    ]


def _cat(rng: np.random.Generator) -> Shapes:
    wide, ears = rng.uniform(0.6, 0.8), rng.uniform(0.3, 0.5)
    curl = rng.uniform(0.2, 0.9)
    return [
        _ellipse(0, 0.45, wide, 1.05),
        _ellipse(0, -0.35, 0.75, 0.65),
        _polygon((-0.36, -0.45), (-0.32, -0.55 - ears), (-0.05, -0.6)),
        _polygon((0.36, -0.45), (0.32, -0.55 - ears), (0.05, -0.6)),
        _polygon((0.3, 0.85), (0.8, 0.75), (0.95, 0.85 - curl), (0.85, 0.82 - curl), (0.7, 0.65)),
        _detail(_ellipse(-0.16, -0.4, 0.12, 0.14)),
        _detail(_ellipse(0.16, -0.4, 0.12, 0.14)),
    ]


def _dog(rng: np.random.Generator) -> Shapes:
    legs, back, tail = rng.uniform(0.35, 0.6), rng.uniform(0.4, 0.55), rng.uniform(-0.7, -0.1)
    shapes = [
        _box(-0.7, -0.1, 0.5, -0.1 + back),
        _ellipse(0.62, -0.32, 0.55, 0.5),
        _box(0.7, -0.35, 1.05, -0.12),
        _detail(_ellipse(0.45, -0.25, 0.2, rng.uniform(0.4, 0.6))),
        _polygon((-0.65, -0.05), (-1.0, tail), (-0.9, tail - 0.08), (-0.55, -0.1)),
    ]
    for x in (-0.65, -0.4, 0.1, 0.35):
        shapes.append(_box(x, back - 0.2, x + 0.14, back - 0.1 + legs))
    return shapes


def _house(rng: np.random.Generator) -> Shapes:
    roof, wall = rng.uniform(0.4, 0.8), rng.uniform(0.6, 0.85)
    top = -0.1
    shapes = [
        _box(-wall, top, wall, 0.9),
        _polygon((-wall - 0.15, top), (0.0, top - roof), (wall + 0.15, top)),
        _detail(_box(-0.12, 0.4, 0.15, 0.9)),
    ]
    for x in rng.permutation([-0.6, 0.32])[: rng.integers(1, 3)]:
        shapes.append(_detail(_box(x, 0.1, x + 0.26, 0.38)))
    if rng.random() < 0.5:
        shapes.append(_box(0.3, top - roof, 0.48, top))
    return shapes


def _tree(rng: np.random.Generator) -> Shapes:
    trunk = rng.uniform(0.1, 0.2)
    shapes = [_detail(_box(-trunk, 0.0, trunk, 0.95))]
    if rng.random() < 0.5:
        shapes += [
            _ellipse(x, y, rng.uniform(0.7, 1.0), rng.uniform(0.6, 0.9))
            for x, y in ((-0.4, -0.2), (0.4, -0.2), (0.0, -0.55))
        ]
    else:
        shapes += [
            _polygon(
                (-0.75 + 0.15 * i, 0.4 - 0.45 * i),
                (0, -0.25 - 0.35 * i),
                (0.75 - 0.15 * i, 0.4 - 0.45 * i),
            )
            for i in range(3)
        ]
    return shapes


OUTLINES: dict[str, Callable[[np.random.Generator], Shapes]] = {
    "bed": _bed,
    "bird": _bird,
    "cat": _cat,
    "dog": _dog,
    "house": _house,
    "tree": _tree,
}


def draw_object(category: str, side: int, rng: np.random.Generator) -> np.ndarray:
    """Return a picture of a category, uint8 (side, side, 3)."""
    fine = side * FINE
    shapes, placed = OUTLINES[category](rng), _placing(fine, rng)
    background, *colours = _colours(rng)
    picture = _textured(background, fine, rng)
    for role, colour in zip(("part", "detail"), colours, strict=True):
        mask = Image.new("L", (fine, fine), 0)
        pen = ImageDraw.Draw(mask)
        for of, points in shapes:
            if of == role:
                pen.polygon([placed(x, y) for x, y in points], fill=255)
        picture.paste(_textured(colour, fine, rng), mask=mask)
    small = np.asarray(picture.resize((side, side), Image.Resampling.BOX))
    return np.clip(small + rng.normal(0, 6, small.shape), 0, 255).astype(np.uint8)


def _placing(fine: int, rng: np.random.Generator) -> Callable[[float, float], tuple[float, float]]:
    """Return the change from an outline's square to the pixels of a drawing, drawn at random."""
    angle = np.radians(rng.uniform(-20, 20))
    mirrored = rng.choice([-1, 1])
    half = fine / 2 * rng.uniform(0.7, 0.95)
    stretch = rng.uniform(0.85, 1.15)
    room = (fine / 2 - half) * 0.9
    middle = fine / 2 + rng.uniform(-room, room, size=2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = half * turn @ np.diag([mirrored * stretch, 1 / stretch])

    def placed(x: float, y: float) -> tuple[float, float]:
        return tuple((matrix @ (x, y) + middle).tolist())

    return placed


def _colours(rng: np.random.Generator) -> np.ndarray:
    """Return the colours (3, RGB) of background, parts and details, told apart by luminance."""
    while True:
        colours = rng.uniform(20, 235, (3, 3))
        background, part, detail = colours.mean(axis=1)
        if abs(background - part) > LEAST_CONTRAST and abs(part - detail) > LEAST_CONTRAST / 2:
            return colours


def _textured(colour: np.ndarray, fine: int, rng: np.random.Generator) -> Image.Image:
    """Return a surface (fine, fine) of a colour that varies: in blotches, and stripes or not."""
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8))
    blotches = coarse.resize((fine, fine), Image.Resampling.BICUBIC)
    change = (np.asarray(blotches.filter(ImageFilter.GaussianBlur(FINE))) - 127.5) / 127.5
    if rng.random() < 0.4:
        rows, columns = np.mgrid[:fine, :fine]
        angle, wave = rng.uniform(0, np.pi), rng.uniform(3, 8) * FINE
        along = rows * np.sin(angle) + columns * np.cos(angle)
        change = change + np.sin(2 * np.pi * along / wave)
    strength = rng.uniform(5, 30)
    pixels = colour + strength * change[..., np.newaxis]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
