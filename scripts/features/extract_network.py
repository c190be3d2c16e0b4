"""Show the stimuli to a network, and compute the RDM of every layer from its activations."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from workflow.lib.features.devices import choose_device
from workflow.lib.features.extraction import extract_features
from workflow.lib.features.grams import feature_gram, feature_rdm
from workflow.lib.features.networks import layer_extractor, load_network
from workflow.lib.features.stimuli import Stimuli, shown_stimuli
from workflow.lib.jobs import script_job
from workflow.lib.rdms.gram_store import gram_writer
from workflow.lib.rdms.store import write_rdms


def extract_network(
    model: Mapping,
    stimuli: Stimuli,
    *,
    n_gpus: int,
    first_seed: int,
    write_gram: Callable[[Mapping[str, str], np.ndarray], None] | None = None,
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield the RDM of every layer, and write its Gram matrix if wanted.

    Parameters
    ----------
    model : the model's config block
    stimuli : the images to show
    n_gpus : GPUs that the job was given
    first_seed : seed of the first random network, for untrained weights
    write_gram : takes the Gram matrix of each layer's standardised units, with its labels

    Yields
    ------
    labels : dict with layer and, for untrained networks, seed
    rdm : float64 array (n_pairs,)
    """
    untrained = model["weights"] == "untrained"
    device = choose_device(n_gpus)
    for seed in range(first_seed, first_seed + (model["seeds"] if untrained else 1)):
        network, transforms = load_network(model["network"], model["weights"], seed)
        with tempfile.TemporaryDirectory() as folder:
            features = extract_features(
                layer_extractor(network, model["layers"]["names"]),
                transforms,
                stimuli,
                device=device,
                batch_size=model["batch_size"],
                pooling=model["pooling"],
                precision=model["precision"],
                folder=Path(folder),
            )
            for layer, blocks in features.items():
                labels = {"layer": layer} | ({"seed": str(seed)} if untrained else {})
                with blocks:
                    if write_gram:
                        write_gram(labels, feature_gram(blocks, True, device=device))
                    yield (
                        labels,
                        feature_rdm(
                            blocks, model["metric"], model["standardise_units"], device=device
                        ),
                    )


if __name__ == "__main__":
    with script_job(snakemake):
        params, name = snakemake.params, snakemake.wildcards.model
        stimuli = shown_stimuli(
            Path(params.folder), params.stimuli, snakemake.input.images, params.match
        )
        grams_file = snakemake.output.get("grams")
        with (
            gram_writer(grams_file, names=stimuli.names, model=name)
            if grams_file
            else contextlib.nullcontext()
        ) as write_gram:
            write_rdms(
                snakemake.output.rdms,
                extract_network(
                    params.model,
                    stimuli,
                    n_gpus=snakemake.resources.get("gpu", 0),
                    first_seed=params.seed,
                    write_gram=write_gram,
                ),
                names=stimuli.names,
                measure=params.model["metric"],
                descriptors={"study": snakemake.wildcards.study, "model": name},
                may_have_gaps=True,
            )
