"""The images of a study of reconstruction, as all its later steps read them: one .npz file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.files import written_whole
from workflow.lib.sources import TRAINING

# Fewer different images have no interval.
MIN_IMAGES = 3


@dataclass(frozen=True)
class ImageTable:
    """The images of training and of every test, each once.

    Attributes
    ----------
    names : list of n str
        What responses call the images; each once in a part.
    parts : list of n str
        `TRAINING`, or the name of a test.
    images : uint8 array (n, side, side, 3)
    shapes : float32 array (n, side, side)
        Targets of shape decoders, 0 to 1: grey, without the ground, blurred.
    groups : int array (n,)
        The same number for images that are copies of one another, of whatever parts.
    """

    names: list[str]
    parts: list[str]
    images: np.ndarray
    shapes: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def tests(self) -> list[str]:
        """Names of the tests, in their order."""
        return [part for part in dict.fromkeys(self.parts) if part != TRAINING]

    def of(self, part: str) -> "ImageTable":
        """Return the images of a part, in their order."""
        return self.rows([row for row, own in enumerate(self.parts) if own == part])

    def rows(self, rows: Sequence[int]) -> "ImageTable":
        """Return the images in some rows."""
        return replace(
            self,
            names=[self.names[row] for row in rows],
            parts=[self.parts[row] for row in rows],
            images=self.images[rows],
            shapes=self.shapes[rows],
            groups=self.groups[rows],
        )

    def positions(self, names: Sequence[str]) -> np.ndarray:
        """Return the rows of named images of a table of one part, int array (n_names,).

        Raises
        ------
        InputError
            A name is of no image.
        """
        row_of = {name: row for row, name in enumerate(self.names)}
        unknown = sorted({name for name in names if name not in row_of})
        if unknown:
            raise InputError(
                f"responses to images: found {unknown[0]!r} ({len(unknown)} such names), expected "
                f"images of {', '.join(dict.fromkeys(self.parts))}; prepare the images again"
            )
        return np.array([row_of[name] for name in names], dtype=int)


def write_image_table(path: str | Path, table: ImageTable) -> None:
    """Write a table of images; pixels of photographs would not become smaller by compression."""
    with written_whole(path) as temporary:
        np.savez(
            temporary,
            names=np.array(table.names, dtype=str),
            part=np.array(table.parts, dtype=str),
            images=table.images,
            shapes=table.shapes,
            group=table.groups,
        )


def read_image_table(path: str | Path) -> ImageTable:
    """Return the table of a file that `write_image_table` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return ImageTable(
            names=file["names"].tolist(),
            parts=file["part"].tolist(),
            images=file["images"],
            shapes=file["shapes"],
            groups=file["group"],
        )


def check_n_images(part: str, n_different: int) -> None:
    """Refuse a part of which no score could be told with an interval.

    Raises
    ------
    InputError
        Fewer than `MIN_IMAGES` different images.
    """
    if n_different < MIN_IMAGES:
        raise InputError(
            f"{part}: found {n_different} different images, expected at least {MIN_IMAGES}, for "
            "scores have intervals over images; give more, or leave the test out"
        )
