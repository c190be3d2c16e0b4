# Functions of models of pairs: what a fit follows from, and nothing that it does not see.

PAIR_MODELS = one_of(
    model for entry in config["dissimilarity"].values() for model in entry["models"]
)


def of_scored_subjects(path):
    """Return an input function for a file of every subject that any model is fitted to."""

    def files(wildcards):
        models = config["dissimilarity"][wildcards.study]["models"]
        fitted = {name for model in models for name in model_subjects(wildcards.study, model)}
        return [
            f"<results>/{wildcards.study}/{path.format(subject=subject)}"
            for subject in pair_subjects(wildcards.study)
            if subject in fitted
        ]

    return files


def curve_sizes(wildcards):
    """Return the numbers of training images that any model is fitted to, beside all."""
    entry = config["dissimilarity"][wildcards.study]
    of_curve = any(block["training_size"] for block in entry["models"].values())
    return entry["splits"]["n_training_images"] if of_curve else []


def kind_of_pairs(wildcards):
    return pair_setting("models", wildcards.model, "kind")(wildcards)


def curve_of_model(wildcards):
    """Return the numbers of training images that a model is fitted to, beside all."""
    block = pair_setting("models", wildcards.model)(wildcards)
    return pair_setting("splits", "n_training_images")(wildcards) if block["training_size"] else []


def pair_splits(wildcards):
    """Return what the folds of a model follow from, and how leaked pairs are dealt out to them."""
    leaked = ["leaked"] if has_leaked(kind_of_pairs(wildcards)) else []
    return fold_settings(*leaked)(wildcards)


def if_needed(need, value, otherwise):
    """Return a function of wildcards that gives a value where a model learns from a field."""

    def seen(wildcards):
        return value(wildcards) if need in needs(kind_of_pairs(wildcards)) else otherwise

    return seen


def embeddings_of_model(wildcards):
    """Return the embeddings that a model sees, with their parts: one, or those that are joined."""
    entry = config["dissimilarity"][wildcards.study]
    if not {"features", "distances"} & set(needs(kind_of_pairs(wildcards))):
        return {}
    names = entry["models"][wildcards.model].get("embeddings", list(entry["embeddings"]))
    return {name: entry["embeddings"][name].get("parts", [name]) for name in names}


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
    return {key: block[key] for key in ("kind", "options", "variants", "shuffled")}


def kind_digest(wildcards):
    """Return the digest of the fitting script and of the kind of model, imported by name."""
    return script_digest("dissimilarity/fits/fit_pair_model.py"), *module_digest(
        f"dissimilarity/models/{kind_of_pairs(wildcards)}.py"
    )


def pair_gpus(wildcards):
    return int(config["dissimilarity"][wildcards.study]["models"][wildcards.model]["gpu"])
