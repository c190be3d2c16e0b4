"""Train a 3D network on volumes, fold by fold of a split, and test it on what it has not seen.

snakemake --cores 2 results/demo/movie/models/predictions_cnn_run.h5

A job that is cut short goes on where it was: folds that are done are not trained again.
"""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from scripts.emotions.data.timeseries import TimeSeries
from scripts.emotions.decoding.predictions import Predictions, empty_predictions, prediction_file
from scripts.emotions.decoding.splits import Fold, make_folds
from scripts.emotions.labelling.labels import Labels, read_labels
from scripts.emotions.network.emotion_cnn import LOGITS, EmotionCNN
from scripts.emotions.network.emotion_training import (
    EmotionOptions,
    EmotionTask,
    Volumes,
    class_probabilities,
    examples_of,
    outputs_of,
)
from scripts.emotions.network.feature_writer import FeatureWriter, feature_file
from scripts.emotions.network.movie_volumes import MovieVolumes
from scripts.emotions.network.trained_networks import (
    NetworkOptions,
    network_of,
    write_networks,
)
from workflow.lib.features.devices import choose_device, reused_memory
from workflow.lib.features.initial import weights_seed
from workflow.lib.jobs import script_job
from workflow.lib.tables import write_table
from workflow.lib.training.history import COLUMNS
from workflow.lib.training.task import train

HISTORY_COLUMNS = ["fold", *COLUMNS]


@dataclass(frozen=True)
class SplitTraining:
    """What the networks of a study's folds have in common.

    Attributes
    ----------
    volumes : Volumes
    labels : Labels
    network : NetworkOptions
    options : EmotionOptions
    name : str
        Of the study and the model, such as "movie/cnn".
    seed : int
    device : torch.device
    checkpoints : path of a folder
        The caller removes it once the results are safe.
    digest : str
        What tells the volumes from others.
    code : str
        Digest of the code that trains, see `workflow.lib.training.task.train`.
    """

    volumes: Volumes
    labels: Labels
    network: NetworkOptions
    options: EmotionOptions
    name: str
    seed: int
    device: torch.device
    checkpoints: Path
    digest: str = ""
    code: str = ""

    def fitted(self, fold: Fold) -> tuple[EmotionCNN, pd.DataFrame]:
        """Return the network of a fold, and how it was trained, see `workflow.lib.training.loop`.

        Published weights are returned as they are, with an empty history.
        """
        purpose = f"{self.name}/{fold.name}/{fold.number}"
        network = network_of(
            self.network,
            len(self.labels.classes),
            self.volumes.shape,
            seed=weights_seed(self.seed, purpose),
        ).to(self.device)
        if not self.network.trains:
            return network, pd.DataFrame(columns=list(COLUMNS))
        labelled = self.labels.labelled
        task = EmotionTask(
            network,
            self.volumes,
            training=examples_of(fold.training & labelled, self.labels.codes),
            validation=examples_of(fold.validation & labelled, self.labels.codes),
            options=self.options,
            device=self.device,
            seed=self.seed,
            purpose=purpose,
            volumes_digest=self.digest,
        )
        checkpoint = self.checkpoints / f"{fold.name}_{fold.number}.checkpoint"
        of_run = {"seed": self.seed, "purpose": purpose, "code": self.code}
        return network, train(task, checkpoint=checkpoint, **of_run)


def train_split(
    training: SplitTraining,
    folds: Sequence[Fold],
    predictions: Predictions,
    features: FeatureWriter,
) -> tuple[list[EmotionCNN], pd.DataFrame]:
    """Train and test the networks of a split.

    Parameters
    ----------
    training : SplitTraining
    folds : sequence of Fold
    predictions : Predictions
        Whose arrays are filled with every test volume, labelled or not.
    features : FeatureWriter
        Gets what the layers give for labelled test volumes.

    Returns
    -------
    networks : list of EmotionCNN, one per fold, on the CPU
    history : DataFrame
        `HISTORY_COLUMNS`.
    """
    networks, histories = [], []
    for fold in folds:
        network, history = training.fitted(fold)
        _test(training, fold, network, predictions, features)
        networks.append(network.cpu())
        histories.append(history.assign(fold=fold.number))
    return networks, pd.concat(histories, ignore_index=True)[HISTORY_COLUMNS]


