"""Train a generator to draw the images that a subject saw, from what was decoded of responses.

snakemake --cores 2 results/demo/pictures/models/generator_full_01.safetensors

It learns from training images alone, each shown as it was decoded by models fitted to other images:
shapes and vectors then have the errors that they will have of test images.

input     images  features/images.npz
          shapes, semantics  models/shapes_*.h5, models/semantics_*.h5; either may be missing
output    network  models/generator_{generator}_{subject}.safetensors
          history  models/generator_{generator}_{subject}_history.csv
          samples  models/generator_{generator}_{subject}_samples.npz
params    generator  options, see `scripts.reconstruction.generator.gan_training.GanOptions`
          n_folds, validation_share, seed
wildcards study, subject, generator
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from scripts.reconstruction.decoders.folds import decoder_folds
from scripts.reconstruction.generator.gan_training import (
    DISCRIMINATOR,
    Examples,
    GanOptions,
    GanTask,
)
from scripts.reconstruction.generator.generator_inputs import Decoded, InputScaling, read_decoded
from scripts.reconstruction.generator.patch_gan import build_patch_gan
from scripts.reconstruction.generator.patch_gan import published_widths as patch_widths
from scripts.reconstruction.generator.sample_grid import SampleGrid, write_samples
from scripts.reconstruction.generator.trained_generator import TrainedGenerator, write_generator
from scripts.reconstruction.generator.unet import build_unet, published_widths
from workflow.lib.errors import InputError
from workflow.lib.features.devices import choose_device, reused_memory
from workflow.lib.features.initial import weights_seed
from workflow.lib.jobs import script_job
from workflow.lib.sources import TRAINING
from workflow.lib.tables import write_table
from workflow.lib.training.samples import Samples
from workflow.lib.training.task import train


@dataclass(frozen=True)
class Result:
    """What comes out of a training.

    Attributes
    ----------
    trained : TrainedGenerator
        On the CPU.
    history : DataFrame, as of `workflow.lib.training.loop.fit`
    samples : SampleGrid
    """

    trained: TrainedGenerator
    history: pd.DataFrame
    samples: SampleGrid


def train_generator(
    images: np.ndarray,
    decoded: Decoded,
    validation: np.ndarray,
    *,
    options: GanOptions,
    seed: int,
    purpose: str,
    checkpoint: Path,
    code: str = "",
    device: torch.device | None = None,
) -> Result:
    """Train a generator.

    A generator without shapes, or without vectors, is the same network with zero in place of their
    deviations from the mean: as deep, as wide, with the same initial weights, batches and number of
    steps, so that nothing but what it is told differs. A smaller network for less to tell would fit
    less, or more easily, and a difference between the two would not be due to the missing stream.
    One thing is lost with all shapes: where the middle is, which convolutions then see by the
    border alone. What is the same in all images is drawn the worse for it, so that pixels, and for
    some options identification, speak for any shape. A stream decoded of responses to other images
    has nothing else to lose, and is what the full generator sees where the stream tells nothing:
    the model is learned again with the stream permuted (Hooker, Mentch & Zhou 2021).

    Parameters
    ----------
    images : uint8 array (n_images, size, size, 3)
        Training images.
    decoded : Decoded
        Of these images, by models that were not fitted to them.
    validation : bool array (n_images,)
        Images that the weights are not fitted to; they choose the epoch.
    options : GanOptions
    seed : int
    purpose : str
        Of initial weights, batches and dropout. Generators that are compared with each other are
        given the same.
    checkpoint : path
        The caller removes it once the results are safe.
    code : str
        Digest of the code that trains, see `workflow.lib.training.task.train`.
    device : torch.device
        The CPU if none is given.

    Raises
    ------
    InputError
        No image to train on.

    References
    ----------
    Hooker, Mentch & Zhou 2021, Stat Comput 31:82.
    """
    if validation.all():
        raise InputError(
            f"generator: found {int(validation.sum())} validation images of {len(validation)} "
            "training images, expected fewer; lower `folds.validation_share`"
        )
    device = device or torch.device("cpu")
    size = images.shape[1]
    scaling = InputScaling.of(decoded)
    examples = Examples(images, scaling(decoded, size))
    unet = build_unet(
        size,
        options.widths or published_widths(size),
        scaling.n_vector,
        dropout=options.dropout,
        seed=weights_seed(seed, purpose),
    )
    patch_gan = build_patch_gan(
        size,
        options.discriminator_widths or patch_widths(size),
        seed=weights_seed(seed, purpose, DISCRIMINATOR),
    )
    task = GanTask(
        *(n.to(device, memory_format=torch.channels_last) for n in (unet, patch_gan)),
        training=examples[np.flatnonzero(~validation)],
        validation=examples[np.flatnonzero(validation)],
        options=options,
        seed=seed,
        purpose=purpose,
    )
    history = train(task, seed=seed, purpose=purpose, checkpoint=checkpoint, code=code)
    rows = np.flatnonzero(validation)[: options.n_samples]
    grid = _sample_grid(images, decoded, rows, task.samples)
    network = task.generator.to("cpu", memory_format=torch.contiguous_format)
    return Result(TrainedGenerator(network, scaling), history, grid)


def _sample_grid(
    images: np.ndarray, decoded: Decoded, rows: np.ndarray, samples: Samples
) -> SampleGrid:
    shapes = np.zeros(images.shape[:3]) if decoded.shapes is None else decoded.shapes
    return SampleGrid(
        [decoded.names[row] for row in rows],
        images[rows],
        shapes[rows].astype(np.float32),
        *samples.grid(),
    )


def validation_images(
    images: ImageTable, *, n_folds: int, validation_share: float, seed: int, study: str
) -> np.ndarray:
    """Return which training images choose the epoch, bool (n_images,), for all generators.

    Those by which networks of the decoders' first fold stop; copies of one are all among them.
    """
    folds = decoder_folds(
        images, n_folds=n_folds, validation_share=validation_share, seed=seed, study=study
    )
    return np.isin(np.arange(len(images)), folds[0].validated)


if __name__ == "__main__":
    with script_job(snakemake), reused_memory():
        params, wildcards = snakemake.params, snakemake.wildcards
        images = read_image_table(snakemake.input.images).of(TRAINING)
        decoded = read_decoded(snakemake.input, TRAINING, images.names, size=images.images.shape[1])
        # Snakemake deletes what a killed job has put out, but knows nothing of this file.
        checkpoint = Path(snakemake.output.network).with_suffix(".checkpoint")
        result = train_generator(
            images.images,
            decoded,
            validation_images(
                images,
                n_folds=params.n_folds,
                validation_share=params.validation_share,
                seed=params.seed,
                study=wildcards.study,
            ),
            options=GanOptions(**params.generator),
            seed=params.seed,
            # All generators of a subject start alike and see the same batches.
            purpose=f"{wildcards.study}/{wildcards.subject}",
            checkpoint=checkpoint,
            code=params.code,
            device=choose_device(snakemake.resources.get("gpu", 0)),
        )
        write_table(result.history, snakemake.output.history)
        write_samples(snakemake.output.samples, result.samples)
        write_generator(Path(snakemake.output.network), result.trained)
        checkpoint.unlink(missing_ok=True)
