"""What the schema cannot say of section `emotions`."""

from collections.abc import Mapping

from workflow.lib.acquire.datasets import Dataset
from workflow.lib.config.movie_splits import matched_split
from workflow.lib.config.raw_sources import check_relative, check_source, claim_folder
from workflow.lib.config.schema import check_name
from workflow.lib.config.sections import Section
from workflow.lib.errors import InputError
from workflow.lib.layout import is_weight_file, raw_folder
from workflow.lib.layouts.movie import movie_files
from workflow.lib.words import listed

# Splits that leave out whole subjects, and those that leave out whole runs.
OVER_SUBJECTS = ("subject", "run_and_subject")
OVER_RUNS = ("run", "run_and_subject")
# Options of each kind of model.
OPTIONS = {
    "logistic": ("C", "class_weight"),
    "linear": ("alpha", "class_weight"),
    "cnn": (),
}


def check_emotions(config: Mapping) -> None:
    """Check sources, runs, labels, splits and models of every entry."""
    folders: dict[str, str] = {}
    for name, entry in config["emotions"].items():
        where = f"config, emotions.{name}"
        _check_source(where, entry, name, folders)
        _check_patterns(where, entry)
        _check_runs(where, entry)
        _check_labels(where, entry)
        _check_subjects(where, entry)
        _check_splits(where, entry)
        for model, block in entry["models"].items():
            _check_model(f"{where}.models.{model}", block, entry)
        _check_occlusion(f"{where}.occlusion", entry)
        if entry["shown_model"]:
            check_name(f"{where}.shown_model", entry["shown_model"], entry["models"])
        others = [other for other in config["emotions"] if other != name]
        for other in entry["beside"]:
            check_name(f"{where}.beside", other, others)
        _check_rois(f"{where}.rsa.rois", entry)
        check_relative(where, movie_files(entry))


def raw_paths(entry: Mapping, datasets: Mapping[str, Dataset], run: str) -> list[str]:
    """Return the time series and annotations of an entry, and the weights of its networks."""
    folder = raw_folder(entry, run)
    named = [entry["models"][name]["network"]["weights"] for name in networks_of(entry)]
    weights = [weights for weights in named if is_weight_file(weights)]
    return [f"{folder}/{file}" for file in movie_files(entry)] + weights


def networks_of(entry: Mapping) -> list[str]:
    """Return the models of an entry that are networks."""
    return [name for name, block in entry["models"].items() if block["kind"] == "cnn"]


def splits_of(entry: Mapping, model: str) -> list[str]:
    """Return the splits that a model is fitted to."""
    return list(entry["models"][model].get("splits", entry["splits"]["names"]))


def shown_model(entry: Mapping) -> str:
    """Return the model that stands for an entry: the given one, or the first fit of patterns."""
    of_patterns = [
        name
        for name, block in entry["models"].items()
        if block["kind"] == "logistic" and block["sees"] == "patterns"
    ]
    return entry["shown_model"] or next(iter(of_patterns or entry["models"]))


def covered_model(entry: Mapping) -> tuple[str, str] | None:
    """Return the network, and its split, of which occlusion is shown; None without a network."""
    networks = networks_of(entry)
    if not networks:
        return None
    model = entry["occlusion"]["model"] or networks[0]
    return model, entry["occlusion"]["split"] or splits_of(entry, model)[-1]


def _check_source(where: str, entry: Mapping, name: str, folders: dict[str, str]) -> None:
    check_source(where, entry)
    if entry["source"] != "simulated":
        return
    if entry["data"] != "volumes":
        raise InputError(
            f"{where}.data: found {entry['data']} of a simulation, expected volumes, which are "
            "what is simulated; correct it, or give another source"
        )
    claim_folder(where, name, entry, folders)


def _check_patterns(where: str, entry: Mapping) -> None:
    """Check that names of files tell runs, subjects and observers apart."""
    needed = {
        "files": (entry["files"], {"subject": entry["subjects"], "run": entry["runs"]}),
        "annotations.files": (
            entry["annotations"]["files"],
            {"observer": entry["annotations"]["observers"]},
        ),
    }
    for key, (pattern, axes) in needed.items():
        for placeholder, labels in axes.items():
            if len(labels) > 1 and f"{{{placeholder}}}" not in pattern:
                raise InputError(
                    f"{where}.{key}: found {pattern!r} for {len(labels)} {placeholder}s, expected "
                    f"{{{placeholder}}} in it, which tells their files apart; put it where the "
                    f"{placeholder} stands"
                )


def _check_runs(where: str, entry: Mapping) -> None:
    before = -1.0
    for run, block in entry["runs"].items():
        place = f"{where}.runs.{run}"
        if block["start"] <= before:
            raise InputError(
                f"{place}.start: found {block['start']:g} s after a run that starts at "
                f"{before:g} s, expected runs in the order of the movie; correct it"
            )
        before = block["start"]
        seconds, shown = block["n_volumes"] * entry["tr"], block["end"] - block["start"]
        if abs(seconds - shown) >= entry["tr"]:
            raise InputError(
                f"{place}: found {block['n_volumes']} volumes of {entry['tr']:g} s, which take "
                f"{seconds:g} s, for {shown:g} s of the movie, expected the same to one volume; "
                "correct tr, n_volumes, start or end"
            )
        if block["n_volumes"] <= 2 * entry["labels"]["drop_overlap"]:
            raise InputError(
                f"{where}.labels.drop_overlap: found {entry['labels']['drop_overlap']}, which "
                f"leaves none of the {block['n_volumes']} volumes of run {run}, expected less; "
                "lower it"
            )


