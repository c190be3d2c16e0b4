"""Reading the configuration: inheritance, defaults, and errors that name the key.

Imported while the Snakefile is parsed: nothing heavier than jsonschema.
"""

import copy
import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from workflow.lib.errors import InputError
from workflow.lib.layout import file_sources
from workflow.lib.sources import (
    IMAGE_SUFFIXES,
    JOINT_SUBJECT,
    MEAN_SESSION,
    Axis,
    axes_of,
    check_placeholders,
)

# What each source of raw files cannot do without.
SOURCE_KEYS = {
    "simulated": ("simulation.simulator", "simulation.folder"),
    "path": ("path",),
    "mirror": ("dataset",),
    "download": ("dataset",),
}

# Subjects become part of file names.
FILE_NAME = re.compile(r"[\w-][\w.+-]*")

MODEL_KINDS = ("files", "features", "network", "control")
# Of these, the ones that see images; groups of images need only their names.
SHOWN_KINDS = ("network", "control")
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

# Keys of a block of which one says in another way what the other says.
ALTERNATIVES = (("groups", "group_table"),)

# Comparators under which other RDMs can be taken out of an RDM (workflow.lib.rsa.partial).
PARTIAL_COMPARATORS = ("pearson", "spearman")

# What a value must be, by the rule of the schema that it breaks.
RULES = {
    "type": "{}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "minProperties": "at least {} of them",
    "uniqueItems": "each of them once",
    "pattern": "something of the form {}",
}

# How users know the types of JSON schema.
TYPES = {
    "object": "a block of keys",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}

SCHEMA_FILE = Path(__file__).parents[1] / "schemas" / "config.schema.yaml"


def complete_config(config: Mapping) -> dict:
    """Return the config with inherited keys and defaults filled in.

    Raises
    ------
    InputError
        An unknown key, a wrong value, or keys that contradict each other; the message names the
        key and what is allowed.
    """
    schema = load_schema()
    completed = _unshared(config)
    if isinstance(completed.get("rsa"), dict):
        entries = completed["rsa"]
        completed["rsa"] = {name: _inherit(name, entries, (), schema) for name in entries}
    _validate(completed, schema)
    for name, study in completed["rsa"].items():
        for model in study["models"]:
            _name_layers(f"config, rsa.{name}.models.{model}", model, study)
    _check_studies(completed)
    return completed


def _unshared(value: object) -> object:
    """Return a copy in which YAML anchors no longer share one block: each is completed alone."""
    if isinstance(value, Mapping):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def load_schema() -> dict:
    """Return the JSON schema of the config."""
    return yaml.safe_load(SCHEMA_FILE.read_text())


def laid_over(default: Mapping, *configs: Mapping) -> dict:
    """Return a config with others laid over it, each over all before it.

    A study that gives everything that a study needs, or another `extends`, takes the place of the
    one of its name: nothing of another data set shall hold in it.

    Parameters
    ----------
    default : mapping
    configs : mappings
        Files of `--configfile` and what `--config` gives, in this order.

    Raises
    ------
    InputError
        A study is given other files of brain responses, but is no study by itself.
    """
    schema = load_schema()
    result = copy.deepcopy(dict(default))
    for config in configs:
        known, given = result.get("rsa"), config.get("rsa")
        if isinstance(known, Mapping) and isinstance(given, Mapping):
            kept = [name for name in known if not _stands_alone(name, known, given, schema)]
            result["rsa"] = {name: known[name] for name in kept}
        result = merged(result, config, schema, schema)
    return result


def _stands_alone(name: str, known: Mapping, given: Mapping, schema: Mapping) -> bool:
    """Return whether a study takes the place of the one of its name, in place of changing it."""
    old, new = known[name], given.get(name)
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return False
    if "extends" in new:
        return bool(new["extends"] != old.get("extends"))
    needed = schema["$defs"]["rsa_study"]["required"]
    if set(needed) <= set(new):
        return True
    brain = new.get("brain")
    if isinstance(brain, Mapping) and "files" in brain and brain != old.get("brain"):
        missing = _listed(key for key in needed if key not in new)
        raise InputError(
            f"config, rsa.{name}.brain.files: found {brain['files']!r} laid over a study that has "
            f"that name already, without {missing}, expected a study of its own, or one that keeps "
            f"its files; give it another name (with `extends: {name}`, to keep the rest), or give "
            f"{missing} as well"
        )
    return False


