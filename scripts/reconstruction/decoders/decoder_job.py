"""What the jobs of all decoders have in common: their samples, their folds, their file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from scripts.reconstruction.data.responses import read_responses
from scripts.reconstruction.decoders.folds import decoder_folds
from scripts.reconstruction.decoders.held_out_fits import (
    DecoderInputs,
    Fit,
    held_out_predictions,
    read_inputs,
)
from workflow.lib.pairs.splits import ImageFold
from workflow.lib.sources import TRAINING
from workflow.lib.splits.held_out import write_held_out


@dataclass(frozen=True)
class DecoderJob:
    """One decoder of one subject.

    Attributes
    ----------
    study, subject, name : str
        `name` is that of the decoder.
    decoder : mapping
        Its block of the config.
    inputs : DecoderInputs
    folds : list of ImageFold
        Of the training images.
    seed : int
    code : str
        Digest of the code that trains, see `workflow.lib.training.task.train`.
    """

    study: str
    subject: str
    name: str
    decoder: Mapping[str, Any]
    inputs: DecoderInputs
    folds: list[ImageFold]
    seed: int
    code: str = ""

    @property
    def images(self) -> ImageTable:
        """The training images."""
        return self.inputs.images[TRAINING]

    @property
    def purpose(self) -> str:
        """What random numbers follow from, beside the seed; each decoder has its own."""
        return f"{self.study}/{self.subject}/{self.name}"

    def write_predictions(self, path: Path, fit: Fit) -> None:
        """Fit in every fold, and write what is predicted of all parts, see `HeldOut`."""
        predictions = held_out_predictions(self.inputs, self.folds, fit)
        write_held_out(path, predictions, {"decoder": self.name, "subject": self.subject})


def open_job(snakemake) -> DecoderJob:
    """Return the job of a rule of decoders.

    Its inputs have `images` and `responses` (the subject's file of each part), its params `parts`,
    `rois` (of the decoder, name -> selector), `options` (how responses are read), `decoder`
    (trials, shuffled), `n_folds`, `validation_share`, `seed` and `code`, its wildcards `study`,
    `subject` and `decoder`.

    Raises
    ------
    InputError
        Responses and images do not fit, or there are too few images for the folds.
    """
    params, wildcards = snakemake.params, snakemake.wildcards
    decoder = params.decoder
    images = read_image_table(Path(snakemake.input.images))
    responses = read_responses(
        dict(zip(params.parts, snakemake.input.responses, strict=True)),
        images,
        subject=wildcards.subject,
        rois=params.rois,
        options=params.options,
    )
    inputs = read_inputs(
        images,
        responses,
        trials=decoder["trials"],
        shuffled=decoder["shuffled"],
        seed=params.seed,
        study=wildcards.study,
    )
    folds = decoder_folds(
        inputs.images[TRAINING],
        n_folds=params.n_folds,
        validation_share=params.validation_share,
        seed=params.seed,
        study=wildcards.study,
    )
    return DecoderJob(
        study=wildcards.study,
        subject=wildcards.subject,
        name=wildcards.decoder,
        decoder=decoder,
        inputs=inputs,
        folds=folds,
        seed=params.seed,
        code=params.code,
    )
