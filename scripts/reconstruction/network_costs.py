"""What training the networks of a study of reconstruction takes, before anything is run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from scripts.reconstruction.decoders.decoder_networks import SemanticNetwork, ShapeNetwork
from scripts.reconstruction.generator.gan_training import GanOptions
from scripts.reconstruction.generator.patch_gan import PatchGAN, build_patch_gan
from scripts.reconstruction.generator.patch_gan import published_widths as patch_widths
from scripts.reconstruction.generator.unet import N_COLOURS, UNet, build_unet, published_widths
from workflow.lib.config.reconstruction_models import vector_length
from workflow.lib.prediction import TrainingCost, training_cost


@dataclass(frozen=True)
class Size:
    """How much there is to learn from.

    Attributes
    ----------
    n_training : int
        Training images.
    n_trials : int
        Responses to them.
    n_voxels : mapping, (stream, decoder) -> int
    """

    n_training: int
    n_trials: int
    n_voxels: Mapping[tuple[str, str], int]


def decoder_costs(entry: Mapping, size: Size) -> Iterator[tuple[str, str, TrainingCost]]:
    """Yield stream, name and cost of one fit of each decoder that is a network.

    All training images are the most that a fit can learn from.
    """
    for stream, build in {"shapes": _shape_network, "semantics": _semantic_network}.items():
        for name, block in entry[stream].items():
            if block["kind"] != "network":
                continue
            training, n_voxels = block["training"], size.n_voxels[stream, name]
            n_samples = size.n_trials if block["trials"] else size.n_training
            batch = min(training["batch"], n_samples)
            n_validated = int(entry["folds"]["validation_share"] * n_samples)
            # What is only counted needs no memory for its weights.
            with torch.device("meta"):
                network = build(entry, block["network"], n_voxels)
            yield (
                stream,
                name,
                training_cost(
                    network,
                    (n_voxels,),
                    batch_size=batch,
                    n_steps=training["n_epochs"] * (n_samples // batch),
                    n_evaluated=training["n_epochs"] * n_validated,
                ),
            )


def _shape_network(entry: Mapping, network: Mapping, n_voxels: int) -> ShapeNetwork:
    return ShapeNetwork(n_voxels, network["widths"], entry["image"]["size"])


def _semantic_network(entry: Mapping, network: Mapping, n_voxels: int) -> SemanticNetwork:
    return SemanticNetwork(n_voxels, n_categories=entry["clusters"]["n_clusters"], **network)


class GanStep(nn.Module):
    """What a step of training computes: an image is drawn, and judged three times.

    The discriminator learns from a real image and from the drawn one, the generator from what the
    discriminator then says of its own.
    """

    def __init__(self, unet: UNet, patch_gan: PatchGAN) -> None:
        super().__init__()
        self.unet, self.patch_gan = unet, patch_gan

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the last judgement of images (n, 3, size, size), whose red is taken as shape."""
        shapes = images[:, :1]
        made = self.unet(shapes, images.new_zeros(len(images), self.unet.n_vector))
        for shown in (images, made, made):
            judged = self.patch_gan(shown, shapes)
        return judged


@dataclass(frozen=True)
class GeneratorCost:
    """What one generator takes.

    Attributes
    ----------
    n_drawing, n_judging : int
        Parameters of the U-Net and of the discriminator.
    training : TrainingCost
        Of both.
    """

    n_drawing: int
    n_judging: int
    training: TrainingCost


def generator_cost(entry: Mapping, size: Size) -> GeneratorCost:
    """Return the cost of the generator that is told the longest vector.

    Raises
    ------
    InputError
        A U-Net or a discriminator that images of this size do not allow.
    """
    side, options = entry["image"]["size"], GanOptions(**entry["generator"])
    unet = build_unet(
        side,
        options.widths or published_widths(side),
        _longest_vector(entry),
        dropout=options.dropout,
        seed=0,
    )
    patch_gan = build_patch_gan(side, options.discriminator_widths or patch_widths(side), seed=0)
    n_drawing, n_judging = (sum(p.numel() for p in n.parameters()) for n in (unet, patch_gan))
    batch = min(options.batch, size.n_training)
    training = training_cost(
        GanStep(unet, patch_gan),
        (N_COLOURS, side, side),
        batch_size=batch,
        n_steps=options.n_epochs * (size.n_training // batch),
        n_evaluated=int(options.n_epochs * entry["folds"]["validation_share"] * size.n_training),
    )
    return GeneratorCost(n_drawing, n_judging, training)


def _longest_vector(entry: Mapping) -> int:
    """Return the numbers of the longest vector that a generator is told, 0 if none is told one."""
    told = {block["semantics"] for block in entry["generators"].values()} - {None}
    return max((vector_length(entry, name) for name in told), default=0)
