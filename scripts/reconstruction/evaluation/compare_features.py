"""Compare reconstructions with images by what a layer of a network sees in them.

snakemake --cores 2 results/demo/pictures/features/compared_alexnet2.h5
"""

from collections.abc import Sequence
from pathlib import Path

import h5py

from scripts.reconstruction.data.image_features import LayerFeatures
from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from workflow.lib.features.devices import reused_memory
from workflow.lib.files import written_whole
from workflow.lib.jobs import script_job
from workflow.lib.scores.images import correlations
from workflow.lib.splits.held_out import parts_of, read_held_out


def compare_features(
    layer: LayerFeatures, images: ImageTable, reconstructions: Sequence[Path], output: Path
) -> None:
    """Write the correlation of the features of every reconstruction with those of every image.

    Parameters
    ----------
    layer : LayerFeatures
    images : ImageTable
        Of all parts.
    reconstructions : sequence of paths
        HeldOut files of uint8 images.
    output : path of an HDF5 file
        <name of the file>/<part>: float64 (n_images, n_images), reconstructions in rows, in the
        order of the table of images.
    """
    tests = {part: images.of(part) for part in images.tests}
    true = {part: layer.of(own.names, own.images) for part, own in tests.items()}
    with written_whole(output) as temporary, h5py.File(temporary, "w") as file:
        for path in reconstructions:
            for part in parts_of(path):
                names = tests[part].names
                made = layer.of(names, read_held_out(path, part).of(names).predicted)
                file[f"{path.stem}/{part}"] = correlations(made, true[part])


if __name__ == "__main__":
    with script_job(snakemake), reused_memory():
        block = snakemake.params.network
        compare_features(
            LayerFeatures(
                network=block["network"],
                layer=block["layer"],
                weights=block["weights"],
                pooling="none",
                seed=snakemake.params.seed,
                n_gpus=snakemake.resources.get("gpu", 0),
            ),
            read_image_table(Path(snakemake.input.images)),
            [Path(file) for file in snakemake.input.reconstructions],
            Path(snakemake.output[0]),
        )
