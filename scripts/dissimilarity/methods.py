"""What a study of pairs of images did, for its methods."""

from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from workflow.lib.config.pair_options import default_option
from workflow.lib.inference.study_resamples import MANY_IMAGES, n_exact_resamples
from workflow.lib.methods import METRICS, Methods, cited_network, counted, enumerated

MODELS = {
    "mean": "the mean of the training pairs",
    "additive": "a sum of an effect of each image",
    "raw_distance": "the distance of embeddings, nothing learned",
    "ridge": "ridge regression on differences of embeddings",
    "svr": "support vector regression",
    "mahalanobis": "a learned Mahalanobis metric of embeddings",
    "encode": "ridge regression from embeddings to responses, and the RDM of its predictions",
    "contrastive": "a network trained by a contrastive loss",
    "pair_mlp": "a multilayer perceptron of pairs of embeddings",
    "siamese": "a siamese convolutional network of pairs of images",
}
# Networks, and what a batch of them holds.
NETWORKS = {"contrastive": "images", "pair_mlp": "pairs", "siamese": "pairs"}
# What is chosen of a model, and by which pairs its error is least.
CHOSEN = {
    "ridge": ("penalty", "validation pairs"),
    "svr": ("cost of errors", "validation pairs"),
    "mahalanobis": ("penalty", "validation pairs"),
    "encode": ("penalty", "pairs of training images that were held out in turn"),
}
EMBEDDINGS = {
    "pixel": "pixels",
    "gabor": "energy of Gabor filters",
    "colour_histogram": "histograms of colour",
    "clip": "CLIP [@radford2021]",
    "file": "features computed elsewhere",
    "joined": "several of these side by side",
}
STANDARDISED = {
    "training": "by the training images of each fold",
    "all": "by all images, test images too, as published",
}


def describe(entry: Mapping, tables: Mapping[str, pd.DataFrame]) -> Methods:
    """Return what is to be said of an entry of `dissimilarity`.

    Parameters
    ----------
    entry : completed entry
    tables : scores
    """
    paragraphs = {
        "Data": [data(entry, tables["scores"]), responses(entry)],
        "Models": [embeddings(entry), *models(entry, tables["scores"])],
        "Splits": splits(entry, tables["scores"]),
        "Inference": [*inference(entry, tables["scores"]), *raw_distances(tables)],
    }
    learned = any(model["kind"] in NETWORKS for model in entry["models"].values())
    seen = any(block["kind"] in ("network", "clip") for block in entry["embeddings"].values())
    return Methods(paragraphs, ("scikit-learn", *(("torch",) if learned or seen else ())))


def data(entry: Mapping, scores: pd.DataFrame) -> str:
    """Return of whom, how many images and which regions dissimilarities are."""
    per_subject = scores.groupby("subject")["n_images"].max()
    fewest, most = int(per_subject.min()), int(per_subject.max())
    images = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    challenge = " [@gifford2023; @allen2022]" if entry["source"] == "path" else ""
    made = "simulated" if entry["source"] == "simulated" else "taken"
    null = entry["source"] == "simulated" and entry["simulation"]["null_effect"]
    return (
        f"Responses of {counted(len(per_subject), 'subject')} to {images} images each were {made}"
        f"{challenge}{', with nothing to do with the images (null)' * null}, in "
        f"{counted(scores['roi'].nunique(), 'region')} of interest "
        f"({enumerated(scores['roi'].unique())})."
    )


def responses(entry: Mapping) -> str:
    """Return how dissimilarities came about."""
    if entry["source"] == "rsa":
        return "Dissimilarities are those of the RDMs of the study of that name."
    standardise = entry["labels"]["standardise"]
    before = (
        f" after standardising each vertex {STANDARDISED[standardise]}"
        if standardise in STANDARDISED
        else ""
    )
    metrics = enumerated(METRICS[metric] for metric in entry["metrics"])
    return f"The dissimilarity of the responses to two images was measured by {metrics}{before}."


def embeddings(entry: Mapping) -> str:
    """Return what models see of images."""
    if not entry["embeddings"]:
        return ""
    named = [f"{name} ({_embedding(block)})" for name, block in entry["embeddings"].items()]
    n = entry["n_components"]
    reduced = (
        f", reduced to {n} principal components of unit variance, found on training images"
        if n
        else ", with features as they are"
    )
    return f"Images were embedded as {enumerated(named)}{reduced}."


def _embedding(block: Mapping) -> str:
    if block["kind"] != "network":
        return EMBEDDINGS[block["kind"]]
    weights = {"untrained": "random weights", "torchvision": "torchvision's weights"}
    return (
        f"{block['layer']} of {cited_network(block['network'])}, "
        f"{weights.get(block['weights'], 'weights from a file')}"
    )


def models(entry: Mapping, scores: pd.DataFrame) -> list[str]:
    """Return what each model is that could be fitted, one sentence for all."""
    fitted = set(scores.dropna(subset="value")["model"])
    named = [
        f"{name} ({MODELS.get(model['kind'], model['kind'])}"
        f"{', learned from RDMs with permuted images, a control' * model['shuffled']})"
        for name, model in entry["models"].items()
        if name in fitted
    ]
    kinds = {name: model["kind"] for name, model in entry["models"].items() if name in fitted}
    return [
        f"Dissimilarities were predicted by {enumerated(named)}.",
        *choices(kinds),
        *(training(name, entry["models"][name]) for name in kinds if kinds[name] in NETWORKS),
    ]


