# Functions of figures: what is shown where there is more than a figure has room for.


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


def shuffled_models(wildcards):
    """Return the models that learn from permuted images, controls."""
    blocks = config["dissimilarity"][wildcards.study]["models"]
    return [name for name, block in blocks.items() if block["shuffled"]]


def trained_models(study):
    """Return the models that train step by step, and have learning curves."""
    blocks = config["dissimilarity"][study]["models"]
    return [name for name, block in blocks.items() if is_stepwise(block["kind"])]