def merged(
    base: Mapping, over: Mapping, block: Mapping | None = None, schema: Mapping | None = None
) -> dict:
    """Return `base` with `over` laid over it: blocks of keys key by key, all else whole.

    Parameters
    ----------
    base, over : mappings
    block : mapping, optional
        The node of the schema that describes both. A mapping of labels (ROIs to masks, layers to
        nodes, groups to expressions) is one value: of two, the one of `over` holds. A model of
        another kind, or groups given in another way, take the place of what was there.
    schema : mapping, optional
        The whole schema, which the node may refer to.
    """
    node = resolve(block or {}, schema or {})
    properties = node.get("properties", {})
    result = {
        key: copy.deepcopy(value)
        for key, value in base.items()
        if key in over or not _is_given_otherwise(key, over, properties)
    }
    if "network" in properties and any(kind in over and kind not in base for kind in MODEL_KINDS):
        result = {}
    for key, value in over.items():
        inner = properties.get(key, node.get("additionalProperties"))
        inner = inner if isinstance(inner, Mapping) else {}
        if _are_blocks(result.get(key), value, resolve(inner, schema or {})):
            result[key] = merged(result[key], value, inner, schema)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _is_given_otherwise(key: str, over: Mapping, properties: Mapping) -> bool:
    """Return whether `over` says in another way what a key of a block says."""
    return any(
        key in ways and key in properties and any(way in over for way in ways)
        for ways in ALTERNATIVES
    )


def _are_blocks(base: object, over: object, node: Mapping) -> bool:
    """Return whether two values are to be merged: mappings of keys, not of labels."""
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return False
    if "anyOf" in node:  # layers: an axis, or a mapping of labels
        return all({"names", "from"} & set(value) for value in (base, over))
    if "oneOf" in node:  # names
        return False
    labelled = node.get("additionalProperties")
    return not isinstance(labelled, Mapping) or "$ref" in labelled or "properties" in labelled


def _inherit(name: str, entries: Mapping, heirs: tuple[str, ...], schema: Mapping) -> dict:
    entry = entries[name]
    if not isinstance(entry, Mapping) or "extends" not in entry:
        return entry
    parent = entry["extends"]
    if parent in (*heirs, name):
        raise InputError(
            f"config, rsa.{name}.extends: found a circle over {parent!r}, expected an entry that "
            "does not lead back; break it"
        )
    if parent not in list(entries):
        raise InputError(
            f"config, rsa.{name}.extends: found {parent!r}, expected one of {_listed(entries)}"
            f"{_near(parent, entries)}"
        )
    base = _inherit(parent, entries, (*heirs, name), schema)
    if not isinstance(base, Mapping):
        return entry
    return merged(base, entry, schema["$defs"]["rsa_study"], schema)


def _validate(config: dict, schema: dict) -> None:
    _fill_defaults(config, schema, schema)
    errors = sorted(
        Draft202012Validator(schema).iter_errors(config),
        # Keys of a YAML mapping can be numbers, which do not sort among words.
        key=lambda error: list(map(str, error.path)),
    )
    if errors:
        raise InputError(_sentence(errors[0]))


def resolve(schema: Mapping, root: Mapping) -> dict:
    """Return a schema node with its `$ref` replaced by what it points to."""
    if "$ref" not in schema:
        return dict(schema)
    node = root
    for step in schema["$ref"].removeprefix("#/").split("/"):
        node = node[step]
    return {**resolve(node, root), **{key: schema[key] for key in schema if key != "$ref"}}


def _fill_defaults(value: object, schema: Mapping, root: Mapping) -> None:
    if not isinstance(value, dict):
        return
    schema = resolve(schema, root)
    properties = schema.get("properties", {})
    for key, child in properties.items():
        child = resolve(child, root)
        if key not in value and "default" in child:
            value[key] = copy.deepcopy(child["default"])
    for key, item in value.items():
        child = properties.get(key, schema.get("additionalProperties"))
        if isinstance(child, Mapping):
            _fill_defaults(item, child, root)


def _sentence(error: ValidationError) -> str:
    """Return a schema violation as one sentence that names the key."""
    place = ".".join(map(str, error.absolute_path))
    where = f"config, {place}" if place else "config"
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        allowed = list(error.schema.get("properties", {}))
        unknown = next(key for key in error.instance if key not in allowed)
        return (
            f"{where}: found the unknown key {unknown!r}, expected one of {_listed(allowed)}"
            f"{_near(unknown, allowed)}"
        )
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{where}: found no key {missing!r}, expected it because it is required; add it"
    allowed = error.validator_value
    if error.validator == "enum":
        return (
            f"{where}: found {error.instance!r}, expected one of {_listed(allowed)}"
            f"{_near(error.instance, allowed)}"
        )
    if error.validator == "type":
        kinds = [allowed] if isinstance(allowed, str) else allowed
        allowed = " or ".join(TYPES[kind] for kind in kinds)
    if error.validator in RULES:
        rule = RULES[error.validator].format(allowed)
    else:
        text = " ".join(error.schema.get("description", error.message).split()).rstrip(".")
        rule = text[0].lower() + text[1:]
    return (
        f"{where}: found {error.instance!r:.80}, expected {rule}; correct it as config/README.md "
        "explains"
    )


