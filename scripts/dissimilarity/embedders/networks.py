"""Embeddings by networks: a layer of any network of torchvision, of any width."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn

from scripts.dissimilarity.embeddings.embedding_images import EmbeddingImages
from scripts.dissimilarity.embeddings.embeddings import Embedding, embedding_from_blocks
from workflow.lib.errors import InputError
from workflow.lib.features.devices import choose_device
from workflow.lib.features.extraction import extract_features
from workflow.lib.features.networks import layer_extractor, load_network

# How images are shown, see `workflow.lib.features.extraction.extract_features`.
SHOWING = ("batch_size", "pooling", "precision")


def embed(name: str, block: Mapping, images: EmbeddingImages) -> Embedding:
    """Return a layer's activations to the original images.

    Parameters
    ----------
    name : str
    block : mapping
        network, layer, and weights ("torchvision", "untrained" or a path), see
        `workflow.lib.features.networks`; options: some of `SHOWING`.
    images : EmbeddingImages

    Raises
    ------
    InputError
        No such network, layer, weights or option.
    """
    network, transforms = load_network(block["network"], block["weights"], images.seed)
    extractor = layer_extractor(network, {block["layer"]: block["layer"]})
    return shown(name, block, images, extractor, transforms)


def shown(
    name: str,
    block: Mapping,
    images: EmbeddingImages,
    extractor: nn.Module,
    transforms: Callable[..., torch.Tensor],
) -> Embedding:
    """Return the only output of a network that is shown the original images.

    Parameters
    ----------
    name, block, images : as in `embed`
    extractor, transforms : see `workflow.lib.features.extraction.extract_features`
    """
    options = block.get("options") or {}
    for option in options:
        if option not in SHOWING:
            raise InputError(
                f"embedding {name}: found the option {option!r}, expected some of "
                f"{', '.join(SHOWING)}; correct it"
            )
    device = choose_device(images.n_gpus)
    with tempfile.TemporaryDirectory() as folder:
        (blocks,) = extract_features(
            extractor, transforms, images.originals(), device=device, folder=Path(folder), **options
        ).values()
        with blocks:
            return embedding_from_blocks(name, images.names, blocks, n_features=blocks.n_units)
