"""Make the images of the simulated study: handwritten digits, and objects drawn by rule.

Digits are those of scikit-learn (8 x 8 pixels, from UCI's Optical Recognition of Handwritten
Digits), enlarged; objects are drawn, see `scripts.digits.data.object_images`. Training, validation
and the participants' stimuli have no image in common.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from scripts.digits.data.labelled_images import ImageSet, write_images
from scripts.digits.data.object_images import OUTLINES, draw_object
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Largest value of a pixel of scikit-learn's digits.
INK = 16


def simulate_images(
    categories: Sequence[str],
    n_per_category: Mapping[str, int],
    *,
    side: int,
    seed: int,
    name: str,
) -> dict[str, ImageSet]:
    """Return the images of every part of the study.

    Parameters
    ----------
    categories : names of digits and objects
    n_per_category : part (train, validation, stimuli) -> images of each category
    side : pixels
    seed : seed of the run
    name : of the simulation; others with the same seed are independent of it

    Returns
    -------
    dict, part -> ImageSet, category by category

    Raises
    ------
    InputError
        A category that cannot be drawn, or more digits wanted than there are.
    """
    unknown = [category for category in categories if category not in (*DIGITS, *OUTLINES)]
    if unknown:
        raise InputError(
            f"categories: found {unknown[0]!r}, expected some of {', '.join((*DIGITS, *OUTLINES))} "
            "where images are simulated; take one of these, or give images"
        )
    wanted = sum(n_per_category.values())
    pictures = {
        category: _pictures(category, wanted, side, generator(seed, "images", name, category))
        for category in categories
    }
    sets, first = {}, 0
    for part, n in n_per_category.items():
        sets[part] = ImageSet(
            images=np.concatenate([of[first : first + n] for of in pictures.values()]),
            labels=np.repeat(list(categories), n),
        )
        first += n
    return sets


def _pictures(category: str, n: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Return pictures of a category, uint8 (n, side, side, 3), in random order."""
    if category in OUTLINES:
        return np.stack([draw_object(category, side, rng) for _ in range(n)])
    written = load_digits()
    of_category = written.images[written.target == DIGITS.index(category)]
    if n > len(of_category):
        raise InputError(
            f"images of {category!r}: found {len(of_category)} in scikit-learn's digits, expected "
            f"{n}; lower the numbers of images per category"
        )
    chosen = of_category[rng.permutation(len(of_category))[:n]]
    return np.stack([_enlarged(digit, side) for digit in chosen])


def _enlarged(digit: np.ndarray, side: int) -> np.ndarray:
    """Return a digit (8, 8) as a grey picture with a margin, uint8 (side, side, 3)."""
    inside = round(0.8 * side)
    grey = Image.fromarray(np.uint8(np.clip(digit / INK, 0, 1) * 255))
    picture = Image.new("L", (side, side), 0)
    picture.paste(
        grey.resize((inside, inside), Image.Resampling.BICUBIC), [(side - inside) // 2] * 2
    )
    return np.asarray(picture.convert("RGB"))


if __name__ == "__main__":
    with script_job(snakemake):
        sets = simulate_images(
            snakemake.params.categories,
            snakemake.params.n_per_category,
            side=snakemake.params.side,
            seed=snakemake.params.seed,
            name=snakemake.wildcards.folder,
        )
        for part, images in sets.items():
            write_images(Path(snakemake.output[part]), images)
