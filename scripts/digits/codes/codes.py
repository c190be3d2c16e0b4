"""Perception codes: model RDMs of what a person may tell apart, from rules of the config.

A code is a list of rules, each a pair of groups whose members differ from one another; all other
pairs of categories are alike. [digit, digit] are all pairs of digits, [high, low] every high number
with every low one. A group is one of the config's `groups`, a kind of category, or one category.

References
----------
Lee, Jung, Lustig, Lee 2023, Hum Brain Mapp, doi:10.1002/hbm.26189.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.vectors import condensed_index

Rules = Sequence[Sequence[str]]


def known_groups(
    kinds: Mapping[str, Sequence[str]], groups: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Return group -> categories for every name that a rule may use.

    Parameters
    ----------
    kinds : mapping, kind of category -> categories
    groups : mapping, further group -> categories

    Raises
    ------
    InputError
        A group that is called like a kind or a category, or that holds what is no category.
    """
    categories = [category for members in kinds.values() for category in members]
    known = {category: [category] for category in categories}
    known |= {kind: list(members) for kind, members in kinds.items()}
    for group, members in groups.items():
        if group in known:
            raise InputError(
                f"groups: found {group!r}, which is a kind or a category already, expected a name "
                "of its own; call the group otherwise"
            )
        unknown = [member for member in members if member not in categories]
        if unknown:
            raise InputError(
                f"groups.{group}: found {unknown[0]!r}, expected one of {', '.join(categories)}; "
                "correct it, or add it to `categories`"
            )
    return known | {group: list(members) for group, members in groups.items()}


def code_rdm(
    code: str, rules: Rules, known: Mapping[str, Sequence[str]], categories: Sequence[str]
) -> np.ndarray:
    """Return the RDM of a code: 1 for pairs of categories that a rule tells apart, else 0.

    Parameters
    ----------
    code : what errors call it
    rules : sequence of pairs of names in `known`
    known : as `known_groups` returns them
    categories : in the order of the RDM

    Returns
    -------
    float64 array (n_pairs,), condensed

    Raises
    ------
    InputError
        A rule that names no group, or tells nothing apart; a code that tells all pairs apart, which
        no comparison can use.

    Examples
    --------
    >>> code_rdm("parity", [["even", "odd"]], {"even": ["two"], "odd": ["one", "three"]},
    ...          ["one", "two", "three"])
    array([1., 0., 1.])
    """
    position = {category: number for number, category in enumerate(categories)}
    n = len(categories)
    rdm = np.zeros(n * (n - 1) // 2)
    for first, second in rules:
        unknown = [name for name in (first, second) if name not in known]
        if unknown:
            raise InputError(
                f"codes.{code}: found the group {unknown[0]!r}, expected one of "
                f"{', '.join(known)}; add it to `groups`"
            )
        pairs = [
            (position[a], position[b])
            for a, b in itertools.product(known[first], known[second])
            if a != b
        ]
        if not pairs:
            raise InputError(
                f"codes.{code}: found the rule [{first}, {second}], in which no category differs "
                "from another, expected two groups, or one of several categories"
            )
        rdm[condensed_index(*np.array(pairs).T, n)] = 1
    if rdm.all():
        raise InputError(
            f"codes.{code}: found a code that tells all {rdm.size} pairs of categories apart, "
            "expected some that are alike to it; an RDM that does not vary resembles no other"
        )
    return rdm


def code_rdms(
    codes: Mapping[str, Rules],
    kinds: Mapping[str, Sequence[str]],
    groups: Mapping[str, Sequence[str]],
) -> dict[str, np.ndarray]:
    """Return code -> RDM over all categories, in the order of `kinds`, float64 (n_pairs,).

    Parameters
    ----------
    codes : mapping, code -> rules
    kinds, groups : as `known_groups` takes them
    """
    known = known_groups(kinds, groups)
    categories = [category for members in kinds.values() for category in members]
    return {code: code_rdm(code, rules, known, categories) for code, rules in codes.items()}


def kinds_of(categories: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return category -> kind, in the order of the config, from kind -> categories."""
    return {category: kind for kind, members in categories.items() for category in members}
