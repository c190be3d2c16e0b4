"""Options of models of pairs, checked without importing the models, which takes seconds.

Options are the fields of the dataclass `Model` in scripts/dissimilarity/models/<kind>.py and of the
classes that it is made of. Read while rules are parsed: standard library only.
"""

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

from workflow.lib.config.pair_kinds import MODELS
from workflow.lib.errors import InputError
from workflow.lib.words import listed, near

ROOT = Path(__file__).parents[3]
# Annotation -> types of values that fit it. Of a list the members are left to the model.
TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "None": (type(None),),
    "Sequence": (list, tuple),
    "tuple": (list, tuple),
}
# How users know the types.
CALLED = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "None": "nothing",
    "Sequence": "a list",
    "tuple": "a list",
}


@functools.cache
def model_options(kind: str) -> dict[str, str]:
    """Return option -> annotation of a kind of model, those of its base classes first."""
    nodes = _fields(MODELS / f"{kind}.py", "Model")
    return {ast.unparse(node.target): ast.unparse(node.annotation) for node in nodes}


def default_option(kind: str, option: str) -> object:
    """Return what an option of a kind is where the config says nothing; it is a literal there.

    Raises
    ------
    KeyError
        A kind without this option.
    """
    nodes = _fields(MODELS / f"{kind}.py", "Model")
    return ast.literal_eval({ast.unparse(node.target): node.value for node in nodes}[option])


def check_options(kind: str, options: Mapping, where: str) -> None:
    """Raise InputError for an option that a kind does not have, or a value of another type."""
    known = model_options(kind)
    for option, value in options.items():
        if option not in known:
            raise InputError(
                f"{where}: found the option {option!r} for the kind {kind}, expected one of "
                f"{listed(known)}{near(option, known)}"
            )
        wanted = [part.strip().split("[")[0] for part in known[option].split("|")]
        if not any(_fits(value, TYPES[name]) for name in wanted):
            expected = " or ".join(CALLED[name] for name in wanted)
            raise InputError(
                f"{where}.{option}: found {value!r:.80}, expected {expected}"
                f"{_as_number(value) if 'float' in wanted else ''}; correct it"
            )


def _fits(value: object, types: tuple[type, ...]) -> bool:
    # To Python, true is a number.
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _as_number(value: object) -> str:
    """Return a hint for numbers such as 1e-3, which YAML takes for text."""
    try:
        return f", written {float(value)!r}" if isinstance(value, str) else ""
    except ValueError:
        return ""


def _fields(file: Path, name: str) -> Iterator[ast.AnnAssign]:
    """Yield the fields of a dataclass that it is made with, those of its base classes first."""
    tree = ast.parse(file.read_bytes())
    found = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    modules = {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for base in map(ast.unparse, found.bases):
        yield from _fields(ROOT.joinpath(*modules[base].split(".")).with_suffix(".py"), base)
    for node in found.body:
        if isinstance(node, ast.AnnAssign) and not _is_made_inside(node):
            yield node


def _is_made_inside(node: ast.AnnAssign) -> bool:
    """Return whether an attribute is one of the class, or one that fitting gives."""
    if ast.unparse(node.annotation).startswith("ClassVar"):
        return True
    keywords = node.value.keywords if isinstance(node.value, ast.Call) else []
    return any(
        keyword.arg == "init" and ast.literal_eval(keyword.value) is False for keyword in keywords
    )
