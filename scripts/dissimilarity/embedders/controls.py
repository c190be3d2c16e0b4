"""Embeddings that need no network: pixels, Gabor energies, colours."""

from collections.abc import Mapping

from scripts.dissimilarity.embeddings.embedding_images import EmbeddingImages
from scripts.dissimilarity.embeddings.embeddings import Embedding, embedding_from_blocks
from workflow.lib.features.controls import control_features


def embed(name: str, block: Mapping, images: EmbeddingImages) -> Embedding:
    """Return the features of a control, see `workflow.lib.features.controls`.

    Parameters
    ----------
    name : str
    block : mapping
        kind: name of the control; options: its options, if any.
    images : EmbeddingImages
        Of which the prepared ones are seen.

    Raises
    ------
    InputError
        No such option.
    """
    features = control_features(block["kind"], images.small(), **block.get("options") or {})
    return embedding_from_blocks(name, images.names, [features], n_features=features.shape[1])
