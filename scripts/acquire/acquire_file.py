"""Bring one raw file of the registry in (rule acquire_file)."""

from pathlib import Path

from workflow.lib.acquire import acquire_file
from workflow.lib.datasets import find_file, load_datasets, mirrored_path
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job


def acquire_registered_file(
    dataset_name: str,
    path: str,
    destination: Path,
    *,
    datasets_file: Path,
    mirror: Path | None,
    may_download: bool,
) -> str:
    """Copy or download the file that the registry lists, and return its sha256.

    Parameters
    ----------
    dataset_name, path : str
        Name of a dataset of the registry, and of one of its files.
    destination : Path
        Where the file shall lie; `<destination>.sha256` takes its checksum.
    datasets_file : Path
        The registry.
    mirror : Path or None
        Folder that is searched before anything is downloaded.
    may_download : bool
        False where every study of the run takes the dataset from the mirror alone.

    Raises
    ------
    InputError
        The file cannot be had, or is not what the registry describes.
    """
    dataset, raw_file = find_file(load_datasets(datasets_file), dataset_name, path)
    if not may_download and mirrored_path(dataset, raw_file, mirror) is None:
        raise InputError(
            f"{dataset_name}/{path}: found no such file in the mirror folder {mirror}, expected it "
            "there because the config says `source: mirror`; put it there, or say "
            "`source: download`"
        )
    return acquire_file(dataset, raw_file, destination, mirror=mirror)


if __name__ == "__main__":
    with script_job(snakemake) as log:
        mirror = snakemake.params.mirror
        sha256 = acquire_registered_file(
            snakemake.params.dataset,
            snakemake.params.file,
            Path(snakemake.output.file),
            datasets_file=Path(snakemake.params.datasets_file),
            mirror=Path(mirror) if mirror else None,
            may_download=snakemake.params.may_download,
        )
        log.info("sha256 %s", sha256)
