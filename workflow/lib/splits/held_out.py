"""What decoders predict of images that they were not fitted to: one HDF5 file.

A group per part of the images: training images, each predicted by the model of the one fold that
tests it, and test images, predicted by a model fitted to all training images. Whatever learns from
predictions (a network that draws images from decoded shapes) takes those of training images from
here, and so meets in training the errors that it meets in the test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.files import written_whole
from workflow.lib.sources import TRAINING

# The fold of predictions by a model that was fitted to all training images.
ALL_TRAINING = -1
NAMES, PREDICTED, FOLD = "names", "predicted", "fold"
# A chunk holds one image, or as many small ones as these bytes.
CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions of the images of one part.

    Attributes
    ----------
    names : list of n_images str
        Each once.
    predicted : array (n_images, ...)
        Shapes (n_images, size, size), vectors (n_images, d), images (n_images, size, size, 3).
    fold : int array (n_images,)
        Of the model that predicted; `ALL_TRAINING` for one fitted to all training images.
    extra : mapping, name -> array (n_images, ...)
        What else the model says, such as probabilities.
    """

    names: list[str]
    predicted: np.ndarray
    fold: np.ndarray
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def of(self, names: Sequence[str]) -> "HeldOut":
        """Return the predictions of some images, in their order.

        Raises
        ------
        InputError
            An image that was not predicted.
        """
        places = {name: place for place, name in enumerate(self.names)}
        missing = [name for name in names if name not in places]
        if missing:
            raise InputError(
                f"predictions: found none of the image {missing[0]!r} (of {len(missing)} of "
                f"{len(names)} images), expected one of each; delete the file of predictions and "
                "run again"
            )
        rows = np.array([places[name] for name in names], dtype=int)
        extra = {key: values[rows] for key, values in self.extra.items()}
        return HeldOut(list(names), self.predicted[rows], self.fold[rows], extra)


def fitted_to_all(names: Sequence[str], predicted: np.ndarray, **extra: np.ndarray) -> HeldOut:
    """Return predictions of test images, by a model fitted to all training images."""
    return HeldOut(list(names), predicted, np.full(len(names), ALL_TRAINING), extra)


def write_held_out(
    path: str | Path, parts: Mapping[str, HeldOut], attributes: Mapping[str, object]
) -> None:
    """Write the predictions of all parts.

    Parameters
    ----------
    path : path of an HDF5 file
    parts : mapping, part -> HeldOut
        `TRAINING` and the tests; a file of tests alone is allowed.
    attributes : mapping
        Of the file: numbers, texts, lists of texts (decoder, subject, ...).

    Raises
    ------
    ValueError
        A name twice; arrays of another length; predictions that are not finite; a training image
        that no fold tested, or a test image that one did.
    """
    for part, held_out in parts.items():
        _check(part, held_out)
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(attributes)
        for part, held_out in parts.items():
            group = file.create_group(part)
            group.create_dataset(NAMES, data=held_out.names, dtype=h5py.string_dtype())
            group.create_dataset(FOLD, data=held_out.fold.astype(np.int16))
            for name, values in {PREDICTED: held_out.predicted, **held_out.extra}.items():
                kept = values.astype(np.float32) if values.dtype.kind == "f" else values
                group.create_dataset(name, data=kept, chunks=_chunks(kept))


def read_held_out(path: str | Path, part: str) -> HeldOut:
    """Return the predictions of one part.

    Raises
    ------
    InputError
        Another kind of file, or one without the part.
    """
    with h5py.File(path, "r") as file:
        group = file.get(part)
        if group is None or PREDICTED not in group:
            found = ", ".join(file) or "nothing"
            raise InputError(
                f"{path}: found {found}, expected predictions of the images {part!r}; delete the "
                "file and run again"
            )
        values = {name: data[()] for name, data in group.items() if name != NAMES}
        names = group[NAMES].asstr()[()].tolist()
    predicted, fold = values.pop(PREDICTED), values.pop(FOLD)
    return HeldOut(names, predicted, fold.astype(int), values)


def read_predicted(
    paths: Sequence[str | Path], part: str, names: Sequence[str], *, by: str
) -> dict[str, np.ndarray]:
    """Return what several files predict of the same images.

    Parameters
    ----------
    paths : sequence of paths of HDF5 files
    part : str
    names : sequence of str
        Of images of the part, the order of the predictions.
    by : str
        Attribute that tells the files apart.

    Returns
    -------
    dict, value of the attribute -> array (n_names, ...)
    """
    return {
        str(attributes_of(path)[by]): read_held_out(path, part).of(names).predicted
        for path in paths
    }


def parts_of(path: str | Path) -> list[str]:
    """Return the parts that a file holds: the training images first, then the tests by name."""
    with h5py.File(path, "r") as file:
        return sorted(file, key=lambda part: (part != TRAINING, part))


def attributes_of(path: str | Path) -> dict[str, object]:
    """Return the attributes that a file was written with."""
    with h5py.File(path, "r") as file:
        return {
            name: value.tolist() if isinstance(value, np.ndarray | np.generic) else value
            for name, value in file.attrs.items()
        }


def _check(part: str, held_out: HeldOut) -> None:
    n_images = len(held_out.names)
    arrays = {PREDICTED: held_out.predicted, FOLD: held_out.fold, **held_out.extra}
    for name, values in arrays.items():
        if len(values) != n_images:
            raise ValueError(f"{part}: {len(values)} rows of {name} for {n_images} images")
        if not np.isfinite(values).all():
            raise ValueError(f"{part}: {name} is not finite everywhere")
    if len(set(held_out.names)) < n_images:
        raise ValueError(f"{part}: an image has two predictions")
    if set(held_out.extra) & {NAMES, PREDICTED, FOLD}:
        raise ValueError(f"{part}: extra arrays take the names of others")
    if part == TRAINING and (held_out.fold < 0).any():
        raise ValueError(f"{part}: an image was tested in no fold")
    if part != TRAINING and (held_out.fold != ALL_TRAINING).any():
        raise ValueError(f"{part}: a test image was tested in a fold of training images")


def _chunks(values: np.ndarray) -> tuple[int, ...] | None:
    """Return the shape of a chunk; None, which h5py chooses by, for an empty array."""
    bytes_of_image = values[:1].nbytes
    if not bytes_of_image:
        return None
    return (min(len(values), max(1, CHUNK_BYTES // bytes_of_image)), *values.shape[1:])
