# What all stages share: the completed config, and functions from wildcards to files.
#
# Config reaches scripts through params only; nothing here reads data.

import functools
import operator
import os
import re
import sys
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError

from workflow.lib.config.complete import (
    complete_config,
    entries_of,
    made_conditions,
    section_raw_paths,
    study_names,
)
from workflow.lib.config.inference import PARTIAL_COMPARATORS, permuted_units
from workflow.lib.config.merging import laid_over
from workflow.lib.config.rsa_kinds import MODEL_KINDS, encoded_models, featured_models
from workflow.lib.config.sections import sections, study_sections
from workflow.lib.config.shipped import with_shipped_files
from workflow.lib.acquire.datasets import (
    download_plan,
    fetched_files,
    find_file,
    load_datasets,
    small_families,
)
from workflow.lib.digest import code_digest
from workflow.lib.errors import InputError
from workflow.lib.interrupted import forget_run, note_run, release_locks, remove_leftovers
from workflow.lib.acquire.kept_files import keep_files, release_files
from workflow.lib.layout import (
    RESOURCES,
    find_source,
    is_weight_file,
    raw_files,
    raw_folder,
    simulated_folder,
    stimulus_files,
)
from workflow.lib.sources import (
    JOINT_SUBJECT,
    axis_of,
    model_source,
    source_keys,
    source_of_subject,
)

# Not the folder of the first Snakefile, which is another's where this workflow is a module of it.
REPOSITORY = Path(workflow.snakefile).parents[2]
DATASETS_FILE = REPOSITORY / "config" / "datasets.yaml"

# What SLURM sets for a job with a GPU. These name GPUs, of which the first is 0.
GIVEN_GPUS = {"SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES"}


def is_given_gpu():
    """Return whether this job of SLURM was given a GPU.

    SLURM_GPUS is what was asked for, `2`, `a100:2`, or `a100:0` where a model is set of a rule and
    --resources gpu=0 left none.
    """
    asked_for = os.environ.get("SLURM_GPUS", "0").rpartition(":")[2]
    return asked_for != "0" or not GIVEN_GPUS.isdisjoint(os.environ)


# Snakemake keeps the limits of --resources to itself: a job that SLURM gave no GPU, for --resources
# gpu=0, would ask for the one of its rule.
if workflow.remote_exec and "SLURM_JOB_ID" in os.environ and not is_given_gpu():
    workflow.register_resource("gpu", 0)


def start_jobs_at_once():
    """Lift Snakemake's limit of 100 jobs a second, where jobs run on this machine.

    It has all ready jobs looked through again a second after each time that they were, for ever: in
    a run of hundreds of jobs as often as there is processor time for it (Snakemake 9.27), and it
    keeps a call that has ended waiting for the last second. Of a scheduler it stays.
    """
    scheduler = getattr(workflow, "scheduler", None)
    # Snakemake promises neither name: a version without them only starts its jobs more slowly.
    if workflow.local_exec and hasattr(scheduler, "job_rate_limiter"):
        scheduler.job_rate_limiter = None


def given_config():
    """Return the default config, with all others of the command line laid over it.

    Snakemake has done so for `config`, but key by key down to the names of ROIs and layers. Of a
    module, `config` is what the workflow that uses it gives.
    """
    default = load_configfile(str(REPOSITORY / "config" / "config.yaml"))
    if not workflow.modifier.is_main_snakefile():
        return laid_over(default, config)
    settings = workflow.config_settings
    files = [load_configfile(file) for file in settings.configfiles]
    return laid_over(default, *files, settings.config)


try:
    config = with_shipped_files(complete_config(given_config()), REPOSITORY)
    DATASETS = load_datasets(DATASETS_FILE)
except InputError as error:
    raise WorkflowError(str(error)) from None

if release_locks():
    # What goes to the output may be a graph for another program.
    print("An earlier run was killed: going on from what it finished.", file=sys.stderr)


def end_run():
    """Forget this run; the last one in the folder takes the second names from raw files."""
    if forget_run():
        release_files(RESOURCES)


# Studies append functions without arguments that list what they want built beside the stages.
STUDY_TARGETS = []


def all_registered():
    """Return (dataset, path) of every raw file that the registry lists and that is fetched."""
    return fetched_files(DATASETS, RESOURCES, config["mirror"])


def script_digest(script):
    """Return the digest of the library behind scripts/<script>; see workflow.lib.digest."""
    return code_digest(REPOSITORY / "scripts" / script)


def training_digest(script):
    """Return the digest of scripts/<script>, which trains networks, and of the library behind it.

    Snakemake sees an edited script; the checkpoint of a training that was cut short does not.
    """
    return code_digest(REPOSITORY / "scripts" / script, itself=True)


def axis_names(source, placeholder):
    """Return the labels of a source along an axis, () if it has none."""
    axis = axis_of(source, placeholder)
    return axis.names if axis else ()


