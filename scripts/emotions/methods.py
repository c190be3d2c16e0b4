"""What a study of emotions in a movie did, for its methods."""

from collections.abc import Mapping

import pandas as pd

from workflow.lib.inference.sign_flip import MIN_SUBJECTS
from workflow.lib.methods import COMPARATORS, METRICS, Methods, counted, enumerated, only

SPLITS = {
    "random": "volumes dealt out at random (leaked, as published)",
    "random_matched": "such volumes with as few to learn from as in the cleanest split",
    "tr": "moments of the movie",
    "episode": "episodes",
    "run": "runs",
    "subject": "subjects",
    "run_and_subject": "runs and subjects",
}
CLEAN = ("run", "run_and_subject")
RULES = {
    "any_character": "at least {n} of {observers} saw the same emotion in any character",
    "original": (
        "at least {n} of {observers} had the same word in the last row that covers it, as published"
    ),
}
TIMING = {
    "runs": "Starts of runs are those of the unsegmented movie.",
    "cumulative": "Volumes were counted on over runs, as published, which ignores their overlap.",
}


def describe(entry: Mapping, tables: Mapping[str, pd.DataFrame]) -> Methods:
    """Return what is to be said of an entry of `emotions`.

    Parameters
    ----------
    entry : completed entry
    tables : decoding, and where there are several runs rsa
    """
    networks = [model for model in entry["models"].values() if model["kind"] == "cnn"]
    paragraphs = {
        "Data": [data(entry), preparation(entry)],
        "Labels": labels(entry, tables["decoding"]),
        "Decoding": [splits(entry), *models(entry)],
        "Inference": inference(entry, tables["decoding"]),
        "Maps": occlusion(entry),
        "Comparison": similarity(entry, tables),
    }
    trained = ("torch", "captum", "umap-learn") if networks else ()
    return Methods(paragraphs, ("scikit-learn", "nibabel", *trained))


def data(entry: Mapping) -> str:
    """Return who saw what, and what was measured of them."""
    simulated = entry["source"] == "simulated"
    null = simulated and entry["simulation"]["null_effect"]
    cited = " [@hanke2016]" if not simulated and entry["dataset"] == "studyforrest" else ""
    volumes = sum(run["n_volumes"] for run in entry["runs"].values())
    what = {"volumes": "volumes", "parcels": "time series of parcels"}[entry["data"]]
    return (
        f"fMRI ({what}) of {counted(len(entry['subjects']), 'subject')} who watched a movie in "
        f"{counted(len(entry['runs']), 'run')} (TR {entry['tr']:g} s, {volumes:,} volumes each) "
        f"{'was simulated' if simulated else 'was analysed'}{cited}"
        f"{', with responses that have nothing to do with emotions (null)' * null}."
    )


def preparation(entry: Mapping) -> str:
    """Return what was done to time series."""
    volumes, of_voxels = entry["volumes"], entry["data"] == "volumes"
    steps = [
        text
        for text, done in (
            (f"smoothed by {volumes['smoothing'] or 0:g} mm", of_voxels and volumes["smoothing"]),
            ("detrended", of_voxels and volumes["detrend"]),
            (
                f"high-pass filtered at {volumes['high_pass'] or 0:g} Hz",
                of_voxels and volumes["high_pass"],
            ),
            ("standardised", volumes["standardise"]),
        )
        if done
    ]
    return f"Time series were {enumerated(steps)} within runs." if steps else ""


def labels(entry: Mapping, decoding: pd.DataFrame) -> list[str]:
    """Return how volumes came by their labels."""
    options = entry["labels"]
    rule = RULES[options["rule"]].format(
        n=options["min_observers"],
        observers=counted(len(entry["annotations"]["observers"]), "observer"),
    )
    times = int(decoding["n_times"].max())
    taken = (
        f" {options['per_class']} moments of each emotion were drawn at random."
        if options["per_class"]
        else ""
    )
    return [
        f"A moment was labelled with one of {counted(len(options['classes']), 'emotion')} "
        f"({enumerated(options['classes'])}) where {rule} [@labs2015].{taken}",
        TIMING[options["timing"]],
        f"Responses were taken to come {counted(options['lag'], 'volume')} "
        f"({options['lag'] * entry['tr']:g} s) later."
        if options["lag"]
        else "",
        f"On each inner side of a run {counted(options['drop_overlap'], 'volume')} were left out."
        if options["drop_overlap"]
        else "",
        f"This left {times:,} labelled moments and {int(decoding['n_volumes'].max()):,} labelled "
        "volumes over subjects.",
    ]


def splits(entry: Mapping) -> str:
    """Return what was held out."""
    names = [SPLITS[name] for name in entry["splits"]["names"]]
    return (
        f"Models were tested on volumes that they had not learned from, in splits that hold out "
        f"{enumerated(names)} ({entry['splits']['n_folds']} folds or as many as there are runs or "
        "subjects)."
    )


def models(entry: Mapping) -> list[str]:
    """Return what each model is."""
    return [_model(name, model, entry) for name, model in entry["models"].items()]


def confounds(entry: Mapping) -> str:
    """Return what models see that see no response."""
    motion = entry["data"] == "volumes" and entry["volumes"]["confounds"]
    known = (
        ("the run", True),
        ("powers of the time within it", True),
        ("the six parameters of motion", motion),
        ("measures of what is shown", entry["stimulus"]),
    )
    return enumerated(name for name, given in known if given)


