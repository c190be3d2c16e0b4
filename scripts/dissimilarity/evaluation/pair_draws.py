"""Scores of fits in resamples of the images: one HDF5 file of a subject.

Resamples are the same for all models, and an image is drawn as often in all subjects who saw it. A
dataset per split of a fit, numbered, with its labels as attributes.
"""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.files import written_whole

OF_DRAWS = ("subject", "model", "roi", "metric", "embedding", "variant", "split")
Draws = Mapping[tuple[str, ...], np.ndarray]


def write_draws(draws: Draws, path: str | Path) -> None:
    """Write the draws of fits.

    Parameters
    ----------
    draws : mapping, values of `OF_DRAWS` -> float64 array (n_resamples, n_measures)
        Measures in the order of `workflow.lib.pairs.resampling.MEASURES`.
    path : str or Path
    """
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        for number, (labels, values) in enumerate(draws.items()):
            dataset = file.create_dataset(f"{number:06d}", data=values)
            dataset.attrs.update(zip(OF_DRAWS, labels, strict=True))


def read_draws(path: str | Path) -> dict[tuple[str, ...], np.ndarray]:
    """Return the draws of a file, as `write_draws` takes them."""
    with h5py.File(path, "r") as file:
        return {
            tuple(str(dataset.attrs[name]) for name in OF_DRAWS): dataset[()]
            for dataset in file.values()
        }
