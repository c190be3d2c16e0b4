# Functions of section `dissimilarity`: its entries, their settings, and where their data lies.

from workflow.lib.layouts.algonauts2023 import (
    HEMISPHERES,
    SIMULATED_SUBJECTS as SCENE_SUBJECTS,
    images_folder,
    noiseless_file,
    simulated_files,
    test_images_folder,
)
from workflow.lib.config.dissimilarity import challenge_folder, challenge_paths
from workflow.lib.config.pair_kinds import (
    EMBEDDERS,
    FILE_KEYS,
    JOINED,
    file_of_subject,
    has_leaked,
    is_stepwise,
    needs,
)
from workflow.lib.files import sha256_of

PAIR_STUDIES = one_of(config["dissimilarity"])
# Of these, RDMs are computed here; those of the others are the ones of `rsa`.
FOLDER_STUDIES = one_of(
    name for name, entry in config["dissimilarity"].items() if entry["source"] != "rsa"
)
DISSIMILARITY = [study for study in STUDIES if study in config["dissimilarity"]]


def pair_setting(*keys):
    """Return a params function that gives a key of the wildcards' entry of `dissimilarity`."""
    return lambda wildcards: setting_of(config["dissimilarity"][wildcards.study], *keys)


# What decides which images have which part in a fold.
OF_FOLDS = ("n_folds", "validation_share", "duplicates")


def fold_settings(*others):
    """Return a params function that gives what folds of images follow from, and other keys."""

    def settings(wildcards):
        splits = config["dissimilarity"][wildcards.study]["splits"]
        return {key: splits[key] for key in (*OF_FOLDS, *others)}

    return settings


def standardised_by(wildcards):
    """Return by which images responses are standardised before their RDM."""
    entry = config["dissimilarity"][wildcards.study]
    return "as published" if entry["source"] == "rsa" else entry["labels"]["standardise"]


def pair_subjects(study):
    """Return the subjects of an entry."""
    return config["dissimilarity"][study]["subjects"]


PAIR_SUBJECTS = one_of(
    subject for study in config["dissimilarity"] for subject in pair_subjects(study)
)


def challenge_files(wildcards):
    """Return the files of a subject's responses and ROIs, and simulated images."""
    entry = config["dissimilarity"][wildcards.study]
    files = challenge_paths({**entry, "subjects": [wildcards.subject]}, config["run"])
    if entry["source"] == "simulated":
        files.append(f"{challenge_folder(entry, config['run'])}/{images_folder(wildcards.subject)}")
    return files


def folder_of_challenge(wildcards):
    """Return the folder of the wildcards' entry, None where there are RDMs only."""
    entry = config["dissimilarity"][wildcards.study]
    return None if entry["source"] == "rsa" else challenge_folder(entry, config["run"])


def fmri_rdms(wildcards):
    """Return the file with a subject's RDMs of all ROIs."""
    entry = config["dissimilarity"][wildcards.study]
    kind = "brain" if entry["source"] == "rsa" else "fmri"
    return f"<results>/{wildcards.study}/rdms/{kind}_{wildcards.subject}.h5"


def all_fmri_rdms(wildcards):
    """Return the files with the RDMs of all subjects."""
    entry = config["dissimilarity"][wildcards.study]
    kind = "brain" if entry["source"] == "rsa" else "fmri"
    return of_pair_subjects(f"rdms/{kind}_{{subject}}.h5")(wildcards)


def of_pair_subjects(path):
    """Return an input function for a file of every subject of an entry."""

    def files(wildcards):
        return [
            f"<results>/{wildcards.study}/{path.format(subject=subject)}"
            for subject in pair_subjects(wildcards.study)
        ]

    return files


def if_from_rsa(function):
    """Return a function of wildcards that gives nothing where data is not that of `rsa`."""

    def value(wildcards):
        from_rsa = config["dissimilarity"][wildcards.study]["source"] == "rsa"
        return function(wildcards) if from_rsa else []

    return value


def model_subjects(study, model):
    """Return the subjects that a model is fitted to."""
    block = config["dissimilarity"][study]["models"][model]
    return block.get("subjects", pair_subjects(study))


