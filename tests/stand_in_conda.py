"""A stand-in for conda: builds environments as virtual ones, with pip at the pinned versions.

Answers what Snakemake asks of conda (snakemake/deployment/conda.py of the pinned version), and
nothing else. It proves what packages an environment declares, not what conda's solver makes of it.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

from tests.package_names import PYPI_NAMES

REPOSITORY = Path(__file__).parents[1]
# Scripts are run after `source <prefix>/bin/activate <environment>`.
ACTIVATE = 'export PATH="$1/bin:$PATH"\n'
COMMAND = """#!/bin/sh
PYTHONPATH="{repository}" exec "{python}" -m tests.stand_in_conda "{prefix}" "$@"
"""
CONDA_SPEC = re.compile(r"([\w-]+)(?: =([\d.]+))?")


def install(prefix: Path) -> Path:
    """Put the stand-in into a folder as `conda`, and return the folder to be put on PATH."""
    folder = prefix / "bin"
    folder.mkdir(parents=True)
    (folder / "activate").write_text(ACTIVATE)
    command = folder / "conda"
    command.write_text(COMMAND.format(repository=REPOSITORY, python=sys.executable, prefix=prefix))
    command.chmod(0o755)
    return folder


def requirements(file: Path) -> list[str]:
    """Return what pip is asked for in place of what an environment declares."""
    wanted = []
    for entry in yaml.safe_load(file.read_text())["dependencies"]:
        if isinstance(entry, dict):
            wanted += [line.replace(" ", "") for line in entry["pip"]]
            continue
        name, version = CONDA_SPEC.fullmatch(entry).groups()
        if name not in ("python", "pip"):
            wanted.append(f"{PYPI_NAMES.get(name, name)}=={version}.*")
    return wanted


def create(folder: Path, wanted: list[str]) -> None:
    """Make a virtual environment that holds some packages, and what these need, alone."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python")]
    constraints = str(REPOSITORY / "constraints.txt")
    subprocess.run(
        [*pip, "install", "-qq", "--no-compile", "--constraint", constraints, *wanted],
        check=True,
    )


def main(prefix: str, arguments: list[str]) -> None:
    """Answer one call of `conda`."""
    match arguments:
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": prefix, "platform": "linux-64"}))
        case ["--version"]:
            print("conda 24.9.2")
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", *_, "--file", file, "--prefix", folder]:
            create(Path(folder), requirements(Path(file)))
        case ["clean", *_]:
            pass
        case _:
            sys.exit(f"the stand-in for conda knows no `conda {' '.join(arguments)}`")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
