"""Say what a config would do before anything is run: names, missing files, time, memory, disk.

    python -m scripts.check.check_config config/my.yaml [--mirror FOLDER]

Exits with status 1 if a study could not run.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from workflow.lib.acquire.datasets import Dataset, load_datasets
from workflow.lib.config.complete import complete_config, entries_of
from workflow.lib.config.merging import laid_over
from workflow.lib.config.sections import study_sections
from workflow.lib.errors import InputError

REPOSITORY = Path(__file__).parents[2]
DEFAULT_CONFIG = REPOSITORY / "config" / "config.yaml"
DATASETS_FILE = REPOSITORY / "config" / "datasets.yaml"


def check_study(name: str, config: Mapping, datasets: Mapping[str, Dataset]) -> list[str]:
    """Print what a study would do, section by section, and return its problems, a sentence each."""
    problems = []
    for section, entry in entries_of(config, name).items():
        print(f"\n{section}.{name}: {entry['title']} (source: {entry['source']})")
        try:
            problems += study_sections()[section].check_entry(name, config, datasets)
        except InputError as error:
            problems.append(str(error))
    return [f"{name}: {problem}" for problem in problems]


def read_config(path: Path, mirror: str | None) -> dict:
    """Return a config laid over the default, completed, as a run would see it."""
    config = yaml.safe_load(DEFAULT_CONFIG.read_text())
    if not path.is_file():
        raise InputError(f"{path}: found no such file; give a config, make check CONFIG=<file>")
    try:
        over = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{path}: found no valid YAML ({error}); correct it there") from error
    return complete_config(laid_over(config, over, {"mirror": mirror} if mirror else {}))


def main() -> int:
    """Check the config named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="config laid over config/config.yaml")
    parser.add_argument("--mirror", help="folder searched for raw files first")
    arguments = parser.parse_args()
    problems = []
    try:
        config = read_config(arguments.config, arguments.mirror)
        datasets = load_datasets(DATASETS_FILE)
        print(f"{arguments.config}: run {config['run']}, results in results/{config['run']}/")
        for name in config["studies"]:
            problems += check_study(name, config, datasets)
    except InputError as error:
        problems.append(str(error))
    for problem in problems:
        print(f"\nproblem: {problem}", file=sys.stderr)
    print("\nnothing stands in the way" if not problems else f"\n{len(problems)} problem(s)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
