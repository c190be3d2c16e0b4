"""What a study of image reconstruction did, for its methods."""

from collections.abc import Mapping

import pandas as pd

from workflow.lib.methods import Methods, counted, enumerated

KINDS = {
    "ridge": "ridge regression",
    "logistic": "logistic regression",
    "network": "a fully connected network",
}
MEASURES = {
    "pixel_correlation": "the correlation of pixels",
    "ssim": "the structural similarity index of grey images of 425 pixels a side [@wang2004]",
    "rmse": "the root mean square error",
    "identification": "identification among images",
}


def describe(entry: Mapping, tables: Mapping[str, pd.DataFrame]) -> Methods:
    """Return what is to be said of an entry of `reconstruction`.

    Parameters
    ----------
    entry : completed entry
    tables : decoders, of the scores of decoders, and where there are generators reconstructions
    """
    paragraphs = {
        "Data": [data(entry, tables.get("decoders")), preparation(entry)],
        "Decoding": [shapes(entry), semantics(entry), folds(entry), axes(entry)],
        "Reconstruction": generators(entry),
        "Inference": inference(entry, tables),
    }
    networks = any(
        block["kind"] == "network"
        for block in (*entry["shapes"].values(), *entry["semantics"].values())
    )
    seen = entry["generators"] or entry["semantics"] or networks
    return Methods(paragraphs, ("scikit-learn", *(("torch", "torchvision") if seen else ())))


def data(entry: Mapping, decoders: pd.DataFrame | None) -> str:
    """Return whose responses to how many images there are."""
    simulated = entry["source"] == "simulated"
    streams = entry["simulation"]["streams"] if simulated else []
    told = f" (responses tell {enumerated(streams)} of the images)" * simulated
    counts = (
        {}
        if decoders is None
        else {part: int(rows["n_images"].max()) for part, rows in decoders.groupby("part")}
    )
    images = enumerated(f"{n:,} images ({part})" for part, n in counts.items())
    shown = f" to {images}" if counts else ""
    return (
        f"Responses of {counted(len(entry['subjects']), 'subject')}{shown} were "
        f"{'simulated' if simulated else 'taken'}{told if streams or not simulated else _NULL}."
    )


_NULL = " (responses have nothing to do with the images, the null)"


def preparation(entry: Mapping) -> str:
    """Return what became of voxels and trials before anything was decoded."""
    repeats = "Responses to the repeats of a test image were averaged. " * bool(
        entry["responses"]["tests"]
    )
    return (
        f"Voxels were standardised by the training trials, those of tests too. {repeats}Before "
        "each fit they were standardised again, by the samples that it learns from."
    )


def shapes(entry: Mapping) -> str:
    """Return how shapes were decoded."""
    if not entry["shapes"]:
        return ""
    image = entry["image"]
    matte = "without ground" if image["matte"] else "with its ground"
    blur = (
        f", blurred by a Gaussian with a standard deviation of {image['blur']:g} px"
        if image["blur"]
        else ""
    )
    return (
        f"Shapes (the grey image of {image['size']} pixels, {matte}{blur}) were decoded by "
        f"{enumerated(_decoder(name, block) for name, block in entry['shapes'].items())}."
    )


def semantics(entry: Mapping) -> str:
    """Return how categories were decoded."""
    if not entry["semantics"]:
        return ""
    clusters = entry["clusters"]
    weights = {"untrained": "random weights", "torchvision": "torchvision's weights"}
    return (
        f"Categories are {clusters['n_clusters']} clusters (k-means) of what {clusters['layer']} "
        f"of {clusters['network']} ({weights.get(clusters['weights'], 'weights from a file')}) "
        "sees in the training images, to the nearest of which test images belong; they were "
        "decoded by "
        f"{enumerated(_decoder(name, block) for name, block in entry['semantics'].items())}."
    )


def _decoder(name: str, block: Mapping) -> str:
    control = ", responses to other images, a control" * block["shuffled"]
    learned = "single trials" if block["trials"] else "means over the trials of an image"
    return f"{name} ({KINDS[block['kind']]}, learned from {learned} of {enumerated(block['rois'])}{control})"


def folds(entry: Mapping) -> str:
    """Return what decoders learned from."""
    if not entry["shapes"] and not entry["semantics"]:
        return ""
    tested = "; test images by models of all training images" * bool(entry["responses"]["tests"])
    return (
        f"Training images were decoded out of fold ({entry['folds']['n_folds']} folds of images, "
        f"copies of one together){tested}."
    )


def axes(entry: Mapping) -> str:
    """Return how vectors of networks that were fitted in different folds are made comparable."""
    if not any(block["kind"] == "network" for block in entry["semantics"].values()):
        return ""
    return (
        "Hidden units of networks of categories are on the same axes in every fold: all fits start "
        "at the same weights, and are rotated to what the network gave before it learned "
        "(orthogonal Procrustes) [@schonemann1966]."
    )


def generators(entry: Mapping) -> list[str]:
    """Return how images were made of what was decoded."""
    if not entry["generators"]:
        return []
    options = entry["generator"]
    named = [f"{name} ({_told(block)})" for name, block in entry["generators"].items()]
    return [
        f"Images were generated by a U-Net with an adversarial and a pixel loss (weight "
        f"{options['pixel_weight']:g}) [@isola2017; @fang2020], trained for {options['n_epochs']} "
        f"epochs on shapes and categories decoded out of fold: {enumerated(named)}."
    ]


def _told(block: Mapping) -> str:
    """Return what a generator is told by which decoder."""
    streams = {"shape": block["shape"], "category": block["semantics"]}
    return enumerated(f"{name} by {decoder}" for name, decoder in streams.items() if decoder)


def inference(entry: Mapping, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return measures, intervals and tests."""
    options = entry["evaluation"]
    sentences = []
    if "reconstructions" in tables:
        found = tables["reconstructions"]["measure"].unique()
        ways = [f"{n}-way" for n in options["n_way"]]
        named = [MEASURES[name] for name in MEASURES if name in found]
        seen = enumerated(["pixels", *options["networks"]])
        sentences.append(
            f"Reconstructions were scored by {enumerated(named)} ({enumerated(ways)}, by {seen})."
        )
    if tables:
        sentences.append(
            f"95 % intervals are over images ({options['n_bootstrap']:,} resamples; Student's, and "
            "Wilson's for shares such as that of identified images), p-values by "
            f"{options['n_permutations']:,} permutations of the images, one-sided and not "
            "corrected."
        )
    return sentences
