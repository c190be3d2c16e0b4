"""Images that drive single units the most, as the study keeps them: .npz files."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from workflow.lib.files import written_whole


@dataclass(frozen=True)
class Maximised:
    """Some units of a network, and an image for each.

    Attributes
    ----------
    images : float32 array (n, side, side, 3)
        From 0 to 1.
    layer : str array (n,)
    unit : int array (n,)
        Number of the unit in its layer, from 0.
    label : str array (n,)
        The category of a class unit; empty for filters.
    activation : float32 array (n,)
        Of the unit to the image, mean over places, not rectified.
    highest_seen : float32 array (n,)
        The highest activation of the unit to any validation image.
    n_seen : int array (n,)
        Validation images.
    probability : float32 array (n,)
        That the network gives to the category of a class unit; NaN for filters.
    predicted : str array (n,)
        The category to which the network assigns the image.
    """

    images: np.ndarray
    layer: np.ndarray
    unit: np.ndarray
    label: np.ndarray
    activation: np.ndarray
    highest_seen: np.ndarray
    n_seen: np.ndarray
    probability: np.ndarray
    predicted: np.ndarray

    def __len__(self) -> int:
        return len(self.unit)


def write_maximised(path: str | Path, maximised: Maximised) -> None:
    """Write units and images into an .npz file."""
    with written_whole(path) as temporary:
        np.savez_compressed(temporary, **asdict(maximised))


def read_maximised(path: str | Path) -> Maximised:
    """Return what `write_maximised` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return Maximised(**file)
