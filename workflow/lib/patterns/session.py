"""What one session of response patterns offers, whether its files are images or arrays.

A session's patterns lie in images (`workflow.lib.patterns.images`) or in arrays
(`workflow.lib.patterns.files`). Nothing after that knows which.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from workflow.lib.errors import InputError


class Session(Protocol):
    """The files of one session of one subject, opened but not read.

    Attributes
    ----------
    labels : dict, placeholder -> label
        The subject and, if the block has sessions, the session.
    what : str
        How errors name the files.
    n_observations : int
    names_are_listed : bool
        Whether the list of conditions has been used to find the files.
    """

    labels: dict[str, str]
    what: str
    n_observations: int
    names_are_listed: bool

    def stored_names(self, key: str | None) -> list[str]:
        """Return the condition of each observation as the files themselves say it."""

    def stored_runs(self, key: str | int | None) -> list[str] | None:
        """Return the run of each observation as the files themselves say it, None if they do not.

        Raises
        ------
        InputError
            The files lack what the config names.
        """

    def expect(self, n: int, source: str) -> None:
        """Raise InputError unless there are n observations, as many as `source` names."""

    def n_channels(self) -> dict[str, int]:
        """Return the number of channels of each ROI, without reading any response."""

    def read(self) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Return roi -> (measurements (n_observations, n_channels), channel descriptors)."""


def the_same(by_roi: Mapping[str, list[str] | None], what: str) -> list[str] | None:
    """Return what all ROIs agree on.

    Raises
    ------
    InputError
        Two ROIs differ.
    """
    first = next(iter(by_roi))
    for roi, found in by_roi.items():
        if found != by_roi[first]:
            raise InputError(
                f"{what}: found other conditions or runs for the ROI {roi!r} than for {first!r}, "
                "expected the same observations in the same order; sort the files alike"
            )
    return by_roi[first]
