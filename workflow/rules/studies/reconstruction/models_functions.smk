# Functions of section `reconstruction`: its decoders and generators, what they read and write.

from workflow.lib.config.reconstruction_models import (
    NEAREST,
    STREAMS,
    generators_of,
    told_by_decoders,
)

CLUSTERED_STUDIES = one_of(
    name for name, entry in config["reconstruction"].items() if entry["semantics"]
)


def generated_entries():
    """Return study -> entry of those with generators."""
    return {name: entry for name, entry in config["reconstruction"].items() if entry["generators"]}


GENERATED_STUDIES = one_of(generated_entries())
# Those whose scores stand beside published ones.
COMPARED_STUDIES = one_of(
    name
    for name, entry in config["reconstruction"].items()
    if entry["generators"] and entry["published"]
)
GENERATORS = one_of(
    name for entry in config["reconstruction"].values() for name in entry["generators"]
)
COMPARED_FEATURES = one_of(
    name for entry in config["reconstruction"].values() for name in entry["evaluation"]["networks"]
)
RECONSTRUCTION_TESTS = one_of(
    test for entry in config["reconstruction"].values() for test in entry["responses"]["tests"]
)
RECONSTRUCTION_PARTS = one_of(
    part for entry in config["reconstruction"].values() for part in parts_of(entry)
)
DECODED = tuple(STREAMS.values())
DECODERS = one_of(
    name
    for entry in config["reconstruction"].values()
    for stream in DECODED
    for name in entry[stream]
)


def reconstruction_decoders(entry, stream, kind):
    """Return a regular expression for the decoders of a stream that are of this kind."""
    return one_of(name for name, block in entry[stream].items() if block["kind"] == kind)


def studies_decoding(stream, kind):
    """Return a regular expression for studies, where a decoder of this kind follows in the path.

    The same name may be a network in one study and a ridge in another, so that a constraint on the
    decoder alone would leave two rules for one file.
    """
    patterns = [
        rf"{re.escape(study)}(?=/models/{stream}_(?:{reconstruction_decoders(entry, stream, kind)})_"
        rf"(?:{one_of(entry['subjects'])})[._])"
        for study, entry in config["reconstruction"].items()
    ]
    return "|".join(patterns) or "(?!)"


def decoder_block(stream):
    """Return a params function that gives the block of the wildcards' decoder."""

    def block(wildcards):
        return config["reconstruction"][wildcards.study][stream][wildcards.decoder]

    return block


def rois_of_decoder(stream):
    """Return a params function that gives the ROIs of the wildcards' decoder, name -> selector."""
    block = decoder_block(stream)

    def selectors(wildcards):
        rois = config["reconstruction"][wildcards.study]["responses"]["rois"]
        return {roi: rois[roi] for roi in block(wildcards)["rois"]}

    return selectors


def weight_file(weights):
    """Return the file with a network's weights, if they come from a file."""
    return weights if is_weight_file(weights) else []


def weights_of_clusters(wildcards):
    return weight_file(config["reconstruction"][wildcards.study]["clusters"]["weights"])


def weights_of_generator(wildcards):
    """Return the file with the weights of the network of the perceptual loss, if it has one."""
    generator = config["reconstruction"][wildcards.study]["generator"]
    return weight_file(generator["perceptual"]["weights"]) if generator["perceptual_weight"] else []


def compared_network(wildcards):
    """Return the block of the network whose features are compared."""
    entry = config["reconstruction"][wildcards.study]
    return entry["evaluation"]["networks"][wildcards.features]


def weights_of_comparison(wildcards):
    return weight_file(compared_network(wildcards)["weights"])


def networks_compared(wildcards):
    return list(config["reconstruction"][wildcards.study]["evaluation"]["networks"])


def all_compared(wildcards):
    """Return the comparisons by networks, in the order of `networks_compared`."""
    return [
        f"<results>/{wildcards.study}/features/compared_{name}.h5"
        for name in networks_compared(wildcards)
    ]


def decoded_by_stream(wildcards):
    """Return what was decoded of all subjects, by stream, and the clusters if there are any."""
    entry = config["reconstruction"][wildcards.study]
    found = {
        stream: [
            f"<results>/{wildcards.study}/models/{stream}_{name}_{subject}.h5"
            for name in entry[stream]
            for subject in entry["subjects"]
        ]
        for stream in DECODED
    }
    if entry["semantics"]:
        found["clusters"] = f"<results>/{wildcards.study}/tables/image_clusters.csv"
    return found


def all_shapes(wildcards):
    """Return the shapes that were decoded of all subjects by all decoders."""
    return decoded_by_stream(wildcards)["shapes"]


