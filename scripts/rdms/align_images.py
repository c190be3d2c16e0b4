"""Find the images that all files of a study share, and their common order."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from workflow.lib.errors import InputError
from workflow.lib.image_sets import align_study
from workflow.lib.jobs import script_job
from workflow.lib.rdms.alignment import (
    MATCHING_RULES,
    Alignment,
    match_keys,
    positions,
    rule_of_names,
)
from workflow.lib.tables import write_table

NO_GROUP = "other"


def align_images(
    brain: Mapping,
    models: Mapping[str, Mapping],
    stimuli: Mapping | None,
    images: Mapping,
    folder: Path,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the common images and, per file, the images that some other file lacks.

    Parameters
    ----------
    brain, models, stimuli, images : blocks of the study's config, of the models the sources of
        those given as RDM files or activations
    folder : folder of the raw files

    Returns
    -------
    common : DataFrame, columns name (as matched), label (as the first file spells it), group
    unmatched : DataFrame, columns file, label, group
    """
    _, alignment = align_study(brain, models, stimuli, images, folder)
    common = pd.DataFrame({"name": alignment.names, "label": alignment.labels})
    find_group = group_finder(alignment, images)
    common["group"] = common["label"].map(find_group)
    unmatched = pd.DataFrame(
        [
            (file, label, find_group(label))
            for file, labels in alignment.unmatched.items()
            for label in labels
        ],
        columns=["file", "label", "group"],
    )
    return common, unmatched


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
    groups = pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False)
    for needed in ("name", column):
        if needed not in groups:
            raise InputError(
                f"{file}: found the columns {', '.join(groups.columns)}, expected {needed!r}; "
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


if __name__ == "__main__":
    with script_job(snakemake) as log:
        common, unmatched = align_images(
            snakemake.params.brain,
            snakemake.params.models,
            snakemake.params.stimuli,
            snakemake.params.images,
            Path(snakemake.params.folder),
        )
        log.info("%d common images: %s", len(common), dict(common["group"].value_counts()))
        for file, lost in unmatched.groupby("file"):
            log.info("%s: dropped %d, %s", file, len(lost), dict(lost["group"].value_counts()))
        write_table(unmatched, snakemake.output.unmatched)
        write_table(common, snakemake.output.images)