def _check_labels(where: str, entry: Mapping) -> None:
    observers, needed = entry["annotations"]["observers"], entry["labels"]["min_observers"]
    if needed > len(observers):
        raise InputError(
            f"{where}.labels.min_observers: found {needed} of {len(observers)} observers, expected "
            "no more than there are; lower it"
        )


def _check_subjects(where: str, entry: Mapping) -> None:
    several = len(entry["subjects"]) > 1
    if several and entry["data"] == "volumes" and not entry["volumes"]["aligned"]:
        raise InputError(
            f"{where}.volumes.aligned: found volumes of {len(entry['subjects'])} subjects that are "
            "not aligned, expected one subject, volumes that are registered to one space (with "
            "`aligned: true`), or parcels; a common grid is no registration"
        )


def _check_splits(where: str, entry: Mapping) -> None:
    n_subjects, n_runs = len(entry["subjects"]), len(entry["runs"])
    for name in entry["splits"]["names"]:
        for over, n, called in (
            (OVER_SUBJECTS, n_subjects, "subject"),
            (OVER_RUNS, n_runs, "run"),
        ):
            if name in over and n < 2:
                raise InputError(
                    f"{where}.splits.names: found {name!r} with {n} {called}, expected at least 2 "
                    f"{called}s to leave one out; leave the split out"
                )
    clean = matched_split(n_subjects)
    if "random_matched" in entry["splits"]["names"] and clean not in entry["splits"]["names"]:
        raise InputError(
            f"{where}.splits.names: found 'random_matched' without {clean!r}, expected that split, "
            f"whose number of volumes it learns from, with {n_subjects} subject"
            f"{'s' * (n_subjects != 1)}; add it, or leave 'random_matched' out"
        )


def _check_model(where: str, block: Mapping, entry: Mapping) -> None:
    for split in block.get("splits", []):
        check_name(f"{where}.splits", split, entry["splits"]["names"])
    unknown = [key for key in block["options"] if key not in OPTIONS[block["kind"]]]
    if unknown:
        raise InputError(
            f"{where}.options: found {unknown[0]} for the kind {block['kind']}, expected "
            f"{listed(OPTIONS[block['kind']])}; leave it out"
        )
    if block["kind"] != "cnn":
        for key in ("network", "training"):
            if key in block:
                raise InputError(
                    f"{where}.{key}: found it for the kind {block['kind']}, expected it for cnn "
                    "alone; leave it out"
                )
        return
    if entry["data"] != "volumes":
        raise InputError(
            f"{where}.kind: found cnn for {entry['data']}, expected logistic or linear, for a "
            "network of 3D convolutions sees volumes; correct it, or leave the model out"
        )
    if block["sees"] != "patterns":
        raise InputError(
            f"{where}.sees: found {block['sees']} for a cnn, expected patterns; give the model "
            "another kind"
        )
    splits = block.get("splits", entry["splits"]["names"])
    if is_weight_file(block["network"]["weights"]) and splits != ["random"]:
        raise InputError(
            f"{where}.splits: found {listed(splits)} for weights that were learned from volumes of "
            "all runs and subjects, expected random, the one split that claims no more; give "
            "`splits: [random]`"
        )


def _check_occlusion(where: str, entry: Mapping) -> None:
    networks = networks_of(entry)
    if entry["occlusion"]["model"]:
        check_name(f"{where}.model", entry["occlusion"]["model"], networks)
    covered = covered_model(entry)
    if not covered:
        return
    check_name(f"{where}.split", covered[1], splits_of(entry, covered[0]))
    if not entry["volumes"]["standardise"] and not entry["volumes"]["detrend"]:
        raise InputError(
            f"{where}: found volumes that are neither standardised nor detrended, expected either, "
            "for a voxel is covered by zero, which has to be its mean; set `volumes.standardise` "
            "or `volumes.detrend`"
        )


def _check_rois(where: str, entry: Mapping) -> None:
    rois = entry["rsa"]["rois"]
    if not rois:
        return
    of_volumes = not all(isinstance(value, list) for value in rois.values())
    if of_volumes != (entry["data"] == "volumes"):
        expected = {
            "volumes": "`file` and `names`, a NIfTI with numbered regions",
            "parcels": "region -> the parcels that make it up",
        }[entry["data"]]
        raise InputError(
            f"{where}: found {listed(rois)} for {entry['data']}, expected {expected}; correct it"
        )


SECTION = Section(
    "emotions",
    check=check_emotions,
    raw_paths=raw_paths,
    dataset_blocks=lambda entry: [entry],
)
