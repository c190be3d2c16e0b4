"""Claims of the original studies, and the rules by which a run says what becomes of them.

A section of the config keeps them in config/<section>/claims.csv, a row per claim: `claim`, its
name; `statement`; `published`, a number or nothing; `source`; `dataset`, the registry's name of the
data that it speaks of; `entry`, the studies that can answer it, a regular expression, all of the
section if empty; `rule`, see `RULES` and `WITHOUT_TABLE`; `table`, one of those that the section is
told of; `where`, its row; `how`, what is taken of several rows (min, max or mean); `value`, `low`
and `high`, its columns; `against`, what it is held to.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.lib.errors import InputError

SIMULATED, ORIGINAL, OTHER = "simulated", "the original's", "other"
# Data set of studies that can read no other than the original's.
ITS_OWN = "its own"
REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided"
LEAK, NO_LEAK = "leak", "no leak found"
CORRECTED, NO_MISTAKE = "corrected", "no difference"
BY_DEFINITION = "differs by definition"
# Of other data than the original's.
LEAK_SHOWN, MISTAKE_SHOWN = "leak (mechanism)", "corrected (mechanism)"
UNTESTED, NOT_RUN, NO_NUMBER = "untested", "not run", "no number"
NOT_MEASURED = "not measured here"
# How far an interval may reach from the published number that it reproduces: a wide one holds any
# number, and tells nothing of it. Of measures whose scale is 1: shares, areas, correlations, R².
MARGIN = 0.05
VERDICTS = {
    REPRODUCED: "the interval holds the published number and reaches no further than "
    f"{MARGIN:g} from it or, of a direction, lies beyond the value or interval that it is held to; "
    "a number without interval agrees to the digits that were published",
    NOT_REPRODUCED: "the interval lies elsewhere",
    UNDECIDED: f"the interval holds the published number, and numbers further than {MARGIN:g} from "
    "it; or it holds the value that it is held to (of a leak, zero; of a mistake, the number of "
    "the original's way), or overlaps the interval of that value",
    LEAK: "what was seen in training scores higher: the interval of the difference lies above "
    "zero, or the two intervals do not overlap",
    LEAK_SHOWN: "the same on simulated or other data, which shows that the way leaks, not that the "
    "original's number is a leak",
    NO_LEAK: "it does not: the interval lies at zero or below, or below the other one",
    CORRECTED: "the original's way gives another number here than the right one, outside the "
    "interval where there is one",
    MISTAKE_SHOWN: "the same on simulated or other data",
    NO_MISTAKE: "both give the same number here",
    BY_DEFINITION: "the two ways differ whatever the data; the numbers say by how much here",
    UNTESTED: "a claim about the original's data cannot be tested on simulated or other data",
    NOT_RUN: "this run has no such study, model or table",
    NO_NUMBER: "the original gives nothing that could be held to ours",
    NOT_MEASURED: "a mistake of the original's code that is not repeated here, and what it does to "
    "results is not measured by any run",
}
# What verdicts become where data is not the original's: any data can show how a mistake works.
SHOWN = {LEAK: LEAK_SHOWN, CORRECTED: MISTAKE_SHOWN}
COLUMNS = (
    *("claim", "statement", "published", "source", "dataset", "entry", "rule", "table", "where"),
    *("how", "value", "low", "high", "against"),
)
HOW = {"min": np.min, "max": np.max, "mean": np.mean}


@dataclass(frozen=True)
class Found:
    """What a run found: a number with its interval, and what it is compared with.

    NaN where there is none. `digits` are those after the point of the published number.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    against: float = math.nan
    against_low: float = math.nan
    against_high: float = math.nan
    published: float = math.nan
    digits: int = 0

    @property
    def interval(self) -> tuple[float, float]:
        """Return the interval; the number itself where there is none."""
        known = math.isfinite(self.low) and math.isfinite(self.high)
        return (self.low, self.high) if known else (self.value, self.value)

    @property
    def held_to(self) -> tuple[float, float]:
        """Return the interval of what it is compared with; the number where there is none."""
        known = math.isfinite(self.against_low) and math.isfinite(self.against_high)
        return (self.against_low, self.against_high) if known else (self.against, self.against)


def number(found: Found) -> str:
    """Return whether the interval holds the published number, and no number far from it.

    The published number is known up to its rounding. Where all of the interval lies within `MARGIN`
    of it, the two are equivalent by two one-sided tests (Schuirmann 1987); a number without
    interval has to agree to the published digits.
    """
    half = 0.5 * 10.0**-found.digits
    low, high = found.interval
    if not low - half <= found.published <= high + half:
        return NOT_REPRODUCED
    margin = max(MARGIN, half)
    near = found.published - margin <= low and high <= found.published + margin
    return REPRODUCED if near else UNDECIDED


def above(found: Found) -> str:
    """Return whether the interval lies above the value, or the interval, that it is held to."""
    if found.interval[0] > found.held_to[1]:
        return REPRODUCED
    return NOT_REPRODUCED if found.interval[1] <= found.held_to[0] else UNDECIDED


def leak(found: Found) -> str:
    """Return whether the leaked score is above the clean one, or their difference above zero."""
    if found.interval[0] > found.held_to[1]:
        return LEAK
    return NO_LEAK if found.interval[1] <= found.held_to[0] else UNDECIDED


