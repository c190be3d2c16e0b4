"""What a layer x ROI study did, for its methods."""

from collections.abc import Mapping

import pandas as pd

from workflow.lib.config.inference import permuted_units
from workflow.lib.inference.sign_flip import MIN_SUBJECTS
from workflow.lib.methods import (
    COMPARATORS,
    METRICS,
    Methods,
    cited_network,
    counted,
    enumerated,
    only,
)

CONTROLS = {
    "pixel": "luminance or colour of pixels",
    "gabor": "energy of Gabor filters",
    "colour_histogram": "histograms of colour",
    "groups": "the groups of the {called}",
}
DRAWN = {
    "images": "drawn with replacement",
    "within_groups": "drawn with replacement within their groups",
    "groups": "drawn in whole groups",
}
# The same of the jackknife, which draws nothing.
LINEARISED = {
    "images": "",
    "within_groups": " within groups",
    "groups": " over whole groups",
}
PERMUTED = {
    "images": "the {called}",
    "within_groups": "the {called}, within their groups",
    "groups": "whole groups of {called}, those of one size among themselves",
}
NOISE = {
    "diagonal": "Channels were divided by the standard deviation of their noise.",
    "shrinkage": "Patterns were whitened by the shrunk covariance of their noise [@walther2016].",
}


def describe(entry: Mapping, tables: Mapping[str, pd.DataFrame]) -> Methods:
    """Return what is to be said of an entry of `rsa`.

    Parameters
    ----------
    entry : completed entry
    tables : rsa (of the joint RDM, or of the only subject), and of those that the entry asks for
        group, noise_ceiling, encoding, searchlight, searchlight_group
    """
    paragraphs = {
        "Data": [data(entry, tables["rsa"]), responses(entry), sessions(entry), stimuli(entry)],
        "Models": [of_model(name, model, entry) for name, model in entry["models"].items()],
        "Comparison": [comparison(entry), joint(entry), *controls(entry)],
        "Inference": [
            permutations(entry, tables["rsa"]),
            intervals(entry, tables["rsa"]),
            ceiling(entry, tables),
            group(tables),
            held_out(entry),
            encoding(entry, tables),
        ],
        "Searchlight": searchlight(entry, tables),
    }
    return Methods(paragraphs, packages(entry))


def packages(entry: Mapping) -> tuple[str, ...]:
    """Return the packages that compute what the entry asks for."""
    models = entry["models"].values()
    networks = ("torch", "torchvision") if any("network" in model for model in models) else ()
    images = entry["brain"]["data"] == "patterns"
    engine = ("rsatoolbox",) if entry["engine"] == "rsatoolbox" else ()
    return (*engine, *networks, *(("nibabel", "nilearn") if images else ()))


def data(entry: Mapping, table: pd.DataFrame) -> str:
    """Return whose responses there are, to how many images, in which regions."""
    subjects, rois = entry["brain"]["subjects"]["names"], entry["brain"]["rois"]["names"]
    called, n_images = entry["images"]["called"], only(table["n_images"])
    pairs = only(table["n_pairs"])
    made = "were simulated" if entry["source"] == "simulated" else "were taken"
    null = (
        ", with brain geometry that has nothing to do with any model (null)"
        if entry["source"] == "simulated" and entry["simulation"]["null_effect"]
        else ""
    )
    return (
        f"Responses of {counted(len(subjects), 'subject')} {made}{null}; {int(n_images):,} "
        f"{called} ({int(pairs):,} pairs) were compared, in {counted(len(rois), 'region')} of "
        f"interest ({enumerated(rois)})."
    )


def responses(entry: Mapping) -> str:
    """Return how RDMs of responses came about."""
    brain = entry["brain"]
    if brain["data"] == "rdms":
        return "Representational dissimilarity matrices (RDMs) of responses were given."
    steps = (
        ("A linear trend was taken off every channel within runs.", brain["detrend"]),
        ("Channels were standardised within runs.", brain["standardise"] == "run"),
        (
            "The mean pattern over conditions was subtracted within runs.",
            brain["remove_mean_pattern"],
        ),
        (NOISE.get(brain["noise_normalisation"], ""), True),
    )
    return " ".join(
        [
            *(sentence for sentence, done in steps if sentence and done),
            "Representational dissimilarity matrices (RDMs) of patterns were computed with "
            f"{METRICS[brain['metric']]}.",
        ]
    )


def sessions(entry: Mapping) -> str:
    """Return what became of several sessions."""
    found = entry["brain"].get("sessions")
    if not found:
        return ""
    apart = (
        "their mean and each by itself were" if found["combine"] == "separate" else "their mean was"
    )
    return f"Each subject has {counted(len(found['names']), 'session')}; {apart} compared."


