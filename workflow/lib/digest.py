"""Digest of the code behind a script.

Snakemake reruns a rule when its script changes but does not see the modules that the script
imports: those of `workflow.lib`, and those that the scripts of one study share in their folder.
Rules carry this digest as a parameter, so that editing a module reruns exactly the rules that use
it. Imported while the Snakefile is parsed: standard library only.
"""

import ast
import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
OURS = ("workflow.lib", "scripts")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def code_digest(script: str | Path, *, itself: bool = False) -> str:
    """Return a digest of our own modules that a script imports, directly or not.

    Parameters
    ----------
    script : path of a Python file
    itself : bool
        Whether its own code counts, too.
    """
    digest = hashlib.sha256(_source(Path(script)).meaning if itself else b"")
    for module in imported_modules(Path(script)):
        digest.update(module.encode())
        digest.update(_source(module_file(module)).meaning)
    return digest.hexdigest()[:16]


def imported_modules(file: Path) -> list[str]:
    """Return the names of our own modules that a file needs, sorted."""
    found: set[str] = set()
    to_read = list(_direct_imports(file))
    while to_read:
        module = to_read.pop()
        if module not in found:
            found.add(module)
            to_read.extend(_direct_imports(module_file(module)))
    return sorted(found)


def module_file(module: str) -> Path:
    """Return the file of a module such as `workflow.lib.rdms.vectors`."""
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def _is_ours(module: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in OURS)


def _is_package(module: str) -> bool:
    return not module_file(module).exists()


class _Source(NamedTuple):
    """What a file imports of ours, as (module, names taken from it), and a digest of its code."""

    imports: tuple[tuple[str, tuple[str, ...]], ...]
    meaning: bytes


def _direct_imports(file: Path) -> list[str]:
    named: list[str] = []
    for module, names in _source(file).imports:
        if names and _is_package(module):
            named += [f"{module}.{name}" for name in names]
        else:
            named.append(module)
    return [module for module in named if not _is_package(module)]


def _source(file: Path) -> _Source:
    state = file.stat()
    return _read(file, state.st_mtime_ns, state.st_size)


# Most modules stand behind many scripts, and every call of Snakemake waits for all digests.
@functools.cache
def _read(file: Path, modified: int, size: int) -> _Source:
    """Read a file; comments, layout and docstrings change nothing in its meaning."""
    imports: list[tuple[str, tuple[str, ...]]] = []
    words: list[str] = []
    _take(ast.parse(file.read_bytes()), imports, words)
    return _Source(tuple(imports), hashlib.sha256(" ".join(words).encode()).digest())


def _take(part: object, imports: list[tuple[str, tuple[str, ...]]], words: list[str]) -> None:
    """Append the imports in a part of a syntax tree, and its words; docstrings are none of them.

    One walk for both: `ast.walk` and `ast.dump` would take three times as long.
    """
    if isinstance(part, list):
        words.append("[")
        for item in part:
            _take(item, imports, words)
        words.append("]")
    elif isinstance(part, ast.AST):
        if isinstance(part, ast.Import):
            imports += [(alias.name, ()) for alias in part.names if _is_ours(alias.name)]
        elif isinstance(part, ast.ImportFrom) and _is_ours(part.module or ""):
            imports.append((part.module, tuple(alias.name for alias in part.names)))
        elif isinstance(part, DOCUMENTED) and ast.get_docstring(part, clean=False):
            part.body = part.body[1:]
        words.append(type(part).__name__)
        for name in part._fields:
            _take(getattr(part, name, None), imports, words)
    else:
        words.append(repr(part))
