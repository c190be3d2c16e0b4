"""Response patterns in NIfTI images: the voxels of each ROI, by mask, atlas or all of them.

Images are 4D, or 3D with a file per condition. Images, masks and atlas of a subject must lie on one
grid: nothing is ever resampled. Only headers are read until the patterns are asked for.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow.lib.arrays.text import listed_names
from workflow.lib.errors import InputError
from workflow.lib.nifti.files import read_header, read_mask, read_volume, volume_blocks
from workflow.lib.nifti.grids import Volume, check_grid
from workflow.lib.patterns.session import the_same
from workflow.lib.sources import axis_of, condition_files, filled, items_of


class ImageSession:
    """The images of one session: one or several files, over masks, atlas labels or all voxels."""

    def __init__(self, block: Mapping, folder: Path, labels: dict[str, str]) -> None:
        self.labels = labels
        conditions = block["conditions"]
        self.names_are_listed = conditions["from"] == "list" and "{condition}" in block["files"]
        listed = None
        if self.names_are_listed:
            file = filled(conditions["file"], block, labels)
            listed = listed_names(folder / file, conditions.get("column"))
        files = {
            item.labels["roi"]: _image_files(item.file, folder, listed)
            for item in items_of(block, labels)
        }
        self._names = {roi: list(found) for roi, found in files.items()}
        headers = {
            file: read_header(folder / file, file)
            for found in files.values()
            for file in found.values()
        }
        self._volumes = {
            roi: tuple(headers[file] for file in found.values()) for roi, found in files.items()
        }
        self._block, self._folder = block, folder
        first = next(iter(self._volumes.values()))
        self.reference = first[0]
        self.what = self.reference.what
        for volume in headers.values():
            check_grid(volume, self.reference)
        self.n_observations = sum(volume.n_volumes for volume in first)

    def stored_names(self, key: str | None) -> list[str]:
        """Return the conditions that {condition} stands for, a name per volume."""
        names = {
            roi: [
                name
                for name, volume in zip(found, self._volumes[roi], strict=True)
                for _ in range(volume.n_volumes)
            ]
            for roi, found in self._names.items()
        }
        if "{condition}" not in self._block["files"]:
            raise InputError(
                f"{self.what}: found no names of conditions in an image, expected a table in "
                "`observations.file`, a list (`conditions: {from: list, file: ...}`) or "
                "{condition} in `files`; give one of them"
            )
        return the_same(names, self.what)

    def stored_runs(self, key: str | int | None) -> None:
        """Images hold no runs."""
        if key is not None:
            raise InputError(
                f"{self.what}: found no runs in an image, expected none for {key!r} without a "
                "table; give `observations.file`, or a file per run by {session}"
            )

    def expect(self, n: int, source: str) -> None:
        """Raise InputError unless there are n volumes."""
        for volumes in self._volumes.values():
            found = sum(volume.n_volumes for volume in volumes)
            if found != n:
                files = f" in {len(volumes)} files" if len(volumes) > 1 else ""
                raise InputError(
                    f"{volumes[0].what}: found {found} volumes{files}, expected {n} because "
                    f"{source} has that many rows; give one row per volume"
                )

    def n_channels(self) -> dict[str, int]:
        """Return the number of voxels of each ROI, from masks or the atlas alone."""
        masks = _roi_masks(self._block, self._folder, self.labels, self.reference)
        return {roi: int(np.count_nonzero(mask)) for roi, mask in masks.items()}

    def read(self) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Return roi -> (measurements, channels); files that ROIs share are read once."""
        found = {}
        masks = _roi_masks(self._block, self._folder, self.labels, self.reference)
        for volumes in dict.fromkeys(self._volumes.values()):
            own = {roi: masks[roi] for roi in masks if self._volumes[roi] == volumes}
            found |= _masked(volumes, own)
        return {roi: found[roi] for roi in masks}


def _image_files(file: str, folder: Path, listed: Sequence[str] | None) -> dict[str, str]:
    """Return condition -> file; a single file has the condition ""."""
    if "{condition}" not in file:
        return {"": file}
    if listed is not None:
        return {name: file.replace("{condition}", name) for name in listed}
    found = condition_files(file, folder)
    if not found:
        raise InputError(
            f"{folder / file}: found no such file for any condition, expected one per condition; "
            "correct the folder or `files` in the config"
        )
    return found


def _roi_masks(
    block: Mapping, folder: Path, labels: Mapping[str, str], data: Volume
) -> dict[str, np.ndarray]:
    """Return roi -> bool array (x, y, z) on the grid of the data."""
    axis = axis_of(block, "roi")
    grids = {
        "mask": _mask_of_file,
        "atlas": _mask_of_labels,
        "file_name": _mask_of_all,
        "constant": _mask_of_all,
    }
    if axis.origin not in grids:
        raise InputError(
            f"{data.what}: found `from: {axis.origin}` for the ROIs of an image, expected "
            f"one of {', '.join(grids)}; give masks or an atlas"
        )
    return {
        roi: grids[axis.origin](block, folder, {**labels, "roi": roi}, data) for roi in axis.names
    }


def _mask_of_all(
    block: Mapping, folder: Path, labels: Mapping[str, str], data: Volume
) -> np.ndarray:
    return np.ones(data.grid, dtype=bool)


def _mask_of_file(
    block: Mapping, folder: Path, labels: Mapping[str, str], data: Volume
) -> np.ndarray:
    file = filled(axis_of(block, "roi").value(labels["roi"]), block, labels)
    needed = f"some for the ROI {labels['roi']!r}; give another mask, or leave the ROI out"
    return read_mask(folder / file, data, what=file, needed=needed)


def _mask_of_labels(
    block: Mapping, folder: Path, labels: Mapping[str, str], data: Volume
) -> np.ndarray:
    file = filled(block["rois"]["atlas"], block, labels)
    names = block["rois"]["names"]
    by_roi = {str(roi): names[roi] if isinstance(names, Mapping) else roi for roi in names}
    given = by_roi[labels["roi"]]
    try:
        wanted = [int(label) for label in (given if isinstance(given, list | tuple) else [given])]
    except ValueError:
        raise InputError(
            f"rois.names.{labels['roi']}: found {given!r}, expected the whole number (or a list "
            f"of numbers) that {file} gives the ROI; correct it"
        ) from None
    values = read_volume(read_header(folder / file, file), data)
    missing = [label for label in wanted if not (values == label).any()]
    if missing:
        raise InputError(
            f"{file}: found no voxel of label {missing[0]}, expected some for the ROI "
            f"{labels['roi']!r}; correct `rois.names`, or leave the ROI out"
        )
    return np.isin(values, wanted)


def _masked(
    volumes: Sequence[Volume], masks: Mapping[str, np.ndarray]
) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Return roi -> (measurements, channels) of images, holding one block of volumes at a time."""
    n = sum(volume.n_volumes for volume in volumes)
    found = {roi: np.empty((n, np.count_nonzero(mask))) for roi, mask in masks.items()}
    start = 0
    for volume in volumes:
        for _, block in volume_blocks(volume):
            stop = start + block.shape[-1]
            for roi, mask in masks.items():
                found[roi][start:stop] = block[mask].T
            start = stop
    return {
        roi: (found[roi], dict(zip("xyz", np.nonzero(mask), strict=True)))
        for roi, mask in masks.items()
    }
