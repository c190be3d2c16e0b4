"""Each rule's conda environment declares what its script and the library behind it import.

None of this needs conda: what is declared is held against imports and against what pip installs.
"""

import ast
import functools
import re
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

from tests.package_names import NAMES, PYPI_NAMES
from workflow.lib.digest import imported_modules, module_file

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


# What runs scripts, what installs packages that conda-forge lacks, and the bar that pooch draws.
NOT_IMPORTED = {"python", "pip", "tqdm"}
# Scripts that import modules by names out of the config: those of such paths.
CHOSEN_BY_NAME = {
    "dissimilarity/fits/fit_pair_model.py": "dissimilarity/models/*.py",
    "dissimilarity/embeddings/embed_images.py": "dissimilarity/embedders/*.py",
    "report/write_methods.py": "*/methods.py",
}
CONDA_SPEC = re.compile(r"([a-z0-9_-]+) =(\d+\.\d+)")
PIP_SPEC = re.compile(r"([a-z0-9_-]+) ==(\d+\.\d+(?:\.\d+)*)")


def read(file: Path) -> dict:
    return yaml.safe_load(file.read_text())


def declared(file: Path) -> tuple[list[str], list[str]]:
    """Return the lines of an environment that are conda's, and those that are pip's."""
    entries = read(file)["dependencies"]
    pip = [line for entry in entries if isinstance(entry, dict) for line in entry["pip"]]
    return [entry for entry in entries if isinstance(entry, str)], pip


def packages(file: Path) -> set[str]:
    return {re.match(r"[\w-]+", line)[0] for lines in declared(file) for line in lines}


def pins(file: Path) -> dict[str, str]:
    """Return PyPI name -> the version that an environment pins, major and minor of conda's."""
    conda, pip = declared(file)
    found = [CONDA_SPEC.fullmatch(line) for line in conda if line != "pip"]
    found += [PIP_SPEC.fullmatch(line) for line in pip]
    return {PYPI_NAMES.get(match[1], match[1]): match[2] for match in found}


@functools.cache
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


@functools.cache
def third_party_imports(file: Path) -> set[str]:
    """Return the packages that a file imports, other than the standard library and its own."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"workflow", "scripts"}


def packages_behind(script: str) -> set[str]:
    """Return the packages that a script and our modules behind it import, as conda names them."""
    path = ROOT / "scripts" / script
    chosen = CHOSEN_BY_NAME.get(script)
    by_name = (ROOT / "scripts").glob(chosen) if chosen else []
    started = [path, *by_name]
    modules = {module for file in started for module in imported_modules(file)}
    names = {
        name
        for file in [*started, *map(module_file, modules)]
        for name in third_party_imports(file)
    }
    return {NAMES[name].conda if name in NAMES else name for name in names}


def test_rules_were_found():
    assert len(rules()) >= 20


@pytest.fixture(scope="module")
def rules_of_snakemake():
    """Return (rule, environment, script) of every rule as Snakemake reads them, None of neither.

    Rules without a name, and those taken from others by `use rule`, are among them.
    """
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        flow = api.workflow(
            resource_settings=ResourceSettings(), snakefile=ROOT / "Snakefile", workdir=ROOT
        )
        return [(rule.name, environment_of(rule), rule.script) for rule in flow._workflow.rules]


def environment_of(rule):
    return None if rule.conda_env is None else Path(str(rule.conda_env)).name


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_environment_is_pinned_to_minor_versions_of_conda_forge_alone(file):
    content = read(file)
    assert list(content) == ["channels", "dependencies"]
    assert content["channels"] == ["conda-forge", "nodefaults"]
    conda, pip = declared(file)
    for line in conda:
        assert CONDA_SPEC.fullmatch(line) or (line == "pip" and pip), line
    for line in pip:
        assert PIP_SPEC.fullmatch(line), line
    assert ("pip" in conda) == bool(pip)
    names = [re.match(r"[\w-]+", line)[0] for line in (*conda, *pip)]
    assert len(set(names)) == len(names)
    assert names[0] == "python"


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_pins_are_those_that_make_run_installs(file):
    lines = re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE
    )
    installed = {name.lower(): version for name, version in lines}
    installed["python"] = re.search(r"python(3\.\d+)", (ROOT / "Makefile").read_text())[1]
    of_pip = {PIP_SPEC.fullmatch(line)[1] for line in declared(file)[1]}
    for name, version in pins(file).items():
        whole = installed[name]
        assert version == (whole if name in of_pip else ".".join(whole.split(".")[:2])), name


def test_every_rule_with_a_script_has_an_environment(rules_of_snakemake):
    assert len(rules_of_snakemake) >= 20
    without = {rule for rule, environment, script in rules_of_snakemake if not environment}
    # What only lists what is wanted runs nothing.
    assert without == {"all"}
    assert {rule for rule, _, script in rules_of_snakemake if not script} == {"all"}


def test_no_environment_or_script_of_any_rule_is_overlooked(rules_of_snakemake):
    found = {
        (environment, script.partition("scripts/")[2])
        for _, environment, script in rules_of_snakemake
        if script
    }
    # Some rules are there only where a config wants them.
    assert found <= {(environment, script) for _, environment, script in rules()}


@pytest.mark.parametrize(("rule", "environment", "script"), rules(), ids=lambda value: value)
def test_environment_holds_what_the_rule_imports(rule, environment, script):
    file = ROOT / "envs" / environment
    needed = packages_behind(script)
    assert needed <= packages(file), f"{environment} lacks {sorted(needed - packages(file))}"


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_every_environment_is_used_and_holds_nothing_that_is_not(file):
    scripts = [script for _, environment, script in rules() if environment == file.name]
    assert scripts
    used = set().union(*map(packages_behind, scripts))
    assert packages(file) <= used | NOT_IMPORTED
