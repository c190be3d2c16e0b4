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
from workflow.lib.check.files import find_paths, homeless_files
from workflow.lib.config.complete import complete_config, entries_of, section_raw_paths
from workflow.lib.config.merging import laid_over
from workflow.lib.config.sections import sections, study_sections
from workflow.lib.errors import InputError
from workflow.lib.layout import RESOURCES

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
    # Sections share files, and the check of an entry may have stopped where they are named.
    more = []
    for section in sections():
        try:
            more += _path_problems(section, name, config, datasets)
        except InputError as error:
            more.append(str(error))
    problems += [problem for problem in dict.fromkeys(more) if problem not in problems]
    return [f"{name}: {problem}" for problem in problems]


def _path_problems(
    section: str, name: str, config: Mapping, datasets: Mapping[str, Dataset]
) -> list[str]:
    """Return the problems that raw files which a section names of a study cannot be brought in.

    Sections whose entries add to a study, and have no check of their own, print their files here.
    """
    problems, mirror = [], config["mirror"]
    paths = section_raw_paths(config, section, name, datasets)
    if paths and section not in study_sections():
        print(f"\n{section}.{name}: files of {name} beside those above")
        problems = find_paths(paths, datasets, mirror)
    # Of these nothing is downloaded, so that their own check has said what is missing.
    blocks = sections()[section].dataset_blocks(config[section][name]) if paths else []
    copied = [f"{RESOURCES}/{block['dataset']}/" for block in blocks if block["source"] == "mirror"]
    fetched = [path for path in paths if not path.startswith(tuple(copied))]
    return problems + homeless_files(fetched, datasets, mirror)


def read_config(path: Path, mirror: str | None) -> dict:
    """Return a config laid over the default, completed, as a run would see it."""
    config = yaml.safe_load(DEFAULT_CONFIG.read_text())
    if not path.is_file():
        raise InputError(f"{path}: found no such file; give a config, make check CONFIG=<file>")
    try:
        over = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{path}: found no valid YAML ({error}); correct it there") from error
    if not isinstance(over, Mapping):
        raise InputError(
            f"{path}: found {over!r:.80}, expected keys with their values; write `run: <name>` and "
            "what else config/README.md has"
        )
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
