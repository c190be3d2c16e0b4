"""Kinds of embeddings and of models of pairs, and what each needs; imports none of their code.

Read while rules are parsed: standard library only.
"""

import ast
import functools
from dataclasses import dataclass
from pathlib import Path

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


def model_kinds() -> list[str]:
    """Return the kinds of models there are."""
    return sorted(path.stem for path in MODELS.glob("*.py"))


@functools.cache
def is_stepwise(kind: str) -> bool:
    """Return whether a kind of model trains step by step, and so has a learning curve.

    Its class `Model` says so in `stepwise`, which is read without importing it.

    Raises
    ------
    InputError
        The class says nothing of it.
    """
    file = MODELS / f"{kind}.py"
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "stepwise":
            return ast.literal_eval(node.value)
    raise InputError(
        f"{file}: found no `stepwise`, expected `stepwise: ClassVar[bool] = True` or False in the "
        "class Model; add it"
    )
