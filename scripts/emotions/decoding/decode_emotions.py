"""Fit a linear decoder in every split, and predict every used volume once in each.

snakemake --cores 1 results/demo/movie/models/predictions_logistic.h5
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scripts.emotions.data.timeseries import TimeSeries, require_aligned
from scripts.emotions.decoding.decoder_features import (
    CONFOUNDS,
    SEEN,
    Confounds,
    Responses,
    read_stimulus,
)
from scripts.emotions.decoding.decoders import fit_decoder
from scripts.emotions.decoding.predictions import Predictions, empty_predictions, prediction_file
from scripts.emotions.decoding.splits import make_folds
from scripts.emotions.labelling.labels import Labels, read_labels
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job

log = logging.getLogger("workflow")

# Volumes of a subject that are predicted at a time, where all do not fit into memory.
ROWS = 1024


@dataclass(frozen=True)
class Settings:
    """How a decoder is fitted.

    Attributes
    ----------
    study, model : str
        Names in the config.
    kind : str
        Key of `scripts.emotions.decoding.decoders.DECODERS`.
    splits : sequence of str
    n_folds, seed : int
    validation_share : float
        What is held out to choose options by; learned from, too, where there is nothing to choose.
    options : mapping
        Of the kind; a list is chosen from.
    """

    study: str
    model: str
    kind: str
    splits: Sequence[str]
    n_folds: int
    validation_share: float
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)


def decode_emotions(
    labels: Labels,
    subjects: Sequence[str],
    features: Responses | Confounds,
    settings: Settings,
) -> dict[str, Predictions]:
    """Return the predictions of every split.

    Parameters
    ----------
    labels : Labels
    subjects : sequence of n_subjects str
    features : Responses or Confounds
        Of the same subjects.
    settings : Settings

    Returns
    -------
    dict, split -> Predictions

    Raises
    ------
    InputError
        Splits that cannot be made, or options to choose from without volumes to choose by.
    """
    return {
        split: predict_split(labels, subjects, features, settings, split)
        for split in settings.splits
    }


def predict_split(
    labels: Labels,
    subjects: Sequence[str],
    features: Responses | Confounds,
    settings: Settings,
    split: str,
) -> Predictions:
    """Return the predictions of one split; arguments as of `decode_emotions`."""
    predictions = empty_predictions(labels.classes, subjects, labels.n_rows)
    folds = make_folds(
        labels,
        subjects,
        split,
        n_folds=settings.n_folds,
        validation_share=settings.validation_share,
        seed=settings.seed,
        study=settings.study,
    )
    for fold in folds:
        decoder = fit_decoder(
            settings.kind,
            settings.options,
            _volumes(fold.training, labels, features),
            _volumes(fold.validation, labels, features),
            len(labels.classes),
        )
        for subject in np.flatnonzero(fold.test.any(axis=1)):
            tested = np.flatnonzero(fold.test[subject])
            for rows in np.array_split(tested, -(-tested.size // ROWS)):
                predictions.probabilities[subject, rows] = decoder(features.of(subject, rows))
            predictions.fold[subject, tested] = fold.number
    log.info("split %s: %d folds", split, len(folds))
    return predictions


def _volumes(
    part: np.ndarray, labels: Labels, features: Responses | Confounds
) -> tuple[np.ndarray, np.ndarray]:
    """Return features and codes of the labelled volumes of a part of a fold."""
    chosen = part & labels.labelled
    values = [features.of(subject, rows) for subject, rows in enumerate(chosen)]
    return np.concatenate(values), np.broadcast_to(labels.codes, chosen.shape)[chosen]


def seen_features(
    sees: str, series: Sequence[TimeSeries], labels: Labels, stimulus: str | None = None
) -> Responses | Confounds:
    """Return what a model sees.

    Parameters
    ----------
    sees : "patterns" or "confounds"
    series : sequence of TimeSeries, one per subject
    labels : Labels
    stimulus : path of a table of what is shown, see `read_stimulus`, optional
        Of confounds.

    Raises
    ------
    InputError
        No such features, or subjects whose patterns cannot be compared.
    """
    if sees not in SEEN:
        raise InputError(f"models.sees: found {sees}, expected one of {', '.join(SEEN)}; change it")
    if sees == CONFOUNDS:
        return Confounds(series, labels, read_stimulus(stimulus) if stimulus else None)
    require_aligned(series, "decoding")
    return Responses(series, labels)


def read_job(job) -> tuple[Labels, list[str], Responses | Confounds, Settings]:
    """Return labels, subjects, what a model sees, and how it is fitted, of a job of Snakemake."""
    params, inputs = job.params, job.input
    labels = read_labels(inputs.labels, params.classes)
    series = [TimeSeries(path) for path in inputs.timeseries]
    features = seen_features(params.sees, series, labels, inputs.get("stimulus"))
    settings = Settings(
        study=job.wildcards.study,
        model=job.wildcards.model,
        kind=params.kind,
        splits=params.splits,
        n_folds=params.n_folds,
        validation_share=params.validation_share,
        seed=params.seed,
        options=params.options,
    )
    return labels, [one.subject for one in series], features, settings


if __name__ == "__main__":
    with script_job(snakemake):
        labels, subjects, features, settings = read_job(snakemake)
        found = decode_emotions(labels, subjects, features, settings)
        described = {"model": settings.model, "classes": labels.classes, "subjects": subjects}
        with prediction_file(snakemake.output[0], **described) as writer:
            for split, predictions in found.items():
                writer.add(split, predictions.probabilities, predictions.fold)
