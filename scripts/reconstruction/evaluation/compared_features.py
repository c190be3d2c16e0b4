"""The file of `compare_features`: how alike reconstructions and images are to a network."""

from pathlib import Path

import h5py
import numpy as np


def read_compared(path: Path, reconstruction: Path, part: str) -> np.ndarray:
    """Return the correlations of one file of reconstructions.

    float64 array (n_images, n_images): reconstructions in rows, true images in columns.
    """
    with h5py.File(path, "r") as file:
        return file[f"{reconstruction.stem}/{part}"][()]
