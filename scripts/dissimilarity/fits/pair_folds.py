"""The folds of a subject's images, the same in every script, and what scales its labels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from scripts.dissimilarity.data.brain_rdms import ALL_IMAGES
from scripts.dissimilarity.data.pair_images import PairImages
from workflow.lib.features.duplicates import duplicate_groups
from workflow.lib.pairs.splits import ImageFold, make_folds
from workflow.lib.seeds import generator

# Where copies of an image are not refused, they have the same part in every fold.
TOGETHER = "together"
# What the vertices' responses are standardised by before dissimilarities are taken of them.
TRAINING, ALL, NONE, AS_PUBLISHED = "training", "all", "none", "as published"


def subject_folds(
    images: PairImages,
    splits: Mapping[str, Any],
    *,
    study: str,
    subject: str,
    seed: int,
    leaked: bool = False,
) -> list[ImageFold]:
    """Return the folds of a subject's images.

    Parameters
    ----------
    images : PairImages
    splits : mapping
        The block `splits` of the config: n_folds, validation_share, leaked, duplicates.
    study, subject : str
    seed : int
    leaked : bool
        Whether pairs of leaked splits are dealt out, too; folds are the same without.

    Raises
    ------
    InputError
        What `workflow.lib.pairs.splits.make_folds` raises.
    """
    together = splits["duplicates"] == TOGETHER
    return make_folds(
        len(images),
        n_folds=splits["n_folds"],
        validation_share=splits["validation_share"],
        rng=generator(seed, "pairs", "splits", study, subject),
        leaked=splits["leaked"] if leaked else None,
        groups=duplicate_groups(images.images) if together else None,
    )


def _of_training(folds: Sequence[ImageFold]) -> dict[str, np.ndarray | slice | None]:
    of_folds = {str(fold.number): np.sort(fold.trained) for fold in folds}
    return {ALL_IMAGES: slice(None)} | of_folds


SCALERS: dict[str, Callable[[Sequence[ImageFold]], dict[str, np.ndarray | slice | None]]] = {
    TRAINING: _of_training,
    ALL: lambda folds: {ALL_IMAGES: slice(None)},
    NONE: lambda folds: {ALL_IMAGES: None},
}


def label_scalers(
    standardise: str, folds: Sequence[ImageFold]
) -> dict[str, np.ndarray | slice | None]:
    """Return by which images the responses of every RDM of a file are standardised.

    Parameters
    ----------
    standardise : "training", "all" or "none"
    folds : sequence of ImageFold

    Returns
    -------
    dict, label of `fold` -> images, int array or slice; None for responses as they are
        `ALL_IMAGES` is the RDM that figures show, and that of all folds which have none of their
        own.
    """
    return SCALERS[standardise](folds)
