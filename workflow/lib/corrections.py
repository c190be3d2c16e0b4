"""Rows of the table "original against ours": what was corrected, in numbers where there are any."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

DIGITS_SHOWN = 3


@dataclass(frozen=True)
class Correction:
    """One number of the original beside ours.

    Attributes
    ----------
    correction : what was corrected
    measure : what the numbers are
    original : float
        As the published code has it, run on the study's own data; NaN where it has none.
    ours : float
        NaN where there is none, or where it holds by construction.
    note : what the original does, and what stands in its place
    low, high : float
        95 % interval of ours; NaN where it has none.
    """

    correction: str
    measure: str
    original: float
    ours: float
    note: str
    low: float = np.nan
    high: float = np.nan


COLUMNS = list(Correction.__dataclass_fields__)


def corrections_table(rows: Sequence[Correction]) -> pd.DataFrame:
    """Return a row per correction."""
    return pd.DataFrame([asdict(row) for row in rows], columns=COLUMNS)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with numbers as a reader wants them; what there is not is a dash."""

    def number(value: float, low: float = np.nan, high: float = np.nan) -> str:
        if np.isnan(value):
            return "-"
        interval = "" if np.isnan(low) else f" [{low:.{DIGITS_SHOWN}g}, {high:.{DIGITS_SHOWN}g}]"
        return f"{0 if abs(value) < 1e-9 else value:.{DIGITS_SHOWN}g}{interval}"

    return table.drop(columns=["low", "high"]).assign(
        original=list(map(number, table["original"])),
        ours=list(map(number, table["ours"], table["low"], table["high"])),
    )
