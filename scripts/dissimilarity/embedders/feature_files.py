"""Features that were computed elsewhere: names and an array, as thingsvision writes them.

thingsvision needs packages of other versions than these, and so an environment of its own. What it
extracts there is saved by

    save_features(features, out_path=folder, file_format="npy")

as features.npy; the order of its rows is that of its data set, whose file names it writes to
file_names.txt beside. An .npz holds both: np.savez(path, names=names, features=features).
"""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from scripts.dissimilarity.embeddings.embedding_images import EmbeddingImages
from scripts.dissimilarity.embeddings.embeddings import Embedding, embedding_from_blocks
from workflow.lib.arrays.array_file import one_of
from workflow.lib.arrays.numpy_files import array_of, open_numpy
from workflow.lib.arrays.text import as_strings, listed_names
from workflow.lib.errors import InputError
from workflow.lib.features.activations import Activations
from workflow.lib.features.unit_blocks import UnitBlocks
from workflow.lib.rdms.alignment import match_keys, rule_of_names

# Where thingsvision writes the names of the rows, beside the array.
NAMES_FILE = "file_names.txt"


def embed(name: str, block: Mapping, images: EmbeddingImages) -> Embedding:
    """Return the features that a file holds of the images.

    Parameters
    ----------
    name : str
    block : mapping
        file and names as in `open_features`.
    images : EmbeddingImages
        Of which the names count.
    """
    with (
        open_features(block["file"], block.get("names"), images.names) as features,
        tempfile.TemporaryDirectory() as folder,
        UnitBlocks(
            Path(folder) / "features", len(images.names), features.n_units, name=features.what
        ) as blocks,
    ):
        for rows in features.rows():
            blocks.append(rows)
        return embedding_from_blocks(name, images.names, blocks, n_features=blocks.n_units)


@contextlib.contextmanager
def open_features(
    file: str | Path, names_file: str | Path | None, images: Sequence[str]
) -> Iterator[Activations]:
    """Open features, whose rows are found by the names of the images.

    Parameters
    ----------
    file : path of an .npy, (n_rows, ...), which is read a few rows at a time, or of an .npz with
        such an array and, unless in `names_file`, one of names
    names_file : path of a text file with a name per row; `file_names.txt` beside the .npy if not
        given. Folders and suffixes of names do not count.
    images : sequence of n_images str

    Yields
    ------
    Activations
        Of the images, in their order. Further rows are left out.

    Raises
    ------
    InputError
        A missing, damaged or pickled file; names and rows of different number; an image without a
        row, or with two.
    """
    path = Path(file)
    if path.suffix not in (".npy", ".npz") or not path.is_file():
        raise InputError(
            f"{path}: found no such .npy or .npz file, expected features, a row per image; save "
            "them as scripts/dissimilarity/embedders/feature_files.py says, or correct `file`"
        )
    loaded = open_numpy(path)
    with contextlib.nullcontext() if isinstance(loaded, np.ndarray) else loaded:
        array, stored = _array_and_names(loaded, path)
        names = stored if names_file is None and stored else _listed(path, names_file)
        if array.dtype.kind not in "fiu" or array.ndim < 2 or len(names) != len(array):
            raise InputError(
                f"{path.name}: found an array of shape {array.shape} and type {array.dtype} with "
                f"{len(names)} names, expected features, a row per name; give those of one run"
            )
        yield Activations(path.name, array, False, _rows(path.name, names, images), images)


def _array_and_names(
    loaded: np.ndarray | np.lib.npyio.NpzFile, path: Path
) -> tuple[np.ndarray, list[str]]:
    if isinstance(loaded, np.ndarray):
        return loaded, []
    arrays = {key: array_of(loaded, key, path.name) for key in loaded.files}
    texts = [key for key, array in arrays.items() if array.dtype.kind in "SU"]
    numbers = [key for key in arrays if key not in texts]
    array = arrays[one_of(None, numbers, path.name, "array of features", "file")]
    return array, as_strings(arrays[texts[0]]) if len(texts) == 1 else []


def _listed(path: Path, names_file: str | Path | None) -> list[str]:
    found = Path(names_file) if names_file else path.with_name(NAMES_FILE)
    if not found.is_file():
        raise InputError(
            f"{path.name}: found no names of its rows ({found} does not exist), expected a text "
            "file with a name per row; give it as `names`"
        )
    return listed_names(found, None)


def _rows(what: str, names: Sequence[str], images: Sequence[str]) -> np.ndarray:
    """Return the row of each image, int array (n_images,)."""
    rule = rule_of_names(images, "normalised")
    rows = {key: row for row, key in enumerate(match_keys(names, rule, what))}
    wanted = match_keys(images, rule, "images of the subject")
    missing = [image for image, key in zip(images, wanted, strict=True) if key not in rows]
    if missing:
        raise InputError(
            f"{what}: found no row for the image {missing[0]!r} ({len(missing)} of {len(images)} "
            f"have none; the first row is {names[0]!r}), expected one for each; embed these "
            "images too, or correct the names"
        )
    return np.array([rows[key] for key in wanted])