def entry_of(study):
    """Return what the config says of a study: its entry in `rsa`, or in a section of its own."""
    return next(iter(entries_of(config, study).values()))


def setting_of(entry, *keys):
    """Return what stands in an entry of the config under a key, in a block, and so on."""
    return functools.reduce(operator.getitem, keys, entry)


def setting(*keys):
    """Return a params function that gives a key of the wildcards' study."""
    return lambda wildcards: setting_of(entry_of(wildcards.study), *keys)


def permuted(wildcards):
    """Return what changes places in permutation tests of the wildcards' study."""
    return permuted_units(entry_of(wildcards.study)["inference"])


def raw_folder_of(wildcards):
    return raw_folder(config["rsa"][wildcards.study], config["run"])


def in_raw_folder(study, source, fixed=None):
    """Return the paths of the raw files of a config block of a study."""
    folder = raw_folder(config["rsa"][study], config["run"])
    return [f"{folder}/{file}" for file in raw_files(source, folder, fixed)]


def study_subjects(study, joint=True):
    """Return the subjects of a study, and their joint RDM where there are several."""
    subjects = axis_names(config["rsa"][study]["brain"], "subject")
    return [*subjects, JOINT_SUBJECT] if joint and len(subjects) > 1 else list(subjects)


def brain_raw_files(wildcards):
    fixed = {"subject": wildcards.subject} if "subject" in wildcards.keys() else None
    return in_raw_folder(wildcards.study, config["rsa"][wildcards.study]["brain"], fixed)


def model_raw_files(wildcards):
    models = config["rsa"][wildcards.study]["models"]
    chosen = [wildcards.model] if "model" in wildcards.keys() else list(model_sources(wildcards))
    return [
        file
        for name in chosen
        for file in in_raw_folder(wildcards.study, model_source(models[name]))
    ]


def brain_source(wildcards):
    source = source_keys(config["rsa"][wildcards.study]["brain"])
    return source_of_subject(source, wildcards.get("subject"))


def model_sources(wildcards):
    """Return the sources of the models that are given in files, as RDMs or as activations."""
    models = config["rsa"][wildcards.study]["models"]
    return {
        name: model_source(model)
        for name, model in models.items()
        if "files" in model or "features" in model
    }


def source_of_model(wildcards):
    return model_sources(wildcards)[wildcards.model]


def stimulus_raw_files(wildcards):
    entry = config["rsa"][wildcards.study]
    folder = raw_folder(entry, config["run"])
    return [f"{folder}/{file}" for file in stimulus_files(entry, DATASETS, config["run"])]


def stimuli_source(wildcards):
    """Return the keys of a study's stimuli that say where they lie, if it has any."""
    stimuli = config["rsa"][wildcards.study].get("stimuli")
    return source_keys(stimuli) if stimuli else None


def shown_images(wildcards):
    """Return the table of the common images where a model sees no others, else [].

    The mean and deviation by which units are standardised are those over the compared images.
    """
    entry = config["rsa"][wildcards.study]
    standardised = entry["models"][wildcards.model].get("standardise_units")
    common = standardised or entry["stimuli"]["extract"] == "common"
    return f"<results>/{wildcards.study}/rdms/images.csv" if common else []


def group_table(wildcards):
    """Return the table with the groups of the images, if the study has one."""
    table = config["rsa"][wildcards.study]["images"].get("group_table")
    return table["file"] if table else []


def model_weights(wildcards):
    """Return the file with a network's weights, if they come from a file."""
    weights = config["rsa"][wildcards.study]["models"][wildcards.model]["weights"]
    return weights if is_weight_file(weights) else []


def seed_of_untrained(wildcards):
    """Return the run's seed for random weights; trained networks must not run again for it."""
    weights = config["rsa"][wildcards.study]["models"][wildcards.model]["weights"]
    return config["seed"] if weights == "untrained" else 0


def model_block(*keys):
    """Return a params function that gives some keys of the wildcards' model."""

    def block(wildcards):
        model = config["rsa"][wildcards.study]["models"][wildcards.model]
        return {key: model[key] for key in keys}

    return block


def control_options(wildcards):
    """Return the options of a control model that the config gives."""
    return config["rsa"][wildcards.study]["models"][wildcards.model].get("options", {})


def made_layers(wildcards):
    """Return the layers that the config lists of a model that the study makes, else None."""
    model = config["rsa"][wildcards.study]["models"][wildcards.model]
    return list(model["layers"]["names"]) if "made" in model else None


def model_rdms(wildcards):
    return [
        f"<results>/{wildcards.study}/rdms/model_{model}.h5"
        for model in config["rsa"][wildcards.study]["models"]
    ]


def model_grams(wildcards):
    return [
        f"<results>/{wildcards.study}/features/grams/model_{model}.h5"
        for model in featured_models(config["rsa"][wildcards.study])
    ]


