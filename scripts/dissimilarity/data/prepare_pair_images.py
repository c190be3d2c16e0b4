"""Bring the images that a subject saw into one size and into the order of its responses or RDMs."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from scripts.dissimilarity.data.algonauts import Algonauts2023, image_files
from scripts.dissimilarity.data.pair_images import (
    PairImages,
    check_excluded,
    excluded_images,
    write_pair_images,
)
from workflow.lib.errors import InputError
from workflow.lib.features.image_files import decoded
from workflow.lib.features.stimuli import Stimuli, common_stimuli
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore


def images_of_responses(
    subject: Algonauts2023,
    *,
    n_images: int | None,
    side: int,
    exclude: Collection[str] = (),
    n_threads: int = 1,
) -> PairImages:
    """Return the first images of a subject of Algonauts 2023, in the order of their names.

    Parameters
    ----------
    subject : Algonauts2023
    n_images : of those that are not excluded; all if None
    side : pixels of the images that are returned
    exclude : names of images to leave out; others than the subject's are ignored
    n_threads : images decoded at a time

    Raises
    ------
    InputError
        Fewer images than asked for, or one that is damaged.
    """
    rows = subject.rows_without(exclude)
    n = len(rows) if n_images is None else n_images
    if n > len(rows):
        raise InputError(
            f"{subject.folder}, {subject.subject}: found {len(rows)} images with responses, "
            f"expected {n}; lower n_images"
        )
    rows = rows[:n]

    def read(i: int) -> Image.Image:
        path = subject.image_path(rows[i])
        return decoded(path, str(path))

    names = [subject.image_names[row] for row in rows]
    return PairImages(names, _sized(read, n, side, n_threads), rows)


def images_of_rdms(names: list[str], stimuli: Stimuli, *, side: int) -> PairImages:
    """Return stimuli under the names, and in the order, of the RDMs over them.

    Parameters
    ----------
    names : of the RDMs' images
    stimuli : as many, in the same order
    side : pixels of the images that are returned
    """
    images = _sized(stimuli.image, len(stimuli), side, n_threads=1)
    return PairImages(names, images, np.arange(len(names)))


def _sized(read: Callable[[int], Image.Image], n: int, side: int, n_threads: int) -> np.ndarray:
    """Return the squares in the middle of RGB images, uint8 (n, side, side, 3)."""
    images = np.empty((n, side, side, 3), np.uint8)

    def put(i: int) -> None:
        images[i] = ImageOps.fit(read(i), (side, side), Image.Resampling.BICUBIC)

    with ThreadPoolExecutor(n_threads) as pool:
        # Asking for the results raises what went wrong.
        list(pool.map(put, range(n)))
    return images


def _of_algonauts2023(job) -> PairImages:
    exclude = excluded_images(job.params.exclude)
    folder = Path(job.params.folder)
    # An image that one subject saw need not be another's.
    files = (file for subject in job.params.subjects for file in image_files(folder, subject))
    check_excluded(exclude, {file.stem for file in files} if exclude else ())
    return images_of_responses(
        Algonauts2023(folder, job.wildcards.subject),
        n_images=job.params.n_images,
        side=job.params.side,
        exclude=exclude,
        n_threads=job.threads,
    )


def _of_rsa(job) -> PairImages:
    names, params = RDMStore(job.input.rdms).names, job.params
    stimuli = common_stimuli(Path(params.folder), params.stimuli, names, params.match)
    return images_of_rdms(names, stimuli, side=params.side)


LAYOUTS = {"algonauts2023": _of_algonauts2023, "rsa": _of_rsa}


if __name__ == "__main__":
    with script_job(snakemake):
        images = LAYOUTS[snakemake.params.layout](snakemake)
        write_pair_images(Path(snakemake.output[0]), images)
