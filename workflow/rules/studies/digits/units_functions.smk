# Functions of units and layers of the trained network: memory, and what they add to a run.

# MB of one image of the published size, 224 x 224 pixels, measured: the outputs of its analysed
# layers; the outputs and gradients of an ascent; what is held while activations are looked at. Of
# other sizes in proportion to the pixels; narrower networks take less.
LAYERS_MB, ASCENT_MB, SEEN_MB = 54, 80, 28
# Images whose layers are held at once: two batches of scripts/digits/network/layer_features.py, and one in
# the making. Images that scripts/digits/units/unit_images.py looks at at once.
LAYERS_AT_ONCE, SEEN_AT_ONCE = 24, 64
# What Python, PyTorch and the weights of the largest network take.
NETWORK_MB = 1500


def relative_pixels(entry):
    """Return the pixels of an image as a multiple of those of the published size."""
    return (entry["images"]["side"] / 224) ** 2


def layers_mb(wildcards, attempt):
    """Return a memory request for the layers of validation images or stimuli, and their products.

    Layers themselves are on the disk; in memory are blocks of 8,192 units, and the products.
    """
    entry = config["digits"][wildcards.study]
    images = entry["images"]
    n = len(digits_categories(wildcards)) * max(images["validation"], images["stimuli"])
    bytes_of_images = n * (27 * images["side"] ** 2 + 4 * 4 * 8192 + 4 * 8 * n)
    shown_mb = LAYERS_AT_ONCE * LAYERS_MB * relative_pixels(entry)
    return int(NETWORK_MB + shown_mb + bytes_of_images / 1e6) * 2 ** (attempt - 1)


def maximisation_mb(wildcards, threads, attempt):
    """Return a memory request for the images of units, of as many layers at once as threads."""
    entry = config["digits"][wildcards.study]
    images, settings = entry["images"], entry["maximisation"]
    n_classes = len(digits_categories(wildcards))
    at_once = threads * max(n_classes * settings["starts"], settings["n_filters"])
    shown_mb = max(at_once * ASCENT_MB, SEEN_AT_ONCE * SEEN_MB) * relative_pixels(entry)
    seen_mb = 15 * n_classes * images["validation"] * images["side"] ** 2 / 1e6
    return int(NETWORK_MB + shown_mb + seen_mb) * 2 ** (attempt - 1)


def unit_targets():
    """Return the figures of maximised units of the selected studies."""
    return [
        f"<results>/{study}/figures/maximised_{units}.png"
        for study in DIGITS
        for units in ("classes", "filters")
        if units == "classes" or config["digits"][study]["maximisation"]["n_filters"]
    ]


STUDY_TARGETS.append(unit_targets)
