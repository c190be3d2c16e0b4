"""Documents that are made from code are current, and pins agree with one another."""

import ast
import functools
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

from scripts.docs.write_config_readme import README, document

ROOT = Path(__file__).parents[2]


def pins(text: str) -> dict[str, str]:
    """Return package -> version of lines such as numpy==2.4.6."""
    return {
        name.lower(): version
        for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", text, flags=re.MULTILINE)
    }


def test_config_readme_is_what_the_schema_says():
    assert (ROOT / README).read_text() == document(), "run `make docs`"


def test_pins_agree_with_the_constraints():
    constraints = pins((ROOT / "constraints.txt").read_text())
    for file in ("requirements.txt", "requirements-dev.txt"):
        for name, version in pins((ROOT / file).read_text()).items():
            assert constraints[name] == version, name


@pytest.mark.parametrize("file", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda file: file.stem)
def test_environments_pin_the_versions_of_the_requirements(file):
    required = pins((ROOT / "requirements.txt").read_text())
    # What conda-forge calls otherwise.
    pypi_names = {"matplotlib-base": "matplotlib", "pytorch": "torch"}
    environment = yaml.safe_load(file.read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    from_pip = [
        pin
        for entry in environment["dependencies"]
        if isinstance(entry, dict)
        for pin in entry["pip"]
    ]
    for entry in conda + from_pip:
        name, _, version = entry.replace("==", "=").partition("=")
        name = pypi_names.get(name.strip(), name.strip())
        if name in ("python", "pip"):
            continue
        assert f"{required[name]}.".startswith(f"{version.strip()}."), f"{file.name}: {entry}"


@functools.cache
def defined_in(module: Path) -> set[tuple[str, ...]]:
    """Return what a module defines at its top, imports left out, and what its classes do."""
    found = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add((node.name,))
        if isinstance(node, ast.ClassDef):
            names = {part.target.id for part in node.body if isinstance(part, ast.AnnAssign)}
            names |= {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
            found |= {(node.name, name) for name in names}
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            parts = (part for target in targets for part in ast.walk(target))
            found |= {(part.id,) for part in parts if isinstance(part, ast.Name)}
    return found


def stands_where_it_is_said(mention: str) -> bool:
    """Return whether package.module.name is a package, a module, or a name that it defines."""
    place, parts = ROOT, mention.split(".")
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    module = place / f"{parts[0]}.py" if parts else place
    if module.is_file() and parts[1:]:
        return tuple(parts[1:]) in defined_in(module)
    return module.exists()


@pytest.mark.parametrize("top", ["workflow", "scripts", "benchmarks", "docs", "tests"])
def test_what_a_text_names_stands_where_it_says(top):
    kinds = (".py", ".smk", ".md", ".rst", ".yaml")
    files = [file for file in (ROOT / top).rglob("*") if file.suffix in kinds]
    mentions = {
        f"{file.relative_to(ROOT)}: {mention}": mention
        for file in files
        for mention in re.findall(
            r"`((?:workflow|scripts|benchmarks)(?:\.\w+)+)`", file.read_text()
        )
    }
    assert [where for where, name in mentions.items() if not stands_where_it_is_said(name)] == []


def targets_and_configs(command: str) -> tuple[list[str], list[str]]:
    """Return what Snakemake itself takes for targets and for configs in a command line."""
    given = get_argument_parser().parse_args(command.split("snakemake ", 1)[1].split())
    return given.targets, [str(file) for file in given.configfile]


def test_one_figure_of_a_config_is_asked_for_as_snakemake_reads_it():
    """--configfile takes all that follows for configs."""
    figure, config = "results/mine/my_study/figures/heatmap_s1.png", "config/my.yaml"
    make = ["make", "--no-print-directory", "--dry-run", "figure", f"F={figure}"]
    shown = subprocess.run(
        [*make, f"CONFIG={config}"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    in_readme = re.findall(rf"^snakemake .*{figure}.*$", (ROOT / "README.md").read_text(), re.M)
    for command in (shown.splitlines()[-1], *in_readme):
        assert targets_and_configs(command) == ([figure], [config]), command
    assert in_readme
