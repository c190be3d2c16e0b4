"""Which observation shows which condition in which run: from tables, lists, order or the data.

`observations` in a block of patterns names a table with a row per observation; without one, names
come with the data, from a list or by order.
"""

import contextlib
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workflow.lib.arrays.text import listed_names
from workflow.lib.errors import InputError
from workflow.lib.patterns.session import Session
from workflow.lib.sources import filled
from workflow.lib.words import told

SEPARATORS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class Observations:
    """Condition and run of the observations of a session, and the file that says so.

    Attributes
    ----------
    what : str
        How errors name the file.
    conditions : list of n_observations str
    runs : list of n_observations str, or None
        None if nothing says which run.
    """

    what: str
    conditions: list[str]
    runs: list[str] | None


def observations_of(
    block: Mapping, folder: Path, sessions: Sequence[Session]
) -> list[Observations]:
    """Return the observations of every session, as many as the data has.

    A table is read per session if its name holds {session}; otherwise it has the observations of
    all sessions, one session after the other.

    Parameters
    ----------
    block : a config block of patterns, with the defaults of the schema filled in
    folder : folder of the raw files
    sessions : the subject's sessions, each of which is told how many observations it has

    Raises
    ------
    InputError
        A table or list that is missing or damaged, or of another length than the data.
    """
    table = (block.get("observations") or {}).get("file")
    if table and "{session}" not in table and len(sessions) > 1:
        whole = _table_observations(block, folder, sessions[0].labels)
        found = _split(whole, sessions)
    elif table:
        found = [_table_observations(block, folder, session.labels) for session in sessions]
    else:
        found = [_own_observations(block, folder, session) for session in sessions]
    for session, part in zip(sessions, found, strict=True):
        session.expect(len(part.conditions), part.what)
        if part.runs is not None and len(part.runs) != len(part.conditions):
            raise InputError(
                f"{part.what}: found {len(part.runs)} runs and {len(part.conditions)} "
                "observations, expected the run of each; correct `observations.run` in the config"
            )
    return [
        replace(part, runs=_unique_runs(part, session.labels.get("session")))
        for session, part in zip(sessions, found, strict=True)
    ]


def _unique_runs(observations: Observations, session: str | None) -> list[str] | None:
    """Return the runs, told apart from the runs of other sessions; a session is a run itself."""
    if session is None:
        return observations.runs
    if observations.runs is None:
        return [session] * len(observations.conditions)
    return [f"{session}-{run}" for run in observations.runs]


def _split(whole: Observations, sessions: Sequence[Session]) -> list[Observations]:
    counts = [session.n_observations for session in sessions]
    if sum(counts) != len(whole.conditions):
        raise InputError(
            f"{whole.what}: found {len(whole.conditions)} rows, expected {sum(counts)}, a row per "
            f"observation of all {len(sessions)} sessions ({' + '.join(map(str, counts))}); "
            "correct the table, or give one per session by {session} in its name"
        )
    stops = np.cumsum(counts)
    return [
        Observations(
            whole.what,
            whole.conditions[stop - count : stop],
            None if whole.runs is None else whole.runs[stop - count : stop],
        )
        for count, stop in zip(counts, stops, strict=True)
    ]


def _own_observations(block: Mapping, folder: Path, session: Session) -> Observations:
    """Return names that come with the data, from a list, or by order."""
    given = block.get("observations") or {}
    conditions = block["conditions"]
    with _naming("observations.run"):
        runs = session.stored_runs(given.get("run"))
    if given.get("condition") is not None:
        with _naming("observations.condition"):
            names = session.stored_names(str(given["condition"]))
        return Observations(session.what, names, runs)
    if conditions["from"] == "stored":
        return Observations(session.what, session.stored_names(conditions.get("key")), runs)
    if conditions["from"] == "order":
        numbers = range(1, session.n_observations + 1)
        names = [conditions["pattern"].format(number) for number in numbers]
        return Observations(session.what, names, runs)
    if session.names_are_listed:
        return Observations(session.what, session.stored_names(None), runs)
    file = filled(conditions["file"], block, session.labels)
    return Observations(file, listed_names(folder / file, conditions.get("column")), runs)


@contextlib.contextmanager
def _naming(setting: str) -> Iterator[None]:
    """Put the key of the config that asked for a variable in place of the usual one in errors."""
    try:
        yield
    except InputError as error:
        usual = r"name it by `[\w.]+`"
        raise InputError(re.sub(usual, f"name it by `{setting}`", str(error))) from None


def _table_observations(block: Mapping, folder: Path, labels: Mapping[str, str]) -> Observations:
    """Read a table with a row per observation."""
    given = block["observations"]
    file = filled(given["file"], block, labels)
    if given.get("condition") is None:
        raise InputError(
            f"{file}: found a table of observations without `observations.condition`, expected "
            "the column with the condition; name it in the config"
        )
    columns = [given["condition"], given.get("run")]
    has_header = any(isinstance(column, str) for column in columns)
    table = read_columns(folder / file, file, header=has_header)
    conditions, runs = (
        None if column is None else column_of(table, column, file) for column in columns
    )
    return Observations(file, conditions, runs)


def read_columns(path: Path, what: str, *, header: bool) -> dict[str | int, list[str]]:
    """Return the columns of a table as text, numbered from 0 where it has no header.

    Raises
    ------
    InputError
        The file, called `what`, is missing, not text, not a full table, or names columns twice.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: found no such file, expected a table with a row per observation; correct "
            "the folder or the file name in the config"
        )
    separator = SEPARATORS.get(path.suffix.lower())
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file, delimiter=separator) if separator else map(str.split, file)
            rows = [[cell.strip() for cell in line] for line in lines if any(line)]
    except (ValueError, csv.Error) as error:
        raise InputError(
            f"{what}: found no readable text ({error}), expected a table; export it again as UTF-8 "
            "text"
        ) from error
    widths = sorted({len(row) for row in rows})
    if len(widths) != 1 or len(rows) <= header:
        raise InputError(
            f"{what}: found {len(rows)} rows of {' and '.join(map(str, widths)) or 'no'} cells, "
            "expected a full table with a row per observation; correct it"
        )
    names = rows.pop(0) if header else list(range(widths[0]))
    if len(set(names)) != len(names):
        raise InputError(
            f"{what}: found columns of one name among {told(names)}, expected each name once; "
            "rename them"
        )
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def column_of(table: Mapping[str | int, list[str]], column: str | int, what: str) -> list[str]:
    """Return one of the columns of `read_columns`; raise InputError if there is none such."""
    if column not in table:
        raise InputError(
            f"{what}: found the columns {told(table)}, expected {column!r}; correct "
            "`observations` in the config (names for a table with a header, numbers from 0 for one "
            "without)"
        )
    return table[column]
