"""Compute the RDM of a control model: pixels, Gabor energy, colours, or groups of images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workflow.lib.controls import control_features
from workflow.lib.distances import pattern_distances
from workflow.lib.errors import InputError
from workflow.lib.gram_store import gram_writer
from workflow.lib.jobs import script_job
from workflow.lib.rdm_store import write_rdms
from workflow.lib.stimuli import common_stimuli
from workflow.lib.tables import read_table

GROUPS = "groups"


def group_features(groups: Sequence[str]) -> np.ndarray:
    """Return one column per group, 1 for its images: (n_images, n_groups).

    Raises
    ------
    InputError
        All images are of one group.
    """
    labels = list(dict.fromkeys(groups))
    if len(labels) < 2:
        raise InputError(
            f"images.groups: found all images in the group {labels[0]!r}, expected at least two "
            "groups for the control model `groups`; give images.groups or images.group_table"
        )
    return (np.asarray(groups)[:, None] == np.array(labels)).astype(np.float32)


def control_rdm(features: np.ndarray, control: str, metric: str) -> np.ndarray:
    """Return the RDM of control features, condensed float64 (n_pairs,).

    Parameters
    ----------
    features : float array (n_images, n_features)
    control : name of the control; of groups the RDM is 0 within and 1 between
    metric : dissimilarity of the other controls
    """
    if control == GROUPS:
        return pattern_distances(features, "sq_euclidean") / 2
    return pattern_distances(features, metric)


def standardised_gram(features: np.ndarray) -> np.ndarray:
    """Return the Gram matrix of z-scored features, float64 (n_images, n_images)."""
    varying = features[:, features.std(axis=0) > 0].astype(np.float64)
    scores = (varying - varying.mean(axis=0)) / varying.std(axis=0)
    return scores @ scores.T


if __name__ == "__main__":
    with script_job(snakemake):
        images = read_table(snakemake.input.images)
        names, groups = list(images["name"]), list(images["group"])
        control = snakemake.params.control
        if control == GROUPS:
            features = group_features(groups)
        else:
            stimuli = common_stimuli(
                Path(snakemake.params.folder),
                snakemake.params.stimuli,
                names,
                snakemake.params.match,
            )
            features = control_features(control, stimuli)
        if snakemake.output.get("grams"):
            with gram_writer(
                snakemake.output.grams, names=names, model=snakemake.wildcards.model
            ) as write_gram:
                write_gram({"layer": control}, standardised_gram(features))
        metric = snakemake.params.metric
        write_rdms(
            snakemake.output.rdms,
            [({"layer": control}, control_rdm(features, control, metric))],
            names=names,
            groups=groups,
            measure="0 within, 1 between groups" if control == GROUPS else metric,
            descriptors={"study": snakemake.wildcards.study, "model": snakemake.wildcards.model},
        )
