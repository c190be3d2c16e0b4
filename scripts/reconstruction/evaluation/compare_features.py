"""Compare reconstructions with images by what a network sees in them, a layer of it or CLIP.

snakemake --cores 2 results/demo/pictures/features/compared_alexnet2.h5
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py

from scripts.reconstruction.data.image_features import ImageFeatures, layer_features
from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from scripts.reconstruction.evaluation.compared_features import NETWORK
from workflow.lib.features.clip import load_clip
from workflow.lib.features.devices import reused_memory
from workflow.lib.files import written_whole
from workflow.lib.jobs import script_job
from workflow.lib.scores.images import correlations
from workflow.lib.splits.held_out import parts_of, read_held_out

# How tables call weights that are no file.
WEIGHTS = {"torchvision": "weights of torchvision", "untrained": "untrained"}


def of_layer(block: Mapping, *, seed: int, n_gpus: int) -> ImageFeatures:
    """Return all units of a layer of a network of torchvision: network, layer, weights.

    As published comparisons do, it is shown whole images: edges are reconstructed, too.
    """
    return layer_features(
        network=block["network"],
        layer=block["layer"],
        weights=block["weights"],
        pooling="none",
        seed=seed,
        n_gpus=n_gpus,
        whole=True,
    )


def of_clip(block: Mapping, *, seed: int, n_gpus: int) -> ImageFeatures:
    """Return CLIP's embedding, as it compares images with texts: network, weights."""
    tower, transforms = load_clip(block["weights"], network=block["network"], seed=seed)
    return ImageFeatures(tower, transforms, pooling="none", n_gpus=n_gpus)


KINDS: dict[str, Callable[..., ImageFeatures]] = {"torchvision": of_layer, "clip": of_clip}


def network_text(block: Mapping) -> str:
    """Return how tables call a network: its name, its layer, and whose weights it has."""
    named = [*(["CLIP"] if block["kind"] == "clip" else []), block["network"]]
    named += [block["layer"]] if "layer" in block else []
    weights = WEIGHTS.get(block["weights"], f"weights {Path(block['weights']).name}")
    return f"{' '.join(named)} ({weights})"


def compare_features(
    seen: ImageFeatures,
    images: ImageTable,
    reconstructions: Sequence[Path],
    output: Path,
    *,
    network: str,
) -> None:
    """Write the correlation of the features of every reconstruction with those of every image.

    Parameters
    ----------
    seen : ImageFeatures
    images : ImageTable
        Of all parts.
    reconstructions : sequence of paths
        HeldOut files of uint8 images.
    output : path of an HDF5 file
        <name of the file>/<part>: float64 (n_images, n_images), reconstructions in rows, in the
        order of the table of images. Its attribute `network` is the text below.
    network : str
        How tables call the network, see `network_text`.
    """
    tests = {part: images.of(part) for part in images.tests}
    true = {part: seen.of(own.names, own.images) for part, own in tests.items()}
    with written_whole(output) as temporary, h5py.File(temporary, "w") as file:
        file.attrs[NETWORK] = network
        for path in reconstructions:
            for part in parts_of(path):
                names = tests[part].names
                made = seen.of(names, read_held_out(path, part).of(names).predicted)
                file[f"{path.stem}/{part}"] = correlations(made, true[part])


if __name__ == "__main__":
    with script_job(snakemake), reused_memory():
        block = snakemake.params.network
        n_gpus = snakemake.resources.get("gpu", 0)
        compare_features(
            KINDS[block["kind"]](block, seed=snakemake.params.seed, n_gpus=n_gpus),
            read_image_table(Path(snakemake.input.images)),
            [Path(file) for file in snakemake.input.reconstructions],
            Path(snakemake.output[0]),
            network=network_text(block),
        )
