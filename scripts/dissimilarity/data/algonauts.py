"""A subject of the Algonauts 2023 challenge: images and responses, by the published layout."""

import functools
import logging
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.dissimilarity.data.pickled_mapping import read_mapping
from workflow.lib.arrays.numpy_files import open_numpy
from workflow.lib.errors import InputError
from workflow.lib.layouts.algonauts2023 import (
    ALL,
    HEMISPHERES,
    ROI_CLASSES,
    UNKNOWN,
    classes_of,
    images_folder,
    mapping_file,
    mask_file,
    noiseless_file,
    responses_file,
)

log = logging.getLogger("workflow")

IMAGES = "train-*_nsd-*.png"
# Rows of responses read at a time: 40 MB of a hemisphere.
ROWS = 512
# An image without a number for a larger share of an ROI's vertices was not measured there.
MOST_LACKING = 0.5
# Fewer vertices of an ROI can lack numbers for reasons of their own.
TELLING_VERTICES = 10


@dataclass(frozen=True)
class Vertices:
    """The vertices of an ROI in one hemisphere, as columns of the responses.

    Attributes
    ----------
    labelled : int array
        All of them.
    complete : int array
        Those that have a number for every image.
    """

    labelled: np.ndarray
    complete: np.ndarray


class Algonauts2023:
    """A subject's images and responses; rows are counted from 0, as in the files.

    Vertices that have no number for one of the images asked for are left out of every ROI and of
    "all": ask for all images of a study at once, in any order, to get the same vertices always.

    Parameters
    ----------
    folder : Path
        With a folder for each subject.
    subject : str
        For example subj01.

    Attributes
    ----------
    image_names : list of str
        Names of the image files without their ending, in the order of the rows.

    Raises
    ------
    InputError
        No images, a missing hemisphere, or images and rows of different number.
    """

    def __init__(self, folder: str | Path, subject: str) -> None:
        self.folder, self.subject = Path(folder), subject
        self._vertices: dict[tuple[str, bytes], dict[str, Vertices]] = {}
        self._images = image_files(self.folder, subject)
        if not self._images:
            raise InputError(
                f"{self.folder / images_folder(subject)}: found no image, expected files such as "
                "train-0001_nsd-00013.png; give the folder that holds the subjects' folders"
            )
        self.image_names = [path.stem for path in self._images]
        self._responses = self._hemispheres(
            {name: responses_file(subject, name) for name in HEMISPHERES}
        )

    def image_path(self, row: int) -> Path:
        """Return the image of a row of the responses."""
        return self._images[row]

    def rows_without(self, exclude: Collection[str]) -> np.ndarray:
        """Return the rows of all images but those of these names, int (n,)."""
        left_out = set(exclude)
        kept = [row for row, name in enumerate(self.image_names) if name not in left_out]
        return np.array(kept, dtype=int)

    @functools.cached_property
    def rois(self) -> list[str]:
        """Names of the ROIs that have vertices, in the order of the published classes."""
        found = []
        for of_class, names in ROI_CLASSES.items():
            if (self.folder / mapping_file(self.subject, of_class)).is_file():
                found += [name for name in names if self.has([name])]
        return found

    def has(self, parts: Sequence[str] | str) -> bool:
        """Return whether some ROIs taken together have a vertex in this subject."""
        return any(len(self._labels(hemisphere, parts)) for hemisphere in HEMISPHERES)

    def vertices(self, parts: Sequence[str] | str, rows: np.ndarray) -> dict[str, Vertices]:
        """Return hemisphere -> the vertices of some ROIs, and which of them `responses` gives.

        Raises
        ------
        InputError
            As `responses`.
        """
        rows = np.unique(rows).astype(np.int64)
        key = parts if parts == ALL else "+".join(parts), rows.tobytes()
        if key not in self._vertices:
            self._vertices[key] = self._choose(parts, rows)
        return self._vertices[key]

    def n_vertices(self, parts: Sequence[str] | str, rows: np.ndarray) -> int:
        """Return the number of vertices that `responses` gives."""
        return sum(len(found.complete) for found in self.vertices(parts, rows).values())

    def responses(self, parts: Sequence[str] | str, rows: np.ndarray) -> np.ndarray:
        """Return the responses of the vertices of some ROIs taken together.

        Parameters
        ----------
        parts : sequence of str or "all"
            ROIs, for example V1v and V1d; all vertices that there are responses of.
        rows : int array (n,)

        Returns
        -------
        float32 array (n, n_vertices)
            The left hemisphere's vertices, then the right one's, as they are in the files: betas,
            z-scored within sessions.

        Raises
        ------
        InputError
            An unknown ROI, one without vertices, or one all of whose vertices lack numbers; an
            image without numbers for most vertices of a hemisphere.
        """
        return self._joined(self._responses, parts, rows)

    def noiseless(self, parts: Sequence[str] | str, rows: np.ndarray) -> np.ndarray:
        """Return what `responses` would be without noise, which a simulation alone can know."""
        files = {name: noiseless_file(self.subject, name) for name in HEMISPHERES}
        missing = [file for file in files.values() if not (self.folder / file).is_file()]
        if missing:
            raise InputError(
                f"{self.folder / missing[0]}: found no such file, expected a simulated folder, for "
                "of no other are responses without noise known; take the ceiling from subjects"
            )
        return self._joined(self._hemispheres(files), parts, rows)

    def _joined(
        self, arrays: dict[str, np.memmap], parts: Sequence[str] | str, rows: np.ndarray
    ) -> np.ndarray:
        """Return the vertices of some ROIs in arrays per hemisphere, float32 (n, n_vertices)."""
        columns_of = {name: each.complete for name, each in self.vertices(parts, rows).items()}
        joined = np.empty((len(rows), sum(map(len, columns_of.values()))), np.float32)
        first = 0
        for hemisphere, columns in columns_of.items():
            last = first + len(columns)
            for block in _blocks(len(rows)):
                joined[block, first:last] = _rows(arrays[hemisphere].filename, rows[block])[
                    :, columns
                ]
            first = last
        return joined

    def _choose(self, parts: Sequence[str] | str, rows: np.ndarray) -> dict[str, Vertices]:
        what = f"{self.subject}, {parts if parts == ALL else ' and '.join(parts)}"
        if not self.has(parts):
            raise InputError(
                f"{what}: found no vertex in either hemisphere, expected some; the ROIs of this "
                f"subject that have any are {', '.join(self.rois) or 'none'}: take one of these, "
                "or leave out of a subject what it has not by `rois_missing: skip`"
            )
        found = {}
        for name in HEMISPHERES:
            labelled = self._labels(name, parts)
            complete = self._n_lacking(name, rows)[labelled] == 0
            found[name] = Vertices(labelled, labelled[complete])
            self._refuse_unmeasured(name, rows)
            if len(labelled) >= TELLING_VERTICES:
                self._refuse_unmeasured(name, rows, labelled)
        n_labelled = sum(len(each.labelled) for each in found.values())
        n_dropped = n_labelled - sum(len(each.complete) for each in found.values())
        if n_dropped == n_labelled:
            raise InputError(
                f"{what}: found NaN or infinite values in each of {n_labelled} vertices, expected "
                "numbers; copy the responses again, or leave the ROI out"
            )
        if n_dropped:
            log.warning(
                "%s: %d of %d vertices left out, which are not numbers for every image",
                *(what, n_dropped, n_labelled),
            )
        return found

    def _labels(self, hemisphere: str, parts: Sequence[str] | str) -> np.ndarray:
        """Return the vertices of some ROIs in a hemisphere, int (n,), in their order."""
        n_vertices = self._responses[hemisphere].shape[1]
        if parts == ALL:
            return np.arange(n_vertices)
        chosen = np.zeros(n_vertices, dtype=bool)
        for of_class in classes_of(parts):
            names = read_mapping(self.folder / mapping_file(self.subject, of_class))
            wanted = [label for label, name in names.items() if name in parts and name != UNKNOWN]
            file = self.folder / mask_file(self.subject, hemisphere, of_class)
            labels = _read(file)
            if labels.shape != (n_vertices,):
                raise InputError(
                    f"{file}: found labels of shape {labels.shape}, expected one for each of the "
                    f"{n_vertices} vertices that the responses have; copy both from the same "
                    "subject, labels in challenge space"
                )
            chosen |= np.isin(labels, wanted)
        return np.flatnonzero(chosen)

    def _n_lacking(self, hemisphere: str, rows: np.ndarray) -> np.ndarray:
        """Return of how many images each vertex has no number, int (n_vertices,)."""
        return _lacking(*self._version(hemisphere), rows.tobytes())[0]

    def _version(self, hemisphere: str) -> tuple[str, int]:
        """Return the file of a hemisphere's responses, and when it was written."""
        file = self._responses[hemisphere].filename
        return str(file), os.stat(file).st_mtime_ns

    def _refuse_unmeasured(
        self, hemisphere: str, rows: np.ndarray, columns: np.ndarray | None = None
    ) -> None:
        """Raise InputError for an image without numbers for most of some vertices, or of all.

        Vertices without a number for most images tell nothing of an image, unless all are so.
        """
        n_lacking = self._n_lacking(hemisphere, rows)
        columns = np.arange(len(n_lacking)) if columns is None else columns
        if not n_lacking[columns].any():
            return
        telling = n_lacking[columns] <= MOST_LACKING * len(rows)
        columns = columns[telling] if telling.any() else columns
        shares = _lacking(*self._version(hemisphere), rows.tobytes(), columns.tobytes())[1]
        empty = rows[shares > MOST_LACKING]
        if empty.size:
            raise InputError(
                f"{self.folder / responses_file(self.subject, hemisphere)}: found no numbers for "
                f"{self.image_names[empty[0]]} in most of {len(columns)} vertices ({empty.size} of "
                f"{len(rows)} images are so), expected responses to every image; copy the file "
                "again, or leave these images out by `images: {exclude: [...]}`"
            )

    def _hemispheres(self, files: dict[str, str]) -> dict[str, np.memmap]:
        """Return memory maps of both hemispheres, (n_images, n_vertices) each."""
        arrays = {name: _read(self.folder / file) for name, file in files.items()}
        for name, array in arrays.items():
            if array.ndim != 2 or array.dtype.kind != "f" or len(array) != len(self._images):
                raise InputError(
                    f"{self.folder / files[name]}: found an array of shape {array.shape} and type "
                    f"{array.dtype}, expected float (n_images, n_vertices) with a row for each of "
                    f"the {len(self._images)} images of {images_folder(self.subject)}; copy both "
                    "again, whole"
                )
        return arrays


