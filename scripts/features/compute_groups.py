"""Compute the RDM of the control model `groups`: 0 within and 1 between groups of images."""

from collections.abc import Sequence

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.rdms.gram_store import gram_writer, standardised_gram
from workflow.lib.rdms.store import write_rdms
from workflow.lib.tables import read_table

LAYER = "groups"


def group_features(groups: Sequence[str]) -> np.ndarray:
    """Return one column per group, 1 for its images: (n_images, n_groups)."""
    codes = _group_codes(groups)
    return np.eye(codes.max() + 1, dtype=np.float32)[codes]


def group_rdm(groups: Sequence[str]) -> np.ndarray:
    """Return the RDM that is 0 within and 1 between groups, condensed float64 (n_pairs,).

    Labels are compared, not features: rounding of a distance would break ties.

    Raises
    ------
    InputError
        All images are of one group.
    """
    codes = _group_codes(groups)
    first, second = np.triu_indices(len(codes), k=1)
    return (codes[first] != codes[second]).astype(np.float64)


def _group_codes(groups: Sequence[str]) -> np.ndarray:
    labels, codes = np.unique(groups, return_inverse=True)
    if len(labels) < 2:
        raise InputError(
            f"images.groups: found all images in the group {str(labels[0])!r}, expected at least "
            "two groups for the control model `groups`; give images.groups or images.group_table"
        )
    return codes


if __name__ == "__main__":
    with script_job(snakemake):
        images = read_table(snakemake.input.images)
        names, groups = list(images["name"]), list(images["group"])
        model = snakemake.wildcards.model
        if snakemake.output.get("grams"):
            with gram_writer(snakemake.output.grams, names=names, model=model) as write_gram:
                write_gram({"layer": LAYER}, standardised_gram(group_features(groups)))
        write_rdms(
            snakemake.output.rdms,
            [({"layer": LAYER}, group_rdm(groups))],
            names=names,
            groups=groups,
            measure="0 within, 1 between groups",
            descriptors={"study": snakemake.wildcards.study, "model": model},
        )
