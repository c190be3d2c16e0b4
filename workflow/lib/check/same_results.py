"""How far the results of two runs differ: tables, RDMs, other arrays and weights, value by value.

Figures and pages follow from tables; logs, benchmarks and costs differ from run to run.
"""

import filecmp
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import nibabel as nib
import numpy as np
from safetensors.numpy import load_file

from workflow.lib.tables import read_table

# The first part of a path: a study may be called logs_of_something.
TIMED_FOLDERS = ("logs", "benchmarks")
TIMED_FILES = ("tables/cost.csv", "tables/cost_jobs.csv")
# What runs on other cores may differ by, see `largest_difference`; on the same cores, nothing does.
# Trained networks are held to it too: they train on as many threads as their rule names, whatever
# the cores, but for those of which the run has fewer (`vgg16` asks for 8).
TOLERANCE = 1e-6
# Of what is not a number, or not there, no size can be told.
NO_SIZE = float("inf")


class Difference(NamedTuple):
    """What differs between two files, and by how much (see `largest_difference`)."""

    file: str
    what: str
    size: float


class Comparison(NamedTuple):
    """How many files were compared, how many are the same byte for byte, and what differs."""

    n_files: int
    n_identical: int
    differences: list[Difference]


def compare_runs(first: Path, second: Path) -> Comparison:
    """Compare the results of two runs of one config.

    Parameters
    ----------
    first, second : folders of the results, such as results/tiny

    Returns
    -------
    comparison : the largest differences come first
    """
    files, others = result_files(first), result_files(second)
    lacking = [
        Difference(name, f"found in {run} alone", NO_SIZE)
        for run, names in ((first, files - others), (second, others - files))
        for name in names
    ]
    changed = [
        name
        for name in files & others
        if not filecmp.cmp(first / name, second / name, shallow=False)
    ]
    found = [
        Difference(name, what, size)
        for name in changed
        for what, size in _differences(first / name, second / name)
    ]
    ordered = sorted(lacking + found, key=lambda found: (-found.size, found.file, found.what))
    return Comparison(len(files | others), len(files & others) - len(changed), ordered)


def largest_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the largest difference of two arrays of numbers of one shape.

    Differences are relative to the larger value, and absolute where both are below 1:
    |a - b| / max(1, |a|, |b|). Infinite where one alone is missing, or infinite.
    """
    a, b = (np.asarray(array, dtype=np.float64) for array in (first, second))
    unlike = _unlike(a, b)
    if not unlike.any():
        return 0.0
    a, b = a[unlike], b[unlike]
    if not (np.isfinite(a) & np.isfinite(b)).all():
        return NO_SIZE
    return float((np.abs(a - b) / np.maximum(1, np.maximum(np.abs(a), np.abs(b)))).max())


def result_files(folder: Path) -> set[str]:
    """Return the files of a run that are compared, relative to its folder."""
    files = (
        file.relative_to(folder)
        for file in folder.rglob("*")
        if file.is_file() and file.name.endswith(tuple(READERS))
    )
    return {
        str(file)
        for file in files
        if file.parts[0] not in TIMED_FOLDERS and str(file) not in TIMED_FILES
    }


def _differences(first: Path, second: Path) -> list[tuple[str, float]]:
    """Return (what, by how much) for what differs in two files whose bytes do."""
    unread = ("bytes alone, in nothing that is read", NO_SIZE)
    return list(_unlike_arrays(first, second)) or [unread]


def _unlike_arrays(first: Path, second: Path) -> Iterator[tuple[str, float]]:
    """Yield (what, by how much) for every array of two files that is not the same in both."""
    read = next(reader for ending, reader in READERS.items() if first.name.endswith(ending))
    ours, theirs = read(first), read(second)
    for name in ours.keys() ^ theirs.keys():
        yield f"{name}: found in one alone", NO_SIZE
    for name in ours.keys() & theirs.keys():
        a, b = ours[name], theirs[name]
        if a.shape != b.shape:
            yield f"{name}: shapes {a.shape} and {b.shape}", NO_SIZE
        elif _is_numeric(a) and _is_numeric(b):
            if size := largest_difference(a, b):
                yield f"{name}: {np.sum(_unlike(a, b)):,} of {a.size:,} values", size
            elif n_signs := _unlike_signs(a, b):
                yield f"{name}: {n_signs:,} of {a.size:,} values, in the sign of zero", 0.0
        elif not np.array_equal(a.astype(str), b.astype(str)):
            n_unlike = np.sum(a.astype(str) != b.astype(str))
            yield f"{name}: {n_unlike:,} of {a.size:,} texts", NO_SIZE


def _is_numeric(array: np.ndarray) -> bool:
    return array.dtype.kind in "biuf"


def _unlike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a != b) & ~((a != a) & (b != b))


def _unlike_signs(a: np.ndarray, b: np.ndarray) -> int:
    """Return how many zeros have a sign in one array alone; they are the same numbers."""
    zeros = (a == 0) & (b == 0)
    signs = (np.signbit(array[zeros].astype(np.float64)) for array in (a, b))
    return int(np.sum(next(signs) != next(signs)))


def _read_columns(file: Path) -> Mapping[str, np.ndarray]:
    table = read_table(file)
    return {str(column): table[column].to_numpy() for column in table.columns}


def _read_datasets(file: Path) -> Mapping[str, np.ndarray]:
    arrays = {}
    with h5py.File(file) as opened:

        def take(name: str, item: h5py.Dataset | h5py.Group) -> None:
            if isinstance(item, h5py.Dataset):
                arrays[name] = np.asarray(item[()])
            for key, value in item.attrs.items():
                arrays[f"{name}@{key}"] = np.asarray(value)

        # Items below the root are visited, the root is not.
        take("/", opened)
        opened.visititems(take)
    return arrays


def _read_arrays(file: Path) -> Mapping[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as opened:
        return dict(opened)


def _read_voxels(file: Path) -> Mapping[str, np.ndarray]:
    image = nib.load(file)
    return {"voxels": np.asanyarray(image.dataobj), "affine": image.affine}


READERS: dict[str, Callable[[Path], Mapping[str, np.ndarray]]] = {
    ".csv": _read_columns,
    ".h5": _read_datasets,
    ".npz": _read_arrays,
    ".nii.gz": _read_voxels,
    ".safetensors": load_file,
}
