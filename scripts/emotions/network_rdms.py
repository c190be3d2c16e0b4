"""RDMs of the layers of a network over emotions, from its features of test volumes."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from scripts.emotions.labels import Labels
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
    means of one fold's test volumes, and averaged over the folds that test every class.
    """
    with h5py.File(path, "r") as file:
        if list(file.attrs["classes"]) != list(labels.classes):
            raise InputError(
                f"{path}: found features of {', '.join(file.attrs['classes'])}, expected those of "
                f"{', '.join(labels.classes)}; run the network again"
            )
        codes, folds = labels.codes[file["row"][()]], file["fold"][()]
        for layer in file.attrs["layers"]:
            features = file[f"layers/{layer}"][()]
            rdms = [
                _fold_rdm(features[folds == fold], codes[folds == fold], len(labels.classes))
                for fold in complete_folds(folds, codes, len(labels.classes), path)
            ]
            yield {"model": str(file.attrs["model"]), "layer": str(layer)}, np.mean(rdms, axis=0)


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