def _model(name: str, model: Mapping, entry: Mapping) -> str:
    seen = {
        "patterns": "",
        "confounds": f", which sees confounds in place of responses ({confounds(entry)})",
    }[model["sees"]]
    if model["kind"] != "cnn":
        kind = {"logistic": "logistic regression", "linear": "ridge regression on classes"}
        equal = model["options"].get("class_weight") == "balanced"
        return f"{name} is {kind[model['kind']]}{seen}{', emotions weighed equally' * equal}."
    network, training = model["network"], model["training"]
    if network["weights"] != "untrained":
        return f"{name} is the published 3D network with its published weights, not trained here."
    parts = [
        f"learning rate {training['learning_rate']:g}",
        f"weight decay {training['weight_decay']:g}" if training["weight_decay"] else "",
        f"batches of {training['batch']}",
        f"dropout {network['dropout']:g}" if network["dropout"] else "",
        f"noise with a standard deviation of {training['noise']:g} added"
        if training["noise"]
        else "",
        "emotions weighed equally" if training["balanced"] else "",
        f"patience of {counted(training['patience'], 'epoch')}" if training["patience"] else "",
    ]
    return (
        f"{name} is a 3D network of separable convolutions ("
        f"{counted(len(network['widths']) - 1, 'block')}, "
        f"{enumerated(network['widths'])} channels), trained on cross-entropy by AdamW "
        f"[@loshchilov2017] for up to {counted(training['n_epochs'], 'epoch')} "
        f"({', '.join(filter(None, parts))}), the epoch chosen on validation volumes."
    )


def inference(entry: Mapping, decoding: pd.DataFrame) -> list[str]:
    """Return intervals and tests of scores."""
    options = entry["inference"]
    sentences = [
        "95 % intervals of scores are over episodes, the stretches of one label "
        f"({options['n_bootstrap']:,} resamples)."
    ]
    n = int(decoding["n_shifts"].max())
    tested = [SPLITS[name] for name in entry["splits"]["names"] if name in CLEAN]
    if n and tested:
        sentences.append(
            f"Where {enumerated(tested, 'or')} are held out, scores were tested by {n:,} circular "
            f"shifts of the labels within runs, by at least {options['min_shift']:g} s and the "
            "same in all subjects; since folds learn from one another, the null was taken √2 times "
            "as wide, around the mean of shifts by any number of volumes. p-values are one-sided "
            "and not corrected for the number of models, splits and measures."
        )
    if options["n_refits"]:
        sentences.append(
            f"For a null of leaked splits, too, models were fitted anew to labels shifted "
            f"{options['n_refits']:,} times."
        )
    sentences.append(
        "Areas under ROC curves were computed within runs and folds and averaged, weighted by "
        "positives times negatives."
    )
    return sentences


def covered(entry: Mapping) -> str | None:
    """Return the network whose layers are compared and mapped, None where there is none."""
    networks = [name for name, model in entry["models"].items() if model["kind"] == "cnn"]
    return (entry["occlusion"]["model"] or networks[0]) if networks else None


def occlusion(entry: Mapping) -> list[str]:
    """Return how maps of a network were made, where there is one."""
    model, options = covered(entry), entry["occlusion"]
    if model is None:
        return []
    return [
        f"What {model} looks at was mapped by covering cubes of {options['cube']} voxels in the "
        f"mask (stride {options['stride']}) and taking the drop in the probability of the true "
        f"emotion, over up to {options['n_per_class']} test volumes of each emotion, first "
        "those told right with a probability of at least "
        f"{options['min_probability']:g}; occlusion vectors were embedded by UMAP [@mcinnes2018] "
        "and t-SNE [@vandermaaten2008]."
    ]


def similarity(entry: Mapping, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return how RDMs over emotions were compared, where there are several runs."""
    if "rsa" not in tables:
        return []
    table = tables["rsa"]
    complete = bool(table["complete"].all())
    # Of orders that were drawn, the labels' own is one more.
    orders = int(table["n_orders"].max()) - (not complete)
    every = ", all there are" * complete
    named = entry["rsa"]["rois"] or {}
    regions = named.get("names", {}) if entry["data"] == "volumes" else named
    parts = {"volumes": "voxels", "parcels": "parcels"}[entry["data"]]
    model = covered(entry)
    models = [
        "affect (the distance of their mean arousal and valence in the annotations)",
        "co-occurrence (1 - the weighted Jaccard index of how many observers see them at a time)",
        "runs (1 - that index of how they are spread over runs, a control)",
    ]
    if model:
        models.append(
            f"layers of {model} ({METRICS['correlation']} of mean features of the test volumes of "
            "a fold, averaged over folds and not cross-validated)"
        )
    return [
        f"RDMs of responses over the {len(entry['labels']['classes'])} emotions hold squared "
        "distances of mean responses, cross-validated over runs (crossnobis) [@walther2016] and "
        "in units of each channel's noise variance, in "
        f"{enumerated([f'all {parts}', *regions])}.",
        f"They were compared [@kriegeskorte2008rsa] by {COMPARATORS[only(table['comparator'])]} "
        f"with RDMs of {enumerated(models)}, and tested one-sided by {orders:,} permutations of "
        f"the emotion labels{every}; p-values are not corrected for the number of comparisons.",
        over_subjects(entry),
    ]


def over_subjects(entry: Mapping) -> str:
    """Return the tests over subjects, where they are enough."""
    n = len(entry["subjects"])
    if n < MIN_SUBJECTS:
        return f"{n} subjects are too few for a test over them."
    places = {
        "volumes": f"every cube of {entry['rsa']['cube']} voxels",
        "parcels": "every parcel",
    }[entry["data"]]
    return (
        f"Over {n} subjects, similarities were tested by one-sided sign flips, those of regions "
        f"not corrected, those of {places} corrected by the largest t [@nichols2002] over the "
        "places of a model."
    )
