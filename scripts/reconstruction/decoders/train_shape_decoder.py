"""Train the published network that decodes the shape of every picture, fold by fold.

snakemake --cores 2 results/demo/pictures/models/shapes_network_01.h5

A job that is cut short goes on where it was.
"""

from pathlib import Path

import numpy as np

from scripts.reconstruction.decoders.decoder_job import DecoderJob, open_job
from scripts.reconstruction.decoders.decoder_networks import ShapeNetwork, ShapeTask
from scripts.reconstruction.decoders.network_fits import write_network_fits
from workflow.lib.features.devices import choose_device, reused_memory
from workflow.lib.jobs import script_job


def as_tanh(shapes: np.ndarray) -> np.ndarray:
    """Return grey values from 0 to 1 as a network with tanh gives them, from -1 to 1."""
    return 2 * shapes.astype(np.float32) - 1


def train_shape_decoder(job: DecoderJob, **files_and_device) -> None:
    """Train the networks of a decoder of shapes, see `write_network_fits`."""
    shapes, widths = job.images.shapes, job.decoder["network"]["widths"]
    write_network_fits(
        job,
        build=lambda n_voxels: ShapeNetwork(n_voxels, widths, shapes.shape[1]),
        task=ShapeTask,
        outputs=lambda network, responses: {"predicted": (network(responses) + 1) / 2},
        targets=as_tanh(shapes),
        **files_and_device,
    )


if __name__ == "__main__":
    with script_job(snakemake), reused_memory():
        train_shape_decoder(
            open_job(snakemake),
            device=choose_device(snakemake.resources.get("gpu", 0)),
            predictions_file=Path(snakemake.output.predictions),
            history_file=Path(snakemake.output.history),
            network_file=Path(snakemake.output.network),
        )
