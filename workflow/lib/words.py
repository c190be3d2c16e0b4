"""How names are sorted, and how sentences for users list them, guess, and quote libraries."""

import difflib
import re
from collections.abc import Iterable

# Of names in somebody else's file.
MOST_TOLD, MOST_LETTERS = 40, 80


def listed(names: Iterable) -> str:
    """Return names as errors list them."""
    return ", ".join(map(str, names)) or "none"


def told(names: Iterable) -> str:
    """Return the names in a file, which may be anything, on one line and of bounded length."""
    names = list(names)
    short = [" ".join(str(name).split())[:MOST_LETTERS] for name in names[:MOST_TOLD]]
    more = [f"{len(names) - MOST_TOLD} more"] * (len(names) > MOST_TOLD)
    return ", ".join(short + more) or "none"


def near(name: object, names: Iterable) -> str:
    """Return the end of an error over a wrong name: which one may be meant."""
    found = difflib.get_close_matches(str(name), list(map(str, names)), n=1)
    return f"; did you mean {found[0]!r}?" if found else "; correct it"


def one_line(error: Exception | str) -> str:
    """Return what another library said, on one line and of bounded length."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def by_numbers(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a sorting key under which image_2 comes before image_10.

    Names that differ in zeros alone, such as 1 and 01, have one order, too.
    """
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], name
