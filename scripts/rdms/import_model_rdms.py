"""Bring one model's RDMs into the common order of images."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.rdms.source import averaged, read_aligned
from workflow.lib.rdms.store import write_rdms
from workflow.lib.tables import read_table


def layer_rdms(
    source: Mapping, folder: Path, images: pd.DataFrame, *, match: str
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield the RDM of every layer, the mean over raters where the source has an `average`.

    Parameters
    ----------
    source : the model's config block
    folder : folder of the raw files
    images : DataFrame with the common images (column name)
    match : how names are matched

    Yields
    ------
    labels : dict with layer
    vector : float array (n_pairs,)
    """
    n_members = len(source["average"]["names"]) if "average" in source else 1
    rdms = read_aligned(source, folder, list(images["name"]), match=match)
    return averaged(rdms, over="member", n=n_members)


if __name__ == "__main__":
    with script_job(snakemake):
        images = read_table(snakemake.input.images)
        write_rdms(
            snakemake.output[0],
            layer_rdms(
                snakemake.params.source,
                Path(snakemake.params.folder),
                images,
                match=snakemake.params.match,
            ),
            names=list(images["name"]),
            groups=list(images["group"]),
            measure="as published",
            descriptors={"study": snakemake.wildcards.study, "model": snakemake.wildcards.model},
        )
