"""What covering test volumes showed, volume by volume, in one HDF5 file."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from workflow.lib.files import written_whole

# Why a volume was chosen, from best to worst.
STATUSES = PROBABLE, RIGHT, WRONG = ("probable", "right", "wrong")
COUNTS = ("n_confident", "n_confident_right")
ARRAYS = ("drops", "gradients", "shuffled_drops", "corners", "mask", "affine", *COUNTS)


@dataclass(frozen=True, eq=False)
class Occlusions:
    """Test volumes that were covered cube by cube.

    Attributes
    ----------
    table : DataFrame, a row per volume
        emotion, code, subject (its number), row (of labels.csv), fold, probability (of the true
        emotion), status, see `scripts.emotions.maps.occlude_volumes.choose_volumes`.
    drops : float32 array (n_volumes, n_cubes)
        Fall of the probability of the true emotion.
    gradients : float32 array (n_volumes, n_voxels)
        Integrated gradients of the same probability, of the voxels of the mask.
    shuffled_drops : float32 array (n_volumes, n_cubes)
        As `drops`, of networks with shuffled weights.
    corners : int array (n_cubes, 3)
        Of the cubes, in voxels of the mask's grid.
    edge : int
        Of the cubes in voxels.
    mask : bool array (x, y, z) of n_voxels
    affine : float64 array (4, 4)
    n_confident : int array (n_classes,)
        Of all test volumes, those given at least the asked probability of each emotion.
    n_confident_right : int array (n_classes,)
        Of these, those that are of the emotion.
    classes, subjects : tuples of str
    model, split : names
    """

    table: pd.DataFrame
    drops: np.ndarray
    gradients: np.ndarray
    shuffled_drops: np.ndarray
    corners: np.ndarray
    edge: int
    mask: np.ndarray
    affine: np.ndarray
    n_confident: np.ndarray
    n_confident_right: np.ndarray
    classes: tuple[str, ...]
    subjects: tuple[str, ...]
    model: str
    split: str


def write_occlusions(path: str | Path, found: Occlusions) -> None:
    """Write what was found, once all of it is there."""
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        for name in ARRAYS:
            file[name] = getattr(found, name)
        for name, column in found.table.items():
            values = column.to_numpy()
            file[f"volumes/{name}"] = values.astype("S") if values.dtype == object else values
        file.attrs.update(
            columns=list(found.table),
            edge=found.edge,
            classes=found.classes,
            subjects=found.subjects,
            model=found.model,
            split=found.split,
        )


def read_occlusions(path: str | Path) -> Occlusions:
    """Return what `write_occlusions` wrote."""
    with h5py.File(path, "r") as file:
        columns = {name: file[f"volumes/{name}"][()] for name in file.attrs["columns"]}
        table = pd.DataFrame(
            {
                name: values.astype(str) if values.dtype.kind == "S" else values
                for name, values in columns.items()
            }
        )
        return Occlusions(
            table=table,
            **{name: file[name][()] for name in ARRAYS},
            edge=int(file.attrs["edge"]),
            classes=tuple(map(str, file.attrs["classes"])),
            subjects=tuple(map(str, file.attrs["subjects"])),
            model=str(file.attrs["model"]),
            split=str(file.attrs["split"]),
        )
