"""Groups of images (their source or category), and the control model that they make."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.lib.errors import InputError
from workflow.lib.rdms.alignment import (
    MATCHING_RULES,
    Alignment,
    match_keys,
    positions,
    rule_of_names,
)
from workflow.lib.words import one_line, told

NO_GROUP = "other"


def groups_of(alignment: Alignment, images: Mapping) -> list[str]:
    """Return the group of each common image, as the study's block `images` gives it."""
    return list(map(group_finder(alignment, images), alignment.labels))


def group_finder(alignment: Alignment, images: Mapping) -> Callable[[str], str]:
    """Return the function from an image, as a file spells it, to its group.

    Groups come from a table with the columns `name` and `column`, which may lack unmatched images,
    or else from regular expressions.

    Raises
    ------
    InputError
        No such table or column, or a common image that the table lacks.
    """
    if "group_table" not in images:
        return lambda label: group_of(label, images["groups"])
    table = images["group_table"]
    groups = read_group_table(table)
    names = list(groups["name"])
    positions(alignment.names, names, match=images["match"], what=table["file"])
    rule = rule_of_names(alignment.names, images["match"])
    group_of_name = dict(
        zip(match_keys(names, rule, table["file"]), groups[table["column"]], strict=True)
    )
    return lambda label: group_of_name.get(MATCHING_RULES[rule](label), NO_GROUP)


def read_group_table(table: Mapping[str, str]) -> pd.DataFrame:
    """Return the columns `name` and `column` of a table of groups, as text.

    Raises
    ------
    InputError
        No such table, or no such column.
    """
    file, column = Path(table["file"]), table["column"]
    if not file.is_file():
        raise InputError(f"{file}: found no such file; correct images.group_table")
    separator = "\t" if file.suffix == ".tsv" else ","
    try:
        groups = pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False)
    except Exception as error:  # pandas raises almost anything on what is no table
        raise InputError(
            f"{file}: found no readable table ({one_line(error)}), expected the columns name and "
            f"{column}; export it again as UTF-8 text"
        ) from error
    for needed in ("name", column):
        if needed not in groups:
            raise InputError(
                f"{file}: found the columns {told(groups.columns)}, expected {needed!r}; "
                "correct images.group_table"
            )
    return groups[["name", column]]


def group_of(label: str, groups: Mapping[str, str]) -> str:
    """Return the first group whose regular expression is found in an image's name."""
    if not groups:
        return "all"
    for group, expression in groups.items():
        if re.search(expression, label, flags=re.IGNORECASE):
            return group
    return NO_GROUP


def group_features(groups: Sequence[str]) -> np.ndarray:
    """Return one column per group, 1 for its images: (n_images, n_groups)."""
    codes = _group_codes(groups)
    return np.eye(codes.max() + 1, dtype=np.float32)[codes]


def group_rdm(groups: Sequence[str]) -> np.ndarray:
    """Return the RDM that is 0 within and 1 between groups, condensed float64 (n_pairs,).

    Labels are compared, not features: rounding of a distance would break ties.

    Raises
    ------
    InputError
        All images are of one group.
    """
    codes = _group_codes(groups)
    first, second = np.triu_indices(len(codes), k=1)
    return (codes[first] != codes[second]).astype(np.float64)


def _group_codes(groups: Sequence[str]) -> np.ndarray:
    labels, codes = np.unique(groups, return_inverse=True)
    if len(labels) < 2:
        raise InputError(
            f"images.groups: found all images in the group {str(labels[0])!r}, expected at least "
            "two groups for the control model `groups`; give images.groups or images.group_table"
        )
    return codes
