"""Simulate a study of objects: images drawn by rule, and response patterns with a known truth.

Six kinds of objects (three shapes, in two textures) in any place, size, colour and background.
The channels of the ROI `early` respond to local luminance, those of `late` to the kind of object
wherever it is, each with noise of its own in every run. A pixel model and a category model should
therefore win in different ROIs, by RSA and by encoding alike.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from workflow.lib.files import written_whole
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

SHAPES = ("disc", "square", "star")
TEXTURES = ("plain", "striped")
KINDS = tuple(f"{texture}_{shape}" for texture in TEXTURES for shape in SHAPES)
SUBJECTS = ("s1", "s2", "s3")
PLANTED_MODEL = {"early": "pixel", "late": "groups"}
NULL = "none"

# ASSUME: sizes and noise fixed once; split-half reliabilities are about those of single regions.
SIDE = 96
LUMINANCE_GRID = 8
LEAST_CONTRAST = 50
N_CHANNELS = 80
N_RUNS = 2
NOISE = 1.5


def draw_object(kind: str, rng: np.random.Generator) -> Image.Image:
    """Return a picture (SIDE, SIDE, RGB) of an object in a random place, size and colour."""
    texture, shape = kind.split("_")
    background, colour = _two_colours(rng)
    picture = Image.new("RGB", (SIDE, SIDE), tuple(background.tolist()))
    mask = Image.new("L", (SIDE, SIDE), 0)
    size = int(rng.integers(SIDE // 3, 2 * SIDE // 3))
    left, top = rng.integers(0, SIDE - size, 2).tolist()
    _draw_shape(ImageDraw.Draw(mask), shape, left, top, size)
    picture.paste(_surface(texture, colour, rng), mask=mask)
    return picture


def _two_colours(rng: np.random.Generator) -> np.ndarray:
    """Return two colours (2, RGB) that differ enough in luminance to be told apart."""
    while True:
        colours = rng.integers(0, 256, (2, 3))
        if abs(np.diff(colours.mean(axis=1))[0]) >= LEAST_CONTRAST:
            return colours


def _draw_shape(draw: ImageDraw.ImageDraw, shape: str, left: int, top: int, size: int) -> None:
    box = (left, top, left + size, top + size)
    if shape == "disc":
        draw.ellipse(box, fill=255)
    elif shape == "square":
        draw.rectangle(box, fill=255)
    else:
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2, 0.2, 0.5) * size
        x = left + size / 2 + radii * np.cos(angles)
        y = top + size / 2 + radii * np.sin(angles)
        draw.polygon(list(zip(x.tolist(), y.tolist(), strict=True)), fill=255)


def _surface(texture: str, colour: np.ndarray, rng: np.random.Generator) -> Image.Image:
    pixels = np.broadcast_to(colour, (SIDE, SIDE, 3)).astype(np.float64)
    if texture == "striped":
        rows, columns = np.mgrid[:SIDE, :SIDE]
        angle = rng.uniform(0, np.pi)
        wave = np.sin(0.7 * (columns * np.cos(angle) + rows * np.sin(angle)))
        pixels = np.where(wave[..., None] > 0, pixels, 255 - pixels)
    return Image.fromarray(pixels.astype(np.uint8))


def early_features(images: np.ndarray) -> np.ndarray:
    """Return the luminance of patches less that of the whole image, (n_images, LUMINANCE_GRID^2).

    Like early visual cortex it answers to contrast, not to how bright the whole image is.
    """
    patch = SIDE // LUMINANCE_GRID
    grey = images.mean(axis=-1)
    grid = grey.reshape(-1, LUMINANCE_GRID, patch, LUMINANCE_GRID, patch).mean(axis=(2, 4))
    patches = grid.reshape(len(images), -1)
    contrast = patches - patches.mean(axis=1, keepdims=True)
    return contrast / contrast.std()


def late_features(kinds: list[str]) -> np.ndarray:
    """Return one z-scored column per kind of object, (n_images, n_kinds)."""
    columns = (np.array(kinds)[:, None] == np.array(KINDS)).astype(float)
    return (columns - columns.mean(axis=0)) / columns.std(axis=0)


def responses(features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return responses (N_RUNS * n_images, N_CHANNELS), run after run."""
    weights = rng.standard_normal((features.shape[1], N_CHANNELS)) / np.sqrt(features.shape[1])
    noise = rng.standard_normal((N_RUNS, len(features), N_CHANNELS))
    return (features @ weights + NOISE * noise).reshape(-1, N_CHANNELS)


def simulate(
    folder: Path, *, n_images: int, null_effect: bool, seed: int, name: str
) -> pd.DataFrame:
    """Write images and responses into `folder`, and return the planted model of every ROI.

    Parameters
    ----------
    folder : where the files go
    n_images : number of images
    null_effect : whether responses follow images that nobody saw
    seed : seed of the run
    name : of the simulation; others with the same seed are independent of it

    Returns
    -------
    DataFrame with columns roi and planted_model ("none" for a null simulation)
    """
    rng = generator(seed, "simulate_objects", name)
    kinds = [KINDS[i % len(KINDS)] for i in range(n_images)]
    images = np.stack([np.asarray(draw_object(kind, rng)) for kind in kinds])
    names = [f"{kind}_{i + 1:03d}.png" for i, kind in enumerate(kinds)]
    with written_whole(folder / "images.npz") as temporary:
        np.savez_compressed(temporary, images=images, names=np.array(names))
    seen = rng.permutation(n_images) if null_effect else np.arange(n_images)
    features = {
        "early": early_features(images[seen]),
        "late": late_features([kinds[i] for i in seen]),
    }
    for subject in SUBJECTS:
        with written_whole(folder / f"{subject}_responses.npz") as temporary:
            np.savez_compressed(
                temporary,
                condition=np.array(names * N_RUNS),
                run=np.repeat([f"run-{run + 1}" for run in range(N_RUNS)], n_images),
                **{roi: responses(x, rng) for roi, x in features.items()},
            )
    planted = [NULL if null_effect else model for model in PLANTED_MODEL.values()]
    return pd.DataFrame({"roi": list(PLANTED_MODEL), "planted_model": planted})


if __name__ == "__main__":
    with script_job(snakemake):
        truth = simulate(
            Path(snakemake.output.truth).parent,
            n_images=snakemake.params.n_images,
            null_effect=snakemake.params.null_effect,
            seed=snakemake.params.seed,
            name=snakemake.wildcards.folder,
        )
        write_table(truth, snakemake.output.truth)
