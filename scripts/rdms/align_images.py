"""Find the images that all files of a study share, and their common order."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow.lib.image_groups import group_finder
from workflow.lib.image_sets import align_study
from workflow.lib.jobs import script_job
from workflow.lib.tables import write_table


def align_images(
    brain: Mapping,
    models: Mapping[str, Mapping],
    stimuli: Mapping | None,
    images: Mapping,
    folder: Path,
    made: Mapping[str, Sequence[str]] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the common images and, per file, the images that some other file lacks.

    Parameters
    ----------
    brain, models, stimuli, images : blocks of the study's config, of the models the sources of
        those given as RDM files or activations
    folder : folder of the raw files
    made : what the models that the study makes itself know, by what errors call it

    Returns
    -------
    common : DataFrame, columns name (as matched), label (as the first file spells it), group
    unmatched : DataFrame, columns file, label, group
    """
    _, alignment = align_study(brain, models, stimuli, images, folder, made)
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


if __name__ == "__main__":
    with script_job(snakemake) as log:
        common, unmatched = align_images(
            snakemake.params.brain,
            snakemake.params.models,
            snakemake.params.stimuli,
            snakemake.params.images,
            Path(snakemake.params.folder),
            snakemake.params.made,
        )
        log.info("%d common images: %s", len(common), dict(common["group"].value_counts()))
        for file, lost in unmatched.groupby("file"):
            log.info("%s: dropped %d, %s", file, len(lost), dict(lost["group"].value_counts()))
        write_table(unmatched, snakemake.output.unmatched)
        write_table(common, snakemake.output.images)
