# Functions of stage acquire: families of small files, and params that fetch nothing again.

SMALL_FAMILIES = small_families(DATASETS)


def unrecorded(value):
    """Return a params function whose value is no part of what is compared with the last run.

    The same file from another place is the same file, and must not be fetched again.
    """
    # Snakemake does not record the values of functions of `threads`.
    return lambda wildcards, threads: value


def outside_families(dataset):
    """Return a regular expression for a dataset, unless a file of a small family follows."""
    members = [file for name, files in SMALL_FAMILIES if name == dataset for file in files]
    return rf"{re.escape(dataset)}(?!/(?:{one_of(members)})(?:\.sha256)?$)"
