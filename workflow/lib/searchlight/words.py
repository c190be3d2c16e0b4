"""What figures and pages of maps say in the same words."""

import pandas as pd

from workflow.lib.searchlight.statistics import INFERENTIAL


def is_group(table: pd.DataFrame) -> bool:
    """Return whether a table of maps is that of a group."""
    return "n_subjects" in table


def whose(table: pd.DataFrame) -> str:
    """Return whose maps a table describes, and what they carry.

    A single case, or so many subjects; "(descriptive)" where these are too few for a test.
    """
    first = table.iloc[0]
    if not is_group(table):
        return f"subject {first['subject']}, a {first['status']}"
    test = "" if first["status"] == INFERENTIAL else f" ({first['status']})"
    return f"{int(first['n_subjects'])} subjects{test}"
