# Functions of data: simulated folders, what images are chosen by, and responses without noise.


def scene_simulations():
    """Return folder -> parameters of the simulated folders."""
    return {
        entry["simulation"]["folder"]: entry["simulation"]
        for entry in config["dissimilarity"].values()
        if entry["source"] == "simulated"
    }


def folds_of_labels(wildcards):
    """Return what the folds follow from that responses are standardised in, if they are."""
    return fold_settings()(wildcards) if standardised_by(wildcards) == "training" else None


def files_of_challenge(wildcards):
    """Return the files of responses and ROIs of all subjects."""
    return challenge_paths(config["dissimilarity"][wildcards.study], config["run"])


def file_of_excluded(wildcards):
    """Return the file with the names of images to leave out, if there is one."""
    exclude = pair_setting("images", "exclude")(wildcards)
    return exclude if isinstance(exclude, str) else []


def subjects_of_excluded(wildcards):
    """Return the subjects among whose images those to leave out are, if there are any.

    Else a new subject would change what the images of all others are made with.
    """
    exclude = pair_setting("images", "exclude")(wildcards)
    return pair_subjects(wildcards.study) if exclude else []


def true_responses(wildcards):
    """Return the files with the responses of a simulation before noise, if it is one."""
    entry = config["dissimilarity"][wildcards.study]
    return [
        f"{challenge_folder(entry, config['run'])}/{noiseless_file(subject, hemisphere)}"
        for subject in entry["subjects"]
        for hemisphere in HEMISPHERES
        if entry["source"] == "simulated"
    ]
