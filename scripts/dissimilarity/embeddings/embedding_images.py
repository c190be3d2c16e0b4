"""The images of a subject in the two forms that embeddings see: small, and as published."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from scripts.dissimilarity.data.pair_images import PairImages
from workflow.lib.errors import InputError
from workflow.lib.features.image_files import SUFFIXES, decoded
from workflow.lib.features.stimuli import Stimuli


@dataclass(frozen=True)
class EmbeddingImages:
    """What an embedding is made of.

    Attributes
    ----------
    prepared : PairImages
        All of one small size, as siamese networks and controls see them.
    originals : callable, () -> Stimuli
        Opens the images as published, as networks see them; the same names in the same order.
    n_gpus : int
        GPUs that the job was given.
    seed : int
        Of random weights.
    """

    prepared: PairImages
    originals: Callable[[], Stimuli]
    n_gpus: int = 0
    seed: int = 0

    @property
    def names(self) -> list[str]:
        """Names of the images."""
        return self.prepared.names

    def small(self) -> Stimuli:
        """Return the prepared images."""
        return Stimuli(
            self.names,
            lambda i: Image.fromarray(self.prepared.images[i]),
            list(range(len(self.names))),
        )


def stimuli_of_files(folder: Path, names: Sequence[str]) -> Stimuli:
    """Return the image files of a folder that have these names, their endings left out, in order.

    Raises
    ------
    InputError
        A name has no file.
    """
    files = {path.stem: path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES}
    missing = [name for name in names if name not in files]
    if missing:
        raise InputError(
            f"{folder}: found no image file called {missing[0]!r} ({len(missing)} of {len(names)} "
            f"are missing among {len(files)} files), expected one for each image of the subject; "
            "give the folder that they were prepared from, or prepare them again"
        )
    paths = [files[name] for name in names]
    return Stimuli(list(names), lambda i: decoded(paths[i], str(paths[i])), list(range(len(paths))))
