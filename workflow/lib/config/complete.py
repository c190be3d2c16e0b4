"""Reading the configuration: inheritance, defaults, and errors that name the key.

Imported while the Snakefile is parsed: nothing heavier than jsonschema.
"""

import functools
from collections.abc import Mapping

from workflow.lib.config.bold5000 import check_bold5000
from workflow.lib.config.digits import all_categories, check_digits, name_validation_images
from workflow.lib.config.dissimilarity import check_dissimilarity
from workflow.lib.config.emotions import check_emotions
from workflow.lib.config.merging import inherited
from workflow.lib.config.rsa import check_rsa, name_layers
from workflow.lib.config.schema import listed, load_schema, near, study_schemas, validate
from workflow.lib.errors import InputError

# What a schema cannot say, of each section in turn.
CHECKS = (check_rsa, check_bold5000, check_digits, check_dissimilarity, check_emotions)


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
    for section in study_schemas(schema):
        if isinstance(completed.get(section), dict):
            completed[section] = inherited(section, completed[section], schema)
    validate(completed, schema)
    name_layers(completed)
    names = study_names(completed)
    for study in completed["studies"]:
        if study not in names:
            raise InputError(
                f"config, studies: found {study!r}, expected one of {listed(names)}"
                f"{near(study, names)}"
            )
    for check in CHECKS:
        check(completed)
    name_validation_images(completed)
    return completed


def study_names(config: Mapping) -> list[str]:
    """Return the names of all studies, of whatever sections; one may stand in several."""
    return list(dict.fromkeys(name for section in _sections() for name in config[section]))


def entries_of(config: Mapping, study: str) -> dict[str, dict]:
    """Return what each section says of a study, by section; `rsa` comes first."""
    return {name: config[name][study] for name in _sections() if study in config[name]}


def made_conditions(config: Mapping, study: str) -> dict[str, list[str]]:
    """Return the conditions that the models know that a study of `rsa` makes, by where they stand.

    Empty for a study that makes none.
    """
    models = config["rsa"][study]["models"].values()
    if not any("made" in model for model in models):
        return {}
    if study in config["digits"]:
        return {f"digits.{study}.categories": all_categories(config["digits"][study])}
    entry = config["stand_ins"][study]
    scrambled = [entry["scrambled"]] if entry["scrambled"] else []
    return {f"stand_ins.{study}.pictures": [*entry["pictures"], *scrambled]}


@functools.cache
def _sections() -> tuple[str, ...]:
    return tuple(study_schemas(load_schema()))


def _unshared(value: object) -> object:
    """Return a copy in which YAML anchors no longer share one block: each is completed alone."""
    if isinstance(value, Mapping):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value