def _listed(names: Iterable) -> str:
    return ", ".join(map(str, names)) or "none"


def _near(name: object, names: Iterable) -> str:
    near = difflib.get_close_matches(str(name), list(map(str, names)), n=1)
    return f"; did you mean {near[0]!r}?" if near else "; correct it"


def _name_layers(where: str, name: str, study: Mapping) -> None:
    """Give the layers of every kind of model the form of an axis, see `workflow.lib.sources`."""
    model = study["models"][name]
    kinds = [kind for kind in MODEL_KINDS if kind in model]
    if len(kinds) != 1:
        raise InputError(
            f"{where}: found {_listed(kinds)}, expected exactly one of {_listed(MODEL_KINDS)}; "
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
                f"{f'one of {_listed(known)}' if known else 'none'}{_near(option, known)}"
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
            f"{_listed(FEATURE_ORIGINS)}; give a file or a variable for each layer"
        )


def _check_studies(config: Mapping) -> None:
    """Check what a schema cannot say."""
    for study in config["studies"]:
        if study not in config["rsa"]:
            raise InputError(
                f"config, studies: found {study!r}, expected one of {_listed(config['rsa'])}"
                f"{_near(study, config['rsa'])}"
            )
    for name, study in config["rsa"].items():
        _check_study(f"config, rsa.{name}", study)
    for study in config["bold5000"]["studies"]:
        if study not in config["rsa"]:
            raise InputError(
                f"config, bold5000.studies: found {study!r}, expected one of "
                f"{_listed(config['rsa'])}{_near(study, config['rsa'])}"
            )
        groups = config["rsa"][study]["roi_groups"]
        for tier, members in config["bold5000"]["tiers"].items():
            for member in members:
                if member not in groups:
                    raise InputError(
                        f"config, bold5000.tiers.{tier}: found {member!r}, expected one of "
                        f"rsa.{study}.roi_groups: {_listed(groups)}{_near(member, groups)}"
                    )


def _check_study(where: str, study: Mapping) -> None:
    for key in SOURCE_KEYS[study["source"]]:
        if not functools.reduce(lambda block, step: block.get(step), key.split("."), study):
            raise InputError(
                f"{where}.source: found {study['source']!r} without `{key}`, expected both; give "
                f"`{key}`"
            )
    _check_groups(f"{where}.images.groups", study["images"]["groups"])
    for place, source in file_sources(study).items():
        check_placeholders(source, f"{where}.{place}")
        for axis in axes_of(source):
            if axis.origin == "axis":
                _check_axis(f"{where}.{place}", axis)
        _check_conditions(f"{where}.{place}.conditions", source["conditions"])
    names = {axis.placeholder: axis.names for axis in axes_of(study["brain"])}
    for subject in names["subject"]:
        if not FILE_NAME.fullmatch(subject):
            raise InputError(
                f"{where}.brain.subjects: found {subject!r}, expected letters, digits and . _ - +, "
                "because results are named after subjects; map a name to its spelling in the files"
            )
    if JOINT_SUBJECT in names["subject"] or MEAN_SESSION in names.get("session", ()):
        raise InputError(
            f"{where}.brain: found a subject {JOINT_SUBJECT!r} or a session {MEAN_SESSION!r}, "
            "expected neither because the results call averages so; give them another name"
        )
    for group, rois in study["roi_groups"].items():
        for roi in rois:
            if roi not in names["roi"]:
                raise InputError(
                    f"{where}.roi_groups.{group}: found {roi!r}, expected one of "
                    f"{_listed(names['roi'])}{_near(roi, names['roi'])}"
                )
    for key in ("controls", "partition"):
        if study[key] and not set(study["comparators"]) & set(PARTIAL_COMPARATORS):
            raise InputError(
                f"{where}.{key}: found it with the comparators {_listed(study['comparators'])}, "
                f"expected {' or '.join(PARTIAL_COMPARATORS)} among them; add one"
            )
    _check_controls(f"{where}.controls", study)
    _check_partition(f"{where}.partition", study)
    if "searchlight" in study:
        _check_searchlight(f"{where}.searchlight", study)


def _check_controls(where: str, study: Mapping) -> None:
    for name in study["controls"]:
        _check_model(where, name, study["models"])
    if set(study["controls"]) == set(study["models"]):
        raise InputError(
            f"{where}: found all models, expected one that they can be taken out of; leave one out"
        )


