"""Kinds of embeddings and of models of pairs, and what each needs; imports none of their code.

Read while rules are parsed: standard library only.
"""

import ast
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow.lib.errors import InputError

# A kind of model is a file there.
MODELS = Path(__file__).parents[3] / "scripts" / "dissimilarity" / "models"


@dataclass(frozen=True)
class Embedder:
    """A kind of embedding.

    Attributes
    ----------
    module : str
        Of scripts/dissimilarity/embedders, which makes it in its function `embed`.
    keys : tuple of str
        That its block of the config cannot do without.
    originals : bool
        Whether it is made of the images as published, not of the prepared ones.
    """

    module: str
    keys: tuple[str, ...] = ()
    originals: bool = False


EMBEDDERS = {
    "pixel": Embedder("controls"),
    "gabor": Embedder("controls"),
    "colour_histogram": Embedder("controls"),
    "network": Embedder("networks", keys=("network", "layer", "weights"), originals=True),
    "clip": Embedder("clip", keys=("weights",), originals=True),
    "file": Embedder("feature_files", keys=("file",)),
}
# The components of several embeddings side by side; it is made where it is used.
JOINED = "joined"


# Keys of an embedding that name files, which may be others for each subject.
FILE_KEYS = ("file", "names")


def file_of_subject(file: str, subject: str) -> str:
    """Return the file of an embedding that is a subject's: {subject} stands for its name."""
    return file.replace("{subject}", subject)


def model_kinds() -> list[str]:
    """Return the kinds of models there are."""
    return sorted(path.stem for path in MODELS.glob("*.py"))


def is_stepwise(kind: str) -> bool:
    """Return whether a kind of model trains step by step, and so has a learning curve."""
    return declared(kind, "stepwise")


def needs(kind: str) -> tuple[str, ...]:
    """Return what a kind of model learns from: features, distances, images or responses."""
    return declared(kind, "needs")


def has_leaked(kind: str) -> bool:
    """Return whether a kind of model has a leaked split; models of responses have none."""
    return declared(kind, "leaked")


@functools.cache
def declared(kind: str, name: str) -> Any:
    """Return what the class `Model` of a kind says of it, without importing it.

    Raises
    ------
    InputError
        The class says nothing of it.
    """
    file = MODELS / f"{kind}.py"
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            return ast.literal_eval(node.value)
    raise InputError(
        f"{file}: found no `{name}`, expected `{name}: ClassVar[...]` with a literal in the class "
        "Model; add it"
    )
