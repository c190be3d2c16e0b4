"""Files under config/ that configs name, wherever a run is started.

Imported while the Snakefile is parsed: standard library alone.
"""

from pathlib import Path
from typing import Any

FOLDER = "config"


def with_shipped_files(config: Any, repository: Path) -> Any:
    """Return a config in which tables that come with this repository are found from anywhere.

    Configs name them by paths such as config/bold5000/published.csv. A workflow that uses this one
    as a module runs in a folder of its own, whose files of these names go before ours.

    Parameters
    ----------
    config : a config, or a part of one
    repository : folder of this repository
    """
    if isinstance(config, dict):
        return {key: with_shipped_files(value, repository) for key, value in config.items()}
    if isinstance(config, list):
        return [with_shipped_files(value, repository) for value in config]
    if isinstance(config, str) and config.startswith(f"{FOLDER}/") and not Path(config).exists():
        shipped = repository / config
        return str(shipped) if shipped.is_file() else config
    return config
