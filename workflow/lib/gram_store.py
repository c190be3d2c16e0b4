"""Gram matrices of layers: all that ridge regression needs of features, whatever their number."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.files import written_whole


@contextlib.contextmanager
def gram_writer(
    path: str | Path, *, names: Sequence[str], model: str
) -> Iterator[Callable[[Mapping[str, str], np.ndarray], None]]:
    """Give a function that writes one Gram matrix with its labels; only one is held at a time.

    Parameters
    ----------
    path : str or Path
    names : sequence of n_images str
    model : name of the model
    """
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["model"] = model
        file["names"] = np.array([name.encode() for name in names])
        group = file.create_group("gram")

        def write(labels: Mapping[str, str], gram: np.ndarray) -> None:
            dataset = group.create_dataset(f"{len(group):04d}", data=gram)
            dataset.attrs.update(labels)

        yield write


class GramStore:
    """The Gram matrices of a file written through `gram_writer`.

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
