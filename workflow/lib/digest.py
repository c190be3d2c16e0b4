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

ROOT = Path(__file__).parents[2]
OURS = ("workflow.lib", "scripts")


def code_digest(script: str | Path) -> str:
    """Return a digest of our own modules that a script imports, directly or not.

    Parameters
    ----------
    script : path of a Python file
    """
    digest = hashlib.sha256()
    for module in imported_modules(Path(script)):
        digest.update(module.encode())
        digest.update(_meaning(module_file(module).read_bytes()).encode())
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
    return _is_ours(module) and not module_file(module).exists()


@functools.cache
def _direct_imports(file: Path) -> tuple[str, ...]:
    named: list[str] = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            named += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and _is_package(node.module or ""):
            named += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            named.append(node.module or "")
    return tuple(module for module in named if _is_ours(module) and not _is_package(module))


@functools.cache
def _meaning(code: bytes) -> str:
    """Return the syntax tree of a module without docstrings: comments and layout change nothing."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
