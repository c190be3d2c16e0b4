"""How sentences for users list names, guess which was meant, and quote other libraries."""

import difflib
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
