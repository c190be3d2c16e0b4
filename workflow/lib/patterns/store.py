"""The workflow's own pattern files: rsatoolbox Dataset HDF5, one per subject.

`rsatoolbox.data.dataset.load_dataset` opens them. The channels of all ROIs stand side by side;
the channel descriptor `roi` tells them apart: `dataset.subset_channel("roi", "V1")`.
"""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.files import written_whole
from workflow.lib.patterns.reading import Patterns
from workflow.lib.rdms.store import RSATOOLBOX_LAYOUT, write_strings


def write_patterns(
    path: str | Path,
    patterns: Mapping[str, Patterns],
    descriptors: Mapping[str, str] | None = None,
) -> None:
    """Write the patterns of a subject's ROIs as rsatoolbox Dataset HDF5, float32.

    Parameters
    ----------
    path : str or Path
    patterns : mapping, ROI -> Patterns
        All with the same observations. Channel descriptors that some ROI lacks are left out.
    descriptors : mapping, optional
        What holds for the whole file (study, subject).

    Raises
    ------
    InputError
        The ROIs have different observations.
    """
    first = next(iter(patterns.values()))
    for roi, other in patterns.items():
        if (other.conditions, other.runs) != (first.conditions, first.runs):
            raise InputError(
                f"{Path(path).name}, {roi}: found other observations than in "
                f"{next(iter(patterns))}, expected the same in the same order; sort the files alike"
            )
    observations = {"condition": first.conditions}
    observations |= {"run": first.runs} if first.runs is not None else {}
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["rsatoolbox_version"] = RSATOOLBOX_LAYOUT
        file.attrs["type"] = "Dataset"
        file.create_group("descriptors").attrs.update(descriptors or {})
        write_strings(file.create_group("obs_descriptors"), observations)
        _write_measurements(file, [other.measurements for other in patterns.values()])
        _write_channels(file.create_group("channel_descriptors"), patterns)


def _write_measurements(file: h5py.File, matrices: list[np.ndarray]) -> None:
    stops = np.cumsum([matrix.shape[1] for matrix in matrices])
    stack = file.create_dataset("measurements", (len(matrices[0]), stops[-1]), dtype=np.float32)
    for matrix, stop in zip(matrices, stops, strict=True):
        stack[:, stop - matrix.shape[1] : stop] = matrix


def _write_channels(group: h5py.Group, patterns: Mapping[str, Patterns]) -> None:
    rois = [roi for roi, own in patterns.items() for _ in range(own.measurements.shape[1])]
    columns = {"roi": np.array(rois)}
    for name in next(iter(patterns.values())).channels:
        if name != "roi" and all(name in own.channels for own in patterns.values()):
            columns[name] = np.concatenate([own.channels[name] for own in patterns.values()])
    write_strings(group, {k: v.tolist() for k, v in columns.items() if v.dtype.kind == "U"})
    group.update({name: values for name, values in columns.items() if values.dtype.kind != "U"})


class PatternStore:
    """The patterns of a file written by `write_patterns`.

    Attributes
    ----------
    rois : list of str
    conditions : list of n_observations str
    runs : list of n_observations str, or None
    descriptors : dict
        What holds for the whole file: study, subject.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with h5py.File(self.path, "r") as file:
            self.descriptors = {key: str(value) for key, value in file["descriptors"].attrs.items()}
            observations = _read_columns(file["obs_descriptors"])
            self._channels = _read_columns(file["channel_descriptors"])
        self.conditions: list[str] = observations["condition"].tolist()
        self.runs = observations["run"].tolist() if "run" in observations else None
        self.rois: list[str] = list(dict.fromkeys(self._channels["roi"].tolist()))

    def patterns(self, roi: str) -> Patterns:
        """Return the patterns of an ROI."""
        (columns,) = np.nonzero(self._channels["roi"] == roi)
        own = slice(columns[0], columns[-1] + 1)
        with h5py.File(self.path, "r") as file:
            measurements = file["measurements"].astype(np.float64)[:, own]
        return Patterns(
            measurements=measurements,
            conditions=self.conditions,
            runs=self.runs,
            channels={k: values[own] for k, values in self._channels.items() if k != "roi"},
        )


def _read_columns(group: h5py.Group) -> dict[str, np.ndarray]:
    """Return the members of a group, strings as str."""
    columns = {name: dataset[()] for name, dataset in group.items()}
    return {
        name: np.array([value.decode() for value in values])
        if values.dtype.kind in "SO"
        else values
        for name, values in columns.items()
    }