def size_mb(factor, at_least=1500):
    """Return a memory request that grows with the input, doubled at each retry."""

    def mem_mb(wildcards, input, attempt):
        return int(max(at_least, factor * input.size_mb + 500)) * 2 ** (attempt - 1)

    return mem_mb


def megabytes(n):
    """Return a request for so much memory, doubled at each retry."""
    return lambda wildcards, attempt: n * 2 ** (attempt - 1)


def minutes(n):
    """Return a request for so many minutes, doubled at each retry."""
    return lambda wildcards, attempt: n * 2 ** (attempt - 1)


def raw_paths(study):
    """Return all raw files of a study, of all its sections."""
    paths = [
        path
        for section in sections()
        for path in section_raw_paths(config, section, study, DATASETS)
    ]
    return list(dict.fromkeys(paths))


def is_simulated_file(path):
    return path.startswith(f"{simulated_folder(config['run'])}/")


def given_folders(study):
    """Return the folders of a study that have to be here, for no rule makes them."""
    entries = entries_of(config, study).items()
    return [
        folder
        for section, entry in entries
        for folder in study_sections()[section].given_folders(entry, config["run"])
    ]


def is_available(study):
    """Return whether all raw files of a study are here, or will be simulated."""
    return all(Path(folder).is_dir() for folder in given_folders(study)) and all(
        is_simulated_file(path) or find_source(path, DATASETS, config["mirror"])
        for path in raw_paths(study)
    )


def selected_studies():
    """Return the studies to run, without those whose data is not here if so configured."""
    if not config["only_available"]:
        return config["studies"]
    available = [study for study in config["studies"] if is_available(study)]
    if not available:
        raise WorkflowError(
            f"found none of the raw files of {', '.join(config['studies'])} in resources/ or in "
            f"the mirror ({config['mirror']}); give a folder that holds <dataset>/<file>, for "
            "example `--config mirror=<folder>`"
        )
    return available


def check_datasets():
    """Stop at a study whose dataset is not in the registry."""
    for name in study_names(config):
        for section, entry in entries_of(config, name).items():
            for block in study_sections()[section].dataset_blocks(entry):
                fetched = block["source"] in ("mirror", "download")
                if fetched and block["dataset"] not in DATASETS:
                    raise WorkflowError(
                        f"config, {section}.{name}.dataset: found {block['dataset']!r}, expected "
                        f"one of {', '.join(DATASETS)} (config/datasets.yaml)"
                    )


def datasets_of(source):
    """Return the datasets whose raw files the selected studies take from a source."""
    return {
        Path(path).relative_to(RESOURCES).parts[0]
        for study in STUDIES
        for section, entry in entries_of(config, study).items()
        if entry["source"] == source
        for path in section_raw_paths(config, section, study, DATASETS)
        if path.startswith(f"{RESOURCES}/")
    }


check_datasets()
STUDIES = selected_studies()
RSA_STUDIES = [study for study in STUDIES if study in config["rsa"]]
MIRROR_ONLY = datasets_of("mirror") - datasets_of("download")


def one_of(names):
    """Return a regular expression for exactly these names, or for nothing."""
    return "|".join(map(re.escape, dict.fromkeys(names))) or "(?!)"


SUBJECTS = [
    subject for entry in config["rsa"].values() for subject in axis_names(entry["brain"], "subject")
]


def studies_with(*data):
    """Return a regular expression for the studies whose brain side is given as rdms or patterns."""
    return one_of(name for name, entry in config["rsa"].items() if entry["brain"]["data"] in data)


def kind_of(model):
    """Return how a model's RDMs are made: from files, features, a network, a control or groups."""
    if model.get("control") == "groups":
        return "groups"
    return next(kind for kind in MODEL_KINDS if kind in model)


def studies_with_model(*kinds, data=None):
    """Return a regular expression for studies, where a model of some kind follows in the path.

    The same name may be a file in one study and a network in another, so that a constraint on the
    model alone would leave two rules for one file.
    """
    patterns = []
    for name, entry in config["rsa"].items():
        models = one_of(
            model for model, block in entry["models"].items() if kind_of(block) in kinds
        )
        if data in (None, entry["brain"]["data"]):
            patterns.append(rf"{re.escape(name)}(?=/[a-z/]+/model_(?:{models})\.h5$)")
    return "|".join(patterns) or "(?!)"


def simulations(simulator):
    """Return folder -> parameters of the simulations that a simulator writes."""
    return {
        entry["simulation"]["folder"]: entry["simulation"]
        for entry in config["rsa"].values()
        if entry["source"] == "simulated" and entry["simulation"]["simulator"] == simulator
    }


wildcard_constraints:
    study=one_of(study_names(config)),
    subject=one_of([*SUBJECTS, JOINT_SUBJECT]),
    model=one_of(model for entry in config["rsa"].values() for model in entry["models"]),
