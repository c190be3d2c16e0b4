"""Train a VGG to tell digits and objects apart, and test it on images that it has not seen.

snakemake --cores 2 results/demo/digits/models/vgg.safetensors
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from scripts.digits.augmentation import (
    Affine,
    change_batch,
    change_digit,
    change_object,
    colour_components,
)
from scripts.digits.image_sets import ImageSet, read_images
from scripts.digits.trained import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Scaling,
    Trained,
    as_tensor,
    scaling_of,
    write_trained,
)
from scripts.digits.vgg import VGG, build_vgg, load_convolutions
from workflow.lib.errors import InputError
from workflow.lib.features.devices import autocast, choose_device
from workflow.lib.features.networks import load_network
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table
from workflow.lib.training.loop import fit

# Images that are evaluated at once.
EVALUATED = 256


@dataclass(frozen=True)
class Settings:
    """How the network is trained.

    Attributes
    ----------
    network : a key of `scripts.digits.vgg.SIZES`
    weights : "untrained", "torchvision" or a path, from which convolutions are taken
    categories : of all images, in the order of the logits
    kinds : mapping, kind of image (digit, object) -> its categories
    batch : mapping, kind -> images in a batch
    n_epochs : int
    learning_rate, decay, decay_steps : float, float, int
        Adam's learning rate is multiplied by `decay` every so many steps.
    weight_decay : float
        Of the loss: half the sum of squared weights (biases are free) times this.
    dropout : float
    precision : "float32", "bfloat16" or "float16"
        On a GPU.
    """

    network: str
    weights: str
    categories: Sequence[str]
    kinds: Mapping[str, Sequence[str]]
    batch: Mapping[str, int]
    n_epochs: int
    learning_rate: float
    decay: float
    decay_steps: int
    weight_decay: float
    dropout: float
    precision: str


class Classification:
    """The task of `workflow.lib.training.loop`: batches of digits and objects, Adam, decay."""

    def __init__(
        self,
        network: VGG,
        training: ImageSet,
        validation: ImageSet,
        settings: Settings,
        *,
        scaling: Scaling,
        device: torch.device,
        seed: int,
    ):
        self.network, self.settings = network.to(device), settings
        self.scaling, self.device, self.seed = scaling, device, seed
        self.sets = {"training": training, "validation": validation}
        self.images = as_tensor(training.images)
        self.codes = torch.from_numpy(training.codes(settings.categories))
        self.kind_of = {
            category: kind for kind, those in settings.kinds.items() for category in those
        }
        self.rows = {
            kind: np.flatnonzero(np.isin(training.labels, list(those)))
            for kind, those in settings.kinds.items()
        }
        self._check_batches()
        objects = self.images[self.rows["object"]] if "object" in self.rows else self.images
        self.changes = {
            "digit": partial(change_digit, affine=Affine()),
            "object": partial(change_object, colours=colour_components(objects)),
        }
        optimiser = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate)
        self.parts = {
            "network": self.network,
            "optimiser": optimiser,
            "schedule": torch.optim.lr_scheduler.StepLR(
                optimiser, settings.decay_steps, settings.decay
            ),
            # Half precision alone needs its gradients scaled.
            "scaler": torch.amp.GradScaler(
                device.type, enabled=device.type == "cuda" and settings.precision == "float16"
            ),
        }

    def _check_batches(self) -> None:
        for kind, rows in self.rows.items():
            wanted = self.settings.batch.get(kind, 0)
            if wanted > len(rows) or not wanted:
                raise InputError(
                    f"training images of kind {kind!r}: found {len(rows)} and batches of {wanted}, "
                    "expected at least one image of each kind in a batch and a batch of images; "
                    "change `batch` or give more images"
                )

    def n_steps(self, epoch: int) -> int:
        """Return how many batches show the kind of which there are most batches once."""
        return max(len(rows) // self.settings.batch[kind] for kind, rows in self.rows.items())

    def _batch(self, epoch: int, step: int) -> np.ndarray:
        """Return the rows of a batch: of each kind as many as the config says, in random order."""
        chosen = []
        for kind, rows in self.rows.items():
            size = self.settings.batch[kind]
            rounds, place = divmod(step * size, len(rows) // size * size)
            order = generator(self.seed, "batches", kind, str(epoch), str(rounds)).permutation(rows)
            chosen.append(order[place : place + size])
        return np.concatenate(chosen)

    def step(self, epoch: int, step: int, rng: np.random.Generator) -> dict[str, float]:
        """Train on one batch."""
        rows = self._batch(epoch, step)
        labels = self.sets["training"].labels[rows]
        images = change_batch(
            self.images[rows], [self.kind_of[label] for label in labels], rng, self.changes
        ).to(self.device)
        codes = self.codes[rows].to(self.device)
        self.network.train()
        with autocast(self.device, self.settings.precision):
            logits = self.network(self.scaling(images))
            loss = nn.functional.cross_entropy(logits.float(), codes)
        penalty = self.settings.weight_decay * weight_penalty(self.network)
        optimiser, scaler = self.parts["optimiser"], self.parts["scaler"]
        optimiser.zero_grad()
        scaler.scale(loss + penalty).backward()
        scaler.step(optimiser)
        scaler.update()
        self.parts["schedule"].step()
        return {"loss": loss.item(), "penalty": penalty.item()}

    def evaluate(self, epoch: int) -> dict[str, float]:
        """Return loss and accuracy on validation images, and accuracy on as many training ones."""
        validation, training = self.sets["validation"], self.sets["training"]
        logits = self.logits(validation.images)
        codes = torch.from_numpy(validation.codes(self.settings.categories))
        some = generator(self.seed, "evaluated").permutation(len(training))[: len(validation)]
        of_training = self.logits(training.images[some]).argmax(1)
        return {
            "loss": nn.functional.cross_entropy(logits, codes).item(),
            "accuracy": (logits.argmax(1) == codes).float().mean().item(),
            "accuracy on training images": (of_training == self.codes[some]).float().mean().item(),
        }

    @torch.inference_mode()
    def logits(self, images: np.ndarray) -> torch.Tensor:
        """Return the logits of uint8 images in evaluation mode: no dropout, no augmentation."""
        self.network.eval()
        return torch.cat(
            [
                self.network(self.scaling(as_tensor(part).to(self.device))).cpu()
                for part in np.split(images, range(EVALUATED, len(images), EVALUATED))
            ]
        )


def weight_penalty(network: nn.Module) -> torch.Tensor:
    """Return half the sum of squares of all weights; biases are free."""
    return sum(
        parameter.square().sum() / 2
        for name, parameter in network.named_parameters()
        if name.endswith("weight")
    )


def initial_network(settings: Settings, images: np.ndarray, seed: int) -> tuple[VGG, Scaling]:
    """Return the network before training, and the scaling of images that goes with its weights."""
    network = build_vgg(
        settings.network, len(settings.categories), seed=seed, dropout=settings.dropout
    )
    if settings.weights == "untrained":
        return network, scaling_of(images)
    pretrained, _ = load_network("vgg16", settings.weights)
    load_convolutions(network, pretrained.state_dict(), f"weights {settings.weights}")
    return network, Scaling(IMAGENET_MEAN, IMAGENET_STD)


def predictions(task: Classification, images: ImageSet) -> pd.DataFrame:
    """Return a row per image: label, predicted, and the probability of each category."""
    probabilities = torch.softmax(task.logits(images.images), dim=1).numpy()
    categories = list(task.settings.categories)
    table = pd.DataFrame(probabilities, columns=[f"p_{category}" for category in categories])
    table.insert(0, "label", images.labels)
    table.insert(1, "predicted", np.array(categories)[probabilities.argmax(axis=1)])
    table.insert(0, "image", np.arange(len(images)))
    return table


if __name__ == "__main__":
    with script_job(snakemake):
        params, output = snakemake.params, snakemake.output
        settings = Settings(**params.settings)
        training, validation = (
            read_images(Path(snakemake.input[part])) for part in ("train", "validation")
        )
        network, scaling = initial_network(settings, training.images, params.seed)
        task = Classification(
            network,
            training,
            validation,
            settings,
            scaling=scaling,
            device=choose_device(snakemake.resources.get("gpu", 0)),
            seed=params.seed,
        )
        # Snakemake deletes what a killed job has put out, but knows nothing of this file.
        checkpoint = Path(output.network).with_suffix(".checkpoint")
        history = fit(
            task,
            n_epochs=settings.n_epochs,
            seed=params.seed,
            purpose=snakemake.wildcards.study,
            checkpoint=checkpoint,
            settings=params.settings,
        )
        write_table(history, output.history)
        write_table(predictions(task, validation), output.predictions)
        trained = Trained(task.network, list(settings.categories), scaling)
        write_trained(Path(output.network), settings.network, trained)
        checkpoint.unlink(missing_ok=True)
