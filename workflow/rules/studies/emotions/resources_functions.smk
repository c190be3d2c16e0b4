# Functions of section `emotions`: what jobs of networks need, from the sizes of volumes and
# network.

# PyTorch and what it loads, MB.
EMOTION_TORCH_MB = 2000
# Between a batch's own results, of float32, and the peak: 6.4 GB are forecast for 5.8 GB of results
# of the published network and batch.
RESULT_BYTES = 4.4
# A box around a brain holds twice its voxels: an ellipsoid takes half of it.
BOX = 2
# ASSUME: results that a GPU computes in a minute, forward and back.
RESULTS_PER_MINUTE = 6e11
# Voxels that are evaluated at once, see scripts/emotions/network/emotion_training.py.
EVALUATED_VOXELS = 8 * 80 * 80 * 35
# Volumes of a path of integrated gradients.
GRADIENT_STEPS = 24


def results_per_voxel(network):
    """Return how many numbers the layers of a network compute per voxel of a volume.

    A convolution, its normalisation and its rectifier each give one per channel; every block halves
    the volume along each axis.
    """
    widths, inside = network["widths"], network["expansion"]
    results, share = 3 * widths[0], 1.0
    for inputs, outputs in zip(widths, widths[1:]):
        results += share * 3 * inside * inputs
        share /= 8
        results += share * (3 * inside * inputs + 2 * outputs)
    return results


def volumes_of_movie(entry):
    """Return the number of volumes of all subjects."""
    return len(entry["subjects"]) * sum(run["n_volumes"] for run in entry["runs"].values())


def box_voxels(entry, input):
    """Return about how many voxels a network is shown, from the size of the time series."""
    return BOX * input.size_mb * 2**20 / 4 / volumes_of_movie(entry)


def emotion_training_mb(wildcards, input, attempt):
    """Return a memory request for a batch of a network and all its results."""
    entry = config["emotions"][wildcards.study]
    block = entry["models"][wildcards.model]
    voxels = box_voxels(entry, input)
    shown = max(block["training"]["batch"] * voxels, min(EVALUATED_VOXELS, 64 * voxels))
    results = shown * results_per_voxel(block["network"])
    return int(EMOTION_TORCH_MB + RESULT_BYTES * results / 1e6) * 2 ** (attempt - 1)


def emotion_training_minutes(wildcards, input, attempt):
    """Return a time request for all epochs of all folds, of at most a day at first.

    A job that is cut short goes on where it was.
    """
    entry = config["emotions"][wildcards.study]
    block = entry["models"][wildcards.model]
    trained = not is_weight_file(block["network"]["weights"])
    passes = entry["splits"]["n_folds"] * block["training"]["n_epochs"] if trained else 1
    results = box_voxels(entry, input) * results_per_voxel(block["network"])
    computed = passes * volumes_of_movie(entry) * results / RESULTS_PER_MINUTE
    return int(min(30 + computed, 24 * 60)) * 2 ** (attempt - 1)


def occlusion_mb(wildcards, input, attempt):
    """Return a memory request for volumes on the path of gradients, and for all that is found."""
    entry = config["emotions"][wildcards.study]
    options, network = entry["occlusion"], entry["models"][covered_model(entry)[0]]["network"]
    voxels = box_voxels(entry, input)
    shown = min(GRADIENT_STEPS * voxels, max(EVALUATED_VOXELS, voxels))
    n_volumes = options["n_per_class"] * len(entry["labels"]["classes"])
    found = 4 * n_volumes * voxels * (1 + 2 / options["stride"] ** 3)
    held = RESULT_BYTES * shown * results_per_voxel(network) + found
    return int(EMOTION_TORCH_MB + held / 1e6) * 2 ** (attempt - 1)


def refit_minutes(wildcards, attempt):
    """Return a time request for as many fits as are asked for."""
    n_refits = config["emotions"][wildcards.study]["inference"]["n_refits"]
    return 60 * (1 + n_refits) * 2 ** (attempt - 1)
