"""Tidy tables: written whole, with numbers that read back as they were."""

import html
from pathlib import Path

import pandas as pd

from workflow.lib.files import written_whole

# Enough digits to compare runs, few enough that float32 sums print alike on every machine.
FLOAT_FORMAT = "%.9g"

# Columns of labels, which can look like numbers or like missing values.
LABELS = (
    *("study", "subject", "session", "roi", "model", "layer", "comparator", "group"),
    *("name", "label", "file", "first", "second", "chosen", "models"),
    *("category", "predicted"),
    *("kind", "embedding", "variant", "split", "metric", "measure", "status", "reason"),
    "data",
)


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a tidy table as CSV."""
    with written_whole(path) as temporary:
        table.to_csv(temporary, index=False, float_format=FLOAT_FORMAT)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table; labels such as subject "01" and image "NA" stay text, in their order."""
    return pd.read_csv(
        path, dtype=dict.fromkeys(LABELS, str), keep_default_na=False, na_values=[""]
    )


HTML_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px sans-serif; margin: 1.5em; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: 0.25em 0.7em; border-bottom: 1px solid #ddd; text-align: left; }}
thead th {{ border-bottom: 2px solid #555; position: sticky; top: 0; background: white; }}
</style></head><body><h1>{title}</h1>{table}{note}</body></html>
"""


def write_html(
    table: pd.DataFrame, path: str | Path, *, title: str, simulated: bool, note: str = ""
) -> None:
    """Write a table as a page for the report, saying so where the data is simulated.

    A note stands below the table.
    """
    heading = html.escape(f"{title} (simulated data)" if simulated else title)
    body = table.to_html(index=False, border=0, na_rep="")
    with written_whole(path) as temporary:
        below = f"<p>{html.escape(note)}</p>" if note else ""
        page = HTML_PAGE.format(title=heading, table=body, note=below)
        temporary.write_text(page, encoding="utf-8")
