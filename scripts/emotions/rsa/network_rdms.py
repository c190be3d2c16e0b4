"""RDMs of the layers of a network over emotions, from its features of test volumes."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from scripts.emotions.labelling.labels import Labels
from scripts.emotions.network.network_features import layers_of, read_features
from workflow.lib.errors import InputError
from workflow.lib.rdms.distances import pattern_distances

METRIC = "correlation"


def network_rdms(path: str | Path, labels: Labels) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield the RDM of every layer of a network.

    Parameters
    ----------
    path : file of features of labelled test volumes
    labels : Labels

    Yields
    ------
    labels : {"model": the network, "layer": the layer}
    vector : float64 array (n_pairs,)

    Raises
    ------
    InputError
        Features of other classes, or no fold that tests all of them.

    Notes
    -----
    Networks of different folds have units of their own: distances are taken between the class
    means of one fold's test volumes, and averaged over the folds that test every class. They are
    not cross-validated: means of rare classes are noisier, and lie farther from all others.
    """
    with h5py.File(path, "r") as file:
        model, classes = str(file.attrs["model"]), list(map(str, file.attrs["classes"]))
    if classes != list(labels.classes):
        raise InputError(
            f"{path}: found features of {', '.join(classes)}, expected those of "
            f"{', '.join(labels.classes)}; run the network again"
        )
    for layer in layers_of(path):
        features = read_features(path, layer)
        codes = labels.codes[features.rows]
        rdms = [
            _fold_rdm(features.values[own], codes[own], len(classes))
            for fold in complete_folds(features.folds, codes, len(classes), path)
            for own in [features.folds == fold]
        ]
        yield {"model": model, "layer": layer}, np.mean(rdms, axis=0)


def complete_folds(
    folds: np.ndarray, codes: np.ndarray, n_classes: int, what: str | Path
) -> list[int]:
    """Return the folds that test every class."""
    whole = [
        int(fold)
        for fold in np.unique(folds)
        if len(set(codes[folds == fold][codes[folds == fold] >= 0])) == n_classes
    ]
    if not whole:
        raise InputError(
            f"{what}: found no fold that tests all {n_classes} emotions, expected one; use fewer "
            "folds, or leave out the rarest of labels.classes"
        )
    return whole


def _fold_rdm(features: np.ndarray, codes: np.ndarray, n_classes: int) -> np.ndarray:
    means = np.stack([features[codes == code].mean(axis=0) for code in range(n_classes)])
    return pattern_distances(means.astype(np.float64), METRIC)
