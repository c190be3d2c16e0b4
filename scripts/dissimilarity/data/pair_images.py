"""A subject's images as the study keeps them: one .npz file, in the order of the subject's RDMs."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow.lib.errors import InputError
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


def excluded_images(given: str | Sequence[str]) -> list[str]:
    """Return the names of `images.exclude`: a list of them, or a text file with one per line.

    Raises
    ------
    InputError
        The file is not there, or is no text.
    """
    if not isinstance(given, str):
        return list(given)
    try:
        lines = Path(given).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"images.exclude: found {given!r}, which cannot be read ({type(error).__name__}), "
            "expected a list of names, or a text file with one per line; correct it"
        ) from None
    return [line.strip() for line in lines if line.strip()]


def check_excluded(exclude: Sequence[str], known: Collection[str]) -> None:
    """Raise InputError for a name that is none of the images', with the nearest that is."""
    unknown = [name for name in exclude if name not in known]
    if not unknown:
        return
    near = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0)
    raise InputError(
        f"images.exclude: found {unknown[0]!r} ({len(unknown)} of {len(exclude)} names are of no "
        f"image), expected names of image files of `subjects`, without their endings; did you mean "
        f"{near[0]!r}?"
    )


def write_pair_images(path: Path, images: PairImages) -> None:
    """Write images into an .npz file; pixels of photographs would not become smaller."""
    with written_whole(path) as temporary:
        np.savez(temporary, names=np.array(images.names), images=images.images, rows=images.rows)


def read_pair_images(path: Path) -> PairImages:
    """Return the images of a file that `write_pair_images` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return PairImages(file["names"].tolist(), file["images"], file["rows"])
