"""The time series of a subject in the movie: voxels of volumes, or parcels, in one HDF5 file.

Every run has a dataset of float32 (n_volumes, n_features) in chunks of whole volumes, so that some
volumes are read without the others. The voxels of volumes stand in the order of their mask.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from workflow.lib.errors import InputError
from workflow.lib.files import written_whole
from workflow.lib.nifti.grids import same_affine

VOLUMES, PARCELS = "volumes", "parcels"
# The region of all voxels or parcels.
WHOLE = "all"
# What to do about subjects who lie in spaces of their own.
ALIGN = (
    "give studyforrest-data-aligned with the transforms of studyforrest-data-templatetransforms, "
    "or parcels, for resampling to a common grid is not registration"
)
# A chunk holds as many volumes as fit into this, but always one.
CHUNK_BYTES = 2**18
# Time series of a subject that are no larger are read once and held: of small brains, and parcels.
HELD_BYTES = 2**25


@contextlib.contextmanager
def timeseries_writer(
    path: str | Path,
    *,
    subject: str,
    tr: float,
    mask: np.ndarray | None = None,
    affine: np.ndarray | None = None,
    aligned: bool = False,
    names: Sequence[str] | None = None,
) -> Iterator[Callable[..., None]]:
    """Give a function that writes one run; only one run is held at a time.

    Called as `write(run, values, confounds=None, n_constant=0)`: values are a float array
    (n_volumes, n_features), confounds a DataFrame with a row per volume, `n_constant` the number
    of features that had no variance in this run and are zero.

    Parameters
    ----------
    path : str or Path
        Appears when all runs are written.
    subject : str
    tr : float
        Seconds between volumes.
    mask : bool array (x, y, z) of n_features voxels, optional
        Of volumes; parcels have none.
    affine : float array (4, 4), optional
        Of the mask.
    aligned : bool
        Whether a voxel is the same place of the brain in all subjects. Parcels always are.
    names : sequence of n_features str, optional
        Of parcels; volumes have none.
    """
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        kind = PARCELS if mask is None else VOLUMES
        file.attrs.update(subject=subject, kind=kind, tr=tr, aligned=aligned or mask is None)
        if mask is None:
            file["names"] = np.array([name.encode() for name in names])
        else:
            file["mask"], file["affine"] = mask.astype(bool), np.asarray(affine, np.float64)
        runs: list[str] = []

        def write(
            run: str, values: np.ndarray, confounds: pd.DataFrame | None = None, n_constant: int = 0
        ) -> None:
            n_volumes, n_features = values.shape
            rows = min(n_volumes, max(1, CHUNK_BYTES // (4 * n_features)))
            dataset = file.create_dataset(
                f"runs/{run}", values.shape, np.float32, chunks=(rows, n_features)
            )
            dataset[...] = values
            dataset.attrs["n_constant"] = n_constant
            if confounds is not None:
                file[f"confounds/{run}"] = confounds.to_numpy(np.float32)
                file[f"confounds/{run}"].attrs["names"] = list(confounds.columns)
            runs.append(run)
            file.attrs["runs"] = runs

        yield write


def write_timeseries(
    path: str | Path,
    runs: Mapping[str, np.ndarray],
    *,
    confounds: Mapping[str, pd.DataFrame] | None = None,
    **description: object,
) -> None:
    """Write runs that are in memory.

    Parameters
    ----------
    path : str or Path
    runs : mapping, run -> float array (n_volumes, n_features)
    confounds : mapping, run -> DataFrame with a row per volume, optional
    **description
        Subject, tr, and mask, affine and aligned, or names; see `timeseries_writer`.
    """
    with timeseries_writer(path, **description) as write:
        for run, values in runs.items():
            write(run, values, (confounds or {}).get(run))


class TimeSeries:
    """The time series of a subject, in a file written through `timeseries_writer`.

    Attributes
    ----------
    path : Path
    subject : str
    kind : "volumes" or "parcels"
    tr : float
        Seconds between volumes.
    aligned : bool
        Whether a feature is the same place of the brain in all subjects.
    runs : list of str
        In the order of the movie.
    n_features : int
        Voxels of the mask, or parcels.
    mask : bool array (x, y, z), or None for parcels
    affine : float64 array (4, 4), or None for parcels
    names : list of n_features str, or None for volumes
    confound_names : list of str
        Empty without confounds.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with h5py.File(self.path, "r") as file:
            self.subject, self.kind = str(file.attrs["subject"]), str(file.attrs["kind"])
            self.tr, self.aligned = float(file.attrs["tr"]), bool(file.attrs["aligned"])
            self.runs = [str(run) for run in file.attrs["runs"]]
            self._n_volumes = {run: len(file[f"runs/{run}"]) for run in self.runs}
            self.n_features = file[f"runs/{self.runs[0]}"].shape[1]
            volumes = self.kind == VOLUMES
            self.mask = file["mask"][()] if volumes else None
            self.affine = file["affine"][()] if volumes else None
            self.names = None if volumes else [name.decode() for name in file["names"][()]]
            tables = list(file.get("confounds", {}).values())
            self.confound_names = [str(name) for name in tables[0].attrs["names"]] if tables else []
        n_bytes = 4 * self.n_features * sum(self._n_volumes.values())
        self._is_held = n_bytes <= HELD_BYTES
        self._held: dict[str, np.ndarray] = {}

    def n_volumes(self, run: str) -> int:
        """Return how many volumes a run has.

        Raises
        ------
        InputError
            No such run.
        """
        if run not in self._n_volumes:
            raise InputError(
                f"{self.path.name}: found the runs {', '.join(self.runs)}, expected run {run} "
                "among them; prepare it by naming it in `runs` of the config"
            )
        return self._n_volumes[run]

    def rows(self, run: str, volumes: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return some volumes of a run, in the order given, each as often as it is given.

        Parameters
        ----------
        run : str
        volumes : sequence of k int
            Counted from 0.

        Returns
        -------
        float32 array (k, n_features)

        Raises
        ------
        InputError
            No such run or volume.
        """
        volumes = np.asarray(volumes, dtype=np.intp)
        self._check_volumes(run, volumes)
        if self._is_held:
            if run not in self._held:
                self._held[run] = self._read(run, np.arange(self.n_volumes(run)))
            return self._held[run][volumes]
        wanted, places = np.unique(volumes, return_inverse=True)
        values = self._read(run, wanted)
        return values if np.array_equal(wanted, volumes) else values[places]

    def _read(self, run: str, wanted: np.ndarray) -> np.ndarray:
        """Return volumes (k,), ascending and each once, float32 (k, n_features)."""
        values = np.empty((len(wanted), self.n_features), dtype=np.float32)
        with h5py.File(self.path, "r") as file:
            dataset = file[f"runs/{run}"]
            # A list of rows makes HDF5 build a selection, which takes longer than to read them.
            start = 0
            for some in np.split(wanted, np.flatnonzero(np.diff(wanted) > 1) + 1):
                if some.size:
                    target = np.s_[start : start + len(some)]
                    dataset.read_direct(values, np.s_[some[0] : some[-1] + 1], target)
                start += len(some)
        return values

    def all(self, table: pd.DataFrame) -> np.ndarray:
        """Return the volumes of the rows of a table.

        Parameters
        ----------
        table : DataFrame
            Columns run and volume, as labels.csv has them.

        Returns
        -------
        float32 array (n_rows, n_features)
        """
        runs, volumes = table["run"].astype(str).to_numpy(), table["volume"].to_numpy()
        values = np.empty((len(table), self.n_features), dtype=np.float32)
        for run in dict.fromkeys(runs):
            own = runs == run
            values[own] = self.rows(run, volumes[own])
        return values

    def confounds(self, run: str) -> np.ndarray | None:
        """Return the confounds of a run, float32 (n_volumes, k), or None where there are none."""
        with h5py.File(self.path, "r") as file:
            name = f"confounds/{run}"
            return file[name][()] if name in file else None

    def n_constant(self, run: str) -> int:
        """Return how many features have no variance in a run, and are zero there."""
        with h5py.File(self.path, "r") as file:
            return int(file[f"runs/{run}"].attrs["n_constant"])

    def _check_volumes(self, run: str, volumes: np.ndarray) -> None:
        n_volumes = self.n_volumes(run)
        outside = volumes[(volumes < 0) | (volumes >= n_volumes)]
        if outside.size:
            raise InputError(
                f"{self.path.name}: found {n_volumes} volumes in run {run}, expected volume "
                f"{outside[0]} (counted from 0) among them; correct `n_volumes` of the run in the "
                "config"
            )


def bounding_box(mask: np.ndarray) -> tuple[slice, slice, slice]:
    """Return the smallest box of voxels that holds a mask, bool (x, y, z)."""
    along = (np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1)))
    return tuple(slice(int(inside[0]), int(inside[-1]) + 1) for inside in along)


def boxes(
    values: np.ndarray, mask: np.ndarray, box: tuple[slice, slice, slice] | None = None
) -> np.ndarray:
    """Return values of the voxels of a mask as volumes, zero outside it.

    Parameters
    ----------
    values : float array (k, n_voxels)
    mask : bool array (x, y, z) of n_voxels
    box : slices along x, y and z, optional
        The part of the volumes that is wanted, which holds the mask; its bounding box if not given.

    Returns
    -------
    float32 array (k, *shape of the box)
    """
    inside = mask[bounding_box(mask) if box is None else box]
    volumes = np.zeros((len(values), inside.size), dtype=np.float32)
    volumes[:, np.flatnonzero(inside)] = values
    return volumes.reshape(len(values), *inside.shape)


def require_aligned(series: Sequence[TimeSeries], what: str) -> None:
    """Refuse to compare features across subjects unless they are the same places of the brain.

    Parameters
    ----------
    series : sequence of TimeSeries
        One per subject; one alone is never refused.
    what : str
        The analysis, as the error names it.

    Raises
    ------
    InputError
        Volumes that are not aligned, or another grid, mask or set of parcels in some subject.
    """
    first, *others = series
    for one in series if others else ():
        if not one.aligned:
            raise InputError(
                f"{one.path.name}: found volumes in the subject's own space (`aligned: false`), "
                f"expected aligned ones for {what} across subjects; {ALIGN}"
            )
    for other in others:
        difference = _difference(other, first)
        if difference:
            raise InputError(
                f"{other.path.name}: found {difference} than in {first.path.name}, expected the "
                f"same in all subjects for {what}; prepare all subjects with one mask or atlas"
            )


def _difference(one: TimeSeries, other: TimeSeries) -> str:
    """Return how the features of two subjects differ, or nothing."""
    if one.kind != other.kind:
        return "another kind of data"
    if one.kind == PARCELS:
        return "" if one.names == other.names else "other parcels"
    if one.mask.shape != other.mask.shape:
        return f"another grid, {one.mask.shape} and not {other.mask.shape} voxels,"
    if not same_affine(one.affine, other.affine):
        return "another affine"
    return "" if np.array_equal(one.mask, other.mask) else "another mask"
