# Functions of training: simulations of images, weights to begin with, and what a run shows of it.

# Memory in MB that training takes beside its images: weights, gradients, Adam's two moments, and
# the activations of a batch.
TRAINING_MB = {"vgg16": 14_000, "vgg_small": 2_000}
TRAINING_MINUTES = {"vgg16": 24 * 60, "vgg_small": 60}
# Two threads train the small network a quarter faster than one, and leave no core to others; with
# one, the trained network is the same however many cores there are.
TRAINING_THREADS = {"vgg16": 8, "vgg_small": 1}


def digit_simulations():
    """Return folder -> entry of the simulated digits studies."""
    return {
        entry["simulation"]["folder"]: entry
        for entry in config["digits"].values()
        if entry["source"] == "simulated"
    }


def initial_weights(wildcards):
    """Return the file with the weights that training begins with, if they come from a file."""
    weights = config["digits"][wildcards.study]["network"]["weights"]
    return weights if is_weight_file(weights) else []


def training_mb(wildcards, attempt):
    """Return a memory request for the network and all images of training and validation."""
    entry = config["digits"][wildcards.study]
    images, n_categories = entry["images"], len(digits_categories(wildcards))
    # Three bytes of a pixel, once as they are read and once more while they are.
    n_images = n_categories * (images["train"] + images["validation"])
    bytes_of_images = 2 * 3 * n_images * images["side"] ** 2
    return (TRAINING_MB[entry["network"]["size"]] + int(bytes_of_images / 1e6)) * 2 ** (attempt - 1)


def training_minutes(wildcards, attempt):
    n_minutes = TRAINING_MINUTES[config["digits"][wildcards.study]["network"]["size"]]
    return minutes(n_minutes)(wildcards, attempt)


def training_threads(wildcards):
    return TRAINING_THREADS[config["digits"][wildcards.study]["network"]["size"]]


def digit_training(study):
    """Return what figures of the network of a study say."""
    entry = config["digits"][study]
    categories, images = entry["categories"], entry["images"]
    n_categories = len(all_categories(entry))
    note = (
        f"Trained on n = {n_categories * images['train']:,} images, validated on n = "
        f"{n_categories * images['validation']:,} others. Loss: cross-entropy. Penalty: what weight "
        "decay adds to it, half the sum of squared weights times the config's weight_decay. No "
        "epoch is chosen: the weights of the last are kept."
    )
    return lambda network: {"groups": categories, "note": note}


TRAININGS |= {study: digit_training(study) for study in config["digits"]}


def training_targets():
    """Return the figures and tables of training of the selected studies."""
    files = ("figures/learning_curves_vgg.png", "figures/confusion_vgg.png")
    return [
        f"<results>/{study}/{file}"
        for study in DIGITS
        for file in (*files, "tables/accuracy_vgg.html")
    ]


STUDY_TARGETS.append(training_targets)
