"""The prepared responses of one subject, as all later steps of a study of reconstruction read them.

HDF5: /rois (n_rois, n_voxels), which voxels each ROI has, with their names as an attribute; and
of each part, /parts/<part>/responses (n_samples, n_voxels), names, runs and n_repeats (n_samples).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.arrays.text import as_strings
from workflow.lib.config.schema import check_name
from workflow.lib.files import written_whole
from workflow.lib.rdms.store import write_strings
from workflow.lib.sources import TRAINING


@dataclass(frozen=True)
class Samples:
    """Responses to the images of one part.

    Attributes
    ----------
    responses : float32 array (n_samples, n_voxels)
    names : list of n_samples str
        The image of each sample.
    runs : list of n_samples str
        The run of each sample; "" where it is a mean over several, or not known.
    n_repeats : int array (n_samples,)
        Trials behind each sample: 1 in training.
    """

    responses: np.ndarray
    names: list[str]
    runs: list[str]
    n_repeats: np.ndarray


def write_responses(
    path: str | Path, subject: str, rois: Mapping[str, np.ndarray], parts: Mapping[str, Samples]
) -> None:
    """Write the responses of a subject.

    Parameters
    ----------
    path : str or Path
    subject : str
    rois : mapping, name -> bool array (n_voxels,)
    parts : mapping, part -> Samples
        All over the same voxels.
    """
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["subject"] = subject
        masks = file.create_dataset("rois", data=np.array(list(rois.values())))
        masks.attrs["names"] = list(rois)
        for part, samples in parts.items():
            group = file.create_group(f"parts/{part}", track_order=True)
            group["responses"] = samples.responses.astype(np.float32, copy=False)
            write_strings(group, {"names": samples.names, "runs": samples.runs})
            group["n_repeats"] = samples.n_repeats


class Responses:
    """The responses of a file written by `write_responses`.

    Parameters
    ----------
    path : str or Path

    Attributes
    ----------
    subject : str
    parts : list of str
        training, and the names of the tests.
    roi_names : list of str
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with h5py.File(self.path, "r") as file:
            self.subject = str(file.attrs["subject"])
            self.roi_names = as_strings(file["rois"].attrs["names"])
            self._masks = dict(zip(self.roi_names, file["rois"][()], strict=True))
            self.parts = sorted(file["parts"], key=lambda part: (part != TRAINING, part))

    def names(self, part: str) -> list[str]:
        """Return the image of each sample of a part."""
        return as_strings(self._column(part, "names"))

    def runs(self, part: str) -> list[str]:
        """Return the run of each sample of a part, "" where it is of several."""
        return as_strings(self._column(part, "runs"))

    def n_repeats(self, part: str) -> np.ndarray:
        """Return how many trials each sample is the mean of, int array (n_samples,)."""
        return self._column(part, "n_repeats")

    def n_voxels(self, rois: Sequence[str]) -> int:
        """Return the number of voxels in the union of some ROIs."""
        return int(np.count_nonzero(self._union(rois)))

    def read(self, part: str, rois: Sequence[str]) -> np.ndarray:
        """Return responses over the union of some ROIs, float32 (n_samples, n_union).

        Voxels stand in their order in the file, each once.

        Raises
        ------
        InputError
            There is no such part or ROI.
        """
        return np.ascontiguousarray(self._column(part, "responses")[:, self._union(rois)])

    def _union(self, rois: Sequence[str]) -> np.ndarray:
        for roi in rois:
            check_name(f"{self.path.name}, ROI", roi, self.roi_names)
        return np.any([self._masks[roi] for roi in rois], axis=0)

    def _column(self, part: str, name: str) -> np.ndarray:
        check_name(f"{self.path.name}, part", part, self.parts)
        with h5py.File(self.path, "r") as file:
            return file[f"parts/{part}/{name}"][()]
