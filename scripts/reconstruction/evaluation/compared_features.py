"""The file of `compare_features`: how alike reconstructions and images are to a network."""

from pathlib import Path

import h5py
import numpy as np

# Attribute of the file: the network, its layer and its weights, as tables call them.
NETWORK = "network"


def read_compared(path: Path, reconstruction: Path, part: str) -> np.ndarray:
    """Return the correlations of one file of reconstructions.

    float64 array (n_images, n_images): reconstructions in rows, true images in columns.
    """
    with h5py.File(path, "r") as file:
        return file[f"{reconstruction.stem}/{part}"][()]


def read_network(path: Path) -> str:
    """Return how tables call the network by which a file compares."""
    with h5py.File(path, "r") as file:
        return str(file.attrs[NETWORK])
