"""What `make check` says of an entry of a config that a test writes."""

from collections.abc import Mapping

import yaml

from scripts.check.check_config import DATASETS_FILE, DEFAULT_CONFIG, check_study
from workflow.lib.acquire.datasets import load_datasets
from workflow.lib.config.complete import complete_config
from workflow.lib.config.merging import laid_over

REGISTRY = load_datasets(DATASETS_FILE)
DEFAULT = yaml.safe_load(DEFAULT_CONFIG.read_text())


def problems_of_entry(section: str, entry: Mapping, name: str = "lab") -> list[str]:
    """Return what the entry, the only study of a config, would stop at."""
    over = {"studies": [name], section: {name: entry}}
    return check_study(name, complete_config(laid_over(DEFAULT, over)), REGISTRY)