def image_files(folder: Path, subject: str) -> list[Path]:
    """Return the images that there are responses to, in the order of the rows."""
    return sorted((folder / images_folder(subject)).glob(IMAGES))


def _read(path: Path) -> np.memmap:
    """Return a memory map of an .npy file."""
    if not path.is_file():
        raise InputError(
            f"{path}: found no such file, expected both hemispheres ({' and '.join(HEMISPHERES)}) "
            "of every subject; copy it from the published folder, or leave the subject out"
        )
    found = open_numpy(path, str(path))
    if not isinstance(found, np.ndarray):
        found.close()
        raise InputError(
            f"{path}: found an archive of arrays, expected one array as np.save writes it; copy "
            "the file again"
        )
    return found


def _rows(file: str | Path, rows: np.ndarray) -> np.ndarray:
    """Return rows of an .npy file, through a memory map of their own.

    Pages that were read count as memory of the process for as long as their map lasts.
    """
    return np.load(file, mmap_mode="r", allow_pickle=False)[rows]


@functools.lru_cache(maxsize=64)
def _lacking(
    file: str, _written: int, rows: bytes, columns: bytes | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is no number in some rows and columns of a file of responses.

    A job asks for it again for every ROI and fold, and gigabytes would be read each time.

    Parameters
    ----------
    file : .npy file
    _written : when, so that a file that was written anew is read anew
    rows, columns : bytes of int arrays; all columns if None

    Returns
    -------
    n_lacking : int array (n_columns,), rows without a number in each column
    shares : float array (n_rows,), share of the columns without a number in each row
    """
    chosen = np.frombuffer(rows, dtype=np.int64)
    of = slice(None) if columns is None else np.frombuffer(columns, dtype=np.int64)
    n_lacking, shares = 0, []
    for block in _blocks(len(chosen)):
        lacking = ~np.isfinite(_rows(file, chosen[block])[:, of])
        n_lacking = n_lacking + lacking.sum(axis=0)
        shares.append(lacking.mean(axis=1))
    return n_lacking, np.concatenate(shares)


def _blocks(n: int) -> Iterator[slice]:
    """Yield slices of at most `ROWS` that cover n rows."""
    for start in range(0, n, ROWS):
        yield slice(start, min(start + ROWS, n))
