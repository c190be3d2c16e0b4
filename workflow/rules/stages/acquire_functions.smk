# Functions of stage acquire: what comes how, and params that fetch nothing again.

from workflow.lib.acquire.datasets import comes_from_origin

# What is given to registered users alone lies where they put it: were it the output of a rule, a
# job that fails would take it away.
ACQUIRED = {name: dataset for name, dataset in DATASETS.items() if dataset.access == "open"}
SMALL_FAMILIES = small_families(ACQUIRED)


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


def how_to_get(path):
    """Return how a user comes by a raw file that no rule brings in, or nothing of others."""
    name = Path(path).relative_to(RESOURCES).parts[0] if path.startswith(f"{RESOURCES}/") else ""
    if name not in DATASETS or name in ACQUIRED:
        return ""
    dataset = DATASETS[name]
    return f"{dataset.title} is given only after {dataset.access}: {dataset.how_to_get}"


def check_files_given_by_hand():
    """Stop at a selected study that lacks a raw file which no rule brings in."""
    for study in STUDIES:
        for path in raw_paths(study):
            told = how_to_get(path)
            if told and not Path(path).is_file():
                raise WorkflowError(
                    f"{study}: found no {path}, expected it before a run. {told} Put it there, or "
                    "leave the study out"
                )


check_files_given_by_hand()
