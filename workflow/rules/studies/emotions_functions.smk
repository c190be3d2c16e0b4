# Functions of section `emotions`: its entries, their settings, and where their data lies.

from workflow.lib.layouts.movie import (
    annotation_files,
    confound_files,
    mask_file,
    movie_files,
    region_file,
    run_files,
)
from workflow.lib.config.emotions import covered_model, networks_of, shown_model, splits_of

EMOTION_STUDIES = one_of(config["emotions"])
EMOTIONS = [study for study in STUDIES if study in config["emotions"]]
EMOTION_SUBJECTS = one_of(
    subject for entry in config["emotions"].values() for subject in entry["subjects"]
)
OCCLUDED_NAMES = [name for name, entry in config["emotions"].items() if covered_model(entry)]
OCCLUDED_STUDIES = one_of(OCCLUDED_NAMES)
# Without a second run nothing is cross-validated.
EMOTION_RSA_STUDIES = one_of(
    name for name, entry in config["emotions"].items() if len(entry["runs"]) > 1
)
MOVIE_SPLITS = one_of(
    split for entry in config["emotions"].values() for split in entry["splits"]["names"]
)


def studies_of_data(data):
    """Return a regular expression for the entries of volumes, or of parcels."""
    return one_of(name for name, entry in config["emotions"].items() if entry["data"] == data)


def emotion_models(*kinds):
    """Return a regular expression for the models of these kinds."""
    return one_of(
        model
        for entry in config["emotions"].values()
        for model, block in entry["models"].items()
        if block["kind"] in kinds
    )


def movie_setting(*keys):
    """Return a params function that gives a key of the wildcards' entry of `emotions`."""
    return lambda wildcards: setting_of(config["emotions"][wildcards.study], *keys)


def movie_folder(entry):
    """Return the folder of the raw files of an entry."""
    return raw_folder(entry, config["run"])


def in_movie_folder(function):
    """Return an input function for the raw files that a function of an entry lists.

    Of the wildcards' subject, where there is one.
    """

    def files(wildcards):
        entry = config["emotions"][wildcards.study]
        arguments = [wildcards.subject] if "subject" in wildcards.keys() else []
        found = function(entry, *arguments)
        found = list(found.values()) if isinstance(found, dict) else found
        found = [found] if isinstance(found, str) else found or []
        return [f"{movie_folder(entry)}/{file}" for file in found]

    return files


def all_regions(wildcards):
    """Return the image with the regions of every subject, none where there are none."""
    entry = config["emotions"][wildcards.study]
    files = [region_file(entry, subject) for subject in entry["subjects"]]
    return [f"{movie_folder(entry)}/{file}" for file in files if file]


def all_timeseries(wildcards):
    """Return the time series of all subjects of an entry, in order."""
    return [
        f"<results>/{wildcards.study}/timeseries/{subject}.h5"
        for subject in config["emotions"][wildcards.study]["subjects"]
    ]


def movie_simulations():
    """Return folder -> entry of the simulated movies."""
    return {
        entry["simulation"]["folder"]: entry
        for entry in config["emotions"].values()
        if entry["source"] == "simulated"
    }


def all_runs(wildcards):
    """Return the runs of all subjects of an entry, subject by subject."""
    entry = config["emotions"][wildcards.study]
    return [
        f"{movie_folder(entry)}/{file}"
        for subject in entry["subjects"]
        for file in run_files(entry, subject).values()
    ]


def run_lengths(wildcards):
    """Return run -> number of its volumes."""
    runs = config["emotions"][wildcards.study]["runs"]
    return {run: block["n_volumes"] for run, block in runs.items()}


def mask_of_subject(wildcards):
    """Return the mask of a subject: the given one, or that of all subjects."""
    given = in_movie_folder(mask_file)(wildcards)
    return given or f"<results>/{wildcards.study}/timeseries/mask.nii.gz"


def steps_of_volumes(wildcards):
    """Return what is done to volumes."""
    volumes = config["emotions"][wildcards.study]["volumes"]
    return {key: volumes[key] for key in ("detrend", "high_pass", "standardise", "smoothing")}


def stimulus_table(wildcards):
    """Return the table of what is shown, if there is one."""
    entry = config["emotions"][wildcards.study]
    return f"{movie_folder(entry)}/{entry['stimulus']}" if entry["stimulus"] else []


def emotion_model(key):
    """Return a params function that gives a key of the wildcards' model."""

    def value(wildcards):
        return config["emotions"][wildcards.study]["models"][wildcards.model][key]

    return value


