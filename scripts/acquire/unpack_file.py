"""Unpack a raw file of the registry from the archive that it is published in."""

from pathlib import Path

from workflow.lib.acquire.datasets import find_file, load_datasets
from workflow.lib.acquire.unpack import unpack_member
from workflow.lib.acquire.verification import write_checksum
from workflow.lib.jobs import script_job


def unpack_registered_file(
    dataset_name: str, path: str, archive: Path, destination: Path, *, datasets_file: Path
) -> str:
    """Unpack a file that the registry lists, write its checksum beside it, and return that.

    Parameters
    ----------
    dataset_name, path
        Name of a dataset of the registry, and of a file of it.
    archive : Path
        Archive that the registry says it comes from.
    destination : Path
        Where it shall lie.
    datasets_file : Path
        The registry.

    Raises
    ------
    InputError
        The archive does not hold the file that the registry describes.
    """
    _, raw_file = find_file(load_datasets(datasets_file), dataset_name, path)
    digest = unpack_member(archive, raw_file, destination)
    write_checksum(destination, digest)
    return digest


if __name__ == "__main__":
    with script_job(snakemake) as log:
        digest = unpack_registered_file(
            snakemake.wildcards.dataset,
            snakemake.wildcards.file,
            Path(snakemake.input[0]),
            Path(snakemake.output.file),
            datasets_file=Path(snakemake.params.datasets_file),
        )
        log.info("%s: sha256 %s", snakemake.wildcards.file, digest)
