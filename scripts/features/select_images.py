"""Take the common images out of a model's RDMs over all stimuli."""

from collections.abc import Iterator, Sequence

import numpy as np

from workflow.lib.jobs import script_job
from workflow.lib.rdms.alignment import positions
from workflow.lib.rdms.stimulus_rdms import selected_images
from workflow.lib.rdms.store import RDMStore, write_rdms
from workflow.lib.tables import read_table


def common_rdms(
    store: RDMStore, images: Sequence[str], *, match: str
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield every RDM of a file over the common images, in their order.

    Parameters
    ----------
    store : the model's RDMs over the stimuli that it was shown
    images : matched names in the common order
    match : "exact" or "normalised"

    Yields
    ------
    labels : dict as in the file
    vector : float array (n_pairs,)
    """
    order = positions(images, store.names, match=match, what=store.path.name)
    model = store.descriptors["model"]
    for row, labels in enumerate(store.rows()):
        what = f"{model}, {' '.join(labels.values())}"
        yield labels, selected_images(store.vector(row), order, images, what)


if __name__ == "__main__":
    with script_job(snakemake):
        images = read_table(snakemake.input.images)
        store = RDMStore(snakemake.input.rdms)
        write_rdms(
            snakemake.output[0],
            common_rdms(store, list(images["name"]), match=snakemake.params.match),
            names=list(images["name"]),
            groups=list(images["group"]),
            measure=store.measure,
            descriptors=store.descriptors,
        )
