"""Embeddings by the image tower of CLIP, see `workflow.lib.features.clip`."""

from collections.abc import Mapping

from scripts.dissimilarity.embedders.networks import shown
from scripts.dissimilarity.embeddings.embedding_images import EmbeddingImages
from scripts.dissimilarity.embeddings.embeddings import Embedding
from workflow.lib.features.clip import load_clip


def embed(name: str, block: Mapping, images: EmbeddingImages) -> Embedding:
    """Return CLIP's embedding of the original images.

    Parameters
    ----------
    name : str
    block : mapping
        weights, network and output as in `load_clip`; options as in
        `scripts.dissimilarity.embedders.networks`.
    images : EmbeddingImages
    """
    tower, transforms = load_clip(
        block["weights"],
        network=block.get("network"),
        output=block.get("output") or "embedding",
        seed=images.seed,
    )
    return shown(name, block, images, tower, transforms)
