"""Annotations of emotions in a movie: files of observers, in the layout that was published.

A row says that a character shows something from `start` to `end`, in seconds of the unsegmented
movie. The curated tables that were published later are no substitute: four of their emotions,
anger among them, are zero throughout, since what made them looked for words such as ANGER/RAGE
where observers had written ANGERRAGE.

References
----------
Labs et al. 2015, Portrayed emotions in the movie "Forrest Gump", F1000Research 4:92.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.lib.errors import InputError
from workflow.lib.words import one_line

COLUMNS = (
    *("start", "end", "character", "arousal", "valence", "direction", "emotion"),
    *("oncue", "offcue"),
)
# The words that the published observers used.
EMOTIONS = (
    *("ADMIRATION", "ANGERRAGE", "COMPASSION", "CONTEMPT", "DISAPPOINTMENT", "FEAR"),
    *("FEARSCONFIRMED", "GLOATING", "GRATIFICATION", "GRATITUDE", "HAPPINESS", "HAPPYFOR"),
    *("HATE", "HOPE", "LOVE", "PRIDE", "RELIEF", "REMORSE", "RESENTMENT", "SADNESS"),
    *("SATISFACTION", "SHAME"),
)
AFFECT = {"arousal": ("HIGH", "LOW"), "valence": ("POS", "NEG")}
# Begins the columns of the curated tables.
CURATED = "e_"
# A header stands above the first row, and editors count from 1.
FIRST_LINE = 2


def read_annotations(
    path: str | Path,
    *,
    observer: str,
    duration: float,
    vocabulary: Collection[str] = EMOTIONS,
) -> pd.DataFrame:
    """Return the rows of an observer's file, in the order of the file.

    Parameters
    ----------
    path : of the file
    observer : name of the observer
    duration : of the movie in seconds
    vocabulary : words that may stand for emotions

    Returns
    -------
    DataFrame
        observer, start, end (float, s of the movie, end exclusive), character, arousal, valence,
        direction (str, in capitals, "" where nothing stands), emotions (tuple of str, in the order
        of the cell), oncue, offcue (tuple of str).

    Raises
    ------
    InputError
        No such file, no such columns, a column that is empty throughout, times that are no numbers,
        in the wrong order or outside the movie, or words that are not known.
    """
    table = _read_cells(path)
    _check_filled(table, path)
    times = _times(table, path, duration)
    for name, levels in AFFECT.items():
        _check_words(table[name].str.split(), levels, path, name)
    emotions = table["emotion"].str.split()
    known = [word.upper() for word in vocabulary]
    _check_words(emotions, known, path, "emotion", "`annotations.vocabulary` can hold other words")
    cells = {name: table[name] for name in ("character", *AFFECT, "direction")}
    cues = {name: table[name].str.split().map(tuple) for name in ("oncue", "offcue")}
    rows = pd.DataFrame({"observer": observer, **times, **cells, "emotions": emotions.map(tuple)})
    return rows.assign(**cues)


def read_observers(
    files: Mapping[str, str | Path],
    *,
    duration: float,
    vocabulary: Collection[str] = EMOTIONS,
) -> pd.DataFrame:
    """Return the rows of all observers, as `read_annotations` does, one file after another.

    Parameters
    ----------
    files : observer -> path of the file
    duration : of the movie in seconds
    vocabulary : words that may stand for emotions

    Raises
    ------
    InputError
        As `read_annotations`; or two observers wrote the same rows.
    """
    tables = {
        observer: read_annotations(
            path, observer=observer, duration=duration, vocabulary=vocabulary
        )
        for observer, path in files.items()
    }
    seen: dict[tuple, str] = {}
    for observer, table in tables.items():
        rows = tuple(table.drop(columns="observer").itertuples(index=False, name=None))
        if rows in seen:
            raise InputError(
                f"{files[observer]}: found the rows of {files[seen[rows]]}, expected those of "
                "another observer; a copy agrees with its original, so leave one of them out"
            )
        seen[rows] = observer
    return pd.concat(tables.values(), ignore_index=True)


def check_classes(annotations: pd.DataFrame, classes: Sequence[str]) -> None:
    """Refuse classes that no observer ever named.

    Raises
    ------
    InputError
        Naming the words that were found, and those that look like the missing ones.
    """
    found = sorted(set(annotations["emotions"].explode().dropna()))
    for name in classes:
        if name not in found:
            raise InputError(
                f"labels.classes: no observer named {name} in any row, expected one of "
                f"{', '.join(found)}; {_correction(name, found)}"
            )


def _read_cells(path: str | Path) -> pd.DataFrame:
    """Return the cells as text in capitals, one space between words."""
    try:
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False
        )
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such file, expected the annotations of an observer; correct "
            "`annotations` or put the file there"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as CSV ({one_line(error)}), expected columns "
            f"{','.join(COLUMNS)}; give the raw file of an observer"
        ) from error
    table.columns = [str(name).strip().lower() for name in table.columns]
    _check_columns(table, path)
    if table.empty:
        raise InputError(
            f"{path}: found no row, expected those of an observer; leave the observer out"
        )
    # A row that ends early lacks its last cells.
    cells = table[list(COLUMNS)].fillna("")
    return cells.apply(lambda column: column.str.split().str.join(" ").str.upper())


def _check_columns(table: pd.DataFrame, path: str | Path) -> None:
    twice = [name for name in COLUMNS if np.count_nonzero(table.columns == name) > 1]
    if twice:
        raise InputError(
            f"{path}: found the column {twice[0]} twice, but for capitals and spaces, expected "
            "each once; leave one of them out"
        )
    missing = [name for name in COLUMNS if name not in table]
    if not missing:
        return
    curated = any(CURATED in name for name in table.columns)
    advice = (
        "this is a curated table, which lost emotions such as ANGERRAGE: give the raw files"
        if curated
        else "name the columns so, with commas between them"
    )
    raise InputError(
        f"{path}: found no column {', '.join(missing)}, expected {','.join(COLUMNS)}; {advice}"
    )


def _check_filled(table: pd.DataFrame, path: str | Path) -> None:
    for name in ("emotion", *AFFECT):
        if table[name].isin(["", "0", "0.0"]).all():
            raise InputError(
                f"{path}: column {name} is empty in all {len(table)} rows, expected words in some "
                "of them; give the file that the observer wrote"
            )


def _times(table: pd.DataFrame, path: str | Path, duration: float) -> dict[str, np.ndarray]:
    start, end = (
        pd.to_numeric(table[name], errors="coerce").to_numpy(float) for name in ("start", "end")
    )
    # ASSUME: the end of the last run, rounded up, is where observers may end their last row.
    possible = np.isfinite(start) & np.isfinite(end) & (start >= 0) & (start < end)
    possible &= end <= np.ceil(duration)
    if not possible.all():
        row = int(np.flatnonzero(~possible)[0])
        raise InputError(
            f"{path}, line {row + FIRST_LINE}: found {table['start'][row]!r} to "
            f"{table['end'][row]!r}, expected seconds of a movie of {duration:g} s with the start "
            "before the end; correct the row, or `runs` if the movie is longer"
        )
    return {"start": start, "end": end}


def _check_words(
    cells: pd.Series, known: Collection[str], path: str | Path, column: str, note: str = ""
) -> None:
    for row, words in enumerate(cells):
        unknown = next((word for word in words if word not in known), None)
        if unknown is not None:
            raise InputError(
                f"{path}, line {row + FIRST_LINE}: found {unknown!r} in column {column}, expected "
                f"{', '.join(sorted(known))}; {_correction(unknown, known)}{note and f'; {note}'}"
            )


def _correction(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word.upper(), list(known), n=1)
    return f"write {near[0]}" if near else "correct the word"
