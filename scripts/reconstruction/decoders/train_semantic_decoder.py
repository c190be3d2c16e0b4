"""Train the published network that decodes the category of every picture, fold by fold.

snakemake --cores 2 results/demo/pictures/models/semantics_network_01.h5

A job that is cut short goes on where it was.
"""

from pathlib import Path

import torch

from scripts.reconstruction.decoders.clusters import Clusters, read_clusters
from scripts.reconstruction.decoders.decoder_job import DecoderJob, open_job
from scripts.reconstruction.decoders.decoder_networks import SemanticNetwork, SemanticTask
from scripts.reconstruction.decoders.network_fits import write_network_fits
from workflow.lib.features.devices import choose_device, reused_memory
from workflow.lib.jobs import script_job
from workflow.lib.sources import TRAINING


def vectors_and_probabilities(
    network: SemanticNetwork, responses: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the vectors that describe pictures, and the probabilities of their categories."""
    vectors = network.describe(responses)
    probabilities = torch.softmax(network.classify(vectors), dim=1)
    return {"predicted": vectors, "probabilities": probabilities}


def train_semantic_decoder(job: DecoderJob, clusters: Clusters, **files_and_device) -> None:
    """Train the networks of a decoder of categories, see `write_network_fits`."""
    network = job.decoder["network"]
    write_network_fits(
        job,
        build=lambda n_voxels: SemanticNetwork(
            n_voxels, n_categories=clusters.n_clusters, **network
        ),
        task=SemanticTask,
        outputs=vectors_and_probabilities,
        aligned=["predicted"],
        targets=clusters.codes(TRAINING, job.images.names),
        **files_and_device,
    )


if __name__ == "__main__":
    with script_job(snakemake), reused_memory():
        train_semantic_decoder(
            open_job(snakemake),
            read_clusters(Path(snakemake.input.clusters)),
            device=choose_device(snakemake.resources.get("gpu", 0)),
            predictions_file=Path(snakemake.output.predictions),
            history_file=Path(snakemake.output.history),
            network_file=Path(snakemake.output.network),
        )
