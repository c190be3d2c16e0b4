# What the rule files share: the completed config, and functions from wildcards to files.
#
# Config reaches scripts through params only; nothing here reads data.

import re
from pathlib import Path

from snakemake.exceptions import WorkflowError

from workflow.lib.config import complete_config
from workflow.lib.datasets import download_plan, find_file, load_datasets
from workflow.lib.digest import code_digest
from workflow.lib.errors import InputError
from workflow.lib.sources import JOINT_SUBJECT, axes_of, files_of

REPOSITORY = Path(workflow.basedir)
DATASETS_FILE = REPOSITORY / "config" / "datasets.yaml"

try:
    config = complete_config(config)
    DATASETS = load_datasets(DATASETS_FILE)
except InputError as error:
    raise WorkflowError(str(error)) from None

# Where the pathvars of the Snakefile point, for what is no input or output.
RESOURCES = "resources"
SIMULATED = f"{RESOURCES}/simulated/{config['run']}"

# Study files append functions without arguments that list what they want built.
STUDY_TARGETS = []


def script_digest(script):
    """Return the digest of the library behind scripts/<script>; see workflow.lib.digest."""
    return code_digest(REPOSITORY / "scripts" / script)


def axis_names(source, placeholder):
    """Return the labels of a source along an axis, () if it has none."""
    return next(
        (axis.names for axis in axes_of(source) if axis.placeholder == placeholder), ()
    )


def setting(*keys):
    """Return an input or params function that gives a key of the wildcards' study."""

    def value(wildcards):
        found = config["rsa"][wildcards.study]
        for key in keys:
            found = found[key]
        return found

    return value


def raw_folder(study):
    """Return the folder of a study's raw files."""
    entry = config["rsa"][study]
    return {
        "simulated": f"{SIMULATED}/{entry['simulation'].get('folder')}",
        "mirror": f"{RESOURCES}/{entry['dataset']}",
        "download": f"{RESOURCES}/{entry['dataset']}",
        "path": entry["path"],
    }[entry["source"]]


def raw_files(study, source, fixed=None):
    """Return the raw files of a config block of a study."""
    names = files_of(source, fixed)
    listed = (
        source["conditions"]["file"] if source["conditions"]["from"] == "list" else None
    )
    return [
        f"{raw_folder(study)}/{name}" for name in names + ([listed] if listed else [])
    ]


def study_subjects(study, joint=True):
    """Return the subjects of a study, and their joint RDM where there are several."""
    subjects = axis_names(config["rsa"][study]["brain"], "subject")
    return [*subjects, JOINT_SUBJECT] if joint and len(subjects) > 1 else list(subjects)


def brain_raw_files(wildcards):
    fixed = {"subject": wildcards.subject} if "subject" in wildcards.keys() else None
    return raw_files(wildcards.study, config["rsa"][wildcards.study]["brain"], fixed)


def model_raw_files(wildcards):
    models = config["rsa"][wildcards.study]["models"]
    chosen = [wildcards.model] if "model" in wildcards.keys() else models
    return [
        file for name in chosen for file in raw_files(wildcards.study, models[name])
    ]


def model_rdms(wildcards):
    return [
        f"<results>/{wildcards.study}/rdms/model_{model}.h5"
        for model in config["rsa"][wildcards.study]["models"]
    ]


def size_mb(factor, at_least=1500):
    """Return a memory request that grows with the input, doubled at each retry."""

    def mem_mb(wildcards, input, attempt):
        return int(max(at_least, factor * input.size_mb + 500)) * 2 ** (attempt - 1)

    return mem_mb


def raw_file_is_here(study, file):
    """Return whether a raw file lies in the resources, the mirror or the given folder."""
    entry = config["rsa"][study]
    if entry["source"] == "simulated":
        return True
    if entry["source"] == "path":
        return Path(entry["path"], file).is_file()
    places = [Path(RESOURCES)] + ([Path(config["mirror"])] if config["mirror"] else [])
    return any((place / entry["dataset"] / file).is_file() for place in places)


def missing_raw_files(study):
    entry = config["rsa"][study]
    sources = [entry["brain"], *entry["models"].values()]
    files = dict.fromkeys(file for source in sources for file in files_of(source))
    return [file for file in files if not raw_file_is_here(study, file)]


def selected_studies():
    """Return the studies to run, without those whose data is not here if so configured."""
    if not config["only_available"]:
        return config["studies"]
    available = [study for study in config["studies"] if not missing_raw_files(study)]
    if not available:
        raise WorkflowError(
            f"found none of the raw files of {', '.join(config['studies'])} in resources/ or in "
            f"the mirror ({config['mirror']}); give a folder that holds <dataset>/<file>, for "
            "example `--config mirror=<folder>`"
        )
    return available


STUDIES = selected_studies()


def targets(wildcards):
    return [file for study_targets in STUDY_TARGETS for file in study_targets()]


def download_notice():
    """Return what will be copied or downloaded, with its size, before a run starts."""
    wanted = {
        (entry["dataset"], file)
        for study in STUDIES
        if (entry := config["rsa"][study])["source"] in ("mirror", "download")
        for source in (entry["brain"], *entry["models"].values())
        for file in files_of(source)
    }
    files = [find_file(DATASETS, dataset, name) for dataset, name in sorted(wanted)]
    return str(download_plan(files, RESOURCES, config["mirror"])) if files else ""


def closing_notice():
    """Return where to look after a run."""
    left_out = [study for study in config["studies"] if study not in STUDIES]
    lines = [f"Figures and tables: results/{config['run']}/"]
    lines += [f"  results/{config['run']}/{study}/figures/" for study in STUDIES]
    if left_out:
        lines.append(f"Left out, raw files not here: {', '.join(left_out)}")
    return "\n".join(lines)


def one_of(names):
    """Return a regular expression for exactly these names, or for nothing."""
    return "|".join(map(re.escape, dict.fromkeys(names))) or "(?!)"


SUBJECTS = [
    subject
    for entry in config["rsa"].values()
    for subject in axis_names(entry["brain"], "subject")
]


wildcard_constraints:
    study=one_of(config["rsa"]),
    subject=one_of([*SUBJECTS, JOINT_SUBJECT]),
    model=one_of(model for entry in config["rsa"].values() for model in entry["models"]),
