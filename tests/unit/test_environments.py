"""Each rule's conda environment declares what its script and the library behind it import."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from workflow.lib.digest import imported_modules, module_file

ROOT = Path(__file__).parents[2]
# What a package is called where it is imported, and on conda-forge.
CONDA_NAMES = {
    "PIL": "pillow",
    "matplotlib": "matplotlib-base",
    "open_clip": "open_clip_torch",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "torch": "pytorch",
    "umap": "umap-learn",
    "yaml": "pyyaml",
}


def rules() -> list[tuple[str, str, str]]:
    """Return (rule, environment, script) of every rule that has both."""
    found = []
    for file in sorted((ROOT / "workflow/rules").rglob("*.smk")):
        # Rules that a loop writes have a name of their own.
        for text in re.split(r"^(?= *rule\b.*:$)", file.read_text(), flags=re.M):
            name = re.match(r" *rule (\w+):", text) or re.search(r'^ +f"(\w+)_\{', text, re.M)
            conda = re.search(r"envs/(\w+\.yaml)", text)
            script = re.search(r"scripts/([\w/]+\.py)\"\s*$", text, flags=re.M)
            if name and conda and script:
                found.append((name[1], conda[1], script[1]))
    return found


def third_party_imports(file: Path) -> set[str]:
    """Return the packages that a file imports, other than the standard library and its own."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"workflow", "scripts"}


def test_rules_were_found():
    assert len(rules()) >= 20


@pytest.mark.parametrize(("rule", "environment", "script"), rules(), ids=lambda value: value)
def test_environment_holds_what_the_rule_imports(rule, environment, script):
    declared = yaml.safe_load((ROOT / "envs" / environment).read_text())["dependencies"]
    lines = [
        line
        for entry in declared
        for line in (entry["pip"] if isinstance(entry, dict) else [entry])
    ]
    packages = {re.match(r"[\w-]+", line)[0] for line in lines}
    path = ROOT / "scripts" / script
    files = [path, *map(module_file, imported_modules(path))]
    needed = {CONDA_NAMES.get(name, name) for file in files for name in third_party_imports(file)}
    assert needed <= packages, f"{environment} lacks {sorted(needed - packages)}"


@pytest.mark.parametrize("file", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_environment_is_used(file):
    assert file.name in {environment for _, environment, _ in rules()}
