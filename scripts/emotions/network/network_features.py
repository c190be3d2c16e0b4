"""What the layers of a network say of volumes that it has not seen: one HDF5 file per split.

`layers/<layer>` is float32 (n_volumes, n_units); `subject` (its number), `row` (of labels.csv) and
`fold`, int (n_volumes,), say which volume it is, and which fold's network saw it. Units of networks
of different folds have nothing in common: features are compared within a fold.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np


@dataclass(frozen=True, eq=False)
class Features:
    """One layer's features of test volumes.

    Attributes
    ----------
    values : float32 array (n, n_units)
    subjects, rows, folds : int arrays (n,)
    """

    values: np.ndarray
    subjects: np.ndarray
    rows: np.ndarray
    folds: np.ndarray


def layers_of(path: str | Path) -> list[str]:
    """Return the layers of a file, from early to late."""
    with h5py.File(path, "r") as file:
        return [str(layer) for layer in file.attrs["layers"]]


def read_features(path: str | Path, layer: str) -> Features:
    """Return the features of one layer."""
    with h5py.File(path, "r") as file:
        labels = (file[name][()] for name in ("subject", "row", "fold"))
        return Features(file[f"layers/{layer}"][()], *labels)
