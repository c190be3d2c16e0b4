"""Audit what the decoders and generators of a study learned from against what they are tested on.

snakemake --cores 2 results/demo/pictures/tables/leak_audit.csv
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from scripts.reconstruction.decoders.folds import decoder_folds
from workflow.lib.errors import InputError
from workflow.lib.features.duplicates import DISTANCE, looks
from workflow.lib.jobs import script_job
from workflow.lib.leakage import Part, Scaler, audit
from workflow.lib.pairs.splits import ImageFold
from workflow.lib.sources import TRAINING
from workflow.lib.splits.held_out import (
    HeldOut,
    attributes_of,
    parts_of,
    read_held_out,
)
from workflow.lib.tables import write_table

# What is fitted to the training images before a decoder is, whatever the decoder.
FITTED = ("centroids of the clusters", "mean and deviation of the voxels")


def part_of(images: ImageTable, rows: np.ndarray | slice = slice(None)) -> Part:
    """Return what can be checked of some images: names, groups of copies, and how they look."""
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in images.images[rows]]
    return Part(
        items=np.array(images.names)[rows],
        groups=images.groups[rows],
        contents=np.array(digests),
        features=looks(images.images[rows]),
    )


def audit_decoder(
    held_out: HeldOut, images: ImageTable, folds: Sequence[ImageFold], where: str
) -> Iterator[pd.DataFrame]:
    """Yield, fold by fold, what the images that a decoder predicted share with those it learned.

    Parameters
    ----------
    held_out : HeldOut
        Of the training images, as written: its own `fold` says which model predicted an image.
    images : ImageTable
        The training images.
    folds : sequence of ImageFold
        By which models were fitted.
    where : str
        How errors name the decoder.

    Raises
    ------
    InputError
        An image was predicted by a model that learned from it, or from a copy of it.
    """
    fold_of = held_out.of(images.names).fold
    unknown = sorted(set(fold_of.tolist()) - {fold.number for fold in folds})
    if unknown:
        raise InputError(
            f"{where}: found images of fold {unknown[0] + 1}, expected {len(folds)} folds; "
            "the file is of other folds: delete it and run again"
        )
    for fold in folds:
        table = audit(
            part_of(images, fold.trained),
            part_of(images, fold.validated) if fold.validated.size else None,
            part_of(images, np.flatnonzero(fold_of == fold.number)),
            claims_clean=True,
            min_distance=DISTANCE,
            where=f"{where}, fold {fold.number + 1}",
        )
        yield table.assign(fold=fold.number + 1)


def audit_tests(images: Mapping[str, ImageTable]) -> Iterator[pd.DataFrame]:
    """Yield, part by part, what test images share with the training images.

    Raises
    ------
    InputError
        A test image is a training image, or a copy of one.
    """
    training = images[TRAINING]
    scaler = Scaler(items=np.array(training.names))
    for part, own in images.items():
        if part != TRAINING:
            table = audit(
                part_of(training),
                None,
                part_of(own),
                claims_clean=True,
                min_distance=DISTANCE,
                scalers=dict.fromkeys(FITTED, scaler),
                where=f"test images {part}",
            )
            yield table.assign(part=part)


def audit_reconstruction(
    table: ImageTable, files: Sequence[Path], folds: Sequence[ImageFold]
) -> pd.DataFrame:
    """Return the audit of a study.

    Parameters
    ----------
    table : ImageTable
        Of all parts.
    files : sequence of paths
        Predictions of decoders, of all subjects.
    folds : sequence of ImageFold

    Returns
    -------
    DataFrame
        subject, decoder, part, fold (from 1; none for tests), and the columns of
        `workflow.lib.leakage.audit`.

    Raises
    ------
    InputError
        A leak.
    """
    images = {part: table.of(part) for part in dict.fromkeys(table.parts)}
    # One per test; there may be none.
    tests = list(audit_tests(images))
    tables = []
    for file in files:
        named = attributes_of(file)
        where = f"subject {named['subject']}, {named['decoder']}"
        decoded = read_held_out(file, TRAINING)
        found = list(audit_decoder(decoded, images[TRAINING], folds, where))
        tables.append(pd.concat(found).assign(part=TRAINING, **named))
        decoded_parts = parts_of(file)
        tables += [test.assign(**named) for test in tests if test["part"].iloc[0] in decoded_parts]
    return pd.concat(tables, ignore_index=True)


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        table = read_image_table(Path(snakemake.input.images))
        folds = decoder_folds(
            table.of(TRAINING),
            n_folds=params.n_folds,
            validation_share=params.validation_share,
            seed=params.seed,
            study=snakemake.wildcards.study,
        )
        files = [Path(file) for file in snakemake.input.predictions]
        write_table(audit_reconstruction(table, files, folds), snakemake.output[0])
