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
from workflow.lib.config.pair_kinds import EMBEDDERS, JOINED, is_stepwise
from workflow.lib.config.pair_sizes import asked_sizes
from workflow.lib.files import sha256_of

PAIR_STUDIES = one_of(config["dissimilarity"])
# Of these, RDMs are computed here; those of the others are the ones of `rsa`.
FOLDER_STUDIES = one_of(
    name for name, entry in config["dissimilarity"].items() if entry["source"] != "rsa"
)
DISSIMILARITY = [study for study in STUDIES if study in config["dissimilarity"]]


def pair_setting(*keys):
    """Return a params function that gives a key of the wildcards' entry of `dissimilarity`."""

    def value(wildcards):
        found = config["dissimilarity"][wildcards.study]
        for key in keys:
            found = found[key]
        return found

    return value


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


def folds_of_labels(wildcards):
    """Return what the folds follow from that responses are standardised in, if they are."""
    return fold_settings()(wildcards) if standardised_by(wildcards) == "training" else None


def curve_sizes(wildcards):
    """Return the numbers of training images that any model is fitted to, beside all."""
    entry = config["dissimilarity"][wildcards.study]
    of_curve = any(block["training_size"] for block in entry["models"].values())
    return entry["splits"]["n_training_images"] if of_curve else []


def pair_subjects(study):
    """Return the subjects of an entry."""
    entry = config["dissimilarity"][study]
    return study_subjects(study, joint=False) if entry["source"] == "rsa" else entry["subjects"]


PAIR_SUBJECTS = one_of(
    subject for study in config["dissimilarity"] for subject in pair_subjects(study)
)
PAIR_MODELS = one_of(
    model for entry in config["dissimilarity"].values() for model in entry["models"]
)
PAIR_EMBEDDINGS = one_of(
    name for entry in config["dissimilarity"].values() for name in entry["embeddings"]
)


def scene_simulations():
    """Return folder -> parameters of the simulated folders."""
    return {
        entry["simulation"]["folder"]: entry["simulation"]
        for entry in config["dissimilarity"].values()
        if entry["source"] == "simulated"
    }


def challenge_files(wildcards):
    """Return the files of a subject's responses and ROIs, and simulated images."""
    entry = config["dissimilarity"][wildcards.study]
    files = challenge_paths({**entry, "subjects": [wildcards.subject]}, config["run"])
    if entry["source"] == "simulated":
        files.append(f"{challenge_folder(entry, config['run'])}/{images_folder(wildcards.subject)}")
    return files


def sizes_of_splits(wildcards, threads):
    """Return what splits ask of the number of images, which is checked where it becomes known."""
    # Snakemake does not record the values of functions of `threads`: other splits are of the same
    # images.
    return asked_sizes(config["dissimilarity"][wildcards.study])


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


def first_roi(wildcards):
    return next(iter(pair_rois(wildcards)))


def kinds_of(key):
    """Return a params function that gives the kind of every embedding or model of an entry."""

    def kinds(wildcards):
        blocks = config["dissimilarity"][wildcards.study][key]
        return {name: block["kind"] for name, block in blocks.items()}

    return kinds


def shown_place(wildcards):
    """Return which RDM of a subject is drawn beside its prediction."""
    return {
        "subject": wildcards.subject,
        "roi": first_roi(wildcards),
        "metric": pair_metrics(wildcards)[0],
        "split": "clean",
    }


def shown_fit(wildcards):
    """Return of which fit the learning curves are drawn."""
    return {
        "subject": wildcards.subject,
        "model": wildcards.model,
        "roi": next(iter(of_model("rois", pair_rois)(wildcards))),
        "metric": of_model("metrics", pair_metrics)(wildcards)[0],
    }


def layered_models(study):
    """Return the models of which variants differ in their number of hidden layers."""
    blocks = config["dissimilarity"][study]["models"]
    return [
        name
        for name, block in blocks.items()
        if any("n_hidden" in options for options in block["variants"].values())
    ]


def hidden_layers(wildcards):
    """Return variant -> number of hidden layers of a model."""
    variants = pair_setting("models", wildcards.model, "variants")(wildcards)
    return {
        name: options["n_hidden"] for name, options in variants.items() if "n_hidden" in options
    }


def trained_models(study):
    """Return the models that train step by step, and have learning curves."""
    blocks = config["dissimilarity"][study]["models"]
    return [name for name, block in blocks.items() if is_stepwise(block["kind"])]


def embeddings_of_model(wildcards):
    """Return the embeddings that a model sees, with their parts: one, or those that are joined."""
    entry = config["dissimilarity"][wildcards.study]
    names = entry["models"][wildcards.model].get("embeddings", list(entry["embeddings"]))
    return {name: entry["embeddings"][name].get("parts", [name]) for name in names}


def single_embeddings(study):
    """Return the embeddings of an entry that are not joined from others."""
    blocks = config["dissimilarity"][study]["embeddings"]
    return [name for name, block in blocks.items() if block["kind"] != JOINED]


def model_embeddings(wildcards):
    """Return the files with the embeddings that a model sees, each once."""
    parts = [part for parts in embeddings_of_model(wildcards).values() for part in parts]
    return [
        f"<results>/{wildcards.study}/embeddings/{name}_{wildcards.subject}.h5"
        for name in dict.fromkeys(parts)
    ]


def of_model(key, default):
    """Return a params function that gives what a model is restricted to, or the default."""

    def value(wildcards):
        block = pair_setting("models", wildcards.model)(wildcards)
        every = default(wildcards)
        if key not in block:
            return every
        named = block[key]
        return {name: every[name] for name in named} if isinstance(every, dict) else named

    return value


