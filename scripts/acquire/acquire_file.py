"""Bring one raw file of the registry in (rule acquire_file)."""

from pathlib import Path

from workflow.lib.acquire import acquire_file
from workflow.lib.datasets import find_file, load_datasets
from workflow.lib.jobs import script_job


def acquire_registered_file(
    dataset_name: str, path: str, destination: Path, *, datasets_file: Path, mirror: Path | None
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
    """
    dataset, raw_file = find_file(load_datasets(datasets_file), dataset_name, path)
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
        )
        log.info("sha256 %s", sha256)
