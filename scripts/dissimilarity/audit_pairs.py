"""Audit every split of a study of pairs: what may be learned from, and what is tested.

snakemake --cores 1 results/demo/scenes/tables/leak_audit.csv
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.dissimilarity.duplicates import DISTANCE, duplicate_pairs, looks
from scripts.dissimilarity.pair_folds import ALL, AS_PUBLISHED, NONE, TRAINING, subject_folds
from scripts.dissimilarity.pair_images import PairImages, read_pair_images
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.leakage import COLUMNS, Part, Scaler, audit
from workflow.lib.pairs.sampling import PairSet
from workflow.lib.pairs.splits import CLEAN, ImageFold, Split, learning_curve
from workflow.lib.tables import write_table

log = logging.getLogger("workflow")

OF_AUDIT = ("study", "subject", "split", "fold", "n_training_images")
# Pairs of images that an error names; the log names all.
NAMED_PAIRS = 3


def audit_pairs(
    images: PairImages,
    folds: Sequence[ImageFold],
    *,
    study: str,
    subject: str,
    labels: str,
    n_training_images: Sequence[int] = (),
) -> pd.DataFrame:
    """Return what the parts of every split of a subject share.

    Parameters
    ----------
    images : PairImages
    folds : sequence of ImageFold
        With leaked pairs.
    study, subject : str
    labels : "training", "all", "none" or "as published"
        By which images responses were standardised.
    n_training_images : sequence of int
        Of learning curves, beside the splits to all training images.

    Returns
    -------
    DataFrame with the columns `OF_AUDIT` and those of `workflow.lib.leakage.audit`
        Copies and near-duplicates are looked for in the pixels.

    Raises
    ------
    InputError
        A split that claims to be clean and is not.
    """
    refuse_duplicates(images, folds, where=f"{study}, {subject}")
    digests = np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in images.images])
    seen = looks(images.images)
    tables = []
    for fold, split in _all_splits(folds, n_training_images):
        table = audit(
            _part(split.training, split.training_images, digests, seen),
            split.validation and _part(split.validation, split.validation.images, digests, seen),
            _part(split.test, split.test.images, digests, seen),
            claims_clean=split.name == CLEAN,
            scalers={
                "labels": SCALERS[labels](fold),
                "features": Scaler(split.training_images),
            },
            where=f"{study}, {subject}, {split.name}, fold {split.fold + 1}",
            min_distance=DISTANCE,
        )
        values = study, subject, split.name, split.fold, split.training_images.size
        tables.append(table.assign(**dict(zip(OF_AUDIT, values, strict=True))))
    return pd.concat(tables, ignore_index=True)[[*OF_AUDIT, *COLUMNS]]


# By which images the labels of a fold were scaled.
SCALERS: dict[str, Callable[[ImageFold], Scaler]] = {
    TRAINING: lambda fold: Scaler(fold.trained),
    ALL: lambda fold: Scaler(np.arange(fold.n_images), "config: labels are of all images"),
    NONE: lambda fold: Scaler(np.empty(0, int)),
    AS_PUBLISHED: lambda fold: Scaler(None, "RDMs as published"),
}


def refuse_duplicates(images: PairImages, folds: Sequence[ImageFold], *, where: str) -> None:
    """Stop at images that look alike and have different parts in a clean split.

    Parameters
    ----------
    images : PairImages
    folds : sequence of ImageFold
    where : str
        How an error names the data.

    Raises
    ------
    InputError
        Names some of them, and the keys of the config that help.
    """
    alike = duplicate_pairs(images.images)
    apart = np.zeros(len(alike), bool)
    for fold in folds:
        parts = np.zeros(fold.n_images, int)
        for number, part in enumerate((fold.tested, fold.trained, fold.validated)):
            parts[part] = number
        apart |= parts[alike[:, 0]] != parts[alike[:, 1]]
    if not apart.any():
        return
    names = [f"{images.names[i]} and {images.names[j]}" for i, j in alike[apart]]
    log.info("%s, images that look alike: %s", where, "; ".join(names))
    more = "; and so on, all in the log" if len(names) > NAMED_PAIRS else ""
    raise InputError(
        f"{where}: found {len(names)} pairs of images that are copies, or nearly, with different "
        f"parts in a clean split ({'; '.join(names[:NAMED_PAIRS])}{more}), expected none: leave "
        "one of each out by `images: {exclude: ...}`, or keep them together by "
        "`splits: {duplicates: together}`"
    )


def _all_splits(
    folds: Sequence[ImageFold], n_training_images: Sequence[int]
) -> Iterator[tuple[ImageFold, Split]]:
    """Yield the splits of all folds; their dissimilarities do not matter."""
    values = np.broadcast_to(0.0, folds[0].n_images * (folds[0].n_images - 1) // 2)
    for some in learning_curve(folds, n_training_images).values():
        for fold, fewer in zip(folds, some, strict=True):
            for split in (*fewer.image_splits(values), *fewer.leaked_splits(values)):
                yield fold, split


def _part(pairs: PairSet, images: np.ndarray, digests: np.ndarray, seen: np.ndarray) -> Part:
    return Part(items=images, pairs=pairs.index(), contents=digests[images], features=seen[images])


if __name__ == "__main__":
    with script_job(snakemake):
        params, study = snakemake.params, snakemake.wildcards.study
        tables = []
        for subject, path in zip(params.subjects, snakemake.input.images, strict=True):
            images = read_pair_images(Path(path))
            folds = subject_folds(
                images,
                params.splits,
                study=study,
                subject=subject,
                seed=params.seed,
                leaked=True,
            )
            tables.append(
                audit_pairs(
                    images,
                    folds,
                    study=study,
                    subject=subject,
                    labels=params.labels,
                    n_training_images=params.n_training_images,
                )
            )
        write_table(pd.concat(tables, ignore_index=True), snakemake.output.table)