def emotion_splits(wildcards):
    return splits_of(config["emotions"][wildcards.study], wildcards.model)


def weights_of_network(wildcards):
    """Return the file with the published weights, if a network takes them from one."""
    weights = emotion_model("network")(wildcards)["weights"]
    return weights if is_weight_file(weights) else []


def simulation_setting(*keys):
    """Return a params function that gives a key of the entry that the wildcards' folder is of."""
    return lambda wildcards: setting_of(movie_simulations()[wildcards.folder], *keys)


def movie_duration(wildcards):
    """Return how long the movie is, in seconds."""
    return max(run["end"] for run in config["emotions"][wildcards.study]["runs"].values())


def all_predictions(wildcards):
    """Return the predictions of all models of an entry; those of networks by split."""
    entry, files = config["emotions"][wildcards.study], []
    for model, block in entry["models"].items():
        splits = [f"_{split}" for split in splits_of(entry, model)]
        files += [
            f"<results>/{wildcards.study}/models/predictions_{model}{split}.h5"
            for split in (splits if block["kind"] == "cnn" else [""])
        ]
    return files


def all_refits(wildcards):
    """Return the scores of decoders of shifted labels, of all decoders of an entry, or none."""
    entry = config["emotions"][wildcards.study]
    models = entry["models"] if entry["inference"]["n_refits"] else {}
    return [
        f"<results>/{wildcards.study}/models/refits_{model}.csv"
        for model, block in models.items()
        if block["kind"] != "cnn"
    ]


# What figures call how a movie is labelled.
RULES_OF_LABELS = {"any_character": "labels of any character", "original": "labels as published"}


def labelling(study):
    """Return what figures call the labels and times of an entry."""
    labels = config["emotions"][study]["labels"]
    timing = (
        "times as published"
        if labels["timing"] == "cumulative"
        else f"true times, lag of {labels['lag']} volumes"
    )
    return f"{RULES_OF_LABELS[labels['rule']]}, {timing}"


def shown_beside(study):
    """Return the entries whose scores stand in the figure of leakage, its own first."""
    return [study, *config["emotions"][study]["beside"]]


def tables_beside(wildcards):
    return [f"<results>/{study}/tables/decoding.csv" for study in shown_beside(wildcards.study)]


def labels_beside(wildcards):
    """Return what rows of the figure of leakage are called; nothing where there is one."""
    studies = shown_beside(wildcards.study)
    return [labelling(study) for study in studies] if len(studies) > 1 else [""]


def of_covered(path):
    """Return an input function for a file of the network and split that are covered, or nothing."""

    def file(wildcards):
        covered = covered_model(config["emotions"][wildcards.study])
        if not covered:
            return []
        model, split = covered
        return f"<results>/{wildcards.study}/{path.format(model=model, split=split)}"

    return file


def covered_features(wildcards):
    """Return the file with the features of the network that is covered, in a list, or none."""
    file = of_covered("features/{model}_{split}.h5")(wildcards)
    return [file] if file else []


def maps_of_emotions(study, kind):
    """Return the files with a map of each emotion of an entry."""
    emotions = config["emotions"][study]["labels"]["classes"]
    return [f"<results>/{{study}}/maps/{kind}_{emotion}.nii.gz" for emotion in emotions]


def truth_of_movie(study):
    """Return the files that tell what was planted, as inputs, if the data is simulated."""
    entry = config["emotions"][study]
    if entry["source"] != "simulated":
        return {}
    names = {"truth": "truth.csv", "regions": "truth.nii.gz"}
    return {key: f"{movie_folder(entry)}/{name}" for key, name in names.items()}


def recovery_of_occlusion(study):
    """Return maps of what was planted and the table that holds others to them, as outputs.

    Nothing where the data is not simulated.
    """
    if config["emotions"][study]["source"] != "simulated":
        return {}
    table = report(
        "<results>/{study}/tables/occlusion_recovery.csv",
        caption=str(REPOSITORY / "workflow/report/occlusion_recovery_table.rst"),
        category="{study}",
        subcategory="Tables",
        labels={"item": "planted regions found"},
    )
    return {"recovery": table, "planted": maps_of_emotions(study, "planted")}


def planted_maps(wildcards):
    """Return a map of what was planted for each emotion, if the data is simulated."""
    return maps_of_emotions(wildcards.study, "planted") if is_simulated(wildcards) else []


