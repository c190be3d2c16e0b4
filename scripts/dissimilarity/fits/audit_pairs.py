"""Audit every split of a study of pairs: what may be learned from, and what is tested.

snakemake --cores 1 results/demo/scenes/tables/leak_audit.csv
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.dissimilarity.data.pair_images import PairImages, read_pair_images
from scripts.dissimilarity.fits.pair_folds import ALL, AS_PUBLISHED, NONE, TRAINING, subject_folds
from workflow.lib.config.pair_sizes import check_sizes
from workflow.lib.errors import InputError
from workflow.lib.features.duplicates import DISTANCE, duplicate_pairs, looks
from workflow.lib.jobs import script_job
from workflow.lib.leakage import COLUMNS, Part, Scaler, audit
from workflow.lib.pairs.sampling import PairSet
from workflow.lib.pairs.splits import CLEAN, ImageFold, PairSplit, learning_curve
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


def refuse_duplicates(
    subjects: Iterable[tuple[str, PairImages, Sequence[ImageFold]]], *, study: str
) -> None:
    """Stop at images that look alike and have different parts in a clean split of any subject.

    Parameters
    ----------
    subjects : iterable of name, images and folds
        Images of one subject are held at a time.
    study : str

    Raises
    ------
    InputError
        Names some of them, and the keys of the config that help; the log names all.
    """
    found = [
        f"{subject}: {images.names[i]} and {images.names[j]}"
        for subject, images, folds in subjects
        for i, j in _duplicates_apart(images, folds)
    ]
    if not found:
        return
    log.info("images that look alike:\n%s", "\n".join(found))
    more = "; and so on, all in the log" if len(found) > NAMED_PAIRS else ""
    raise InputError(
        f"{study}: found {len(found)} pairs of images that are copies, or nearly, with different "
        f"parts in a clean split ({'; '.join(found[:NAMED_PAIRS])}{more}), expected none: leave "
        "one of each out by `images: {exclude: ...}`, or keep them together by "
        "`splits: {duplicates: together}`"
    )


def _duplicates_apart(images: PairImages, folds: Sequence[ImageFold]) -> np.ndarray:
    """Return the pairs of duplicates that have different parts in any fold, int (n_pairs, 2)."""
    alike = duplicate_pairs(images.images)
    apart = np.zeros(len(alike), bool)
    for fold in folds:
        parts = np.zeros(fold.n_images, int)
        for number, part in enumerate((fold.tested, fold.trained, fold.validated)):
            parts[part] = number
        apart |= parts[alike[:, 0]] != parts[alike[:, 1]]
    return alike[apart]


def _all_splits(
    folds: Sequence[ImageFold], n_training_images: Sequence[int]
) -> Iterator[tuple[ImageFold, PairSplit]]:
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

        def all_subjects(*, leaked: bool) -> Iterator[tuple[str, PairImages, list[ImageFold]]]:
            """Yield name, images and folds of every subject; only one is held."""
            for subject, path in zip(params.subjects, snakemake.input.images, strict=True):
                images, of = read_pair_images(Path(path)), {"study": study, "subject": subject}
                # Fits would find too few hours later.
                check_sizes(
                    len(images),
                    f"{study}, {subject}, splits",
                    n_folds=params.splits["n_folds"],
                    validation_share=params.splits["validation_share"],
                    asked=params.n_training_images,
                    n_components=params.n_components,
                )
                folds = subject_folds(images, params.splits, seed=params.seed, leaked=leaked, **of)
                yield subject, images, folds

        refuse_duplicates(all_subjects(leaked=False), study=study)
        tables = [
            audit_pairs(
                images,
                folds,
                study=study,
                subject=subject,
                labels=params.labels,
                n_training_images=params.n_training_images,
            )
            for subject, images, folds in all_subjects(leaked=True)
        ]
        write_table(pd.concat(tables, ignore_index=True), snakemake.output.table)
