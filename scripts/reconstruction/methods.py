"""What a study of image reconstruction did, for its methods."""

from collections.abc import Mapping, Sequence

import pandas as pd

from workflow.lib.methods import Methods, cited_network, counted, enumerated

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
        "Decoding": [shapes(entry), semantics(entry), folds(entry), losses(entry), axes(entry)],
        "Reconstruction": generators(entry),
        "Inference": inference(entry, tables),
    }
    networks = any(
        block["kind"] == "network"
        for block in (*entry["shapes"].values(), *entry["semantics"].values())
    )
    seen = entry["generators"] or entry["semantics"] or networks
    ridge = any(block["kind"] == "ridge" for block in entry["shapes"].values())
    packages = ("himalaya",) * ridge + ("torch", "torchvision") * bool(seen)
    return Methods(paragraphs, ("scikit-learn", *packages))


def data(entry: Mapping, decoders: pd.DataFrame | None) -> str:
    """Return whose responses to how many images there are."""
    simulated = entry["source"] == "simulated"
    streams = entry["simulation"]["streams"] if simulated else []
    cited = " [@shen2019]" if not simulated and entry["dataset"] == "deeprecon" else ""
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
        f"{'simulated' if simulated else 'taken'}{cited}"
        f"{told if streams or not simulated else _NULL}."
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
        f"of {cited_network(clusters['network'])} "
        f"({weights.get(clusters['weights'], 'weights from a file')}) "
        "sees in the training images, to the nearest of which test images belong; they were "
        "decoded by "
        f"{enumerated(_decoder(name, block) for name, block in entry['semantics'].items())}."
    )


def _decoder(name: str, block: Mapping) -> str:
    control = ", responses to other images, a control" * block["shuffled"]
    learned = "single trials" if block["trials"] else "means over the trials of an image"
    fitted = FITS[block["kind"]](block)
    return (
        f"{name} ({KINDS[block['kind']]}, learned from {learned} of "
        f"{enumerated(block['rois'])}{control}; {fitted})"
    )


def _ridge(block: Mapping) -> str:
    options = block["ridge"]
    each = "each pixel's " if options["per_target"] else ""
    return f"{each}penalty {_chosen(options['alphas'], options['n_inner_folds'])}"


def _logistic(block: Mapping) -> str:
    options = block["logistic"]
    return f"inverse penalty C {_chosen(options['C'], options['n_inner_folds'])}"


def _chosen(offered: Sequence[float], n_folds: int) -> str:
    values = enumerated((f"{value:g}" for value in offered), "or")
    return f"{values}, chosen on {n_folds} inner folds of images" if len(offered) > 1 else values


def _network(block: Mapping) -> str:
    options, network = block["training"], block["network"]
    parts = [
        f"hidden layers of {enumerated(network['widths'])} units",
        f"dropout {network['dropout']:g}" if network.get("dropout") else "",
        f"Adam [@kingma2014], learning rate {options['learning_rate']:g}",
        f"weight decay {options['weight_decay']:g}" if options["weight_decay"] else "",
        f"up to {counted(options['n_epochs'], 'epoch')}",
        f"batches of {options['batch']}",
        f"patience of {counted(options['patience'], 'epoch')}" if options["patience"] else "",
    ]
    return ", ".join(filter(None, parts))


FITS = {"ridge": _ridge, "logistic": _logistic, "network": _network}


def losses(entry: Mapping) -> str:
    """Return what networks that decode minimise, and when they have learned enough."""
    kinds = (
        ("shapes", "the mean absolute error of pixels (shapes)"),
        ("semantics", "cross-entropy (categories)"),
    )
    found = [
        loss
        for name, loss in kinds
        if any(block["kind"] == "network" for block in entry[name].values())
    ]
    if not found:
        return ""
    share = entry["folds"]["validation_share"]
    kept = (
        f", with the weights of the epoch of least loss on {100 * share:g} % of the images that "
        "are not tested"
        if share
        else ""
    )
    return f"Networks that decode minimise {enumerated(found)}{kept}."


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
    weight = options["perceptual_weight"]
    last = "," if weight else " and"
    perceptual = f" and perceptual (weight {weight:g})" if weight else ""
    return [
        f"Images were generated by a U-Net with adversarial (least squares) [@mao2017]{last} pixel "
        f"(mean absolute error, weight {options['pixel_weight']:g}){perceptual} losses "
        "[@isola2017; @fang2020], trained on shapes and categories decoded out of fold: "
        f"{enumerated(named)}.",
        _training(options, entry["folds"]["validation_share"]),
    ]


def _training(options: Mapping, validation_share: float) -> str:
    """Return how generators and discriminators were trained."""
    parts = [
        f"learning rate {options['learning_rate']:g}, falling to 0 over the second half",
        f"weight decay {options['weight_decay']:g}" if options["weight_decay"] else "",
        f"batches of {options['batch']}",
        f"dropout {options['dropout']:g}" if options["dropout"] else "",
        f"patience of {counted(options['patience'], 'epoch')}" if options["patience"] else "",
    ]
    kept = (
        "; weights are those of the epoch of least loss on validation images, the adversarial "
        "left out"
        if validation_share
        else ""
    )
    return (
        f"U-Net and discriminator were trained by AdamW [@loshchilov2017] for "
        f"{counted(options['n_epochs'], 'epoch')} ({', '.join(filter(None, parts))}){kept}."
    )


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
            "Wilson's [@wilson1927] for shares such as that of identified images), p-values by "
            f"{options['n_permutations']:,} permutations of the images, one-sided and not "
            "corrected."
        )
    if "reconstructions" in tables:
        sentences.append(
            "Every generator was trained once for each subject; intervals do not tell how another "
            "training would come out."
        )
    if "training" in tables.get("decoders", pd.DataFrame(columns=["part"]))["part"].to_numpy():
        sentences.append(
            "What was decoded out of fold was compared with images of its fold alone, which also "
            "changed places within folds; scores under permutations were widened by the square "
            "root of two, for folds that learn from one another, so that p is a bound."
        )
    return sentences
