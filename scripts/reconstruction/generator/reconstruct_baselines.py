"""Answer for the test images without drawing: the mean training image, or the nearest one.

snakemake --cores 2 results/demo/pictures/reconstructions/nearest_image_01.h5

input     images  features/images.npz
          shapes, semantics  as of train_generator; the mean image needs neither
output    reconstructions/{baseline}_{subject}.h5 of every baseline, as of reconstruct_images
params    baselines  in the order of output
wildcards subject
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from scripts.reconstruction.generator.generator_inputs import (
    STREAMS,
    Decoded,
    Deviations,
    read_decoded,
)
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.sources import TRAINING
from workflow.lib.splits.held_out import HeldOut, fitted_to_all, write_held_out

Files = Mapping[str, str | Path]


def mean_image(images: ImageTable, files: Files) -> dict[str, HeldOut]:
    """Return the mean training image for every test image.

    No other answer that is the same for all training images has a smaller squared error.
    """
    seen = images.of(TRAINING).images
    mean = seen.mean(axis=0, dtype=np.float64).round().astype(np.uint8)
    tests = {part: images.of(part).names for part in images.tests}
    return {
        part: fitted_to_all(names, np.repeat(mean[None], len(names), axis=0))
        for part, names in tests.items()
    }


def nearest_image(images: ImageTable, files: Files) -> dict[str, HeldOut]:
    """Return, for every test image, the training image of which the nearest was decoded.

    `extra` has `nearest`, int (n,), the number of that training image.
    """
    training, size = images.of(TRAINING), images.images.shape[1]
    known = read_decoded(files, TRAINING, training.names, size=size)
    found = {}
    for part in images.tests:
        names = images.of(part).names
        nearest = nearest_rows(read_decoded(files, part, names, size=size), known)
        found[part] = fitted_to_all(names, training.images[nearest], nearest=nearest)
    return found


def nearest_rows(new: Decoded, known: Decoded) -> np.ndarray:
    """Return which of the known images each new one is nearest to.

    Parameters
    ----------
    new : Decoded
        Of n images.
    known : Decoded
        Of training images, with the same streams.

    Returns
    -------
    int array (n,)

    Raises
    ------
    InputError
        Neither shapes nor vectors.

    Notes
    -----
    The squared distance is the sum over streams of ||x - y||^2 / V, where V is the mean over known
    images of ||y - mean(y)||^2: each stream weighs the same, however many numbers it has.
    """
    streams = [
        (getattr(new, stream), getattr(known, stream))
        for stream in STREAMS
        if getattr(known, stream) is not None
    ]
    if not streams:
        raise InputError(
            "baselines: found neither decoded shapes nor vectors, expected one at least to find "
            "the nearest training image by; name a decoder, or leave `nearest_image` out"
        )
    return sum(_squared_distances(*stream) for stream in streams).argmin(axis=1)


def _squared_distances(new: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return squared distances (n_new, n_known), those of known rows from their mean being 1."""
    scale = Deviations.of(known)
    rows, others = (
        scale(values).reshape(len(values), -1).astype(np.float64) for values in (new, known)
    )
    squares = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    return (squares - 2 * rows @ others.T) / rows.shape[1]


BASELINES: dict[str, Callable[[ImageTable, Files], dict[str, HeldOut]]] = {
    "mean_image": mean_image,
    "nearest_image": nearest_image,
}

if __name__ == "__main__":
    with script_job(snakemake):
        images = read_image_table(snakemake.input.images)
        for baseline, path in zip(snakemake.params.baselines, snakemake.output, strict=True):
            write_held_out(
                path,
                BASELINES[baseline](images, snakemake.input),
                {"generator": baseline, "subject": snakemake.wildcards.subject},
            )
