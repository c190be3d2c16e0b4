"""Bring published images of a study's categories into its form: parts without a common image."""

import hashlib
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from scripts.digits.data.image_sources import ANY, Candidate, Candidates, find_images
from scripts.digits.data.labelled_images import ImageSet, write_images
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator

log = logging.getLogger("workflow")


def prepare_images(
    collections: Sequence[Mapping],
    categories: Sequence[str],
    n_per_category: Mapping[str, int],
    *,
    side: int,
    seed: int,
    study: str,
) -> dict[str, ImageSet]:
    """Return the images of every part of a study, out of published collections.

    Parameters
    ----------
    collections : blocks with keys layout, folder, files, categories
        See `scripts.digits.data.image_sources.find_images`; `categories` maps categories of the
        study to labels, all to themselves where it is empty.
    categories : in the order of the images
    n_per_category : part (train, validation, stimuli) -> images of each category
    side : pixels; images are cropped to the square in their middle and resized
    seed : seed of the run
    study : name of the study; others with the same seed draw independently of it

    Returns
    -------
    dict, part -> ImageSet
        Category by category, in the order of the files. No image is there twice, not even under two
        names; which ones are taken is drawn at random.

    Raises
    ------
    InputError
        Too few images of a category, or none; a file that cannot be read.
    """
    candidates = _gathered(collections, categories)
    seen: dict[bytes, str] = {}
    taken: dict[str, list[np.ndarray]] = {part: [] for part in n_per_category}
    for category in categories:
        rng = generator(seed, "images", study, category)
        pools = {part: _shuffled(of.get(category, []), rng) for part, of in candidates.items()}
        shared = iter(pools.pop(ANY, []))
        for part, n in n_per_category.items():
            stream = itertools.chain(pools.get(part, []), shared)
            distinct = _distinct(stream, seen, side)
            chosen = sorted(itertools.islice(distinct, n), key=lambda pair: pair[0])
            _check_number(len(chosen), n, f"{study}, images of {category!r}", part)
            taken[part] += [pixels for _, pixels in chosen]
    return {
        part: ImageSet(
            images=np.array(pictures, dtype=np.uint8).reshape(-1, side, side, 3),
            labels=np.repeat(np.array(categories, dtype=str), n_per_category[part]),
        )
        for part, pictures in taken.items()
    }


def _gathered(collections: Sequence[Mapping], categories: Sequence[str]) -> Candidates:
    """Return the candidates of all collections together."""
    gathered: Candidates = {}
    for collection in collections:
        labels = collection["categories"] or dict.fromkeys(categories)
        found = find_images(
            collection["layout"], Path(collection["folder"]), collection["files"], labels
        )
        for part, of_part in found.items():
            for category, candidates in of_part.items():
                gathered.setdefault(part, {}).setdefault(category, []).extend(candidates)
    named = {category for of_part in gathered.values() for category in of_part}
    for odd, expected in ((named - set(categories), "no"), (set(categories) - named, "an")):
        if odd:
            raise InputError(
                f"images.files: found {'no' if expected == 'an' else 'a'} collection for the "
                f"category {min(odd)!r}, expected one for each of {', '.join(categories)} and for "
                "no other; correct `categories` of the collections, or those of the study"
            )
    return gathered


def _shuffled(
    candidates: Sequence[Candidate], rng: np.random.Generator
) -> list[tuple[int, Candidate]]:
    """Return candidates in random order, each with its place in the files."""
    return [(i, candidates[i]) for i in rng.permutation(len(candidates)).tolist()]


def _distinct(
    candidates: Iterable[tuple[int, Candidate]], seen: dict[bytes, str], side: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the images, uint8 (side, side, 3), that were not seen before, with their places."""
    for place, candidate in candidates:
        pixels = _resized(candidate.read(), side)
        digest = hashlib.sha256(pixels.tobytes()).digest()
        if digest in seen:
            log.warning("%s left out: it is the same as %s", candidate.what, seen[digest])
            continue
        seen[digest] = candidate.what
        yield place, pixels


def _resized(image: Image.Image, side: int) -> np.ndarray:
    """Return the square in the middle of an RGB image, uint8 (side, side, 3)."""
    return np.asarray(ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC))


def _check_number(found: int, expected: int, what: str, part: str) -> None:
    if found < expected:
        raise InputError(
            f"{what}: found {found} for {part} that are in no other part, expected {expected}; "
            f"lower images.{part}, or give more images"
        )


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        sets = prepare_images(
            params.collections,
            params.categories,
            params.n_per_category,
            side=params.side,
            seed=params.seed,
            study=snakemake.wildcards.study,
        )
        for part, images in sets.items():
            write_images(Path(snakemake.output[part]), images)
