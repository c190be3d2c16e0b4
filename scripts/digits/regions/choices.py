"""Where the region of a code is chosen, and over which pairs layers are compared there."""

from collections.abc import Iterable

# Where a region is chosen: in other runs is the primary analysis. Subjects whose regions others
# choose share these others, and are not independent. What is chosen where it is tested is circular.
HELD_OUT_RUNS, OTHER_SUBJECTS, CIRCULAR = "other runs", "other subjects", "circular"
# Of the group, as the original has it: chosen and tested in the maps of all runs.
ALL_RUNS = "all runs"
# Which pairs of categories are compared: all, or those that the code tells apart.
ALL_PAIRS, OWN_PAIRS = "all", "own"


def clean_choice(chosen_in: Iterable[str]) -> str | None:
    """Return the way of choosing that is not circular: other runs, then other subjects, or none."""
    found = set(chosen_in)
    return next((choice for choice in (HELD_OUT_RUNS, OTHER_SUBJECTS) if choice in found), None)
