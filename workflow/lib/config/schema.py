"""The schema of the config: where it lies, the defaults in it, and its violations as sentences.

A study's own section stands in workflow/schemas/studies/<section>.schema.yaml.
"""

import copy
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from workflow.lib.acquire.datasets import YAML_LOADER
from workflow.lib.errors import InputError
from workflow.lib.words import listed, near

SCHEMAS = Path(__file__).parents[2] / "schemas"
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


@functools.cache
def load_schema() -> dict:
    """Return the JSON schema of the config, with the sections that single studies add.

    It is read once, and not to be changed.
    """
    schema = yaml.load((SCHEMAS / "config.schema.yaml").read_text(), Loader=YAML_LOADER)
    for section, file in section_files().items():
        schema["properties"][section] = yaml.load(file.read_text(), Loader=YAML_LOADER)
    schema["$defs"]["simulator"] = _simulators()
    return schema


def _simulators() -> dict:
    """Return the schema of the name of a simulator: one for each file in their folder."""
    files = sorted((SCHEMAS / "simulators").glob("*.yaml"))
    described = {
        file.stem: yaml.load(file.read_text(), Loader=YAML_LOADER)["description"] for file in files
    }
    parts = [f"{name}, {text}" for name, text in described.items()]
    return {
        "enum": list(described),
        "description": f"Which simulator writes the files. {'; '.join(parts)}.",
    }


def section_files() -> dict[str, Path]:
    """Return section -> schema of the sections that single studies add, in order of names."""
    files = sorted((SCHEMAS / "studies").glob("*.schema.yaml"))
    return {file.name.removesuffix(".schema.yaml"): file for file in files}


def study_schemas(schema: Mapping) -> dict[str, dict]:
    """Return the schema of a study in each section whose entries are studies.

    Other sections (calibration, bold5000) hold the settings of something that is there once.
    """
    entries = {
        section: resolve(node.get("additionalProperties") or {}, schema)
        for section, node in schema["properties"].items()
        if isinstance(node.get("additionalProperties"), Mapping)
    }
    return {name: entry for name, entry in entries.items() if "extends" in entry["properties"]}


def resolve(schema: Mapping, root: Mapping) -> dict:
    """Return a schema node with its `$ref` replaced by what it points to."""
    if "$ref" not in schema:
        return dict(schema)
    node = root
    for step in schema["$ref"].removeprefix("#/").split("/"):
        node = node[step]
    return {**resolve(node, root), **{key: schema[key] for key in schema if key != "$ref"}}


def validate(config: dict, schema: dict) -> None:
    """Fill in defaults, and raise InputError where a config breaks its schema."""
    fill_defaults(config, schema, schema)
    errors = sorted(
        Draft202012Validator(schema).iter_errors(config),
        # Keys of a YAML mapping can be numbers, which do not sort among words.
        key=lambda error: list(map(str, error.path)),
    )
    if errors:
        raise InputError(_sentence(errors[0]))


def fill_defaults(value: object, schema: Mapping, root: Mapping) -> None:
    """Give every key that is not there its default, in place.

    Of a node with `defaultIf` only where the other keys beside it have these values.

    Parameters
    ----------
    value : a config, or a part of it
    schema : the node that describes it
    root : the whole schema
    """
    schema = resolve(schema, root)
    if isinstance(value, list) and "items" in schema:
        for item in value:
            fill_defaults(item, schema["items"], root)
    if not isinstance(value, dict):
        return
    properties = schema.get("properties", {})
    for key, child in properties.items():
        child = resolve(child, root)
        applies = child.get("defaultIf", {}).items() <= value.items()
        if key not in value and "default" in child and applies:
            value[key] = copy.deepcopy(child["default"])
    for key, item in value.items():
        child = properties.get(key, schema.get("additionalProperties"))
        if isinstance(child, Mapping):
            fill_defaults(item, child, root)


def _sentence(error: ValidationError) -> str:
    """Return a schema violation as one sentence that names the key."""
    place = ".".join(map(str, error.absolute_path))
    where = f"config, {place}" if place else "config"
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        allowed = list(error.schema.get("properties", {}))
        unknown = next(key for key in error.instance if key not in allowed)
        return (
            f"{where}: found the unknown key {unknown!r}, expected one of {listed(allowed)}"
            f"{near(unknown, allowed)}"
        )
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{where}: found no key {missing!r}, expected it because it is required; add it"
    allowed = error.validator_value
    if error.validator == "enum":
        return (
            f"{where}: found {error.instance!r}, expected one of {listed(allowed)}"
            f"{near(error.instance, allowed)}"
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


def check_name(where: str, name: str, names: Iterable[str]) -> None:
    """Raise InputError for a name that is none of those there are, with the nearest that is."""
    names = list(names)
    if name not in names:
        raise InputError(
            f"{where}: found {name!r}, expected one of {listed(names)}{near(name, names)}"
        )
