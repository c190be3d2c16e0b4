"""Kinds of models and of brain responses in section `rsa`, and the keys that each kind has."""

from collections.abc import Mapping

from workflow.lib.errors import InputError
from workflow.lib.words import listed, near

MODEL_KINDS = ("files", "features", "network", "control", "made")
# Of these, the ones that see images; groups of images need only their names.
SHOWN_KINDS = ("network", "control")
# Keys of a model that all kinds have, and those that have an effect on one of each kind alone.
SHARED_KEYS = (*MODEL_KINDS, "layers", "ordered")
KEYS_OF_KINDS = {
    "files": ("key", "field", "average", "conditions"),
    "features": ("key", "conditions", "metric", "standardise_units"),
    "network": (
        *("weights", "seeds", "pooling", "standardise_units", "metric", "batch_size", "precision"),
    ),
    "control": ("metric", "options"),
    "made": (),
}
# Keys of the brain responses that have an effect on one kind of `data` alone.
KEYS_OF_DATA = {
    "rdms": ("field",),
    "patterns": (
        *("metric", "observations", "detrend", "standardise", "remove_mean_pattern"),
        "noise_normalisation",
    ),
}
DEFAULT_DATA = "rdms"
# What can be said of a control besides its name: the options of its function in
# workflow.lib.features.controls, which is too heavy to be imported here.
CONTROL_OPTIONS = {
    "pixel": ("side", "colour"),
    "gabor": ("side", "frequencies", "orientations", "grid"),
    "colour_histogram": ("bins", "joint", "side"),
    "groups": (),
}
# Where the layers of activations can be told from: each is an array of its own.
FEATURE_ORIGINS = ("file_name", "key", "constant")


def featured_models(study: Mapping) -> list[str]:
    """Return the models of a study that have features, not RDMs alone."""
    return [name for name, model in study["models"].items() if not {"files", "made"} & set(model)]


def encoded_models(study: Mapping) -> list[str]:
    """Return the models of a study from whose features the responses are predicted."""
    has_encoding = study["brain"]["data"] == "patterns" and study["encoding"]["folds"] > 0
    return featured_models(study) if has_encoding else []


def name_layers(config: Mapping) -> None:
    """Give the layers of every kind of model the form of an axis, see `workflow.lib.sources`."""
    for name, study in config["rsa"].items():
        for model in study["models"]:
            _name_layers(f"config, rsa.{name}.models.{model}", model, study)


def check_given_keys(studies: Mapping) -> None:
    """Refuse keys without an effect: what is asked for would be taken for done.

    Parameters
    ----------
    studies : mapping
        Section `rsa` with inherited keys and without defaults, which every kind has.

    Raises
    ------
    InputError
    """
    for name, study in studies.items():
        brain = study["brain"]
        data = brain.get("data", DEFAULT_DATA)
        for key in brain:
            for other, keys in KEYS_OF_DATA.items():
                if key in keys and other != data:
                    raise InputError(
                        f"config, rsa.{name}.brain.{key}: found it for `data: {data}`, which it "
                        f"has no effect on, expected it for {other} alone; leave it out, or "
                        f"correct `data`"
                    )
        if data != "patterns" and study.get("encoding", {}).get("folds"):
            raise InputError(
                f"config, rsa.{name}.encoding: found it for `data: {data}`, expected it for "
                "patterns alone, which are what encoding predicts; leave it out, or correct `data`"
            )
        for model, block in study["models"].items():
            _check_model_keys(f"config, rsa.{name}.models.{model}", block)


def _check_model_keys(where: str, model: Mapping) -> None:
    weights = model.get("weights", "torchvision")
    if "seeds" in model and weights != "untrained":
        raise InputError(
            f"{where}.seeds: found it with `weights: {weights}`, expected it with untrained alone, "
            "since a trained network is the same at every seed; leave it out, or correct `weights`"
        )
    if "metric" in model and model.get("control") == "groups":
        raise InputError(
            f"{where}.metric: found it for `control: groups`, which has none (0 within a group, 1 "
            "between two); leave it out"
        )
    kind = next(kind for kind in MODEL_KINDS if kind in model)
    for key in model:
        if key not in SHARED_KEYS + KEYS_OF_KINDS[kind]:
            kinds = [other for other, keys in KEYS_OF_KINDS.items() if key in keys]
            raise InputError(
                f"{where}.{key}: found it for a model that is given by `{kind}`, which it has no "
                f"effect on, expected it for {listed(kinds)} alone; leave it out"
            )


def _name_layers(where: str, name: str, study: Mapping) -> None:
    model = study["models"][name]
    kinds = [kind for kind in MODEL_KINDS if kind in model]
    if len(kinds) != 1:
        raise InputError(
            f"{where}: found {listed(kinds)}, expected exactly one of {listed(MODEL_KINDS)}; "
            "keep the one that gives the model"
        )
    if kinds == ["network"]:
        if "layers" not in model or "from" in model["layers"]:
            raise InputError(
                f"{where}.layers: found no names of nodes, expected those of the network's layers; "
                "give a list such as [layer1, layer4]"
            )
        layers = model["layers"]
        nodes = layers if isinstance(layers, Mapping) else {node: node for node in layers}
        model["layers"] = {"names": nodes, "from": "node"}
    elif kinds == ["made"]:
        if not isinstance(model.get("layers"), list):
            raise InputError(
                f"{where}.layers: found no list, expected the layers of the file that the study "
                "makes; give a list such as [conv1, fc6]"
            )
        model["layers"] = {"names": model["layers"], "from": "descriptor"}
    else:
        model.setdefault("layers", {"names": [model.get("control", name)], "from": "constant"})
        layers = model["layers"]
        if not isinstance(layers, Mapping) or not {"names", "from"} <= set(layers):
            raise InputError(
                f"{where}.layers: found {layers!r:.80}, expected labels and where the files keep "
                "them; write {names: [...], from: file_name}, or what else config/README.md has"
            )
    if kinds == ["features"]:
        _check_features(where, model)
    _check_options(f"{where}.options", model)
    sees = kinds[0] in SHOWN_KINDS and model.get("control") != "groups"
    if sees and "stimuli" not in study:
        raise InputError(
            f"{where}: found a model that needs images in a study without `stimuli`, expected the "
            "images that the participants saw; give `stimuli`"
        )


def _check_options(where: str, model: Mapping) -> None:
    control = model.get("control")
    for option in model.get("options", ()):
        if control is None:
            raise InputError(
                f"{where}: found {option!r} for a model that is no control, expected none; leave "
                "it out"
            )
        known = CONTROL_OPTIONS[control]
        if option not in known:
            raise InputError(
                f"{where}: found {option!r} for the control {control}, expected "
                f"{f'one of {listed(known)}' if known else 'none'}{near(option, known)}"
            )


def _check_features(where: str, model: Mapping) -> None:
    if "average" in model:
        raise InputError(
            f"{where}.average: found it for a model of activations, expected RDMs to average "
            "over; leave it out"
        )
    origin = model["layers"]["from"]
    if origin not in FEATURE_ORIGINS:
        raise InputError(
            f"{where}.layers: found `from: {origin}` for activations, expected one of "
            f"{listed(FEATURE_ORIGINS)}; give a file or a variable for each layer"
        )
