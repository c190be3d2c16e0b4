# Functions of section `reconstruction`: its entries, and where their data lies.

from workflow.lib.layouts.pictures import (
    all_response_files,
    image_folders,
    parts_of,
    reading_options,
    response_files,
    response_patterns,
    simulated_stimuli,
    stimulus_patterns,
    stimulus_tables,
    trial_options,
)

RECONSTRUCTION_STUDIES = one_of(config["reconstruction"])
RECONSTRUCTION = [study for study in STUDIES if study in config["reconstruction"]]
RECONSTRUCTION_SUBJECTS = one_of(
    subject for entry in config["reconstruction"].values() for subject in entry["subjects"]
)


def picture_simulations():
    """Return folder -> entry of the simulated studies."""
    return {
        entry["simulation"]["folder"]: entry
        for entry in config["reconstruction"].values()
        if entry["source"] == "simulated"
    }


def of_parts(entry, training, test):
    """Return part -> setting of the simulation, one of training and one of every test."""
    first, *tests = parts_of(entry)
    found = entry["simulation"]
    return {first: found[training]} | dict.fromkeys(tests, found[test])


def of_picture_entry(function):
    """Return a params or input function: a function of the wildcards' entry."""
    return lambda wildcards: function(config["reconstruction"][wildcards.study])


def recorded_files(entry):
    """Return the files of responses of all subjects, part by part."""
    folder = raw_folder(entry, config["run"])
    patterns = response_patterns(entry).values()
    return [f"{folder}/{file.format(subject=s)}" for file in patterns for s in entry["subjects"]]


def recorded_files_of_subject(wildcards):
    """Return the files of responses of the wildcards' subject, part by part."""
    entry = config["reconstruction"][wildcards.study]
    folder = raw_folder(entry, config["run"])
    return [f"{folder}/{file}" for file in response_files(entry, wildcards.subject)]


def folder_of_stimuli(entry):
    """Return the folder of the image files; nothing where images stand beside the responses."""
    if not stimulus_patterns(entry):
        return []
    return entry["stimuli"]["path"] or raw_folder(entry, config["run"])


def images_of_stimuli(wildcards):
    """Return the folders with the image files, none where they stand beside the responses.

    Raises
    ------
    WorkflowError
        One is not there. This is said where images are asked for, since other studies need none.
    """
    entry = config["reconstruction"][wildcards.study]
    missing = [folder for folder in given_folders(wildcards.study) if not Path(folder).is_dir()]
    if missing:
        told = [DATASETS[entry["dataset"]].how_to_get] if entry["dataset"] else []
        sentence = (
            f"config, reconstruction.{wildcards.study}.stimuli: found no folder {missing[0]}, "
            "expected the images that subjects saw; give their folder in stimuli.path, or leave "
            "the study out."
        )
        raise WorkflowError(" ".join([sentence, *told]))
    return image_folders(entry, raw_folder(entry, config["run"]))


def tables_of_images(entry):
    """Return the tables that say which image an id stands for."""
    tables = stimulus_tables(entry).values()
    return [f"{folder_of_stimuli(entry)}/{table['file']}" for table in tables]
