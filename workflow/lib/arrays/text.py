"""Text: cells of arrays and tables whatever their type, and lists of names."""

from pathlib import Path

import numpy as np
import pandas as pd

from workflow.lib.errors import InputError
from workflow.lib.words import told


def as_strings(values: np.ndarray) -> list[str]:
    """Return the values of an array of any shape and type, such as a MATLAB cell array, as str."""
    flat = np.asarray(values).ravel()
    return [as_string(value).strip() for value in flat]


def as_string(value: object) -> str:
    """Return one value of such an array as str; whole numbers without a point."""
    if isinstance(value, np.ndarray):  # a cell of a MATLAB cell array
        return as_string(value.item()) if value.size == 1 else "".join(map(str, value.ravel()))
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, np.floating) and np.isfinite(value) and value == np.rint(value):
        return str(int(value))  # MATLAB numbers its sessions 1.0 and 2.0
    return str(value)


def is_number(cell: object) -> bool:
    """Return whether a cell of a table reads as a number."""
    try:
        float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def listed_names(path: Path, column: str | None) -> list[str]:
    """Return the names in a list of conditions: its lines, or a column of a .csv or .tsv.

    Raises
    ------
    InputError
        The file is missing, not text, or lacks the column.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: found no such file, expected a list of condition names; correct "
            "`conditions.file` in the config"
        )
    try:
        if column is None:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            return [line.strip() for line in lines if line.strip()]
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        # Conditions may well be called NA, None or null.
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise InputError(
            f"{path.name}: found no readable text ({' '.join(str(error).split())}), expected a "
            "list of condition names; export it again as UTF-8 text"
        ) from error
    if column not in table:
        raise InputError(
            f"{path.name}: found the columns {told(table.columns)}, expected {column!r}; "
            "correct `conditions.column` in the config"
        )
    return [name.strip() for name in table[column]]