def _test(
    training: SplitTraining,
    fold: Fold,
    network: EmotionCNN,
    predictions: Predictions,
    features: FeatureWriter,
) -> None:
    """Fill in what a fold's network says of its test volumes."""
    examples = examples_of(fold.test, training.labels.codes)
    start = 0
    for outputs in outputs_of(network, training.volumes, examples):
        part = examples[start : start + len(outputs[LOGITS])]
        start += len(part)
        where = part.subjects, part.rows
        predictions.probabilities[where] = class_probabilities(outputs)
        predictions.fold[where] = fold.number
        labelled = np.flatnonzero(part.codes >= 0)
        layers = {name: output[labelled] for name, output in outputs.items() if name != LOGITS}
        which = {"subjects": part.subjects[labelled], "rows": part.rows[labelled]}
        features.add(layers, **which, fold=fold.number)


def train_emotion_cnn(
    series: Sequence[TimeSeries],
    labels: Labels,
    *,
    study: str,
    model: str,
    split: str,
    network: Mapping,
    training: Mapping,
    n_folds: int,
    validation_share: float,
    seed: int,
    device: torch.device,
    predictions_file: Path,
    history_file: Path,
    network_file: Path,
    features_file: Path,
    code: str = "",
) -> None:
    """Train and test the networks of a split, and write what comes out of them.

    Parameters
    ----------
    series : sequence of TimeSeries
        One per subject, of volumes.
    labels : Labels
    study, model : names
    split : key of `scripts.emotions.decoding.splits.SPLITS`
    network : mapping, see `scripts.emotions.network.trained_networks.NetworkOptions`
    training : mapping, see `scripts.emotions.network.emotion_training.EmotionOptions`
    n_folds, validation_share : see `make_folds`
    seed : int
        Of the run.
    device : torch.device
    predictions_file : path, see `scripts.emotions.decoding.predictions`
    history_file : path
        Of the learning curves: `HISTORY_COLUMNS`.
    network_file : path, see `scripts.emotions.network.trained_networks`
    features_file : path, see `scripts.emotions.network.network_features`
    code : see `SplitTraining`
    """
    subjects, of_network = [one.subject for one in series], NetworkOptions(**network)
    what = "a network that learns from volumes"
    of_split = SplitTraining(
        volumes=MovieVolumes(series, labels, what, scaled=of_network.scale_volumes),
        labels=labels,
        network=of_network,
        options=EmotionOptions(**training),
        name=f"{study}/{model}",
        seed=seed,
        device=device,
        # Snakemake deletes what a killed job has put out, but knows nothing of this folder.
        checkpoints=predictions_file.with_suffix(".checkpoints"),
        digest=_digest_of(series, of_network),
        code=code,
    )
    folds = make_folds(
        labels,
        subjects,
        split,
        n_folds=n_folds,
        validation_share=validation_share,
        seed=seed,
        study=study,
    )
    named = {"model": model, "classes": labels.classes, "subjects": subjects}
    predictions = empty_predictions(labels.classes, subjects, labels.n_rows)
    with feature_file(features_file, split=split, **named) as features:
        networks, history = train_split(of_split, folds, predictions, features)
    with prediction_file(predictions_file, **named) as writer:
        writer.add(split, predictions.probabilities, predictions.fold)
    write_networks(network_file, networks, of_network, labels.classes, of_split.volumes.shape)
    write_table(history, history_file)
    shutil.rmtree(of_split.checkpoints, ignore_errors=True)


def _digest_of(series: Sequence[TimeSeries], network: NetworkOptions) -> str:
    """Return what tells these volumes from others; to read all files would take minutes."""
    files = [(one.subject, one.path.stat().st_size, one.path.stat().st_mtime_ns) for one in series]
    return hashlib.sha256(repr((files, network)).encode()).hexdigest()


if __name__ == "__main__":
    with script_job(snakemake), reused_memory():
        params, output = snakemake.params, snakemake.output
        train_emotion_cnn(
            [TimeSeries(path) for path in snakemake.input.series],
            read_labels(snakemake.input.labels, params.classes),
            study=snakemake.wildcards.study,
            model=snakemake.wildcards.model,
            split=snakemake.wildcards.split,
            network=params.network,
            training=params.training,
            n_folds=params.n_folds,
            validation_share=params.validation_share,
            seed=params.seed,
            device=choose_device(snakemake.resources.get("gpu", 0)),
            predictions_file=Path(output.predictions),
            history_file=Path(output.history),
            network_file=Path(output.networks),
            features_file=Path(output.features),
            code=params.code,
        )
