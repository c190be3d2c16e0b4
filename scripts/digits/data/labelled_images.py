"""Images with the category of each, as the study keeps them: uint8 arrays in .npz files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.files import written_whole


@dataclass(frozen=True)
class ImageSet:
    """Some images and their categories.

    Attributes
    ----------
    images : uint8 array (n, side, side, 3)
    labels : str array (n,)
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def codes(self, categories: Sequence[str]) -> np.ndarray:
        """Return the number of each image's category, int64 (n,).

        Raises
        ------
        InputError
            A category that is not among them.
        """
        numbers = {category: number for number, category in enumerate(categories)}
        unknown = sorted(set(self.labels.tolist()) - set(numbers))
        if unknown:
            raise InputError(
                f"images: found the category {unknown[0]!r}, expected one of "
                f"{', '.join(categories)}; add it to `categories` or leave its images out"
            )
        return np.array([numbers[label] for label in self.labels.tolist()])


def write_images(path: Path, images: ImageSet) -> None:
    """Write images and labels into an .npz file."""
    with written_whole(path) as temporary:
        np.savez_compressed(temporary, images=images.images, labels=images.labels)


def read_images(path: Path) -> ImageSet:
    """Return the images of a file that `write_images` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return ImageSet(file["images"], file["labels"])
