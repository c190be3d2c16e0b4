# Functions of stage acquire: what comes how, and params that fetch nothing again.

from workflow.lib.acquire.datasets import comes_from_origin

SMALL_FAMILIES = small_families(DATASETS)


def unrecorded(value):
    """Return a params function whose value is no part of what is compared with the last run.

    The same file from another place is the same file, and must not be fetched again.
    """
    # Snakemake does not record the values of functions of `threads`.
    return lambda wildcards, threads: value


def files_from_others(dataset):
    """Return the raw files of a dataset that are made out of others, in this run."""
    return [
        raw_file
        for raw_file in DATASETS[dataset].files
        if comes_from_origin(DATASETS[dataset], raw_file, RESOURCES, config["mirror"])
    ]


def fetched_alone(dataset):
    """Return a regular expression for a dataset, unless a file follows that comes otherwise.

    That is a file of a small family, or one that is made out of another.
    """
    members = [file for name, files in SMALL_FAMILIES if name == dataset for file in files]
    made = [raw_file.path for raw_file in files_from_others(dataset)]
    return rf"{re.escape(dataset)}(?!/(?:{one_of([*members, *made])})(?:\.sha256)?$)"


def unpacked(dataset):
    """Return a regular expression for a dataset where a file out of an archive follows."""
    packed = [raw_file.path for raw_file in files_from_others(dataset) if raw_file.is_packed]
    return rf"{re.escape(dataset)}(?=/(?:{one_of(packed)})(?:\.sha256)?$)"


def archive_of(wildcards):
    dataset, raw_file = find_file(DATASETS, wildcards.dataset, wildcards.file)
    return f"{RESOURCES}/{dataset.name}/{raw_file.origin}"
