"""What a generator draws of the same images as training goes on, in one .npz file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow.lib.files import written_whole


@dataclass(frozen=True, eq=False)
class SampleGrid:
    """Samples of some images.

    Attributes
    ----------
    names : list of n_images str
    images : uint8 array (n_images, size, size, 3)
        As they were seen.
    shapes : float32 array (n_images, size, size)
        As they were decoded; zero where the generator gets none.
    epochs : int array (n_epochs,), from 1
    drawn : uint8 array (n_epochs, n_images, size, size, 3)
    """

    names: list[str]
    images: np.ndarray
    shapes: np.ndarray
    epochs: np.ndarray
    drawn: np.ndarray


def write_samples(path: str | Path, grid: SampleGrid) -> None:
    """Write samples into a file."""
    with written_whole(path) as temporary:
        np.savez_compressed(temporary, **(vars(grid) | {"names": np.array(grid.names, dtype=str)}))


def read_samples(path: str | Path) -> SampleGrid:
    """Return the samples of a file that `write_samples` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return SampleGrid(**(dict(file) | {"names": file["names"].tolist()}))
