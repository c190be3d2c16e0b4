"""Where the config says that RDMs and patterns lie: files, variables, axes and labels.

A source is a config block such as

    files: "{subject}_BOLD5000_CORR_RDMs.h5"
    subjects: {names: [CSI1, CSI2], from: file_name}
    rois: {names: [LHLOC, RHLOC], from: descriptor}
    conditions: {from: stored}

This module is imported while the Snakefile is parsed and needs the standard library alone.
"""

import glob
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow.lib.errors import InputError
from workflow.lib.words import by_numbers

# Config block -> placeholder in file names and keys, and descriptor in RDM files.
BRAIN_AXES = {"subjects": "subject", "sessions": "session", "rois": "roi"}
MODEL_AXES = {"layers": "layer", "average": "member"}

# RDM descriptor of the average over sessions or subjects.
MEAN_SESSION = "mean"
JOINT_SUBJECT = "joint"

# What the part of images is called that models are fitted to; other parts are tests, under names
# that the config gives.
TRAINING = "training"
# What the only ROI of a searchlight's patterns is called.
WHOLE_BRAIN = "brain"
# Patterns in files with these suffixes are images, all others arrays.
NIFTI_SUFFIXES = (".nii", ".nii.gz")

# The keys of a block that say where its RDMs lie; others (such as how figures draw a model) must
# not make anything be read again.
SOURCE_KEYS = (
    *("data", "files", "key", "field", "observations", "conditions"),
    *BRAIN_AXES,
    *MODEL_AXES,
)


@dataclass(frozen=True)
class Axis:
    """The labels along one axis of a source.

    Attributes
    ----------
    placeholder : "subject", "session", "roi", "layer" or "member"
    names : tuple of str
        Labels as results spell them.
    values : tuple of str
        The same labels as the files spell them.
    origin : "file_name", "key", "axis", "descriptor" or "constant"
        Where the files keep them.
    axis : int or None
        For "axis": its number, not counting axes of length one.
    descriptor : str or None
        For "descriptor": its name; None to look for the one that holds the values.
    mapped : bool
        Whether the config gives a value for each name; for "axis", its position.
    """

    placeholder: str
    names: tuple[str, ...]
    values: tuple[str, ...]
    origin: str
    axis: int | None = None
    descriptor: str | None = None
    mapped: bool = False

    def value(self, name: str) -> str:
        """Return how the files spell a label."""
        return self.values[self.names.index(name)]


@dataclass(frozen=True)
class Item:
    """One RDM of a source: its labels, and the file and variable that hold it."""

    labels: dict[str, str]
    file: str
    key: str | None


def source_keys(block: Mapping) -> dict:
    """Return the keys of a config block that say where its RDMs lie."""
    return {key: block[key] for key in SOURCE_KEYS if key in block}


def source_of_subject(source: Mapping, subject: str | None) -> Mapping:
    """Return a source without subjects whose files are others than those of one subject.

    So that nothing is read again for a subject when the config names another one, too.

    Parameters
    ----------
    source : the source of a study's brain responses
    subject : its label; None for all of them
    """
    block = source.get("subjects")
    if subject is None or block is None or block["from"] != "file_name":
        return source
    names = block["names"]
    own = [name for name in names if str(name) == subject]
    chosen = {name: names[name] for name in own} if isinstance(names, Mapping) else own
    return {**source, "subjects": {**block, "names": chosen}}


def model_source(model: Mapping) -> dict:
    """Return where a model's files lie: RDMs, or activations, whose `data` is then features."""
    if "features" not in model:
        return source_keys(model)
    return source_keys(model) | {"data": "features", "files": model["features"]}


def searchlight_source(study: Mapping) -> dict:
    """Return the block of a study's brain in which its only ROI holds all voxels of a searchlight.

    Parameters
    ----------
    study : a study of the completed config, with a searchlight
    """
    mask = study["searchlight"]["mask"]
    rois = {"names": {WHOLE_BRAIN: mask}, "from": "mask"}
    return source_keys(study["brain"]) | {
        "rois": rois if mask else {"names": [WHOLE_BRAIN], "from": "constant"}
    }


def axes_of(source: Mapping) -> list[Axis]:
    """Return the axes that a source describes, in the order of `BRAIN_AXES` and `MODEL_AXES`."""
    return [
        _axis(placeholder, source[block])
        for block, placeholder in (BRAIN_AXES | MODEL_AXES).items()
        if block in source
    ]


def axis_of(source: Mapping, placeholder: str) -> Axis | None:
    """Return the axis of a source with this placeholder, None if it has none."""
    return next((axis for axis in axes_of(source) if axis.placeholder == placeholder), None)


def _axis(placeholder: str, block: Mapping) -> Axis:
    names = block["names"]
    values = list(names.values()) if isinstance(names, Mapping) else list(names)
    return Axis(
        placeholder=placeholder,
        names=tuple(map(str, names)),
        values=tuple(map(str, values)),
        origin=block["from"],
        axis=block.get("axis"),
        descriptor=block.get("descriptor"),
        mapped=isinstance(names, Mapping),
    )


