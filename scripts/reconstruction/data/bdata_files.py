"""Writing BData as published, by bdpy: responses beside labels, in both published variants.

fmriprep: what bdpy makes of the output of fMRIPrep and a BIDS table of events. Labels are the
columns of that table; the number in `stimulus_name` stands for a text in /vmap.
original: that of Shen et al. 2019. The second of the columns of `Label` is the id of the image,
1518878.005958 for image 5958 of synset n01518878.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import bdpy
import h5py
import numpy as np

from workflow.lib.files import written_whole

# Millimetres from one voxel to the next.
VOXEL = 2.0
# Voxels of the simulated grid along x and y.
GRID = 16
MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
# What the tables of events call a trial that shows an image.
SHOWN = 2
# The header says when and by which code bdpy wrote a file: two runs would never write the same.
TABLES = ("dataset", "metadata", "vmap")


@dataclass(frozen=True)
class Session:
    """The trials of one file.

    Attributes
    ----------
    responses : float array (n_trials, n_voxels)
    synsets, images : int arrays (n_trials,)
        Which image was shown: number of its synset, and in it.
    sessions, runs : int arrays (n_trials,)
        Counted from 1; runs over all sessions.
    motion : float array (n_trials, 6), mm and radians
    """

    responses: np.ndarray
    synsets: np.ndarray
    images: np.ndarray
    sessions: np.ndarray
    runs: np.ndarray
    motion: np.ndarray


def image_name(synset: int, image: int) -> str:
    """Return the name of an image as of ImageNet: n01518878_5958."""
    return f"n{synset:08d}_{image}"


def image_id(synset: int, image: int) -> str:
    """Return the id of an image: 1518878.005958."""
    return f"{synset}.{image:06d}"


def write_bdata(
    path: str | Path, session: Session, rois: Mapping[str, np.ndarray], *, variant: str
) -> None:
    """Write the trials of a file.

    Parameters
    ----------
    path : str or Path
    session : Session
    rois : mapping, name such as ROI_V1 -> bool array (n_voxels,)
    variant : "fmriprep" or "original"
    """
    data = bdpy.BData()
    data.add(session.responses, "VoxelData")
    for name, mask in rois.items():
        data.add_metadata(name, mask.astype(float), f"1 = {name}", where="VoxelData")
    _add_places(data, session.responses.shape[1])
    trials = len(session.runs)
    data.add(session.sessions.astype(float), "Session")
    data.add(session.runs.astype(float), "Run")
    data.add(np.arange(1.0, trials + 1), "Block")
    LABELS[variant](data, session)
    data.add(session.motion, "MotionParameter")
    for column, name in enumerate(MOTION):
        data.add_metadata(
            f"MotionParameter_{name}", np.eye(len(MOTION))[column], where="MotionParameter"
        )
    _save(Path(path), data)


def _add_places(data: bdpy.BData, n_voxels: int) -> None:
    """Say where voxels lie: in a grid, one slice after the other."""
    voxels = np.arange(n_voxels)
    indices = {"i": voxels % GRID, "j": voxels // GRID % GRID, "k": voxels // GRID**2}
    for axis, (name, index) in zip("xyz", indices.items(), strict=True):
        place = VOXEL * (index - GRID / 2)
        data.add_metadata(f"voxel_{axis}", place, f"Voxel {axis} coordinate", where="VoxelData")
        data.add_metadata(f"voxel_{name}", index, f"Voxel {name} index", where="VoxelData")


def _add_events(data: bdpy.BData, session: Session) -> None:
    names = list(map(image_name, session.synsets.tolist(), session.images.tolist()))
    number_of = {name: float(n) for n, name in enumerate(sorted(set(names)), 1)}
    numbers = np.array([number_of[name] for name in names])
    events = {
        "trial_no": np.arange(1.0, len(names) + 1),
        "trial_type": np.full(len(names), float(SHOWN)),
        "stimulus_name": numbers,
    }
    data.add(np.column_stack(list(events.values())), "Label")
    for column, key in enumerate(events):
        own = np.where(np.arange(len(events)) == column, 1.0, np.nan)
        data.add_metadata(key, own, f"Label {key}", where="Label")
    data.add_vmap("stimulus_name", {number: name for name, number in number_of.items()})


def _add_ids(data: bdpy.BData, session: Session) -> None:
    ids = map(image_id, session.synsets.tolist(), session.images.tolist())
    shown = np.full(len(session.synsets), float(SHOWN))
    data.add(np.column_stack([shown, list(map(float, ids))]), "Label")


LABELS: dict[str, Callable[[bdpy.BData, Session], None]] = {
    "fmriprep": _add_events,
    "original": _add_ids,
}


def _save(path: Path, data: bdpy.BData) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # bdpy tells the format by the ending.
    saved = path.with_name(f".bdpy-{path.stem}.h5")
    try:
        data.save(str(saved), file_type="HDF5")
        with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
            with h5py.File(saved, "r") as source:
                for table in TABLES:
                    source.copy(table, file)
            file.create_group("header")
    finally:
        saved.unlink(missing_ok=True)
