"""A copy of the repository in which the workflow is run as a user would run it."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]


class Checkout:
    """A copy of the working tree, and Snakemake in it."""

    def __init__(
        self,
        folder: Path,
        *,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Let commands run in `folder`, by another Python or with other environment variables."""
        self.folder = folder
        self.python = python
        self._environment = dict(environment or {})

    def snakemake(self, *arguments: str, ok: bool = True) -> str:
        """Run Snakemake and return what it printed; `ok` says whether it must succeed."""
        return self.run("snakemake", "--cores", "2", *arguments, ok=ok)

    def run(self, module: str, *arguments: str, ok: bool = True) -> str:
        """Run a Python module in the copy and return what it printed."""
        done = subprocess.run(
            [self.python, "-m", module, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=1500,
            # A cache of sources in the home folder would be shared between tests.
            env=os.environ | {"XDG_CACHE_HOME": str(self.folder / ".cache")} | self._environment,
        )
        printed = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, printed
        return printed

    def planned_jobs(self, *arguments: str) -> dict[str, int]:
        """Return how many jobs of each rule a dry run would do."""
        printed = self.snakemake("--dry-run", *arguments)
        if "Job stats:" not in printed:
            return {}
        lines = printed.split("Job stats:")[1].splitlines()[3:]
        jobs = {}
        for line in lines:
            rule, _, count = line.partition(" ")
            if not rule or rule == "total":
                break
            jobs[rule] = int(count)
        return jobs

    def write(self, path: str, text: str) -> Path:
        """Write a file below the copy."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def write_tiny(self, path: str, changes: Mapping) -> Path:
        """Write config/tiny.yaml with other values of some keys, blocks merged key by key.

        Keys keep their order, which is that of ROIs in files.
        """
        tiny = yaml.safe_load((self.folder / "config/tiny.yaml").read_text())
        return self.write(path, yaml.safe_dump(merged(tiny, changes), sort_keys=False))


def merged(block: Mapping, changes: Mapping) -> dict:
    """Return a block of a config with other values of some keys."""
    both = {**block, **changes}
    return {
        key: merged(block[key], value)
        if isinstance(value, Mapping) and isinstance(block.get(key), Mapping)
        else value
        for key, value in both.items()
    }


def copy_of_repository(folder: Path) -> Checkout:
    """Copy the files that git tracks or would track, as they are in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    _copy_compiled(folder)
    return Checkout(folder)


def _copy_compiled(folder: Path) -> None:
    """Copy what numba has compiled here: it holds in the copy, whose modules are of the same times.

    Other tests compile in the meantime; what is replaced just now is compiled again in the copy.
    """
    for file in (REPOSITORY / "workflow/lib").glob("*/__pycache__/*.nb[ic]"):
        compiled = folder / file.relative_to(REPOSITORY)
        compiled.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(file, compiled)
