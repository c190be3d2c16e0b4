"""Gram matrices of layers: all that ridge regression needs of features, whatever their number."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.files import written_whole


def write_grams(
    path: str | Path,
    grams: Iterable[tuple[Mapping[str, str], np.ndarray]],
    *,
    names: Sequence[str],
    model: str,
) -> None:
    """Write the Gram matrices of a model's layers.

    Parameters
    ----------
    path : str or Path
    grams : iterable of (labels, float64 array (n_images, n_images))
    names : sequence of n_images str
    model : name of the model
    """
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["model"] = model
        file["names"] = np.array([name.encode() for name in names])
        for number, (labels, gram) in enumerate(grams):
            dataset = file.create_dataset(f"gram/{number:04d}", data=gram)
            dataset.attrs.update(labels)


class GramStore:
    """The Gram matrices of a file written by `write_grams`.

    Attributes
    ----------
    model : str
    names : list of str
        Images in the order of the matrices.
    labels : list of dict
        Labels (layer, seed) of each matrix.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with h5py.File(self.path, "r") as file:
            self.model = str(file.attrs["model"])
            self.names = [name.decode() for name in file["names"][()]]
            self.labels = [
                {key: str(value) for key, value in dataset.attrs.items()}
                for dataset in file["gram"].values()
            ]

    def gram(self, number: int) -> np.ndarray:
        """Return one Gram matrix, float64 (n_images, n_images)."""
        with h5py.File(self.path, "r") as file:
            return file[f"gram/{number:04d}"][()]
