"""What files of responses hold, in either format: BData, or an array beside the images it is of."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.patterns.bdata import BData
from workflow.lib.patterns.files import open_pattern_file
from workflow.lib.sources import TRAINING

# What `responses.names` calls the ids of the label column of BData; else it is a key.
LABEL = "label"
# What `responses.rois` calls all voxels of an array.
ALL = "all"
# Metadata that tell one voxel from another.
PLACES = ("voxel_x", "voxel_y", "voxel_z", "vertex_index")
# Hexadecimal digits by which images without names are told apart: of a million images, two would
# share theirs with a probability of 0.002.
DIGITS = 12


@dataclass(frozen=True)
class Recorded:
    """The trials of one file.

    Attributes
    ----------
    what : str
        How errors name the file.
    voxels : float32 array (n_trials, n_voxels)
        Of the union of the ROIs.
    masks : dict, ROI -> bool array (n_voxels,)
    places : float array (n_places, n_voxels)
        Where voxels lie, as far as the file says.
    names : list of n_trials str, or None for rest
        The image of each trial.
    runs : list of n_trials str
        "" where the file does not say.
    """

    what: str
    voxels: np.ndarray
    masks: dict[str, np.ndarray]
    places: np.ndarray
    names: list[str | None]
    runs: list[str]


class ResponseFile(Protocol):
    """A file with the responses of one subject in one part."""

    def names(self) -> list[str | None]:
        """Return the image of each trial, None for rest."""

    def masks(self, rois: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Return the voxels of some ROIs, bool, name -> how the format selects them."""

    def read(self, rois: Mapping[str, str]) -> Recorded:
        """Return the trials over the voxels of some ROIs, name -> how the format selects them."""