def _check_partition(where: str, study: Mapping) -> None:
    """Check that the entries name two RDMs or more, each once."""
    chosen: dict[tuple[str, str], str] = {}
    for entry in study["partition"]:
        name, _, layer = entry.partition("/")
        _check_model(where, name, study["models"])
        layers = list(map(str, study["models"][name]["layers"]["names"]))
        if not layer and len(layers) > 1:
            raise InputError(
                f"{where}: found {name!r}, which has {len(layers)} layers, expected one of them; "
                f"write it as {name}/{layers[-1]}"
            )
        if layer and layer not in layers:
            raise InputError(
                f"{where}: found {entry!r}, expected one of the layers {_listed(layers)}"
                f"{_near(layer, layers)}"
            )
        rdm = (name, layer or layers[0])
        if rdm in chosen:
            raise InputError(
                f"{where}: found {chosen[rdm]!r} and {entry!r}, which are one RDM, expected each "
                "once; leave one out"
            )
        chosen[rdm] = entry
    if len(chosen) == 1:
        raise InputError(
            f"{where}: found {study['partition'][0]!r} alone, expected two to four models that "
            "share the variance; add one"
        )


def _check_searchlight(where: str, study: Mapping) -> None:
    settings, brain = study["searchlight"], study["brain"]
    _check_whole_images(where, brain)
    for key in ("models", "controls"):
        for name in settings[key]:
            _check_model(f"{where}.{key}", name, study["models"])
    controls = settings["controls"]
    if controls and settings["comparator"] not in PARTIAL_COMPARATORS:
        raise InputError(
            f"{where}.controls: found them with the comparator {settings['comparator']}, expected "
            f"{' or '.join(PARTIAL_COMPARATORS)}; choose one of these, or leave the controls out"
        )
    mapped = settings["models"] or list(study["models"])
    if set(mapped) <= set(controls):
        raise InputError(
            f"{where}.controls: found all models to be mapped ({_listed(mapped)}), expected one "
            "that is no control; leave one out"
        )
    if brain["noise_normalisation"] == "shrinkage":
        raise InputError(
            f"{where}: found brain.noise_normalisation shrinkage, expected none or diagonal, "
            "because the covariance of a whole brain has no useful inverse; choose one of these"
        )
    unknown = set(re.findall(r"{\w*}", settings["mask"] or "")) - {"{subject}"}
    if unknown:
        raise InputError(
            f"{where}.mask: found {min(unknown)} in {settings['mask']!r}, expected no placeholder "
            "but {subject}; correct it"
        )


def _check_whole_images(where: str, brain: Mapping) -> None:
    """Check that the responses are images of a whole brain, or what was scanned of it."""
    if brain["data"] != "patterns":
        raise InputError(
            f"{where}: found brain RDMs, expected response patterns (`brain: {{data: patterns}}`), "
            "of which the RDMs of spheres can be computed; leave the searchlight out"
        )
    if not brain["files"].lower().endswith(IMAGE_SUFFIXES):
        raise InputError(
            f"{where}: found the responses {brain['files']!r}, expected NIfTI images "
            f"({' or '.join(IMAGE_SUFFIXES)}), which say where each voxel lies; leave the "
            "searchlight out"
        )
    if "{roi}" in brain["files"]:
        raise InputError(
            f"{where}: found a file per ROI, {brain['files']!r}, expected images of the whole "
            "brain; give these, and the ROIs as masks (`from: mask`)"
        )


def _check_model(where: str, name: str, models: Mapping) -> None:
    if name not in models:
        raise InputError(
            f"{where}: found {name!r}, expected one of the models {_listed(models)}"
            f"{_near(name, models)}"
        )


def _check_axis(where: str, axis: Axis) -> None:
    if axis.axis is None:
        raise InputError(
            f"{where}: found `from: axis` for the {axis.placeholder}s, expected its number; give "
            "it in `axis`, counted from 0"
        )
    for name, position in zip(axis.names, axis.values, strict=True):
        if axis.mapped and not position.isdecimal():
            raise InputError(
                f"{where}: found {position!r} for the {axis.placeholder} {name!r}, expected its "
                "position along the axis; give a number, counted from 0"
            )


def _check_conditions(where: str, conditions: Mapping) -> None:
    if conditions["from"] == "list" and not conditions["file"]:
        raise InputError(f"{where}: found `from: list`, expected a `file`; give its name")
    pattern = conditions["pattern"]
    try:
        distinct = pattern.format(1) != pattern.format(2)
    except (ValueError, LookupError):
        distinct = False
    if not distinct:
        raise InputError(
            f"{where}.pattern: found {pattern!r}, expected one place for a number; write it as "
            "{:04d}"
        )


def _check_groups(where: str, groups: Mapping[str, str]) -> None:
    for group, expression in groups.items():
        try:
            re.compile(expression)
        except re.error as error:
            raise InputError(
                f"{where}.{group}: found {expression!r}, expected a regular expression ({error}); "
                "write a backslash before brackets that are meant as such"
            ) from None