def error(found: Found) -> str:
    """Return whether the original's way gives another number than ours, beyond its interval."""
    if math.isclose(found.value, found.against, abs_tol=1e-9):
        return NO_MISTAKE
    low, high = found.interval
    return UNDECIDED if low <= found.against <= high else CORRECTED


def definition(found: Found) -> str:
    """Return that two ways differ by what they are: no data could show otherwise."""
    return BY_DEFINITION


RULES: dict[str, Callable[[Found], str]] = {
    "number": number,
    "above": above,
    "leak": leak,
    "error": error,
    "definition": definition,
}
# Rules of claims that are held to no table.
WITHOUT_TABLE = {"none": NO_NUMBER, "unmeasured": NOT_MEASURED}
# Rules of claims about the original's data, which no other data can test.
OF_ITS_DATA = ("number", "above")


def rules_text(given: Iterable[str]) -> str:
    """Return the rules behind those verdicts that are given, in their order."""
    given = set(given)
    return "; ".join(f"{verdict}: {rule}" for verdict, rule in VERDICTS.items() if verdict in given)


def read_claims(path: str | Path) -> pd.DataFrame:
    """Return a row per claim.

    Raises
    ------
    InputError
        Other columns, a rule that there is not, or a claim told twice.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if tuple(table.columns) != COLUMNS:
        raise InputError(
            f"{path}: found the columns {', '.join(table.columns)}, expected {', '.join(COLUMNS)}; "
            "correct them"
        )
    for row in table.itertuples():
        if row.rule not in (known := (*RULES, *WITHOUT_TABLE)):
            raise InputError(
                f"{path}, {row.claim}: found the rule {row.rule!r}, expected one of "
                f"{', '.join(known)}; correct it"
            )
    if table["claim"].duplicated().any():
        twice = table.loc[table["claim"].duplicated(), "claim"].iloc[0]
        raise InputError(f"{path}: found {twice!r} twice, expected a name per claim; rename one")
    return table


def kind_of_data(source: str, dataset: str | None, claimed: str) -> str:
    """Return whose data a study has, as seen by a claim about a data set."""
    if source == "simulated":
        return SIMULATED
    return ORIGINAL if dataset in (claimed, ITS_OWN) else OTHER


def asks(claim: Mapping[str, str], study: str) -> bool:
    """Return whether a study can answer a claim."""
    return not claim["entry"] or re.fullmatch(claim["entry"], study) is not None


def judged(claim: Mapping[str, str], table: pd.DataFrame | None, data: str) -> tuple[Found, str]:
    """Return what a run found on a claim, and the verdict.

    Parameters
    ----------
    claim : row of `read_claims`
    table : its table; None where the run has none
    data : of `kind_of_data`
    """
    if claim["rule"] in WITHOUT_TABLE:
        return Found(math.nan), WITHOUT_TABLE[claim["rule"]]
    found = None if table is None else look_up(claim, table)
    if found is None or not math.isfinite(found.value):
        return Found(math.nan), NOT_RUN
    if not math.isfinite(found.published if claim["rule"] == "number" else found.against):
        return found, NOT_RUN
    verdict = RULES[claim["rule"]](found)
    if data == ORIGINAL:
        return found, verdict
    return found, UNTESTED if claim["rule"] in OF_ITS_DATA else SHOWN.get(verdict, verdict)


def look_up(claim: Mapping[str, str], table: pd.DataFrame) -> Found | None:
    """Return the numbers of a claim in its table, None where no row answers it.

    Raises
    ------
    InputError
        Several rows without a word on what is taken of them.
    """
    rows = table.query(claim["where"]) if claim["where"] else table
    if rows.empty:
        return None
    numbers = {name: _taken(claim, rows, claim[name]) for name in ("value", "low", "high")}
    published = float(claim["published"]) if claim["published"] else math.nan
    digits = len(claim["published"].partition(".")[2])
    compared = _compared(claim, table, rows)
    # A mistake is measured only where the original's way was run, too.
    if not compared and claim["rule"] == "definition":
        compared = {"against": published}
    return Found(**numbers, **compared, published=published, digits=digits)


def _compared(
    claim: Mapping[str, str], table: pd.DataFrame, rows: pd.DataFrame
) -> dict[str, float]:
    """Return what a number is held to: a value, a column of its row, or another row's numbers."""
    against = claim["against"]
    if not against:
        return {}
    if against in rows:
        return {"against": _taken(claim, rows, against)}
    if "==" not in against:
        return {"against": float(against)}
    other = table.query(against)
    if other.empty:
        return {"against": math.nan}
    names = {"against": "value", "against_low": "low", "against_high": "high"}
    return {name: _taken(claim, other, claim[column]) for name, column in names.items()}


def _taken(claim: Mapping[str, str], rows: pd.DataFrame, column: str) -> float:
    if not column:
        return math.nan
    values = rows[column].astype(float)
    if claim["how"]:
        return float(HOW[claim["how"]](values))
    if len(values) > 1:
        raise InputError(
            f"claim {claim['claim']!r}: found {len(values)} rows where {claim['where']}, expected "
            "one; narrow `where`, or say `how` several are taken"
        )
    return float(values.iloc[0])
