"""Configs laid over one another, and studies that take the keys of another."""

import copy
from collections.abc import Mapping

from workflow.lib.config.rsa_kinds import DEFAULT_DATA, KEYS_OF_DATA, MODEL_KINDS
from workflow.lib.config.schema import load_schema, resolve, study_schemas
from workflow.lib.errors import InputError
from workflow.lib.words import listed, near

# Keys of a block of which one says in another way what the other says.
ALTERNATIVES = (("groups", "group_table"),)


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
        for section, entry in study_schemas(schema).items():
            known, given = result.get(section), config.get(section)
            if isinstance(known, Mapping) and isinstance(given, Mapping):
                result[section] = {
                    name: study
                    for name, study in known.items()
                    if not _stands_alone(f"{section}.{name}", study, given.get(name), entry)
                }
        result = merged(result, config, schema, schema)
    return result


def _stands_alone(place: str, old: object, new: object, schema: Mapping) -> bool:
    """Return whether a study takes the place of the one of its name, in place of changing it."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return False
    if "extends" in new:
        return bool(new["extends"] != old.get("extends"))
    needed = schema["required"]
    if set(needed) <= set(new):
        return True
    brain = new.get("brain")
    if isinstance(brain, Mapping) and "files" in brain and brain != old.get("brain"):
        name = place.rpartition(".")[2]
        missing = listed(key for key in needed if key not in new)
        raise InputError(
            f"config, {place}.brain.files: found {brain['files']!r} laid over a study that has "
            f"that name already, without {missing}, expected a study of its own, or one that keeps "
            f"its files; give it another name (with `extends: {name}`, to keep the rest), or "
            f"give {missing} as well"
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
        another kind, or groups given in another way, take the place of what was there. What has an
        effect on RDMs alone does not hold for patterns, and the other way round.
    schema : mapping, optional
        The whole schema, which the node may refer to.
    """
    node = resolve(block or {}, schema or {})
    properties = node.get("properties", {})
    gone = _outdated(base, over, properties)
    result = {
        key: copy.deepcopy(value)
        for key, value in base.items()
        if key not in gone and (key in over or not _is_given_otherwise(key, over, properties))
    }
    for key, value in over.items():
        inner = properties.get(key, node.get("additionalProperties"))
        inner = inner if isinstance(inner, Mapping) else {}
        if _are_blocks(result.get(key), value, resolve(inner, schema or {})):
            result[key] = merged(result[key], value, inner, schema)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _outdated(base: Mapping, over: Mapping, properties: Mapping) -> set[str]:
    """Return the keys of a block that do not hold for what `over` makes of it.

    Those of a model of another kind or of another control, the seeds of a network that is trained
    now, those of brain responses of other data, and the searchlight and the encoding of a study
    that is given RDMs.
    """
    if "control" in properties:
        if any(kind in over and kind not in base for kind in MODEL_KINDS):
            return set(base)
        if over.get("weights", "untrained") != "untrained":
            return {"seeds"}
        if over.get("control", base.get("control")) == base.get("control"):
            return set()
        return {"options", "metric"} if over["control"] == "groups" else {"options"}
    if "remove_mean_pattern" in properties:
        before = base.get("data", DEFAULT_DATA)
        if over.get("data", before) == before:
            return set()
        return {key for data, keys in KEYS_OF_DATA.items() if data == before for key in keys}
    if "searchlight" in properties:
        brains = (base.get("brain"), over.get("brain"))
        data = [brain.get("data") for brain in brains if isinstance(brain, Mapping)]
        return {"searchlight", "encoding"} if data == ["patterns", "rdms"] else set()
    return set()


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


def inherited(section: str, entries: Mapping, schema: Mapping) -> dict:
    """Return the studies of a section, each with the keys of the one that it extends.

    Raises
    ------
    InputError
        A study extends one that is not there, or itself.
    """
    return {name: _inherit(section, name, entries, (), schema) for name in entries}


def _inherit(
    section: str, name: str, entries: Mapping, heirs: tuple[str, ...], schema: Mapping
) -> dict:
    entry = entries[name]
    if not isinstance(entry, Mapping) or "extends" not in entry:
        return entry
    parent = entry["extends"]
    if parent in (*heirs, name):
        raise InputError(
            f"config, {section}.{name}.extends: found a circle over {parent!r}, expected an entry "
            "that does not lead back; break it"
        )
    if parent not in list(entries):
        raise InputError(
            f"config, {section}.{name}.extends: found {parent!r}, expected one of "
            f"{listed(entries)}{near(parent, entries)}"
        )
    base = _inherit(section, parent, entries, (*heirs, name), schema)
    if not isinstance(base, Mapping):
        return entry
    return merged(base, entry, study_schemas(schema)[section], schema)
