"""Draw the test images that a subject saw, from what was decoded of responses to them.

snakemake --cores 2 results/demo/pictures/reconstructions/full_01.h5

input     images  features/images.npz
          <stream>_<decoder>  models/{stream}_{decoder}_{subject}.h5
          networks  models/generator_{generator}_{subject}.safetensors of every generator
output    reconstructions/{generator}_{subject}.h5 of every generator, see
          `workflow.lib.splits.held_out`: images uint8 (n, size, size, 3) of every test
params    generators  generator -> stream -> decoder, in the order of networks and output
wildcards subject
"""

from collections.abc import Mapping
from pathlib import Path

from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from scripts.reconstruction.generator.generator_inputs import read_decoded
from scripts.reconstruction.generator.trained_generator import TrainedGenerator, read_generator
from workflow.lib.features.devices import choose_device, reused_memory
from workflow.lib.jobs import script_job
from workflow.lib.splits.held_out import HeldOut, fitted_to_all, write_held_out


def reconstruct_images(
    images: ImageTable, files: Mapping[str, str | Path], trained: TrainedGenerator
) -> dict[str, HeldOut]:
    """Return what a generator draws of every test.

    Parameters
    ----------
    images : ImageTable
        Whose names of test images are looked at, never what these look like.
    files : mapping
        Decoded shapes and semantic vectors, see `read_decoded`.
    trained : TrainedGenerator
        On the device that it draws on.

    Returns
    -------
    dict, test -> HeldOut of uint8 images (n, size, size, 3)
    """
    tests = {part: images.of(part).names for part in images.tests}
    return {
        part: fitted_to_all(
            names, trained.draw(read_decoded(files, part, names, size=trained.network.size))
        )
        for part, names in tests.items()
    }


if __name__ == "__main__":
    with script_job(snakemake), reused_memory():
        inputs, device = snakemake.input, choose_device(snakemake.resources.get("gpu", 0))
        images = read_image_table(inputs.images)
        generators = zip(
            snakemake.params.generators.items(), inputs.networks, snakemake.output, strict=True
        )
        for (generator, told), network, path in generators:
            trained = read_generator(Path(network))
            trained.network.to(device)
            files = {stream: inputs[f"{stream}_{decoder}"] for stream, decoder in told.items()}
            write_held_out(
                path,
                reconstruct_images(images, files, trained),
                {"generator": generator, "subject": snakemake.wildcards.subject},
            )