@dataclass(frozen=True)
class BDataResponses:
    """BData; `options.names` is the key with the names of images, or label for their ids.

    Trials of images in `options.leave_out` are taken for rest.
    """

    path: Path
    part: str
    options: Mapping

    def names(self) -> list[str | None]:
        """Return the image of each trial, None for rest."""
        with BData(self.path) as data:
            return self._names(data)

    def _names(self, data: BData) -> list[str | None]:
        key = self.options["names"]
        return _without(data.ids() if key == LABEL else data.names(key), self.options)

    def masks(self, rois: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Return the columns of some ROIs, bool (n_columns,), name -> selector."""
        with BData(self.path) as data:
            return self._masks(data, rois)

    def _masks(self, data: BData, rois: Mapping[str, str]) -> dict[str, np.ndarray]:
        return {roi: data.responses(selector) for roi, selector in rois.items()}

    def read(self, rois: Mapping[str, str]) -> Recorded:
        """Return the trials over the voxels of some ROIs, name -> selector."""
        with BData(self.path) as data:
            columns = self._masks(data, rois)
            union = np.any(list(columns.values()), axis=0)
            known = [data.metadata(key) for key in PLACES]
            runs = data.numbers("Run")
            return Recorded(
                what=data.what,
                voxels=data.values(union, np.float32),
                masks={roi: chosen[union] for roi, chosen in columns.items()},
                places=np.array([place[union] for place in known if place is not None]),
                names=self._names(data),
                runs=[""] * data.n_samples if runs is None else [f"{run:g}" for run in runs],
            )


@dataclass(frozen=True)
class ArrayResponses:
    """Two arrays, trials along one axis of each: responses, and the images as columns of pixels.

    `options.key` names the first; `options.images` has the `key` of the second and the `shape` of
    an image, whose pixels stand column by column, as MATLAB has them. Images are named by a digest
    of their pixels, so that a name is the same image whoever saw it, and when: trials of the same
    image are its repeats. With `trials`, each trial is an image of its own, a copy of what others
    show, and its name ends with the number of the repeat. Trials of images in `leave_out` are taken
    for rest.
    """

    path: Path
    part: str
    options: Mapping

    def names(self) -> list[str | None]:
        """Return the image of each trial."""
        return _without(self._names(self._shown()), self.options)

    def images(self) -> dict[str, np.ndarray]:
        """Return name -> image, uint8 (height, width), each once in the order of the trials."""
        shown = self._shown()
        return dict(zip(self._names(shown), shown, strict=True))

    def _names(self, shown: np.ndarray) -> list[str]:
        first = "image" if self.part == TRAINING else self.part
        digests = (hashlib.sha256(image.tobytes()).hexdigest() for image in shown)
        names = [f"{first}_{digest[:DIGITS]}" for digest in digests]
        if not self.options["images"].get("trials", False):
            return names
        n_before: Counter[str] = Counter()
        for row, name in enumerate(names):
            n_before[name] += 1
            names[row] = f"{name}_{n_before[name]:02d}"
        return names

    def _shown(self) -> np.ndarray:
        """Return the image of each trial, uint8 (n_trials, height, width)."""
        block = self.options["images"]
        pixels = _array(self.path, block["key"])
        height, width = block["shape"]
        if pixels.ndim != 2 or height * width not in pixels.shape:
            raise InputError(
                f"{self.path.name}, {block['key']}: found an array of shape {pixels.shape}, "
                f"expected {height * width} pixels x trials; correct `responses.images` in the "
                "config"
            )
        rows = pixels.T if pixels.shape[0] == height * width else pixels
        if not (rows.min() >= 0 and rows.max() <= 255):  # false for NaN, too
            raise InputError(
                f"{self.path.name}, {block['key']}: found values of {rows.min():.4g} to "
                f"{rows.max():.4g}, expected 0 to 1 or 0 to 255; scale them"
            )
        top = 255 if rows.max() <= 1 else 1
        levels = np.rint(top * rows.astype(np.float64)).astype(np.uint8)
        return np.ascontiguousarray(levels.reshape(-1, width, height).transpose(0, 2, 1))

    def masks(self, rois: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Return the voxels of some ROIs, each all of them."""
        return self.read(rois).masks

    def read(self, rois: Mapping[str, str]) -> Recorded:
        """Return the trials; every ROI has all voxels."""
        names = self.names()
        values = _array(self.path, self.options["key"])
        if values.ndim != 2 or len(names) not in values.shape:
            raise InputError(
                f"{self.path.name}, {self.options['key']}: found an array of shape "
                f"{values.shape}, expected voxels x {len(names)} trials, for as many are the "
                "images; correct `responses.key` in the config"
            )
        trials = values if values.shape[0] == len(names) else values.T
        odd = [roi for roi, selector in rois.items() if selector != ALL]
        if odd:
            raise InputError(
                f"config, responses.rois.{odd[0]}: found {rois[odd[0]]!r}, expected {ALL!r}, for "
                "an array does not say which voxel is where; give a file for each ROI"
            )
        n_voxels = trials.shape[1]
        return Recorded(
            what=self.path.name,
            voxels=trials.astype(np.float32),
            masks={roi: np.ones(n_voxels, bool) for roi in rois},
            places=np.empty((0, n_voxels)),
            names=names,
            runs=[""] * len(names),
        )


def _without(names: Sequence[str | None], options: Mapping) -> list[str | None]:
    left_out = set(options.get("leave_out", ()))
    return [None if name in left_out else name for name in names]


def _array(path: Path, key: str) -> np.ndarray:
    with open_pattern_file(path, path.name, key=key) as file:
        return np.asarray(file.array[()] if hasattr(file.array, "id") else file.array)


FORMATS = {"bdata": BDataResponses, "arrays": ArrayResponses}


def open_responses(path: str | Path, part: str, options: Mapping) -> ResponseFile:
    """Return the responses of a file as the config's block `responses` describes them.

    Parameters
    ----------
    path : str or Path
    part : str
        training, or the name of a test.
    options : mapping
        format, names (bdata); key and images (arrays); leave_out, names of images.
    """
    return FORMATS[options["format"]](Path(path), part, options)
