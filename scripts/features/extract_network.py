"""Show the stimuli to a network, and compute the RDM of every layer from its activations."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from workflow.lib.devices import choose_device
from workflow.lib.features import extract_features, feature_gram, feature_rdm
from workflow.lib.gram_store import write_grams
from workflow.lib.image_names import common_stimuli
from workflow.lib.jobs import script_job
from workflow.lib.networks import layer_extractor, load_network
from workflow.lib.rdm_store import write_rdms
from workflow.lib.stimuli import Stimuli
from workflow.lib.tables import read_table


def extract_network(
    model: Mapping, stimuli: Stimuli, *, n_gpus: int, first_seed: int, with_grams: bool
) -> Iterator[tuple[dict[str, str], np.ndarray, np.ndarray | None]]:
    """Yield the RDM of every layer, and its Gram matrix if wanted.

    Parameters
    ----------
    model : the model's config block
    stimuli : the common images, in their order
    n_gpus : GPUs that the job was given
    first_seed : seed of the first random network, for untrained weights
    with_grams : whether Gram matrices of the standardised units are computed too

    Yields
    ------
    labels : dict with layer and, for untrained networks, seed
    rdm : float64 array (n_pairs,)
    gram : float64 array (n_images, n_images) or None
    """
    untrained = model["weights"] == "untrained"
    for seed in range(first_seed, first_seed + (model["seeds"] if untrained else 1)):
        network, transforms = load_network(model["network"], model["weights"], seed)
        with tempfile.TemporaryDirectory() as folder:
            features = extract_features(
                layer_extractor(network, model["layers"]["names"]),
                transforms,
                stimuli,
                device=choose_device(n_gpus),
                batch_size=model["batch_size"],
                pooling=model["pooling"],
                precision=model["precision"],
                folder=Path(folder),
            )
            for layer, blocks in features.items():
                labels = {"layer": layer} | ({"seed": str(seed)} if untrained else {})
                rdm = feature_rdm(blocks, model["metric"], model["standardise_units"])
                yield labels, rdm, feature_gram(blocks, True) if with_grams else None


if __name__ == "__main__":
    with script_job(snakemake) as log:
        images = read_table(snakemake.input.images)
        names = list(images["name"])
        grams_file = snakemake.output.get("grams")
        layers = list(
            extract_network(
                snakemake.params.model,
                common_stimuli(
                    Path(snakemake.params.folder),
                    snakemake.params.stimuli,
                    names,
                    snakemake.params.match,
                ),
                n_gpus=snakemake.resources.get("gpu", 0),
                first_seed=snakemake.params.seed,
                with_grams=grams_file is not None,
            )
        )
        log.info("%d RDMs of %d images", len(layers), len(names))
        if grams_file is not None:
            write_grams(
                grams_file,
                ((labels, gram) for labels, _, gram in layers),
                names=names,
                model=snakemake.wildcards.model,
            )
        write_rdms(
            snakemake.output.rdms,
            ((labels, rdm) for labels, rdm, _ in layers),
            names=names,
            groups=list(images["group"]),
            measure=snakemake.params.model["metric"],
            descriptors={"study": snakemake.wildcards.study, "model": snakemake.wildcards.model},
        )
