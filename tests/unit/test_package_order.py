"""Packages of workflow/lib need only those below them, so that each can be read by itself."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIB = ROOT / "workflow" / "lib"
# Packages and single modules, from those that need no other to those that nothing needs.
ORDER = (
    *("errors", "bombs", "words", "files", "interrupted", "seeds", "threads", "captions"),
    *("digest", "jobs", "tables"),
    *("sources", "corrections", "dealing", "references", "methods"),
    *("acquire", "layout", "layouts", "config"),
    *("arrays", "nifti", "rdms", "patterns", "features", "image_groups", "image_sets"),
    *("rsa", "inference", "pairs", "leakage", "searchlight", "embedding", "umap_embedding"),
    *("splits", "scores", "training", "prediction", "check", "plotting", "figures"),
)


def names():
    found = {path.stem for path in LIB.iterdir() if path.suffix == ".py" or path.is_dir()}
    return found - {"__init__", "__pycache__"}


def needed(name):
    """Return the packages and modules of the library that one of them imports, wherever in it."""
    package = LIB / name
    files = package.rglob("*.py") if package.is_dir() else [package.with_suffix(".py")]
    modules = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: a relative import"
                modules.add(node.module)
                modules |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
    parts = [module.split(".") for module in modules]
    return {part[2] for part in parts if part[:2] == ["workflow", "lib"] and len(part) > 2} - {name}


def test_every_package_has_its_place():
    assert set(ORDER) == names()
    assert len(set(ORDER)) == len(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_packages_need_those_before_them_only(name):
    assert needed(name) <= set(ORDER[: ORDER.index(name)])


# What is said of a data set for its readers, and is a field since its registry has it.
FOR_READERS = {"Dataset.licence"}


def docstrings(tree):
    """Return the nodes of docstrings, which use nothing that they name."""
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef)
    firsts = [node.body[0] for node in ast.walk(tree) if isinstance(node, owners) and node.body]
    return {id(first.value) for first in firsts if isinstance(first, ast.Expr)}


def used(tree):
    """Return names that are read, and attributes that are; text may name either, to `getattr`."""
    names, attributes, said = set(), set(), docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            attributes.add(node.attr)
        elif isinstance(node, ast.Constant) and id(node) not in said:
            attributes.add(node.value)
    return names | attributes, attributes


def defined(tree):
    """Return (what is defined, whether it belongs to a class): functions, constants, fields."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, False
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for part in (part for target in targets if target for part in ast.walk(target)):
            if isinstance(part, ast.Name):
                yield part.id, False
        # Another class may call the methods that one inherits from it.
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.AnnAssign):
                    yield f"{node.name}.{part.target.id}", True
                elif isinstance(part, ast.FunctionDef) and not node.bases:
                    yield f"{node.name}.{part.name}", True


def test_nothing_stands_there_that_nothing_uses():
    """Tests are no use: what they alone call may be wrong in them and in nothing else.

    By name alone: of two things with one name, the use of one is that of both.
    """
    tops = [ROOT / top for top in ("workflow", "scripts", "benchmarks")]
    rules = [ROOT / "Snakefile", *(file for top in tops for file in top.rglob("*.smk"))]
    in_rules = {
        word for file in rules for word in re.findall(r"\w+", re.sub(r"#.*", "", file.read_text()))
    }
    trees = {
        file.relative_to(ROOT): ast.parse(file.read_text())
        for top in tops
        for file in top.rglob("*.py")
    }
    read = [used(tree) for tree in trees.values()]
    names, attributes = (in_rules.union(*kind) for kind in zip(*read, strict=True))
    unused = [
        f"{file}: {name}"
        for file, tree in trees.items()
        for name, is_member in defined(tree)
        if name.split(".")[-1] not in (attributes if is_member else names)
        and not name.split(".")[-1].startswith("__")
        and name not in FOR_READERS
    ]
    assert unused == []
