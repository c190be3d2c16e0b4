"""Packages of workflow/lib need only those below them, so that each can be read by itself."""

import ast
import re
from collections import Counter
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


def test_nothing_stands_there_that_nothing_uses():
    """Tests are no use: what they alone call may be wrong in them and in nothing else."""
    files = [ROOT / "Snakefile"]
    for top in ("scripts", "workflow"):
        files += [*(ROOT / top).rglob("*.py"), *(ROOT / top).rglob("*.smk")]
    texts = {file: file.read_text() for file in files}
    words = Counter(word for text in texts.values() for word in re.findall(r"\w+", text))
    defined = {
        f"{file.relative_to(ROOT)}: {name}": words[name]
        for file, text in texts.items()
        for name in re.findall(r"^(?:def|class) (\w+)", text, re.M)
    }
    assert [name for name, count in defined.items() if count == 1] == []