def all_decoded(wildcards):
    """Return what was decoded of all subjects by all decoders."""
    found = decoded_by_stream(wildcards)
    return [file for stream in DECODED for file in found[stream]]


def decoded_files(wildcards, block):
    """Return the files of a block with the keys `shape` and `semantics`, each a decoder or null."""
    decoders = dict(zip(DECODED, (block["shape"], block["semantics"])))
    return {
        stream: f"<results>/{wildcards.study}/models/{stream}_{name}_{wildcards.subject}.h5"
        for stream, name in decoders.items()
        if name
    }


def decoded_for_generator(wildcards):
    entry = config["reconstruction"][wildcards.study]
    return decoded_files(wildcards, entry["generators"][wildcards.generator])


def decoders_of_generators(wildcards):
    """Return generator -> stream -> the decoder that tells it."""
    generators = config["reconstruction"][wildcards.study]["generators"]
    return {
        name: {stream: block[key] for key, stream in STREAMS.items() if block[key]}
        for name, block in generators.items()
    }


def told_to_generators(wildcards):
    """Return what tells each generator of shape and of category, see `told_by_decoders`."""
    return told_by_decoders(config["reconstruction"][wildcards.study])


def decoded_for_generators(wildcards):
    """Return <stream>_<decoder> -> its file, of all decoders that tell any generator."""
    return {
        f"{stream}_{decoder}": (
            f"<results>/{wildcards.study}/models/{stream}_{decoder}_{wildcards.subject}.h5"
        )
        for told in decoders_of_generators(wildcards).values()
        for stream, decoder in told.items()
    }


def decoded_for_baselines(wildcards):
    """Return what the reference generator sees, by which the nearest image is found."""
    entry = config["reconstruction"][wildcards.study]
    if NEAREST not in entry["baselines"]:
        return {}
    return decoded_files(wildcards, entry["generators"][entry["evaluation"]["reference"]])


def published_scores(wildcards):
    """Return the table of published scores.

    Raises
    ------
    WorkflowError
        It is not there; Snakemake would say so without the key that names it.
    """
    table = config["reconstruction"][wildcards.study]["published"]
    if not Path(table).is_file():
        raise WorkflowError(
            f"config, reconstruction.{wildcards.study}.published: found no file {table}, expected "
            "a table of published scores; correct it, or leave it out"
        )
    return table


def all_reconstructions(wildcards):
    """Return the reconstructions of all generators and baselines, and all subjects."""
    entry = config["reconstruction"][wildcards.study]
    return [
        f"<results>/{wildcards.study}/reconstructions/{name}_{subject}.h5"
        for name in generators_of(entry)
        for subject in entry["subjects"]
    ]


def reconstructions_of_reference(wildcards):
    entry = config["reconstruction"][wildcards.study]
    return [
        f"<results>/{wildcards.study}/reconstructions/{entry['evaluation']['reference']}_{subject}.h5"
        for subject in entry["subjects"]
    ]


def shapes_of_reference(wildcards):
    """Return the shapes that the reference generator sees, of all subjects; none if it does not."""
    entry = config["reconstruction"][wildcards.study]
    shape = entry["generators"][entry["evaluation"]["reference"]]["shape"]
    return [
        f"<results>/{wildcards.study}/models/shapes_{shape}_{subject}.h5"
        for subject in entry["subjects"]
        if shape
    ]


def reconstructions_of_subject(wildcards):
    """Return the reconstructions of a subject by all generators and baselines."""
    return [
        f"<results>/{wildcards.study}/reconstructions/{name}_{wildcards.subject}.h5"
        for name in generators_of(config["reconstruction"][wildcards.study])
    ]


def generators_drawn(wildcards):
    """Return all generators and baselines in the order in which figures show them."""
    return generators_of(config["reconstruction"][wildcards.study])


def others_drawn(wildcards):
    """Return all generators and baselines but the reference."""
    entry = config["reconstruction"][wildcards.study]
    return [name for name in generators_of(entry) if name != entry["evaluation"]["reference"]]


def decoders_drawn(wildcards):
    """Return stream -> its decoders."""
    entry = config["reconstruction"][wildcards.study]
    return {stream: list(entry[stream]) for stream in DECODED}


def semantic_decoders_drawn(wildcards):
    return list(config["reconstruction"][wildcards.study]["semantics"])


def rois_of_decoders(wildcards):
    """Return stream -> decoder -> its regions, as figures write them."""
    entry = config["reconstruction"][wildcards.study]
    return {
        stream: {name: ", ".join(block["rois"]) for name, block in entry[stream].items()}
        for stream in DECODED
    }


