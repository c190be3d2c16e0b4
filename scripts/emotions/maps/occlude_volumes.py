"""Cover test volumes cube by cube, and measure what their own network then loses.

snakemake --cores 2 results/demo/movie/features/occlusion_vectors.h5

Every volume is shown to the network of its fold, which has not learned from it; beside it to one of
the same weights in random order. Integrated gradients say in another way what counts.
"""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from scripts.emotions.data.timeseries import TimeSeries
from scripts.emotions.decoding.predictions import Predictions, read_predictions
from scripts.emotions.labelling.labels import Labels, read_labels
from scripts.emotions.maps.cubes import cube_corners
from scripts.emotions.maps.gradients import integrated_gradients
from scripts.emotions.maps.occlusion import occluded_drops, shuffled_network
from scripts.emotions.maps.occlusion_file import (
    PROBABLE,
    RIGHT,
    WRONG,
    Occlusions,
    write_occlusions,
)
from scripts.emotions.network.movie_volumes import MovieVolumes
from scripts.emotions.network.trained_networks import Networks, read_networks
from workflow.lib.errors import InputError
from workflow.lib.features.devices import choose_device, reused_memory
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator

log = logging.getLogger("workflow")


def choose_volumes(
    predictions: Predictions,
    labels: Labels,
    *,
    n_per_class: int,
    min_probability: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return test volumes of each emotion that the network told right, if there are as many.

    This is the network's own certainty, which may be too great: see `count_confident`. Of those
    told right with enough probability, as many of each subject and each episode as can
    be; where they are too few, those told right with less, and then those told wrong follow, by
    falling probability of the true emotion.

    Parameters
    ----------
    predictions : Predictions
        Of one split.
    labels : Labels
    n_per_class : int
        At most.
    min_probability : float
        Of the true emotion.
    rng : numpy Generator

    Returns
    -------
    DataFrame, a row per volume, by emotion
        emotion, code, subject (its number), row, fold, probability (of the true emotion), status
        ("probable", "right" or "wrong").

    Raises
    ------
    InputError
        An emotion without test volumes.
    """
    subjects, rows = np.nonzero(predictions.tested & labels.labelled)
    codes = labels.codes[rows]
    right = predictions.chosen[subjects, rows] == codes
    probability = predictions.probabilities[subjects, rows, codes]
    table = pd.DataFrame(
        {
            "emotion": np.array(labels.classes)[codes],
            "code": codes,
            "subject": subjects,
            "row": rows,
            "fold": predictions.fold[subjects, rows],
            "probability": probability,
            "status": np.where(
                right, np.where(probability >= min_probability, PROBABLE, RIGHT), WRONG
            ),
            "episode": labels.episodes[rows],
        }
    )
    parts = []
    for emotion in labels.classes:
        own = table[table["emotion"] == emotion]
        if not len(own):
            raise InputError(
                f"occlusion: found no test volume of {emotion}, expected some; leave the emotion "
                "out of `labels.classes`"
            )
        probable = _spread(own[own["status"] == PROBABLE], rng)
        others = own[own["status"] != PROBABLE].sort_values(
            ["status", "probability"], ascending=[True, False], kind="stable"
        )
        parts.append(pd.concat([probable, others]).head(n_per_class))
    return pd.concat(parts, ignore_index=True).drop(columns="episode")


def _spread(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return rows in a random order that takes subjects in turn, and of each its episodes."""
    mixed = table.iloc[rng.permutation(len(table))]
    mixed = mixed.assign(turn=mixed.groupby(["subject", "episode"]).cumcount())
    mixed = mixed.sort_values("turn", kind="stable")
    mixed = mixed.assign(turn=mixed.groupby("subject").cumcount())
    return mixed.sort_values("turn", kind="stable").drop(columns="turn")


def count_confident(
    predictions: Predictions, labels: Labels, min_probability: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return how often a probability that is large enough is right, over all test volumes.

    Parameters
    ----------
    predictions : Predictions
        Of one split.
    labels : Labels
    min_probability : float

    Returns
    -------
    n_confident : int array (n_classes,)
        Test volumes given at least this probability of each emotion.
    n_right : int array (n_classes,)
        Of these, those of the emotion.
    """
    subjects, rows = np.nonzero(predictions.tested & labels.labelled)
    confident = predictions.probabilities[subjects, rows] >= min_probability
    right = labels.codes[rows, np.newaxis] == np.arange(len(labels.classes))
    return confident.sum(axis=0), (confident & right).sum(axis=0)


def occlude_volumes(
    series: Sequence[TimeSeries],
    labels: Labels,
    predictions: Predictions,
    networks: Networks,
    *,
    study: str,
    model: str,
    split: str,
    cube: int,
    stride: int,
    min_probability: float,
    n_per_class: int,
    seed: int,
    device: torch.device,
) -> Occlusions:
    """Return what covering the test volumes of a split shows.

    Parameters
    ----------
    series : sequence of TimeSeries
        One per subject.
    labels : Labels
    predictions : Predictions
        Of the split.
    networks : Networks
        Of the split.
    study, model, split : names
    cube, stride : int
        Edge of a cube, and voxels from one to the next.
    min_probability, n_per_class : see `choose_volumes`
    seed : int
        Of the run.
    device : torch.device

    Raises
    ------
    InputError
        Volumes that are not aligned over subjects, or no test volumes of an emotion.
    """
    what = "maps of what a network looks at"
    volumes = MovieVolumes(series, labels, what, scaled=networks.scaled)
    chosen = choose_volumes(
        predictions,
        labels,
        n_per_class=n_per_class,
        min_probability=min_probability,
        rng=generator(seed, "emotions", "occlusion", study),
    )
    _log_fallback(chosen, n_per_class, min_probability)
    corners = cube_corners(volumes.mask, cube, stride)
    drops, shuffled = (np.zeros((len(chosen), len(corners)), np.float32) for _ in range(2))
    gradients = np.zeros((len(chosen), int(volumes.mask.sum())), np.float32)
    for fold, own in tqdm(chosen.groupby("fold"), desc=f"{study}/{model}", unit="fold"):
        shown = volumes.read(own["subject"].to_numpy(), own["row"].to_numpy())
        network = networks.folds[fold].to(device)
        other = shuffled_network(
            network, shown, generator(seed, "emotions", "shuffled weights", study, str(fold))
        )
        for number, volume, code in zip(own.index, shown, own["code"], strict=True):
            drops[number] = occluded_drops(network, volume, code, corners, cube)
            shuffled[number] = occluded_drops(other, volume, code, corners, cube)
            gradients[number] = integrated_gradients(network, volume, code)[volumes.mask]
    n_confident, n_confident_right = count_confident(predictions, labels, min_probability)
    return Occlusions(
        table=chosen,
        drops=drops,
        gradients=gradients,
        shuffled_drops=shuffled,
        corners=corners + [part.start for part in volumes.box],
        edge=cube,
        mask=series[0].mask,
        affine=series[0].affine,
        n_confident=n_confident,
        n_confident_right=n_confident_right,
        classes=tuple(labels.classes),
        subjects=tuple(one.subject for one in series),
        model=model,
        split=split,
    )


def _log_fallback(chosen: pd.DataFrame, n_per_class: int, min_probability: float) -> None:
    """Say of which emotions too few volumes were told well enough."""
    for emotion, own in chosen.groupby("emotion", sort=False):
        n_probable = int((own["status"] == PROBABLE).sum())
        if n_probable < n_per_class:
            log.warning(
                "%s: %d volumes are told right with a probability of %g or more, expected %d; %d "
                "less probable ones are covered as well, %d of them told wrong",
                *(emotion, n_probable, min_probability, n_per_class, len(own) - n_probable),
                int((own["status"] == WRONG).sum()),
            )


if __name__ == "__main__":
    with script_job(snakemake), reused_memory():
        params, inputs = snakemake.params, snakemake.input
        networks = read_networks(inputs.networks)
        write_occlusions(
            snakemake.output[0],
            occlude_volumes(
                [TimeSeries(path) for path in inputs.series],
                read_labels(inputs.labels, networks.classes),
                read_predictions(inputs.predictions)[params.split],
                networks,
                study=snakemake.wildcards.study,
                model=params.model,
                split=params.split,
                cube=params.cube,
                stride=params.stride,
                min_probability=params.min_probability,
                n_per_class=params.n_per_class,
                seed=params.seed,
                device=choose_device(snakemake.resources.get("gpu", 0)),
            ),
        )
