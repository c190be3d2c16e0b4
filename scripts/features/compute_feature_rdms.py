"""Compute the RDM of every layer from activations that were computed elsewhere."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow.lib.features.activations import read_activations
from workflow.lib.features.grams import feature_gram, feature_rdm
from workflow.lib.features.unit_blocks import UnitBlocks
from workflow.lib.jobs import script_job
from workflow.lib.rdms.gram_store import gram_writer
from workflow.lib.rdms.stimulus_rdms import selected_images
from workflow.lib.rdms.store import write_rdms
from workflow.lib.tables import read_table


def feature_rdms(
    source: Mapping,
    folder: Path,
    images: Sequence[str],
    *,
    match: str,
    metric: str,
    standardise_units: bool,
    write_gram: Callable[[Mapping[str, str], np.ndarray], None] | None = None,
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield the RDM of every layer over the common images, and write its Gram matrix if wanted.

    Parameters
    ----------
    source : the block of the model, see `workflow.lib.sources.model_source`
    folder : folder of the raw files
    images : matched names in the common order
    match : "exact" or "normalised"
    metric, standardise_units : see `workflow.lib.features.grams.feature_rdm`
    write_gram : takes the Gram matrix of each layer's standardised units, with its labels

    Yields
    ------
    labels : dict with layer
    rdm : float64 array (n_pairs,)
    """
    for labels, activations in read_activations(source, folder, images, match=match):
        with (
            tempfile.TemporaryDirectory() as scratch,
            UnitBlocks(
                Path(scratch, "layer"), len(images), activations.n_units, name=activations.what
            ) as blocks,
        ):
            for rows in activations.rows():
                blocks.append(rows)
            if write_gram:
                write_gram(labels, feature_gram(blocks, True))
            rdm = feature_rdm(blocks, metric, standardise_units)
            yield labels, selected_images(rdm, np.arange(len(images)), images, activations.what)


if __name__ == "__main__":
    with script_job(snakemake):
        params, model = snakemake.params, snakemake.wildcards.model
        images = read_table(snakemake.input.images)
        names = list(images["name"])
        grams_file = snakemake.output.get("grams")
        with (
            gram_writer(grams_file, names=names, model=model)
            if grams_file
            else contextlib.nullcontext()
        ) as write_gram:
            write_rdms(
                snakemake.output.rdms,
                feature_rdms(
                    params.source,
                    Path(params.folder),
                    names,
                    match=params.match,
                    write_gram=write_gram,
                    **params.model,
                ),
                names=names,
                groups=list(images["group"]),
                measure=params.model["metric"],
                descriptors={"study": snakemake.wildcards.study, "model": model},
            )
