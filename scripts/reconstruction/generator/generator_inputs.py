"""What generators are shown: decoded shapes and semantic vectors, scaled by training images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from workflow.lib.errors import InputError
from workflow.lib.splits.held_out import HeldOut, read_held_out

# What is decoded of an image: its shape, and a vector that tells what is in it.
STREAMS = ("shapes", "vectors")
# Share of the largest mean by which numbers in single precision differ that should not.
ROUNDING = 1e-6


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


@dataclass(frozen=True, eq=False)
class Deviations:
    """How what is decoded of an image deviates from the mean over training images.

    Decoders of noisy responses stay close to the mean, and what tells one image from another is a
    small part of what they say: a generator that were shown a shape as it was decoded would look
    at the mean shape. All numbers of a stream share one spread: a pixel or a cluster that says
    little would otherwise be as loud as any.

    Attributes
    ----------
    centre : float array (...)
        Mean over training images.
    spread : float
        Root of the mean squared deviation over training images and numbers; 1 if there is none
        but rounding.
    """

    centre: np.ndarray
    spread: float

    @classmethod
    def of(cls, training: np.ndarray) -> "Deviations":
        """Return those from training images (n_images, ...)."""
        centre = training.mean(axis=0, dtype=np.float64)
        spread = float(np.sqrt(np.mean(np.square(training - centre))))
        return cls(centre, spread if spread > ROUNDING * np.abs(centre).max() else 1.0)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return deviations in units of the spread, float32 (n_images, ...)."""
        return ((values - self.centre) / self.spread).astype(np.float32)


@dataclass(frozen=True)
class InputScaling:
    """How decoded shapes and vectors are shown; a stream that a generator does not get is None.

    Both are then 0 on average and 1 in root mean square over training images. A stream that is
    missing is shown as zero, which is what one shows that says nothing.

    Attributes
    ----------
    shapes, vectors : Deviations or None
    """

    shapes: Deviations | None = None
    vectors: Deviations | None = None

    @classmethod
    def of(cls, training: Decoded) -> "InputScaling":
        """Return the scaling by training images."""
        streams = (getattr(training, stream) for stream in STREAMS)
        return cls(*(None if values is None else Deviations.of(values) for values in streams))

    @property
    def n_vector(self) -> int:
        """Numbers of a vector."""
        return 0 if self.vectors is None else len(self.vectors.centre)

    def __call__(self, decoded: Decoded, size: int) -> Inputs:
        """Return what a generator of images of `size` pixels a side is shown."""
        n_images = len(decoded.names)
        shapes = np.zeros((n_images, size, size), np.float32)
        vectors = np.zeros((n_images, self.n_vector), np.float32)
        if self.shapes is not None:
            shapes = self.shapes(decoded.shapes)
        if self.vectors is not None:
            vectors = self.vectors(decoded.vectors)
        return Inputs(torch.from_numpy(shapes).unsqueeze(1), torch.from_numpy(vectors))


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