def stimuli(entry: Mapping) -> str:
    """Return how conditions of all files were brought into one order."""
    how = {
        "exact": "by equal names",
        "normalised": "by names without folder, ending, case and the prefix of repetitions",
    }[entry["images"]["match"]]
    left = {"error": "none may be missing", "drop": "those that a file lacks were left out"}
    what = f"{entry['images']['called'].capitalize()} of all files were matched {how}"
    return f"{what}; {left[entry['images']['unmatched']]}."


def of_model(name: str, model: Mapping, entry: Mapping) -> str:
    """Return what a model is."""
    kind = next(kind for kind in MODELS if kind in model)
    return MODELS[kind](name, model, entry)


def _given(name: str, model: Mapping, entry: Mapping) -> str:
    several = model.get("average")
    mean = f", averaged over {counted(len(several['names']), 'member')}" if several else ""
    return f"RDMs of {name} ({_layers(model)}) were given{mean}."


def _activations(name: str, model: Mapping, entry: Mapping) -> str:
    return (
        f"RDMs of {name} ({_layers(model)}) were computed from its activations with "
        f"{METRICS[model['metric']]}."
    )


def _network(name: str, model: Mapping, entry: Mapping) -> str:
    weights = {
        "torchvision": "with torchvision's weights",
        "untrained": f"with random weights ({counted(model['seeds'], 'network')})",
    }.get(model["weights"], "with weights from a file")
    pooled = "" if model["pooling"] == "none" else f", pooled over space ({model['pooling']})"
    scaled = ", units standardised over images" if model["standardise_units"] else ""
    return (
        f"{name} is {cited_network(model['network'])} {weights}, shown the "
        f"{entry['images']['called']}; RDMs of "
        f"{_layers(model)}{pooled}{scaled} were computed with {METRICS[model['metric']]}."
    )


def _control(name: str, model: Mapping, entry: Mapping) -> str:
    what = CONTROLS[model["control"]].format(called=entry["images"]["called"])
    return f"{name} is a control model, {what}."


def _made(name: str, model: Mapping, entry: Mapping) -> str:
    return f"RDMs of {name} ({_layers(model)}) were made by the study itself."


def _layers(model: Mapping) -> str:
    """Return how many layers there are; those of a network are named, many are counted alone."""
    names = list(model["layers"]["names"])
    unit = ("layer", "layers") if model["ordered"] else ("RDM", "RDMs")
    return f"{counted(len(names), *unit)}: {enumerated(names)}"


MODELS = {
    "files": _given,
    "features": _activations,
    "network": _network,
    "control": _control,
    "made": _made,
}


def comparison(entry: Mapping) -> str:
    """Return how RDMs were compared."""
    first, *others = (COMPARATORS[name] for name in entry["comparators"])
    more = f", and also by {enumerated(others)}" if others else ""
    return (
        "RDMs of models and regions were compared by representational similarity analysis "
        f"[@kriegeskorte2008rsa], by {first}{more}."
    )


def joint(entry: Mapping) -> str:
    """Return what the joint RDM of several subjects is."""
    if len(entry["brain"]["subjects"]["names"]) < 2:
        return ""
    how = {"mean": "dissimilarities", "standardised": "z-scored dissimilarities"}[entry["joint"]]
    return f"The joint RDM is the mean of the subjects' {how}."


def controls(entry: Mapping) -> list[str]:
    """Return which models were taken out of others, and among which variance was shared out."""
    sentences = []
    if entry["controls"]:
        sentences.append(
            f"Comparisons were repeated as partial and semi-partial correlations, with the RDMs of "
            f"{enumerated(entry['controls'])} taken out [@legendre2000]."
        )
    if entry["partition"]:
        sentences.append(
            "The variance of each region's RDM was shared out among "
            f"{enumerated(entry['partition'])}."
        )
    return sentences


def permutations(entry: Mapping, table: pd.DataFrame) -> str:
    """Return the test of every cell."""
    n, inference = int(only(table["n_permutations"])), entry["inference"]
    if not n:
        # Asked for, and not possible.
        since = f", since no two groups of {entry['images']['called']} are of one size"
        none_alike = inference["n_permutations"] and permuted_units(inference) == "groups"
        return f"No cell was tested against zero{since if none_alike else ''}."
    return (
        f"Similarities were tested by one-sided Mantel tests [@mantel1967] with {n:,} permutations "
        f"of {_permuted(entry)}; p-values were corrected over the cells of a subject and "
        "comparator by the false discovery rate [@benjamini1995], "
        f"q < {inference['alpha']:g}, and family-wise by the largest studentised similarity."
    )


