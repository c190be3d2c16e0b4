"""What generators are shown: decoded shapes and semantic vectors, scaled by training images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from workflow.lib.errors import InputError
from workflow.lib.splits.held_out import HeldOut, read_held_out


@dataclass(frozen=True, eq=False)
class Decoded:
    """What was decoded of some images; a stream that a generator does not get is None.

    Attributes
    ----------
    names : list of n_images str
    shapes : float array (n_images, size, size), or None
    vectors : float array (n_images, d), or None
    """

    names: list[str]
    shapes: np.ndarray | None = None
    vectors: np.ndarray | None = None


@dataclass(frozen=True)
class Inputs:
    """What a generator is shown of some images.

    Attributes
    ----------
    shapes : float32 tensor (n_images, 1, size, size)
    vectors : float32 tensor (n_images, n_vector)
    """

    shapes: torch.Tensor
    vectors: torch.Tensor

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, rows: np.ndarray | slice) -> "Inputs":
        return Inputs(self.shapes[rows], self.vectors[rows])

    def to(self, device: torch.device) -> "Inputs":
        """Return the same on a device."""
        return Inputs(self.shapes.to(device), self.vectors.to(device))


@dataclass(frozen=True)
class InputScaling:
    """Centre and spread of what was decoded of training images.

    Both streams have a mean of zero and a mean square of one over training images, and zero is
    what a stream shows that says nothing. The spread of a vector is that of all its numbers
    together: a cluster that few images belong to would otherwise shout when it is thought of.

    Attributes
    ----------
    shape_centre, shape_spread : float
        Over images and pixels, so that a shape stays a picture.
    vector_centre : tuple of float, one per number of the vector
    vector_spread : float
    """

    shape_centre: float = 0.0
    shape_spread: float = 1.0
    vector_centre: tuple[float, ...] = ()
    vector_spread: float = 1.0

    @classmethod
    def of(cls, training: Decoded) -> "InputScaling":
        """Return the scaling by training images."""
        values = {}
        if training.shapes is not None:
            values["shape_centre"] = float(training.shapes.mean(dtype=np.float64))
            values["shape_spread"] = spread(training.shapes - values["shape_centre"])
        if training.vectors is not None:
            centre = training.vectors.mean(axis=0, dtype=np.float64)
            values["vector_centre"] = tuple(centre.tolist())
            values["vector_spread"] = spread(training.vectors - centre)
        return cls(**values)

    def __call__(self, decoded: Decoded, size: int) -> Inputs:
        """Return what a generator of images of `size` pixels a side is shown."""
        n_images = len(decoded.names)
        shapes = torch.zeros(n_images, 1, size, size)
        if decoded.shapes is not None:
            scaled = (decoded.shapes - self.shape_centre) / self.shape_spread
            shapes = torch.from_numpy(scaled.astype(np.float32)).unsqueeze(1)
        vectors = torch.zeros(n_images, len(self.vector_centre))
        if decoded.vectors is not None:
            scaled = (decoded.vectors - np.array(self.vector_centre)) / self.vector_spread
            vectors = torch.from_numpy(scaled.astype(np.float32))
        return Inputs(shapes, vectors)


def spread(deviations: np.ndarray) -> float:
    """Return the root of the mean square, or 1 where nothing deviates."""
    return float(np.sqrt(np.mean(np.square(deviations, dtype=np.float64)))) or 1.0


def decoded_of(
    names: Sequence[str], shapes: HeldOut | None, semantics: HeldOut | None, *, size: int
) -> Decoded:
    """Return what was decoded of images, in their order.

    Parameters
    ----------
    names : sequence of str
    shapes : HeldOut, whose predictions are shapes (n, size, size), or None
    semantics : HeldOut, whose predictions are vectors (n, d), or None
    size : int
        Pixels of a side of the images.

    Raises
    ------
    InputError
        An image that was not decoded; shapes of another size; an image whose shape and vector were
        decoded in different folds, so that one of them may have been fitted to the other's image.
    """
    found = {
        stream: predictions.of(names)
        for stream, predictions in {"shapes": shapes, "semantics": semantics}.items()
        if predictions is not None
    }
    if shapes is not None and found["shapes"].predicted.shape[1:] != (size, size):
        raise InputError(
            f"decoded shapes: found {found['shapes'].predicted.shape[1:]} pixels, expected the "
            f"images' ({size}, {size}); delete the file of decoded shapes and run again"
        )
    if len(found) == 2 and (found["shapes"].fold != found["semantics"].fold).any():
        raise InputError(
            "decoded images: found a shape and a semantic vector of the same image from different "
            "folds, expected the folds of the study for both; delete both files and run again"
        )
    return Decoded(
        list(names), *(found[s].predicted if s in found else None for s in ("shapes", "semantics"))
    )


def read_decoded(
    files: Mapping[str, str | Path], part: str, names: Sequence[str], *, size: int
) -> Decoded:
    """Return what was decoded of images of one part, see `decoded_of`.

    Parameters
    ----------
    files : mapping
        Files of predictions under "shapes" and "semantics", of which either may be missing.
    part : str
    names, size : see `decoded_of`
    """
    paths = (files.get(stream) for stream in ("shapes", "semantics"))
    streams = (read_held_out(path, part) if path else None for path in paths)
    return decoded_of(names, *streams, size=size)
