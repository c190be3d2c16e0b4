"""Tidy tables: written whole, with numbers that read back as they were."""

from pathlib import Path

import pandas as pd

from workflow.lib.files import written_whole

# Enough digits to compare runs, few enough that float32 sums print alike on every machine.
FLOAT_FORMAT = "%.9g"


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a tidy table as CSV."""
    with written_whole(path) as temporary:
        table.to_csv(temporary, index=False, float_format=FLOAT_FORMAT)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table; labels such as subject "01" and layer "3" stay text, in their order."""
    labels = ("study", "subject", "session", "roi", "model", "layer", "comparator", "group")
    return pd.read_csv(path, dtype=dict.fromkeys(labels, str), keep_default_na=True)
