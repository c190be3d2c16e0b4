"""Checks of an entry, all of which are made whatever one of them finds."""

from collections.abc import Callable, Iterable, Iterator

from workflow.lib.errors import InputError

Checks = Iterator[Callable[[], object]]


def problems(checks: Iterable[Callable[[], object]]) -> Iterator[str]:
    """Run every check, and yield what each stops at, a sentence."""
    for check in checks:
        try:
            check()
        except InputError as error:
            yield str(error)
