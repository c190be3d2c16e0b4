"""Reading the configuration: inheritance, defaults, and errors that name the key.

Imported while the Snakefile is parsed: nothing heavier than jsonschema.
"""

import copy
import difflib
from collections.abc import Mapping
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from workflow.lib.errors import InputError
from workflow.lib.layout import sources_of
from workflow.lib.sources import JOINT_SUBJECT, MEAN_SESSION, axes_of, check_placeholders

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
    completed = copy.deepcopy(dict(config))
    if isinstance(completed.get("rsa"), dict):
        completed["rsa"] = {name: _inherit(name, completed["rsa"], ()) for name in completed["rsa"]}
    _validate(completed, schema)
    _check_studies(completed)
    return completed


def load_schema() -> dict:
    """Return the JSON schema of the config."""
    return yaml.safe_load(SCHEMA_FILE.read_text())


def merged(base: Mapping, over: Mapping) -> dict:
    """Return `base` with `over` laid over it, mappings key by key, all else whole."""
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        both_mappings = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both_mappings else copy.deepcopy(value)
    return result


def _inherit(name: str, entries: Mapping, heirs: tuple[str, ...]) -> dict:
    entry = entries[name]
    if not isinstance(entry, Mapping) or "extends" not in entry:
        return entry
    parent = entry["extends"]
    if parent in (*heirs, name):
        raise InputError(f"config, rsa.{name}.extends: found a circle over {parent!r}; break it")
    if parent not in entries:
        raise InputError(
            f"config, rsa.{name}.extends: found {parent!r}, expected one of {_listed(entries)}"
        )
    return merged(_inherit(parent, entries, (*heirs, name)), entry)


def _validate(config: dict, schema: dict) -> None:
    _fill_defaults(config, schema, schema)
    errors = sorted(
        Draft202012Validator(schema).iter_errors(config), key=lambda error: list(error.path)
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
        near = difflib.get_close_matches(str(unknown), allowed, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return (
            f"{where}: found the unknown key {unknown!r}, expected one of {_listed(allowed)}{hint}"
        )
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{where}: found no key {missing!r}, which is required"
    if error.validator == "enum":
        return (
            f"{where}: found {error.instance!r}, expected one of {_listed(error.validator_value)}"
        )
    return f"{where}: {error.message}; see config/README.md"


def _listed(names: object) -> str:
    return ", ".join(map(str, names))


def _check_studies(config: Mapping) -> None:
    """Check what a schema cannot say."""
    for study in config["studies"]:
        if study not in config["rsa"]:
            near = difflib.get_close_matches(study, config["rsa"], n=1)
            raise InputError(
                f"config, studies: found {study!r}, expected one of {_listed(config['rsa'])}"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )
    for name, study in config["rsa"].items():
        _check_study(f"config, rsa.{name}", study, config)


def _check_study(where: str, study: Mapping, config: Mapping) -> None:
    needed = {"simulated": "simulation", "path": "path", "mirror": "dataset", "download": "dataset"}
    key = needed[study["source"]]
    if not study[key]:
        raise InputError(f"{where}: found source {study['source']!r} without `{key}`; give it")
    for place, source in sources_of(study):
        check_placeholders(source, f"{where}.{place}")
        for axis in axes_of(source):
            if axis.origin == "axis" and axis.axis is None:
                raise InputError(
                    f"{where}.{place}: found `from: axis` for the {axis.placeholder}s, expected "
                    "its number in `axis`"
                )
        if source["conditions"]["from"] == "list" and not source["conditions"]["file"]:
            raise InputError(f"{where}.{place}.conditions: found `from: list`, expected a `file`")
    names = {axis.placeholder: axis.names for axis in axes_of(study["brain"])}
    if JOINT_SUBJECT in names["subject"] or MEAN_SESSION in names.get("session", ()):
        raise InputError(
            f"{where}.brain: found a subject {JOINT_SUBJECT!r} or a session {MEAN_SESSION!r}, "
            "names that the results use for averages; give them another name"
        )
    for group, rois in study["roi_groups"].items():
        for roi in rois:
            if roi not in names["roi"]:
                raise InputError(
                    f"{where}.roi_groups.{group}: found {roi!r}, expected one of "
                    f"{_listed(names['roi'])}"
                )
