"""A subject's images as the study keeps them: one .npz file, in the order of the subject's RDMs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow.lib.files import written_whole


@dataclass(frozen=True)
class PairImages:
    """Some images of a subject.

    Attributes
    ----------
    names : list of str
    images : uint8 array (n, side, side, 3)
    rows : int array (n,)
        Rows of the images in the files of the subject's responses, or in its RDMs.
    """

    names: list[str]
    images: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.names)


def write_pair_images(path: Path, images: PairImages) -> None:
    """Write images into an .npz file; pixels of photographs would not become smaller."""
    with written_whole(path) as temporary:
        np.savez(temporary, names=np.array(images.names), images=images.images, rows=images.rows)


def read_pair_images(path: Path) -> PairImages:
    """Return the images of a file that `write_pair_images` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return PairImages(file["names"].tolist(), file["images"], file["rows"])
