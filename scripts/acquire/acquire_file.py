"""Bring raw files of the registry in: one, or a family of small ones."""

from collections.abc import Sequence
from pathlib import Path

from workflow.lib.acquire.datasets import find_file, load_datasets
from workflow.lib.acquire.fetch import acquire_files
from workflow.lib.jobs import script_job


def acquire_registered_files(
    dataset_name: str,
    paths: Sequence[str],
    resources: Path,
    *,
    datasets_file: Path,
    mirror: Path | None,
    may_download: bool,
) -> dict[str, str]:
    """Copy or download files that the registry lists, and return path -> sha256.

    Parameters
    ----------
    dataset_name, paths
        Name of a dataset of the registry, and of files of it.
    resources : Path
        Folder of the datasets' folders; beside each file, `<file>.sha256` takes its checksum.
    datasets_file : Path
        The registry.
    mirror : Path or None
        Folder that is searched before anything is downloaded.
    may_download : bool
        False where every study of the run takes the dataset from the mirror alone.

    Raises
    ------
    InputError
        A file cannot be had, or is not what the registry describes.
    """
    registry = load_datasets(datasets_file)
    found = [find_file(registry, dataset_name, path) for path in paths]
    return acquire_files(
        registry[dataset_name],
        [raw_file for _, raw_file in found],
        resources,
        mirror=mirror,
        may_download=may_download,
    )


if __name__ == "__main__":
    with script_job(snakemake) as log:
        params = snakemake.params
        digests = acquire_registered_files(
            params.dataset,
            params.files,
            Path(params.resources),
            datasets_file=Path(params.datasets_file),
            mirror=Path(params.mirror) if params.mirror else None,
            may_download=params.may_download,
        )
        for path, digest in digests.items():
            log.info("%s: sha256 %s", path, digest)
