"""Measure on the trained network what the original's training gets wrong.

snakemake --cores 1 results/demo/digits/tables/corrections_training.csv
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest

from scripts.digits.data.labelled_images import ImageSet, read_images
from scripts.digits.network.augmentation import colour_components
from scripts.digits.network.trained import Trained, as_tensor, read_trained
from workflow.lib.corrections import Correction, corrections_table
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.tables import read_table, write_table

# Training images on which accuracy is measured, and how many at once.
N_MEASURED, BATCH = 480, 32
# The published training goes through 56 epochs and saves the network after every tenth, but
# analyses the network of the last: notebooks 01 and 02-2.
PUBLISHED_EPOCHS, PUBLISHED_SAVING = 56, 10
# How far colours move along a component, in standard deviations: ours, and the original's word.
COLOUR_SPREAD = 0.1


def training_corrections(
    trained: Trained,
    training: ImageSet,
    validation: ImageSet,
    history: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    coloured: Sequence[str],
    seed: int,
) -> pd.DataFrame:
    """Return the rows that concern training.

    Parameters
    ----------
    trained : the analysed network
    training, validation : ImageSet
    history : rows of `workflow.lib.training.loop.fit`
    predictions : of the network at the end of its training, for the validation images
    coloured : categories whose images change their colours in training
    seed : seed of the run
    """
    some = sampled(training, generator(seed, "corrections", "accuracy"))
    right = accuracy(trained, some, dropout=False, seed=seed)
    interval = binomtest(round(right * len(some)), len(some)).proportion_ci(method="wilson")
    shown = training.images[np.isin(training.labels, list(coloured))]
    rows = [
        Correction(
            "weight decay",
            "penalty of the weights, share of the loss in the last epoch",
            0.0,
            penalty_share(history),
            "the original defines the penalty and minimises the cross-entropy alone",
        ),
        Correction(
            "colour components",
            "root mean square shift of colours, grey levels of 255",
            published_colour_shift(shown),
            colour_shift(shown),
            "the original adds shares of variances of colours from 0 to 1 to images from 0 to 255; "
            "ours are shares of standard deviations, in the units of the images",
        ),
        Correction(
            "training accuracy",
            f"accuracy on {len(some)} training images",
            accuracy(trained, some, dropout=True, seed=seed),
            right,
            "the original leaves dropout on while it measures, ours is in evaluation mode",
            interval.low,
            interval.high,
        ),
        *_saved_rows(largest_change(trained, validation, predictions)),
    ]
    return corrections_table(rows)


def _saved_rows(changed: float) -> list[Correction]:
    """Return the rows on which network is saved, and which is analysed."""
    return [
        Correction(
            "analysed network",
            "epochs between the network that training saves last and the analysed one",
            PUBLISHED_EPOCHS % PUBLISHED_SAVING,
            0,
            f"the published training saves after every {PUBLISHED_SAVING} of {PUBLISHED_EPOCHS} "
            "epochs, and analyses load a network of the last; ours saves what is analysed",
        ),
        Correction(
            "analysed network",
            "largest difference of class probabilities, end of training and analysed network",
            np.nan,
            changed,
            "the original's cannot be had: its checkpoint is not read",
        ),
    ]


def penalty_share(history: pd.DataFrame) -> float:
    """Return the penalty's share of the loss in the last epoch of training."""
    last = history[(history["part"] == "training") & (history["epoch"] == history["epoch"].max())]
    means = last.set_index("measure")["value"]
    return float(means["penalty"] / (means["loss"] + means["penalty"]))


def colour_shift(images: np.ndarray) -> float:
    """Return the root mean square shift of a colour channel, in grey levels.

    Parameters
    ----------
    images : uint8 array (n, side, side, 3)

    Notes
    -----
    Moves along the components are independent, each of a share of their standard deviation, so
    that the expected square of the shift is that share of the colours' total variance.
    """
    spreads = 255 * colour_components(images).spreads
    return float(COLOUR_SPREAD * np.sqrt(np.square(spreads).mean()))


def published_colour_shift(images: np.ndarray) -> float:
    """Return the same for the original, mean over images.

    Notes
    -----
    Of each image by itself the original takes the variances of colours from 0 to 1 along their
    components, times one random number for all three, and adds it to the image from 0 to 255.
    """
    return float(np.mean([_published_shift(image.reshape(-1, 3).T / 255) for image in images]))


def _published_shift(colours: np.ndarray) -> float:
    return COLOUR_SPREAD * np.sqrt(np.square(np.linalg.eigvalsh(np.cov(colours))).sum() / 3)


def sampled(images: ImageSet, rng: np.random.Generator) -> ImageSet:
    """Return some of the images, drawn at random; all if there are few."""
    rows = np.sort(rng.permutation(len(images))[:N_MEASURED])
    return ImageSet(images.images[rows], images.labels[rows])


@torch.inference_mode()
def accuracy(trained: Trained, images: ImageSet, *, dropout: bool, seed: int) -> float:
    """Return the accuracy on images, with dropout on or off."""
    codes = images.codes(trained.categories)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, "corrections", "dropout").integers(2**63)))
        trained.network.train(dropout)
        found = torch.cat([logits.argmax(1) for logits in _logits(trained, images)])
    trained.network.eval()
    return float((found.numpy() == codes).mean())


@torch.inference_mode()
def largest_change(trained: Trained, images: ImageSet, predictions: pd.DataFrame) -> float:
    """Return the largest difference between probabilities of a network and those in a table."""
    found = torch.cat([torch.softmax(logits, 1) for logits in _logits(trained, images)]).numpy()
    written = predictions[[f"p_{category}" for category in trained.categories]].to_numpy()
    return float(np.abs(found - written).max())


def _logits(trained: Trained, images: ImageSet) -> Iterator[torch.Tensor]:
    for part in np.split(images.images, range(BATCH, len(images), BATCH)):
        yield trained.network(trained.scaling(as_tensor(part)))


if __name__ == "__main__":
    with script_job(snakemake):
        input, params = snakemake.input, snakemake.params
        table = training_corrections(
            read_trained(Path(input.network)),
            read_images(Path(input.train)),
            read_images(Path(input.validation)),
            read_table(input.history),
            read_table(input.predictions),
            coloured=params.coloured,
            seed=params.seed,
        )
        write_table(table, snakemake.output[0])