def pair_model_block(wildcards):
    """Return what decides how a model is fitted: its kind, options, variants and controls."""
    block = pair_setting("models", wildcards.model)(wildcards)
    return {key: block[key] for key in ("kind", "options", "variants", "shuffled", "training_size")}


def module_digest(script):
    """Return the digest of a module that a script imports by name: its own, and what it imports."""
    return sha256_of(REPOSITORY / "scripts" / script)[:16], script_digest(script)


def kind_digest(wildcards):
    """Return the digest of the fitting script and of the kind of model, which it imports by name."""
    kind = pair_setting("models", wildcards.model, "kind")(wildcards)
    return script_digest("dissimilarity/fit_pair_model.py"), *module_digest(
        f"dissimilarity/models/{kind}.py"
    )


def embedding_block(wildcards):
    return pair_setting("embeddings", wildcards.embedding)(wildcards)


def embedder_digest(wildcards):
    """Return the digest of the embedding script and of the module of its kind, imported by name."""
    embedder = EMBEDDERS[embedding_block(wildcards)["kind"]].module
    return script_digest("dissimilarity/embed_images.py"), *module_digest(
        f"dissimilarity/embedders/{embedder}.py"
    )


def embedding_files(wildcards):
    """Return the weights or arrays that an embedding is made of, if they are files."""
    block = embedding_block(wildcards)
    weights = block.get("weights")
    files = [weights] if weights and is_weight_file(weights) else []
    given = [block[key] for key in ("file", "names") if block.get(key)]
    return files + [file.format(subject=wildcards.subject) for file in given]


def sees_originals(wildcards):
    """Return whether an embedding is of the images as published, not of the prepared ones."""
    return EMBEDDERS[embedding_block(wildcards)["kind"]].originals


def original_images(wildcards):
    """Return what an embedding of the published images reads: a folder, or the stimuli of `rsa`."""
    entry = config["dissimilarity"][wildcards.study]
    if not sees_originals(wildcards):
        return []
    if entry["source"] == "rsa":
        return stimulus_raw_files(wildcards)
    return challenge_files(wildcards)


def pair_folder(wildcards):
    """Return the folder of the raw files of an entry, whatever its source."""
    entry = config["dissimilarity"][wildcards.study]
    return raw_folder_of(wildcards) if entry["source"] == "rsa" else challenge_folder(entry, config["run"])


# MB of Python and what it imports: with PyTorch, and without.
TORCH_MB, NUMPY_MB = 2000, 1000
# Bytes per pair of images that a fit holds, 130 measured: leaked pairs of every fold, an RDM, what is
# predicted of pairs in every fold, and the tables that permutations and resamples go through.
FIT_BYTES, AUDIT_BYTES = 200, 60
# Of a subject of the challenge, and of a study of `rsa`; vertices of both hemispheres.
MOST_IMAGES, MOST_VERTICES = {"path": 9841, "rsa": 1000}, 40_000
# Kinds of models that see responses, and hold those of all and those of training images.
OF_RESPONSES, RESPONSES_AT_ONCE = ("encode",), 3


def most_images(entry):
    """Return how many images a subject has at most."""
    if entry["source"] == "simulated":
        return entry["n_images"] or entry["simulation"]["n_images"]
    return entry["n_images"] or MOST_IMAGES[entry["source"]]


def pairs_mb(entry, of_a_pair):
    """Return the MB of what takes so many bytes per pair of images of a subject."""
    return most_images(entry) ** 2 / 2 * of_a_pair / 1e6


def audit_mb(wildcards, attempt):
    """Return a memory request for the pairs of all splits of one subject, and its images."""
    entry = config["dissimilarity"][wildcards.study]
    images_mb = 2 * most_images(entry) * 3 * entry["side"] ** 2 / 1e6
    return int(NUMPY_MB + images_mb + pairs_mb(entry, AUDIT_BYTES)) * 2 ** (attempt - 1)


def fit_mb(wildcards, attempt):
    """Return a memory request for the pairs of a subject, and for what the model sees of images."""
    entry = config["dissimilarity"][wildcards.study]
    kind, n = entry["models"][wildcards.model]["kind"], most_images(entry)
    # Pixels, which networks see as numbers of four bytes, and Gram matrices of embeddings.
    seen_mb = 5 * n * 3 * entry["side"] ** 2 / 1e6 + len(entry["embeddings"]) * 8 * n**2 / 1e6
    if kind in OF_RESPONSES:
        seen_mb += RESPONSES_AT_ONCE * 4 * n * MOST_VERTICES / 1e6
    needed = (TORCH_MB if is_stepwise(kind) else NUMPY_MB) + seen_mb + pairs_mb(entry, FIT_BYTES)
    return int(needed) * 2 ** (attempt - 1)


def pair_gpus(wildcards):
    return int(config["dissimilarity"][wildcards.study]["models"][wildcards.model]["gpu"])


def true_responses(wildcards):
    """Return the files with the responses of a simulation before noise, if it is one."""
    entry = config["dissimilarity"][wildcards.study]
    return [
        f"{challenge_folder(entry, config['run'])}/{noiseless_file(subject, hemisphere)}"
        for subject in entry["subjects"]
        for hemisphere in HEMISPHERES
        if entry["source"] == "simulated"
    ]


def pair_targets():
    """Return the figures and tables of the selected studies."""
    tables = ("pair_scores", "inflation", "model_ranking", "raw_distances", "extreme_pairs")
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
STUDY_TARGETS.append(pair_targets)
