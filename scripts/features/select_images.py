"""Take the common images out of a model's RDMs over all stimuli."""

from collections.abc import Iterator, Sequence

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.rdms.alignment import positions
from workflow.lib.rdms.stimulus_rdms import selected_images
from workflow.lib.rdms.store import RDMStore, write_rdms
from workflow.lib.tables import read_table


def common_rdms(
    store: RDMStore, images: Sequence[str], *, match: str, layers: Sequence[str] | None = None
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield every RDM of a file over the common images, in their order.

    Parameters
    ----------
    store : the model's RDMs over the stimuli that it was shown
    images : matched names in the common order
    match : "exact" or "normalised"
    layers : those to take; None for all

    Yields
    ------
    labels : dict as in the file
    vector : float array (n_pairs,)
    """
    order = positions(images, store.names, match=match, what=store.path.name)
    model = store.descriptors["model"]
    rows = list(store.rows())
    check_layers(store, [labels["layer"] for labels in rows], layers or ())
    for row, labels in enumerate(rows):
        if layers is not None and labels["layer"] not in layers:
            continue
        what = f"{model}, {' '.join(labels.values())}"
        yield labels, selected_images(store.vector(row), order, images, what)


def check_layers(store: RDMStore, known: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise InputError where a layer is wanted that a file does not have."""
    for layer in wanted:
        if layer not in known:
            raise InputError(
                f"{store.path.name}: found no layer {layer!r}, expected one of "
                f"{', '.join(dict.fromkeys(known))}; correct `layers` of the model"
            )


if __name__ == "__main__":
    with script_job(snakemake):
        images = read_table(snakemake.input.images)
        store = RDMStore(snakemake.input.rdms)
        write_rdms(
            snakemake.output[0],
            common_rdms(
                store,
                list(images["name"]),
                match=snakemake.params.match,
                layers=snakemake.params.layers,
            ),
            names=list(images["name"]),
            groups=list(images["group"]),
            measure=store.measure,
            descriptors=store.descriptors,
        )
