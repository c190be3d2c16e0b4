# Memory of jobs of section `dissimilarity`, by what they hold at a time: of the RDMs of a subject,
# tens of GB of all images of the challenge, that is one.

# MB of Python and what it imports: with PyTorch, and without.
TORCH_MB, NUMPY_MB = 2000, 1000
# Bytes per pair of images of an RDM, and of what jobs hold of pairs. Of a fit: pairs of every fold,
# an RDM, and what is predicted (60 measured); of scores: the tables that permutations and resamples
# go through (120 measured).
RDM_BYTES, AUDIT_BYTES, FIT_BYTES, SCORE_BYTES = 8, 60, 120, 160
# Of a subject of the challenge, and of a study of `rsa`; vertices of both hemispheres.
MOST_IMAGES, MOST_VERTICES = {"path": 9841, "rsa": 1000}, 40_000
# Of images that all subjects of the challenge saw.
MOST_SHARED = 1000
# Responses, those that are standardised, and what is chosen from them.
RESPONSES_AT_ONCE = 3
# RDMs of each side that are compared at a time, with their ranks, see `compare_raw_distances.py`.
COMPARED_MB, COPIES_OF_COMPARED = 256, 4


def most_images(entry):
    """Return how many images a subject has at most."""
    if entry["source"] == "simulated":
        return entry["n_images"] or entry["simulation"]["n_images"]
    return entry["n_images"] or MOST_IMAGES[entry["source"]]


def pairs_mb(entry, of_a_pair):
    """Return the MB of what takes so many bytes per pair of images of a subject."""
    return most_images(entry) ** 2 / 2 * of_a_pair / 1e6


def pictures_mb(entry, times=2):
    """Return the MB of a subject's images, as they are read and as they are held."""
    return times * most_images(entry) * 3 * entry["side"] ** 2 / 1e6


def responses_mb(entry, times=RESPONSES_AT_ONCE):
    """Return the MB of a subject's responses of all vertices."""
    return times * 4 * most_images(entry) * MOST_VERTICES / 1e6


def held_mb(held, at_least=NUMPY_MB):
    """Return a memory request from a function of an entry, doubled at each retry."""

    def mem_mb(wildcards, attempt):
        entry = config["dissimilarity"][wildcards.study]
        return int(at_least + held(entry)) * 2 ** (attempt - 1)

    return mem_mb


def rdms_mb(n_held):
    """Return a memory request for so many RDMs of one subject."""
    return held_mb(lambda entry: pairs_mb(entry, n_held * RDM_BYTES))


def _products_mb(entry):
    """Return the MB of products of all images, as they are summed and as they are used."""
    return 2 * 8 * most_images(entry) ** 2 / 1e6


def _fmri_rdms(entry):
    """Return the MB of responses, of their products, and of an RDM by each metric."""
    metrics = len(entry["metrics"]) * RDM_BYTES
    return responses_mb(entry) + _products_mb(entry) + pairs_mb(entry, metrics)


def _compared(entry):
    """Return the MB of the RDMs of both sides that are held, and of an embedding's products."""
    one = pairs_mb(entry, RDM_BYTES)
    return 2 * COPIES_OF_COMPARED * max(COMPARED_MB, one) + _products_mb(entry)


def ceilings_mb(wildcards, attempt):
    """Return a memory request for responses of every fold, or for the RDMs of all subjects."""
    entry = config["dissimilarity"][wildcards.study]
    if entry["source"] == "simulated":
        # Without noise and measured, in float64, by every fold.
        held = responses_mb(entry, times=4 * (1 + entry["splits"]["n_folds"]))
    else:
        shared = min(most_images(entry), MOST_SHARED) ** 2 / 2
        n_subjects = len(pair_subjects(wildcards.study))
        held = n_subjects * COPIES_OF_COMPARED * RDM_BYTES * shared / 1e6
    return int(NUMPY_MB + held + pairs_mb(entry, 2 * RDM_BYTES)) * 2 ** (attempt - 1)


def fit_mb(wildcards, attempt):
    """Return a memory request for the pairs of a subject, and for what the model sees of images."""
    entry, kind = config["dissimilarity"][wildcards.study], kind_of_pairs(wildcards)
    # Pixels, which networks see as numbers of four bytes, and Gram matrices of embeddings.
    seen = pictures_mb(entry, times=5) + len(entry["embeddings"]) * _products_mb(entry) / 2
    seen += responses_mb(entry) if "responses" in needs(kind) else 0
    at_least = TORCH_MB if is_stepwise(kind) else NUMPY_MB
    return int(at_least + seen + pairs_mb(entry, FIT_BYTES)) * 2 ** (attempt - 1)


# By rule, of those that hold as much for every model and subject.
MB_OF_PAIRS = {
    "prepare_pair_images": held_mb(pictures_mb, at_least=1500),
    "compute_fmri_rdms": held_mb(_fmri_rdms),
    "find_extreme_pairs": rdms_mb(3),
    "count_vertices": held_mb(responses_mb),
    "embed_images": held_mb(
        lambda entry: _products_mb(entry) + pictures_mb(entry), at_least=2 * TORCH_MB
    ),
    "compare_raw_distances": held_mb(_compared),
    "audit_pairs": held_mb(lambda entry: pictures_mb(entry) + pairs_mb(entry, AUDIT_BYTES)),
    "score_pair_models": held_mb(lambda entry: pairs_mb(entry, SCORE_BYTES)),
    "plot_fmri_rdms": rdms_mb(2),
    "plot_distributions": rdms_mb(3),
    "plot_extreme_pairs": held_mb(pictures_mb, at_least=1500),
    "plot_true_predicted": rdms_mb(10),
    "plot_architectures": held_mb(lambda entry: 0, at_least=TORCH_MB),
}
