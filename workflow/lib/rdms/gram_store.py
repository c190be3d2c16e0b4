"""Gram matrices of layers: all that ridge regression needs of features, whatever their number."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.files import written_whole
from workflow.lib.rdms.alignment import positions


def standardised_gram(features: np.ndarray) -> np.ndarray:
    """Return the products of z-scored features (n_images, n_features) of all pairs of images."""
    varying = features[:, features.std(axis=0) > 0].astype(np.float64)
    scores = (varying - varying.mean(axis=0)) / varying.std(axis=0)
    return scores @ scores.T


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
    """The Gram matrices of a file written through `gram_writer`, over some of its images.

    Parameters
    ----------
    path : str or Path
    images : sequence of str, optional
        Matched names of the images to keep, in the order that is wanted; all if not given.
    match : "exact" or "normalised"
        How these names are found in the file.

    Attributes
    ----------
    model : str
    names : list of str
        Images in the order of the matrices.
    labels : list of dict
        Labels (layer, seed) of each matrix.

    Raises
    ------
    InputError
        The file lacks an image.
    """

    def __init__(
        self, path: str | Path, images: Sequence[str] | None = None, match: str = "exact"
    ) -> None:
        self.path = Path(path)
        with h5py.File(self.path, "r") as file:
            self.model = str(file.attrs["model"])
            self.names = [name.decode() for name in file["names"][()]]
            self.labels = [
                {key: str(value) for key, value in dataset.attrs.items()}
                for dataset in file["gram"].values()
            ]
        self._kept = None
        if images is not None:
            self._kept = positions(images, self.names, match=match, what=self.path.name)
            self.names = list(images)

    def gram(self, number: int) -> np.ndarray:
        """Return one Gram matrix, float64 (n_images, n_images)."""
        with h5py.File(self.path, "r") as file:
            gram = file[f"gram/{number:04d}"][()]
        return gram if self._kept is None else gram[np.ix_(self._kept, self._kept)]