def _permuted(entry: Mapping) -> str:
    """Return what changed places in permutation tests."""
    return PERMUTED[permuted_units(entry["inference"])].format(called=entry["images"]["called"])


def intervals(entry: Mapping, table: pd.DataFrame) -> str:
    """Return what 95 % intervals are about and how they were found."""
    ways: dict[str, list[str]] = {}
    for comparator, cells in table.groupby("comparator", sort=False):
        ways.setdefault(interval_way(entry, cells), []).append(COMPARATORS[comparator])
    # Which comparators a way is of needs no words where there is one way.
    parts = [way + f" for {enumerated(names)}" * (len(ways) > 1) for way, names in ways.items()]
    return f"95 % intervals are over {entry['images']['called']}, {enumerated(parts)}."


def interval_way(entry: Mapping, cells: pd.DataFrame) -> str:
    """Return how the intervals of one comparator were found."""
    resample, called = entry["inference"]["resample"], entry["images"]["called"]
    if cells["se"].equals(cells["se_bootstrap"]):
        n = int(only(cells["n_bootstrap"]))
        return f"by the bootstrap with {n:,} resamples ({called} {DRAWN[resample]})"
    return f"by the infinitesimal jackknife{LINEARISED[resample]}"


def ceiling(entry: Mapping, tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the noise ceiling, where there is one."""
    if "noise_ceiling" not in tables:
        return ""
    n = counted(only(tables["noise_ceiling"]["n_subjects"]), "subject")
    return (
        "Noise ceilings are the similarity of each subject's RDM with the mean RDM of the others "
        f"(lower) and of all (upper) [@nili2014], averaged over {n}."
    )


def group(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return what was inferred over subjects."""
    if "group" not in tables:
        return ""
    table = tables["group"]
    n = int(only(table["n_subjects"]))
    tested = table["p_subjects"].notna().any()
    test = (
        "; means over subjects were tested by sign flips, corrected by the largest t [@nichols2002]"
        if tested
        else f"; {n} subjects are too few for a test over them" * (n < MIN_SUBJECTS)
    )
    return (
        f"Over {n} subjects, intervals are for new subjects and new stimuli by the two-factor "
        f"bootstrap [@schutt2023]{test}."
    )


def held_out(entry: Mapping) -> str:
    """Return how layers were chosen on other images than those that score them."""
    folds, called = entry["inference"]["cross_validation"], entry["images"]["called"]
    if not folds:
        return ""
    return (
        f"The best layer, and a non-negative mixture of layers [@kaniuth2022], were chosen on some "
        f"{called} and scored on others ({folds} folds)."
    )


def encoding(entry: Mapping, tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the encoding models, where any could be fitted."""
    if tables.get("encoding") is None or tables["encoding"].empty:
        return ""
    whole = "whole groups of " * (entry["inference"]["resample"] == "groups")
    return (
        "Responses were also predicted from layers by ridge regression with penalties chosen by "
        f"generalised cross-validation, scored on held-out {whole}{entry['images']['called']} "
        f"({entry['encoding']['folds']} folds)."
    )


def searchlight(entry: Mapping, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return how maps were made and tested."""
    options = entry.get("searchlight")
    if not options or "searchlight" not in tables:
        return []
    table = tables["searchlight"]
    unit = {"voxel": "voxels", "mm": "mm"}[options["unit"]]
    corrected = (
        "by threshold-free cluster enhancement [@smith2009]"
        if options["tfce"]
        else "by the largest statistic of the map [@nichols2002]"
    )
    sentences = [
        f"Searchlight maps [@kriegeskorte2006] compare the RDM of a sphere of radius "
        f"{options['radius']:g} {unit} around every voxel of the mask with every model, by "
        f"{COMPARATORS[options['comparator']]} over {int(only(table['n_pairs'])):,} pairs.",
    ]
    n = int(only(table["n_permutations"]))
    if n:
        sentences.append(
            f"Maps of a subject were tested by {n:,} permutations of {_permuted(entry)}, corrected "
            f"{corrected} (p up to {options['alpha']:g})."
        )
    flips = tables.get("searchlight_group")
    if flips is not None and flips["n_flips"].max() > 0:
        every = ", all there are" * bool(flips["complete"].all())
        sentences.append(
            f"Maps of the group ({counted(only(flips['n_subjects']), 'subject')}, Fisher's z) were "
            f"tested by {int(flips['n_flips'].max()):,} sign flips of subjects{every}, corrected "
            f"{corrected}."
        )
    return sentences
