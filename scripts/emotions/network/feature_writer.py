"""Writing features of networks, see `scripts.emotions.network.network_features`."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn

from workflow.lib.files import written_whole

# Units of a layer: above that, its output is averaged over neighbouring places.
N_UNITS = 2048


def units_of(output: torch.Tensor, n_units: int = N_UNITS) -> torch.Tensor:
    """Return the output of a layer as units, averaged over places where they would be too many.

    Parameters
    ----------
    output : tensor (n, n_channels, x, y, z) or (n, n_channels)
    n_units : int
        At most, but for one per channel.

    Returns
    -------
    tensor (n, n_units)
        Means over the cells of the finest grid, with up to as many cells along each axis, that
        gives no more.
    """
    if output.ndim == 2:
        return output
    n_channels, *shape = output.shape[1:]
    grids = (tuple(min(side, n_cells) for side in shape) for n_cells in range(max(shape), 0, -1))
    fitting = (grid for grid in grids if n_channels * int(np.prod(grid)) <= n_units)
    grid = next(fitting, (1, 1, 1))
    pooled = output if grid == tuple(shape) else nn.functional.adaptive_avg_pool3d(output, grid)
    return pooled.flatten(1)


class FeatureWriter:
    """A file that is being written, see `feature_file`."""

    def __init__(self, file: h5py.File) -> None:
        self.file = file

    def add(
        self,
        outputs: Mapping[str, torch.Tensor],
        *,
        subjects: np.ndarray,
        rows: np.ndarray,
        fold: int,
    ) -> None:
        """Write what a fold's network gives for some volumes.

        Parameters
        ----------
        outputs : layer -> tensor (n, n_channels, ...), from early to late
        subjects, rows : int arrays (n,)
        fold : int
        """
        if not len(rows):
            return
        labels = {"subject": subjects, "row": rows, "fold": np.full(len(rows), fold)}
        for name, values in labels.items():
            _append(self.file, name, values.astype(np.int32))
        for layer, output in outputs.items():
            _append(self.file, f"layers/{layer}", units_of(output).float().cpu().numpy())
        self.file.attrs["layers"] = list(outputs)


def _append(file: h5py.File, name: str, values: np.ndarray) -> None:
    if name not in file:
        file.create_dataset(name, data=values, maxshape=(None, *values.shape[1:]), chunks=True)
        return
    dataset = file[name]
    dataset.resize(len(dataset) + len(values), axis=0)
    dataset[-len(values) :] = values


@contextlib.contextmanager
def feature_file(
    path: str | Path, *, model: str, split: str, classes: Sequence[str], subjects: Sequence[str]
) -> Iterator[FeatureWriter]:
    """Give a file to add features to; it is there once the block ends well."""
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(
            model=model, split=split, classes=list(classes), subjects=list(subjects), layers=[]
        )
        yield FeatureWriter(file)