def of_pair_models(path):
    """Return an input function for a file of every model and each of its subjects.

    Of one subject, where there are wildcards of one.
    """

    def files(wildcards):
        only = [wildcards.subject] if "subject" in wildcards.keys() else None
        return [
            f"<results>/{wildcards.study}/{path.format(subject=subject, model=model)}"
            for model in config["dissimilarity"][wildcards.study]["models"]
            for subject in model_subjects(wildcards.study, model)
            if only is None or subject in only
        ]

    return files


def pair_rois(wildcards):
    """Return the ROIs of an entry with their parts; all those of the study of `rsa` by default."""
    entry = config["dissimilarity"][wildcards.study]
    if entry["rois"] or entry["source"] != "rsa":
        return entry["rois"]
    return {roi: [roi] for roi in axis_names(config["rsa"][wildcards.study]["brain"], "roi")}


def pair_metrics(wildcards):
    """Return the metrics of an entry; RDMs of `rsa` have the one that they were made with."""
    entry = config["dissimilarity"][wildcards.study]
    if entry["source"] != "rsa":
        return entry["metrics"]
    brain = config["rsa"][wildcards.study]["brain"]
    return ["as published" if brain["data"] == "rdms" else brain["metric"]]


def module_digest(script):
    """Return the digest of a module that a script imports by name: its own, and what it imports."""
    return sha256_of(REPOSITORY / "scripts" / script)[:16], script_digest(script)


def pair_folder(wildcards):
    """Return the folder of the raw files of an entry, whatever its source."""
    entry = config["dissimilarity"][wildcards.study]
    if entry["source"] == "rsa":
        return raw_folder_of(wildcards)
    return challenge_folder(entry, config["run"])


def pair_targets():
    """Return the figures and tables of the selected studies."""
    tables = (
        *("leak_audit", "pair_scores", "inflation", "model_ranking"),
        *("raw_distances", "extreme_pairs"),
    )
    figures = (
        *("flow_chart", "architectures", "distributions", "raw_distances", "extreme_pairs"),
        *("model_ranking_clean", "model_ranking_leaked", "inflation", "subject_rois"),
    )
    wanted = []
    for study in DISSIMILARITY:
        splits = config["dissimilarity"][study]["splits"]
        names = [*figures, *(["training_size"] if splits["n_training_images"] else [])]
        subjects = pair_subjects(study)
        names += [f"pair_r2_{model}" for model in layered_models(study)]
        names += [
            f"loss_curves_{model_subjects(study, model)[0]}_{model}"
            for model in trained_models(study)
        ]
        for subject in subjects:
            names += [f"fmri_rdms_{subject}", f"true_predicted_{subject}"]
        wanted += [f"<results>/{study}/tables/{table}.csv" for table in tables]
        if config["dissimilarity"][study]["source"] != "rsa":
            wanted.append(f"<results>/{study}/tables/vertices.csv")
        wanted += [f"<results>/{study}/figures/{figure}.png" for figure in names]
    return wanted


def check_challenge_folders():
    """Stop at a selected study whose folder lacks a file, before anything is run."""
    for study in DISSIMILARITY:
        entry = config["dissimilarity"][study]
        if entry["source"] != "path":
            continue
        for file in challenge_paths(entry, config["run"]):
            if not Path(file).is_file():
                raise WorkflowError(
                    f"config, dissimilarity.{study}.path: found no {file}, expected the folder of "
                    "the Algonauts 2023 challenge, with responses of both hemispheres; give its "
                    "path, or leave the study or the subject out. "
                    + DATASETS["algonauts2023"].how_to_get
                )


check_challenge_folders()
TOLD_TABLES["dissimilarity"] = lambda study: {
    name: f"<results>/{study}/tables/{file}.csv"
    for name, file in {
        "scores": "pair_scores",
        "inflation": "inflation",
        "distances": "raw_distances",
        "extremes": "extreme_pairs",
    }.items()
}
STUDY_TARGETS.append(pair_targets)
