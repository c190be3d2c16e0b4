"""Train a VGG to tell digits and objects apart, and test it on images that it has not seen.

snakemake --cores 2 results/demo/digits/models/vgg.safetensors
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from scripts.digits.data.labelled_images import ImageSet, read_images
from scripts.digits.network.classification import Classification, ClassifierOptions
from scripts.digits.network.trained import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Scaling,
    Trained,
    scaling_of,
    write_trained,
)
from scripts.digits.network.vgg import PRETRAINED, VGG, build_vgg, load_convolutions
from workflow.lib.errors import InputError
from workflow.lib.features.devices import choose_device
from workflow.lib.features.networks import load_network
from workflow.lib.jobs import script_job
from workflow.lib.tables import write_table
from workflow.lib.training.task import train


def initial_network(
    options: ClassifierOptions, images: np.ndarray, seed: int
) -> tuple[VGG, Scaling]:
    """Return the network before training, and the scaling of images that goes with its weights.

    Parameters
    ----------
    options : ClassifierOptions
    images : uint8 array (n, side, side, 3)
        Training images, whose mean and spread scale those of an untrained network.
    seed : int
        Of what is not loaded.

    Raises
    ------
    InputError
        Weights for a network that has none, or that do not fit.
    """
    network = build_vgg(options.size, len(options.classes), seed=seed, dropout=options.dropout)
    if options.weights == "untrained":
        return network, scaling_of(images)
    if options.size != PRETRAINED:
        raise InputError(
            f"network: found the weights {options.weights!r} for {options.size}, expected "
            f"`untrained`, there are none for it; set `network.size` to {PRETRAINED}, or leave "
            "`weights` out"
        )
    pretrained, _ = load_network(PRETRAINED, options.weights)
    load_convolutions(network, pretrained.state_dict(), f"weights {options.weights}")
    return network, Scaling(IMAGENET_MEAN, IMAGENET_STD)


def train_classifier(
    training: ImageSet,
    validation: ImageSet,
    options: ClassifierOptions,
    *,
    seed: int,
    name: str,
    checkpoint: Path,
    code: str = "",
    device: torch.device | None = None,
) -> tuple[Trained, pd.DataFrame, pd.DataFrame]:
    """Train a network, going on from the checkpoint of a run that was cut short.

    Parameters
    ----------
    training, validation : ImageSet
    options : ClassifierOptions
    seed : int
        Of the run.
    name : str
        Of what is trained; networks of other names with the same seed are independent of it.
    checkpoint : path
        The caller removes it once the results are safe.
    code : str
        Digest of the code that trains, see `workflow.lib.training.task.train`.
    device : torch.device
        The CPU if none is given.

    Returns
    -------
    trained : Trained
    history : DataFrame, as of `workflow.lib.training.loop.fit`
    predictions : DataFrame, as of `predictions`, of the validation images
    """
    network, scaling = initial_network(options, training.images, seed)
    task = Classification(
        network,
        training,
        validation,
        options,
        scaling=scaling,
        device=device or torch.device("cpu"),
        seed=seed,
    )
    history = train(task, seed=seed, purpose=name, checkpoint=checkpoint, code=code)
    trained = Trained(task.network, options.classes, scaling)
    return trained, history, predictions(task, validation)


def predictions(task: Classification, images: ImageSet) -> pd.DataFrame:
    """Return a row per image: label, predicted, and the probability of each category."""
    probabilities = torch.softmax(task.logits(images.images), dim=1).numpy()
    classes = task.options.classes
    table = pd.DataFrame(probabilities, columns=[f"p_{category}" for category in classes])
    table.insert(0, "image", np.arange(len(images)))
    table.insert(1, "label", images.labels)
    table.insert(2, "predicted", np.array(classes)[probabilities.argmax(axis=1)])
    return table


if __name__ == "__main__":
    with script_job(snakemake):
        output = snakemake.output
        options = ClassifierOptions(
            **snakemake.params.network, categories=snakemake.params.categories
        )
        # Snakemake deletes what a killed job has put out, but knows nothing of this file.
        checkpoint = Path(output.network).with_suffix(".checkpoint")
        trained, history, predicted = train_classifier(
            read_images(Path(snakemake.input.train)),
            read_images(Path(snakemake.input.validation)),
            options,
            seed=snakemake.params.seed,
            name=snakemake.wildcards.study,
            checkpoint=checkpoint,
            code=snakemake.params.code,
            device=choose_device(snakemake.resources.get("gpu", 0)),
        )
        write_table(history, output.history)
        write_table(predicted, output.predictions)
        write_trained(Path(output.network), options.size, trained)
        checkpoint.unlink(missing_ok=True)
