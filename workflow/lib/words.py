"""How names are sorted, and how sentences for users list them, guess, and quote libraries."""

import difflib
import re
from collections.abc import Iterable


def listed(names: Iterable) -> str:
    """Return names as errors list them."""
    return ", ".join(map(str, names)) or "none"


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
