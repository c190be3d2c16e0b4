"""How a subject's layer x ROI similarities vary when the images are resampled.

Every subject of a study sees the same resamples, so that draws of different subjects, and of the
noise ceiling, can be paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from workflow.lib.files import written_whole


@dataclass(frozen=True)
class Draws:
    """The similarities of one comparator, and their variation over images.

    Attributes
    ----------
    estimate : float64 array (n_rows, n_layers)
        Rows are the brain RDMs, ROIs and sessions.
    jackknife_error : float64 array (n_rows, n_layers)
        Standard error over images by the infinitesimal jackknife.
    bootstrap_error : float64 array (n_rows, n_layers)
        From the exact resamples; NaN without any.
    draws : float64 array (n_resamples, n_rows, n_layers)
        Similarities of resampled images: exact where the comparator's moments can be resampled,
        else linearised from each image's influence; drawn within groups, stretched as
        `workflow.lib.inference.study_resamples.stretched` says.
    exact : float64 array (n_exact, n_rows, n_layers)
        The first resamples, recomputed exactly; none for comparators without an exact bootstrap.
    """

    estimate: np.ndarray
    jackknife_error: np.ndarray
    bootstrap_error: np.ndarray
    draws: np.ndarray
    exact: np.ndarray

    def of_cells(self, rows: np.ndarray, layers: np.ndarray) -> "Draws":
        """Return the draws of some rows and layers, by their numbers."""
        return Draws(
            **{
                field.name: getattr(self, field.name)[..., rows[:, np.newaxis], layers]
                for field in fields(self)
            }
        )

    @property
    def are_exact(self) -> bool:
        """Whether the draws themselves are exact resamples."""
        return len(self.exact) == len(self.draws)

    @property
    def standard_error(self) -> np.ndarray:
        """From the draws if they are exact, else from the jackknife."""
        return self.bootstrap_error if self.are_exact else self.jackknife_error


def write_draws(
    path: str | Path,
    draws: Mapping[str, Draws],
    *,
    rows: Sequence[Mapping[str, str]],
    layers: pd.DataFrame,
    descriptors: Mapping[str, str | int],
) -> None:
    """Write the draws of one subject as HDF5.

    Parameters
    ----------
    path : str or Path
    draws : mapping, comparator -> Draws
    rows : labels (roi, session) of the brain RDMs
    layers : DataFrame with model and layer
    descriptors : what holds for the whole file: study, subject, n_images, and n_drawn, see
        `workflow.lib.inference.study_resamples.n_drawn`
    """
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(descriptors)
        for group, table in (("rows", pd.DataFrame(rows)), ("layers", layers)):
            for column in table:
                values = table[column].to_list()
                file.create_dataset(f"{group}/{column}", data=values, dtype=h5py.string_dtype())
        for name, part in draws.items():
            for field in fields(part):
                file[f"comparators/{name}/{field.name}"] = getattr(part, field.name)


class DrawStore:
    """The draws of a file written by `write_draws`.

    Attributes
    ----------
    rows, layers : DataFrame
        Labels of the brain RDMs (roi, session) and of the layers (model, layer).
    comparators : list of str
    descriptors : dict
        What holds for the whole file: study, subject.
    n_images, n_drawn : int
        Images, and how many independent ones, or groups of them, a resample draws.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with h5py.File(self.path, "r") as file:
            self.rows, self.layers = (_labels(file[group]) for group in ("rows", "layers"))
            self.comparators = list(file["comparators"])
            self.descriptors = dict(file.attrs)
        self.n_images, self.n_drawn = (
            int(self.descriptors.pop(name)) for name in ("n_images", "n_drawn")
        )

    def draws(self, comparator: str) -> Draws:
        """Return the draws of one comparator."""
        with h5py.File(self.path, "r") as file:
            group = file["comparators"][comparator]
            return Draws(**{field.name: group[field.name][()] for field in fields(Draws)})


@dataclass(frozen=True)
class CeilingDraws:
    """The noise ceilings of one comparator, and their variation over images.

    Attributes
    ----------
    lower, upper : float64 arrays (n_rois, n_subjects)
        Each subject's share; the ceilings are the means over subjects.
    lower_draws, upper_draws : float64 arrays (n_draws, n_rois, n_subjects)
        The same in the first resamples of the study, exact; none for comparators without an exact
        bootstrap.
    """

    lower: np.ndarray
    upper: np.ndarray
    lower_draws: np.ndarray
    upper_draws: np.ndarray


def write_ceiling_draws(
    path: str | Path,
    ceilings: Mapping[str, CeilingDraws],
    *,
    rois: Sequence[str],
    subjects: Sequence[str],
) -> None:
    """Write the noise ceilings of a study, by comparator, as HDF5."""
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("rois", data=list(rois), dtype=h5py.string_dtype())
        file.create_dataset("subjects", data=list(subjects), dtype=h5py.string_dtype())
        for name, part in ceilings.items():
            for field in fields(part):
                file[f"comparators/{name}/{field.name}"] = getattr(part, field.name)


class CeilingStore:
    """The noise ceilings of a file written by `write_ceiling_draws`.

    Attributes
    ----------
    rois, subjects : list of str
    comparators : list of str
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with h5py.File(self.path, "r") as file:
            self.rois, self.subjects = (
                [name.decode() for name in file[axis][()]] for axis in ("rois", "subjects")
            )
            self.comparators = list(file["comparators"])

    def draws(self, comparator: str) -> CeilingDraws:
        """Return the ceilings of one comparator."""
        with h5py.File(self.path, "r") as file:
            group = file["comparators"][comparator]
            return CeilingDraws(
                **{field.name: group[field.name][()] for field in fields(CeilingDraws)}
            )


def _labels(group: h5py.Group) -> pd.DataFrame:
    order = ("roi", "session", "model", "layer")
    return pd.DataFrame(
        {name: [value.decode() for value in group[name][()]] for name in order if name in group}
    )