def choices(kinds: Mapping[str, str]) -> Iterator[str]:
    """Yield what was chosen of models without steps, of model -> kind, and by which pairs."""
    for choice in dict.fromkeys(CHOSEN.values()):
        names = [name for name, kind in kinds.items() if CHOSEN.get(kind) == choice]
        if names:
            what, pairs = choice
            yield f"The {what} ({enumerated(names)}) was that of least squared error on {pairs}."


def training(name: str, model: Mapping) -> str:
    """Return how a network of pairs was trained, with what its kind does where nothing is said."""
    variants = (model["variants"] or {"": {}}).values()
    ways = dict.fromkeys(_way(model["kind"], model["options"] | of) for of in variants)
    return (
        f"{name} was trained by AdamW [@loshchilov2017] ({enumerated(ways, 'or')}), with the "
        "weights of the epoch that is best on validation pairs."
    )


def _way(kind: str, given: Mapping) -> str:
    """Return rate, epochs, batches and loss of a network with some options."""

    def option(name: str) -> object:
        return given[name] if name in given else default_option(kind, name)

    steps, patience, decay = option("n_steps"), option("patience"), option("weight_decay")
    some = f"{steps:,} " if steps else ""
    parts = [
        f"learning rate {option('learning_rate'):g}",
        f"weight decay {decay:g}" if decay else "",
        f"{counted(option('n_epochs'), 'epoch')} of {some}batches of {option('batch'):,} "
        f"{NETWORKS[kind]}",
        f"stopped after {counted(patience, 'epoch')} without a better one" if patience else "",
        f"dropout {option('dropout'):g}" if option("dropout") else "",
        _loss(kind, option),
    ]
    return ", ".join(filter(None, parts))


def _loss(kind: str, option: Callable[[str], object]) -> str:
    if kind == "contrastive":
        return (
            f"InfoNCE [@vandenoord2018] of each image's {option('n_neighbours')} nearest images, "
            f"temperature {option('temperature'):g}"
        )
    share = option("correlation_share") if kind == "siamese" else 0
    parts = f"{1 - share:g} of the mean squared error less {share:g} of Pearson's r"
    return f"loss: {parts if share else 'mean squared error'}"


def splits(entry: Mapping, scores: pd.DataFrame) -> list[str]:
    """Return what was held out, and what leaks."""
    options, found = entry["splits"], set(scores["split"])
    sentences = [
        f"Images were dealt into {options['n_folds']} folds: in the clean split no image of a test "
        "pair stands in a training pair."
    ]
    dealt = {
        "matched": "the same test pairs and as many training pairs, of any images",
        "random_pairs": "all pairs at random, as published",
    }
    if "leaked" in found:
        sentences.append(
            f"Beside it stands a leaked split, which deals out {dealt[options['leaked']]}."
        )
    if "one_seen" in found:
        sentences.append("The clean fits were also tested on pairs with one training image.")
    if options["n_training_images"] and any(m["training_size"] for m in entry["models"].values()):
        sentences.append(
            f"Models were also fitted to {enumerated(options['n_training_images'])} training "
            "images."
        )
    return sentences


def inference(entry: Mapping, scores: pd.DataFrame) -> list[str]:
    """Return intervals and tests of scores."""
    options = entry["inference"]
    measures = {
        "r2": "R²",
        "spearman": "Spearman's rho",
        "pearson": "Pearson's r",
        "row_pearson": "Pearson's r of the pairs of each image",
    }
    named = [measures.get(name, name) for name in scores["measure"].unique()]
    return [
        f"Predictions were scored by {enumerated(named)}.",
        f"95 % intervals are by resampling test images ({options['n_bootstrap']:,} resamples by "
        "Poisson counts, in which an image counts alike for all subjects who saw it), "
        f"p-values one-sided by {options['n_permutations']:,} permutations of images within folds "
        "and not corrected for the number of models, regions and measures; since models learned "
        "from images that other folds test, the null was taken √2 times as wide, so that p up to "
        "0.1 are upper bounds. Pairs were never resampled as if they were independent.",
    ]


def raw_distances(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return how distances of embeddings were tested, where there are any."""
    table = tables.get("distances")
    if table is None or table.empty:
        return []
    names = enumerated(table["distance"].unique())
    return [
        f"Distances of embeddings as they are ({names}) were compared with those of responses by "
        "Spearman's rho and Pearson's r, tested by one-sided Mantel tests [@mantel1967] with "
        f"{int(table['n_permutations'].max()):,} permutations of the images; p-values of "
        "Spearman's rho were corrected over the comparisons of a subject by the false discovery "
        "rate [@benjamini1995], those of Pearson's r were not.",
        _intervals_of_distances(table),
    ]


def _intervals_of_distances(table: pd.DataFrame) -> str:
    n_resamples = int(table["n_resamples"].max())
    # By subject, who may have seen fewer images.
    linearised = any(
        n_exact_resamples("spearman", int(n_images), n_resamples, None) < n_resamples
        for n_images in table["n_images"].unique()
    )
    of_ranks = (
        f", those of Spearman's rho beyond {MANY_IMAGES:,} images by the infinitesimal jackknife"
    )
    return (
        f"Their 95 % intervals are by resampling images ({n_resamples:,} resamples)"
        f"{of_ranks * linearised}."
    )