def network_of_clusters(wildcards):
    """Return how captions call the network by which images are clustered."""
    block = config["reconstruction"][wildcards.study]["clusters"]
    untrained = " (untrained)" if block["weights"] == "untrained" else ""
    return f"{block['layer']} of {block['network']}{untrained}"


def decoded_from_mb(input):
    """Return the MB of the images and responses of a decoder: float64 in files, float32 here."""
    images, *others = input.size_files_mb
    return images + sum(others) / 2


def linear_decoder_mb(factor):
    """Return a memory request of a linear decoder that grows with what it reads."""

    def mem_mb(wildcards, input, attempt):
        return int(max(1500, factor * decoded_from_mb(input) + 500)) * 2 ** (attempt - 1)

    return mem_mb


def decoder_mb(wildcards, input, attempt):
    """Return the memory of a network of all voxels and pixels: weights, gradients, two moments."""
    entry = config["reconstruction"][wildcards.study]
    n_outputs = entry["image"]["size"] ** 2
    widths = [
        block["network"]["widths"] for block in entry["shapes"].values() if "network" in block
    ]
    widest = max([max(sizes) for sizes in widths] or [0])
    return int(2500 + 6 * decoded_from_mb(input) + 5 * 4e-6 * widest * n_outputs) * 2 ** (
        attempt - 1
    )


def generator_mb(wildcards, input, attempt):
    """Return the memory of a generator: images in float32, and the results of a batch."""
    entry = config["reconstruction"][wildcards.study]
    # Results of a U-Net of the published widths for an image of 256 pixels: about 300 MB.
    of_batch = 300 * entry["generator"]["batch"] * (entry["image"]["size"] / 256) ** 2
    return int(2500 + 8 * input.size_mb + of_batch) * 2 ** (attempt - 1)


def reconstruction_targets():
    """Return the figures and tables of the selected studies."""
    wanted = []
    for study in RECONSTRUCTION:
        entry, folder = config["reconstruction"][study], f"<results>/{study}"
        tables, figures = reconstruction_items(entry)
        wanted += [f"{folder}/tables/{table}" for table in tables]
        wanted += [f"{folder}/figures/{figure}.png" for figure in figures]
    return wanted


def reconstruction_items(entry):
    """Return the tables and the figures of an entry."""
    tables, figures = [], []
    parts, tests = parts_of(entry), list(entry["responses"]["tests"])
    if entry["shapes"]:
        tables += ["leak_audit.csv", "decoder_means.csv"]
        figures += [f"{figure}_{part}" for figure in ("decoders", "shapes") for part in parts]
    if entry["semantics"]:
        figures += ["image_clusters", *(f"semantic_confusion_{part}" for part in parts)]
    if entry["generators"]:
        tables += ["reconstruction_scores.csv", "reconstruction_means.csv", "ablations.csv"]
        tables += ["comparison.html"] if entry["published"] else []
        figures += [f"{figure}_{test}" for figure in OF_TESTS for test in tests]
        figures += [f"controls_{test}_{subject}" for test in tests for subject in entry["subjects"]]
        reference = entry["evaluation"]["reference"]
        figures += [f"samples_{reference}_{subject}" for subject in entry["subjects"]]
        figures += [
            f"learning_curves_generator_{reference}_{subject}" for subject in entry["subjects"]
        ]
    return tables, figures


OF_TESTS = ("reconstructions", "identification", "ablations")


# What files of networks begin with, and what titles call the networks.
TRAINED_NETWORKS = {
    "generator": "the generator",
    "shapes": "the decoder of shapes",
    "semantics": "the decoder of categories",
}


def said_of_reconstruction(network):
    """Return what learning curves say of a network, of the data and of the measures."""
    kind, _, rest = network.partition("_")
    name, _, subject = rest.rpartition("_")
    return {
        "label": f"{TRAINED_NETWORKS[kind]} \"{name.replace('_', ' ')}\", subject {subject}",
        "note": "n = 1 subject. Training images, decoded out of fold. The epoch that is best on "
        "validation images, which are training images that weights are not fitted to, is kept.",
    }


TRAININGS.update(dict.fromkeys(config["reconstruction"], said_of_reconstruction))


def told_of_reconstruction(study):
    """Return name -> table of an entry that its methods and the scorecard tell of."""
    made, _ = reconstruction_items(config["reconstruction"][study])
    names = {
        "audit": "leak_audit.csv",
        "decoders": "decoder_means.csv",
        "reconstructions": "reconstruction_means.csv",
        "ablations": "ablations.csv",
    }
    return {
        name: f"<results>/{study}/tables/{file}" for name, file in names.items() if file in made
    }


TOLD_TABLES["reconstruction"] = told_of_reconstruction
STUDY_TARGETS.append(reconstruction_targets)
