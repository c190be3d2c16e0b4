"""What the schema cannot say of section `digits`."""

from collections.abc import Mapping

from workflow.lib.acquire.datasets import Dataset
from workflow.lib.config.raw_sources import SOURCE_KEYS, check_relative, check_source, claim_folder
from workflow.lib.config.schema import check_name
from workflow.lib.config.sections import Section
from workflow.lib.errors import InputError
from workflow.lib.layout import is_weight_file
from workflow.lib.layouts.digits import image_collections, image_paths

# What each source of images cannot do without.
KEYS_OF_SOURCES = SOURCE_KEYS | dict.fromkeys(("mirror", "download"), ("images.files",))
# As in scripts.digits.network.vgg, which is too heavy to be imported here.
LAYERS = (
    *("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3"),
    *("conv4_1", "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3", "fc6", "fc8"),
)


def check_digits(config: Mapping) -> None:
    """Check categories, groups, codes and contrasts, and the models that `rsa` takes from them."""
    _check_folders(config["digits"])
    for name, study in config["digits"].items():
        where = f"config, digits.{name}"
        check_source(where, study, KEYS_OF_SOURCES)
        for block in study["images"]["files"]:
            check_relative(f"{where}.images.files", block["files"])
        _check_categories(where, study["categories"])
        _check_codes(where, study)
        _check_layer_groups(f"{where}.layer_groups", study["layer_groups"])
        _check_perplexity(f"{where}.embedding.perplexity", study)
        if name in config["rsa"]:
            _check_models(f"config, rsa.{name}.models", config["rsa"][name], study)


def name_validation_images(config: Mapping) -> None:
    """Let titles say where layers saw other images than the participants did.

    All figures and pages of a study show its title, and so say so.
    """
    for name, study in config["digits"].items():
        brain = config["rsa"].get(name)
        if brain and "vgg" in brain["models"] and not study["images"]["stimuli"]:
            brain["title"] += " (layers: validation images)"


def raw_paths(entry: Mapping, datasets: Mapping[str, Dataset], run: str) -> list[str]:
    """Return the raw images of an entry, and the weights that training begins with."""
    weights = entry["network"]["weights"]
    return image_paths(entry, datasets, run) + [weights] * is_weight_file(weights)


def torchvision_networks(entry: Mapping) -> list[str]:
    """Return the network whose weights training begins with, if they are torchvision's."""
    network = entry["network"]
    return [network["size"]] * (network["weights"] == "torchvision")


def all_categories(study: Mapping) -> list[str]:
    """Return the categories of an entry, of all kinds, in order."""
    return [category for members in study["categories"].values() for category in members]


def category_groups(study: Mapping) -> dict[str, list[str]]:
    """Return all that a code may name: kinds, groups, and single categories, with their members."""
    single = {category: [category] for category in all_categories(study)}
    return {**single, **study["categories"], **study["groups"]}


def _check_folders(studies: Mapping) -> None:
    """Check that no two entries write their simulated images into one folder."""
    owners: dict[str, str] = {}
    for name, study in studies.items():
        if study["source"] == "simulated" and study["simulation"].get("folder"):
            claim_folder(f"config, digits.{name}", name, study, owners)


def _check_categories(where: str, categories: Mapping) -> None:
    seen: dict[str, str] = {}
    for kind, members in categories.items():
        for category in members:
            if category in seen:
                raise InputError(
                    f"{where}.categories: found {category!r} in {seen[category]} and in {kind}, "
                    "expected each category once; leave one out"
                )
            seen[category] = kind
    if len(seen) < 3:
        raise InputError(
            f"{where}.categories: found {len(seen)}, expected at least 3, because RDMs of fewer "
            "have a single pair; add some"
        )


def _check_codes(where: str, study: Mapping) -> None:
    categories, groups = all_categories(study), category_groups(study)
    for group, members in study["groups"].items():
        for member in members:
            check_name(f"{where}.groups.{group}", member, categories)
    for code, rules in study["codes"].items():
        for name in (name for rule in rules for name in rule):
            check_name(f"{where}.codes.{code}", name, groups)
    for contrast, weights in study["contrasts"].items():
        for code in weights:
            check_name(f"{where}.contrasts.{contrast}", code, study["codes"])
        if not any(weights.values()):
            raise InputError(
                f"{where}.contrasts.{contrast}: found no weight but 0, expected at least one code "
                "that counts; leave the contrast out or correct it"
            )


def _check_perplexity(where: str, study: Mapping) -> None:
    n_images = len(all_categories(study)) * study["images"]["validation"]
    perplexity = study["embedding"]["perplexity"]
    if perplexity >= n_images:
        raise InputError(
            f"{where}: found {perplexity:g} for {n_images} validation images, expected fewer "
            "neighbours than images; lower it"
        )


def _check_models(where: str, rsa_study: Mapping, study: Mapping) -> None:
    layers = {"vgg": LAYERS, "codes": tuple(study["codes"])}
    for name, model in rsa_study["models"].items():
        if not model.get("made"):
            continue
        check_name(where, name, layers)
        for layer in model["layers"]["names"]:
            check_name(f"{where}.{name}.layers", layer, layers[name])


def _check_layer_groups(where: str, groups: Mapping[str, list[str]]) -> None:
    named = [layer for members in groups.values() for layer in members]
    for layer in named:
        check_name(where, layer, LAYERS)
    for layer in LAYERS:
        if named.count(layer) != 1:
            raise InputError(
                f"{where}: found the layer {layer!r} {named.count(layer)} times, expected each "
                "layer in one group; correct it"
            )


SECTION = Section(
    "digits",
    check=check_digits,
    raw_paths=raw_paths,
    dataset_blocks=image_collections,
    # A study of that name there compares the networks that are trained here with brains.
    beside=("rsa",),
    finish=name_validation_images,
    torchvision_networks=torchvision_networks,
    made_conditions=lambda entry: {"categories": all_categories(entry)},
    n_simulated=lambda entry: len(all_categories(entry)),
)
