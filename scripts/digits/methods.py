"""What a study of networks trained on categories did, for its methods."""

from collections.abc import Mapping

import pandas as pd

from workflow.lib.methods import METRICS, Methods, counted, enumerated


def describe(entry: Mapping, tables: Mapping[str, pd.DataFrame]) -> Methods:
    """Return what is to be said of an entry of `digits`.

    Parameters
    ----------
    entry : completed entry
    tables : accuracy, and where the entry asks for them cosines, fit and rois
    """
    paragraphs = {
        "Network": [images(entry), network(entry), accuracy(tables["accuracy"])],
        "Models": [layer_rdms(entry), codes(entry)],
        "Codes": code_tests(entry, tables),
        "Units": units(entry),
    }
    return Methods(paragraphs, ("torch", "scikit-learn"))


def images(entry: Mapping) -> str:
    """Return what the network learned to tell apart."""
    kinds = [f"{len(names)} of kind {kind}" for kind, names in entry["categories"].items()]
    n, parts = sum(map(len, entry["categories"].values())), entry["images"]
    made = "Simulated images" if entry["source"] == "simulated" else "Images"
    return (
        f"{made} of {counted(n, 'category', 'categories')} ({enumerated(kinds)}) were "
        f"{parts['side']} pixels wide: {parts['train']:,} of each category for training and "
        f"{parts['validation']:,} for validation."
    )


def network(entry: Mapping) -> str:
    """Return the network and how it was trained."""
    options = entry["network"]
    size = {"vgg16": "VGG-16", "vgg_small": "a narrow network of VGG-16's layers"}[options["size"]]
    weights = {
        "untrained": "random weights",
        "torchvision": "ImageNet's weights (torchvision)",
    }.get(options["weights"], "weights from a file")
    decay = f", weight decay {options['weight_decay']:g}" * bool(options["weight_decay"])
    return (
        f"The network is {size} [@simonyan2014], from {weights}, trained for {options['n_epochs']} "
        f"epochs by Adam [@kingma2014] (learning rate {options['learning_rate']:g}, times "
        f"{options['decay']:g} every {options['decay_steps']:,} steps, dropout "
        f"{options['dropout']:g}{decay})."
    )


def accuracy(table: pd.DataFrame) -> str:
    """Return how well the network tells categories apart."""
    row = table[table["level"] == "all"].iloc[0]
    return (
        f"It told {int(row['n_correct']):,} of {int(row['n']):,} validation images right "
        f"({100 * row['accuracy']:.1f} %, 95 % interval {100 * row['low']:.1f} to "
        f"{100 * row['high']:.1f} %)."
    )


def layer_rdms(entry: Mapping) -> str:
    """Return how RDMs of layers came about."""
    options = entry["layer_rdms"]
    seen = (
        f"{entry['images']['stimuli']:,} images of each category that participants saw"
        if entry["images"]["stimuli"]
        else "the validation images (the stimuli are not to be had)"
    )
    return (
        f"RDMs of layers over categories are of {seen}: units standardised, principal components "
        f"with {100 * options['variance']:g} % of the variance, means of categories, and "
        f"{METRICS[options['metric']]}."
    )


def codes(entry: Mapping) -> str:
    """Return the perception codes."""
    if not entry["codes"]:
        return ""
    contrasts = (
        f" In the joint fit their contrasts {enumerated(entry['contrasts'])} stand."
        if entry["contrasts"]
        else ""
    )
    n = counted(len(entry["codes"]), "binary RDM")
    return f"Perception codes [@lee2023] are {n}: {enumerated(entry['codes'])}.{contrasts}"


def code_tests(entry: Mapping, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return how codes were compared with layers and brains."""
    sentences, options = [], entry["code_tests"]
    if "cosines" in tables:
        sentences.append(
            "Codes and layers were compared by the cosine, beside its value for an RDM without "
            "structure, and by the cosine of centred RDMs; tests permute categories within their "
            f"kind ({int(tables['cosines']['n_permutations'].max()):,} permutations, one-sided, "
            "family-wise by the largest), intervals resample categories "
            f"({int(tables['cosines']['n_resamples'].max()):,} resamples)."
        )
    if "fit" in tables:
        sentences.append(
            "Contrasts of codes were fitted together with an intercept; their tests are "
            f"two-sided, by {options['n_permutations']:,} permutations of categories within kinds "
            "[@legendre2000], and family-wise over layers and contrasts by the largest."
        )
    if "rois" in tables:
        n = int(tables["rois"]["n_subjects"].max())
        sentences.append(
            f"Regions of codes are the {100 * entry['code_rois']['share']:g} % of spheres that "
            "resemble the code most, chosen in one half of the runs and compared with layers in "
            "the "
            f"other, over {counted(n, 'subject')}."
        )
        if tables["rois"]["p_max"].notna().any():
            sentences.append(
                "Mean similarities in them were tested by one-sided sign flips of subjects, "
                "corrected over codes and layers by the largest t [@nichols2002]."
            )
    return sentences


def units(entry: Mapping) -> list[str]:
    """Return how layers were embedded and units driven."""
    embedding, driven = entry["embedding"], entry["maximisation"]
    filters = (
        f" and of {counted(driven['n_filters'], 'random filter')} of each other layer"
        if driven["n_filters"]
        else ""
    )
    return [
        f"Validation images were embedded in every layer by t-SNE [@vandermaaten2008] (perplexity "
        f"{embedding['perplexity']:g} or what the images allow).",
        f"Images that drive the units of the classes{filters} were found by gradient ascent.",
    ]