def recovery_table(wildcards):
    """Return the table that holds maps to the planted truth, if there is one."""
    simulated = is_simulated(wildcards)
    return f"<results>/{wildcards.study}/tables/occlusion_recovery.csv" if simulated else []


def model_shown(wildcards):
    return shown_model(config["emotions"][wildcards.study])


def model_of_confounds(wildcards):
    """Return the model of an entry that sees confounds, None if there is none."""
    models = config["emotions"][wildcards.study]["models"]
    return next((name for name, block in models.items() if block["sees"] == "confounds"), None)


def confounds_seen(wildcards):
    """Return what each model that sees confounds alone is given."""
    entry = config["emotions"][wildcards.study]
    seen = ["which run it is", "powers of the time within the run"]
    seen += ["motion"] if entry["volumes"]["confounds"] else []
    seen += ["what the movie shows (luminance and the like)"] if entry["stimulus"] else []
    models = entry["models"]
    return {name: seen for name, block in models.items() if block["sees"] == "confounds"}


def model_with_balanced_classes(wildcards):
    """Return the model of an entry for which all emotions weigh as much, None if there is none."""
    models = config["emotions"][wildcards.study]["models"]
    return next(
        (
            name
            for name, block in models.items()
            if block["sees"] == "patterns" and block["options"].get("class_weight") == "balanced"
        ),
        None,
    )


def predictions_of_shown(wildcards):
    """Return the predictions of the shown model; of a network those of its last split."""
    entry, model = config["emotions"][wildcards.study], model_shown(wildcards)
    network = entry["models"][model]["kind"] == "cnn"
    split = f"_{splits_of(entry, model)[-1]}" if network else ""
    return f"<results>/{wildcards.study}/models/predictions_{model}{split}.h5"


def decoding_as_published(wildcards):
    """Return the scores of the entry beside this one whose labels are as published, or none."""
    entries = config["emotions"]
    return [
        f"<results>/{other}/tables/decoding.csv"
        for other in entries[wildcards.study]["beside"]
        if entries[other]["labels"]["rule"] == "original"
    ][:1]


def first_timeseries(wildcards):
    return all_timeseries(wildcards)[0]


def table_of_rsa(wildcards):
    """Return the table of RDMs, if there are runs to cross-validate over."""
    several = len(config["emotions"][wildcards.study]["runs"]) > 1
    return f"<results>/{wildcards.study}/tables/emotion_rsa.csv" if several else []


def lag_in_seconds(wildcards):
    entry = config["emotions"][wildcards.study]
    return entry["labels"]["lag"] * entry["tr"]


TRAININGS |= dict.fromkeys(
    config["emotions"],
    lambda network: {
        "note": "Loss: cross-entropy. Weights are kept of the epoch that tells most validation "
        "volumes right (the mean over emotions, where training is balanced); test volumes have no "
        "part in this."
    },
)


def emotion_targets():
    """Return the figures and tables of the selected studies."""
    wanted = []
    for study in EMOTIONS:
        entry, folder = config["emotions"][study], f"<results>/{study}"
        figures = ["leakage", "roc", "confusion", "calibration", "timeline", "agreement"]
        tables = ["agreement", "emotion_counts", "leak_audit", "decoding", "auc"]
        if len(entry["runs"]) > 1:
            figures += ["emotion_rdms", "emotion_rsa", "parcel_rsa"]
            tables += ["emotion_rsa", "parcel_rsa"]
        if covered_model(entry):
            tables += ["occlusion_checks", "top_voxels", "embedding_quality"]
            figures += ["occlusion", "top_voxels", "embedding"]
            # Networks with published weights are not trained.
            figures += [
                f"learning_curves_{model}_{split}"
                for model in networks_of(entry)
                for split in splits_of(entry, model)
                if not is_weight_file(entry["models"][model]["network"]["weights"])
            ]
        wanted += [f"{folder}/tables/{table}.csv" for table in tables]
        wanted.append(f"{folder}/tables/corrections.html")
        wanted += [f"{folder}/figures/{figure}.png" for figure in figures]
    return wanted


def told_of_emotions(study):
    """Return name -> table of an entry that its methods and the scorecard tell of."""
    names = {name: name for name in ("decoding", "corrections", "auc")}
    if len(config["emotions"][study]["runs"]) > 1:
        names["rsa"] = "emotion_rsa"
    return {name: f"<results>/{study}/tables/{file}.csv" for name, file in names.items()}


TOLD_TABLES["emotions"] = told_of_emotions
STUDY_TARGETS.append(emotion_targets)
