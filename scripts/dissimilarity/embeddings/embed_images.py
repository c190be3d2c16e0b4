"""Embed the images of one subject: controls, layers of networks, CLIP, and files made elsewhere.

snakemake --cores 2 results/demo/scenes/embeddings/pixel_subj01.h5
"""

import importlib
from collections.abc import Mapping
from pathlib import Path

from scripts.dissimilarity.data.pair_images import read_pair_images
from scripts.dissimilarity.embeddings.embedding_images import EmbeddingImages, stimuli_of_files
from scripts.dissimilarity.embeddings.embeddings import Embedding, write_embedding
from workflow.lib.config.pair_kinds import EMBEDDERS, FILE_KEYS, file_of_subject
from workflow.lib.errors import InputError
from workflow.lib.features.stimuli import Stimuli, common_stimuli
from workflow.lib.jobs import script_job
from workflow.lib.layouts.algonauts2023 import images_folder


def embed_images(name: str, block: Mapping, images: EmbeddingImages) -> Embedding:
    """Return the embedding that a block of the config describes.

    Parameters
    ----------
    name : str
    block : mapping
        kind, a key of `EMBEDDERS`, and what the `embed` of its module asks for.
    images : EmbeddingImages

    Raises
    ------
    InputError
        No such kind; what the kind itself refuses.
    """
    if block["kind"] not in EMBEDDERS:
        raise InputError(
            f"embedding {name}: found the kind {block['kind']!r}, expected one of "
            f"{', '.join(EMBEDDERS)}; correct it"
        )
    # Only the one in use is imported: PyTorch takes longer to import than controls to compute.
    made_by = EMBEDDERS[block["kind"]].module
    module = importlib.import_module(f"scripts.dissimilarity.embedders.{made_by}")
    return module.embed(name, block, images)


def of_subject(block: Mapping, subject: str) -> dict:
    """Return a block whose files are those of a subject: {subject} stands for its name."""
    return {
        key: file_of_subject(value, subject) if key in FILE_KEYS and value else value
        for key, value in block.items()
    }


def opened_originals(
    folder: Path, stimuli: Mapping | None, names: list[str], *, subject: str, match: str
) -> Stimuli:
    """Return the original images of these names, in their order.

    Parameters
    ----------
    folder : folder of the raw files
    stimuli : block of the stimuli of a study of `rsa`; None for a folder of the challenge
    names : names of the subject's images
    subject : subject of the challenge
    match : how names are matched with those of stimuli, "exact" or "normalised"
    """
    if stimuli:
        return common_stimuli(folder, stimuli, names, match)
    return stimuli_of_files(folder / images_folder(subject), names)


if __name__ == "__main__":
    with script_job(snakemake):
        params, subject = snakemake.params, snakemake.wildcards.subject
        prepared = read_pair_images(Path(snakemake.input.images))
        images = EmbeddingImages(
            prepared,
            lambda: opened_originals(
                Path(params.folder),
                params.stimuli,
                prepared.names,
                subject=subject,
                match=params.match or "exact",
            ),
            n_gpus=snakemake.resources.get("gpu", 0),
            seed=params.seed,
        )
        name = snakemake.wildcards.embedding
        write_embedding(
            snakemake.output[0], embed_images(name, of_subject(params.embedding, subject), images)
        )