def items_of(source: Mapping, fixed: Mapping[str, str] | None = None) -> list[Item]:
    """Return every RDM of a source, or those with the labels `fixed`.

    Parameters
    ----------
    source : a config block
    fixed : mapping, placeholder -> label
        For example {"subject": "CSI1"}.
    """
    axes = axes_of(source)
    choices = [
        [fixed[axis.placeholder]] if fixed and axis.placeholder in fixed else axis.names
        for axis in axes
    ]
    items = []
    for names in itertools.product(*choices):
        labels = {axis.placeholder: name for axis, name in zip(axes, names, strict=True)}
        items.append(
            Item(
                labels=labels,
                file=_filled(source["files"], axes, labels, "file_name"),
                key=_filled(source.get("key"), axes, labels, "key"),
            )
        )
    return items


def files_of(source: Mapping, fixed: Mapping[str, str] | None = None) -> list[str]:
    """Return the files that the RDMs of `items_of` lie in, each once, in order."""
    return list(dict.fromkeys(item.file for item in items_of(source, fixed)))


def _filled(
    pattern: str | None, axes: list[Axis], labels: Mapping[str, str], origin: str
) -> str | None:
    if pattern is None:
        return None
    filled = pattern
    for axis in axes:
        if axis.origin == origin:
            filled = filled.replace(
                "{" + axis.placeholder + "}", axis.value(labels[axis.placeholder])
            )
    return filled


def check_placeholders(source: Mapping, where: str) -> None:
    """Raise InputError where the patterns and the axes of a source contradict each other."""
    axes = axes_of(source)
    files = "features" if source.get("data") == "features" else "files"
    for origin, setting, given in (("file_name", files, "files"), ("key", "key", "key")):
        pattern = source.get(given) or ""
        for axis in axes:
            wanted = "{" + axis.placeholder + "}"
            if axis.origin == origin and wanted not in pattern:
                raise InputError(
                    f"{where}.{setting}: found {pattern!r}, expected {wanted} in it because "
                    f"{where} takes the {axis.placeholder} from the {origin.replace('_', ' ')}; "
                    "write it there, or correct `from`"
                )
            if axis.origin != origin and wanted in pattern:
                raise InputError(
                    f"{where}.{setting}: found {wanted} in {pattern!r}, expected none because the "
                    f"{axis.placeholder} is taken from elsewhere; let its block say "
                    f"`from: {origin}`"
                )


def filled(pattern: str, source: Mapping, labels: Mapping[str, str]) -> str:
    """Return the name of a file beside the data (a mask, a table) with its placeholders filled.

    Parameters
    ----------
    pattern : may hold {subject}, {session} and {roi}
    source : a config block
    labels : mapping, placeholder -> label
        Written as the source's file names spell it, if they hold it.
    """
    name = pattern
    for axis in axes_of(source):
        if axis.placeholder in labels:
            label = labels[axis.placeholder]
            spelled = axis.value(label) if axis.origin == "file_name" else label
            name = name.replace("{" + axis.placeholder + "}", spelled)
    return name


def condition_files(pattern: str, folder: Path) -> dict[str, str]:
    """Return condition -> file for a file per condition, numbers in names counted as numbers.

    Parameters
    ----------
    pattern : file name with {condition}, for example "sub-01/beta_{condition}.nii.gz"
    folder : folder of the raw files
    """
    expression = re.escape(pattern).replace(r"\{condition\}", "(?P<condition>[^/]+)", 1)
    expression = expression.replace(r"\{condition\}", "(?P=condition)")
    found = glob.glob(glob.escape(pattern).replace("{condition}", "*"), root_dir=folder)
    matches = [match for match in (re.fullmatch(expression, file) for file in found) if match]
    matches.sort(key=lambda match: by_numbers(match["condition"]))
    return {match["condition"]: match.string for match in matches}


def pattern_files(
    source: Mapping, folder: Path, fixed: Mapping[str, str] | None = None
) -> list[str]:
    """Return all files that patterns are read from: data, masks, atlas, observations, names.

    Parameters
    ----------
    source : a config block of patterns
    folder : folder of the raw files, in which a file per condition is looked for
    fixed : labels to restrict the source to, for example {"subject": "01"}
    """
    rois = axis_of(source, "roi")
    beside = [
        (source.get("observations") or {}).get("file"),
        source["conditions"]["file"] if source["conditions"]["from"] == "list" else None,
        source["rois"].get("atlas") if rois.origin == "atlas" else None,
    ]
    files: list[str] = []
    for item in items_of(source, fixed):
        per_condition = "{condition}" in item.file
        files += condition_files(item.file, folder).values() if per_condition else [item.file]
        mask = rois.value(item.labels["roi"]) if rois.origin == "mask" else None
        files += [filled(name, source, item.labels) for name in (*beside, mask) if name]
    return list(dict.fromkeys(files))
