"""What the schema cannot say of section `rsa`: which keys need which, and which exclude others."""

import re
from collections.abc import Mapping

from workflow.lib.acquire.datasets import Dataset
from workflow.lib.config.inference import PARTIAL_COMPARATORS
from workflow.lib.config.raw_sources import SOURCE_KEYS, check_relative, check_source
from workflow.lib.config.sections import Section, sections
from workflow.lib.errors import InputError
from workflow.lib.layout import file_sources, raw_folder, study_raw_files, weight_files
from workflow.lib.sources import (
    JOINT_SUBJECT,
    MEAN_SESSION,
    NIFTI_SUFFIXES,
    Axis,
    axes_of,
    axis_of,
    check_placeholders,
)
from workflow.lib.words import listed, near

# What each source of raw files cannot do without.
KEYS_OF_SOURCES = SOURCE_KEYS | {"simulated": ("simulation.simulator", "simulation.folder")}
# Subjects become part of file names.
FILE_NAME = re.compile(r"[\w-][\w.+-]*")


def check_rsa(config: Mapping) -> None:
    """Check what a schema cannot say."""
    for name, study in config["rsa"].items():
        _check_study(f"config, rsa.{name}", study)
        made = [model for model, block in study["models"].items() if "made" in block]
        makers = [section.name for section in sections().values() if section.made_conditions]
        if made and not any(name in config[section] for section in makers):
            raise InputError(
                f"config, rsa.{name}.models.{made[0]}: found `made: true`, expected another "
                f"section ({listed(makers)}) with an entry {name!r} that makes the model; give one"
            )


def raw_paths(entry: Mapping, datasets: Mapping[str, Dataset], run: str) -> list[str]:
    """Return the raw files of a study, and the weights of its networks."""
    folder = raw_folder(entry, run)
    files = study_raw_files(entry, datasets, run)
    return [f"{folder}/{file}" for file in files] + weight_files(entry)


def torchvision_networks(entry: Mapping) -> list[str]:
    """Return the networks of which the weights are torchvision's."""
    return [
        model["network"]
        for model in entry["models"].values()
        if "network" in model and model["weights"] == "torchvision"
    ]


def _check_study(where: str, study: Mapping) -> None:
    check_source(where, study, KEYS_OF_SOURCES)
    _check_files(where, study)
    _check_groups(f"{where}.images.groups", study["images"]["groups"])
    for place, source in file_sources(study).items():
        check_placeholders(source, f"{where}.{place}")
        for axis in axes_of(source):
            if axis.origin == "axis":
                _check_axis(f"{where}.{place}", axis)
        _check_conditions(f"{where}.{place}.conditions", source["conditions"])
    if "stimuli" in study:
        _check_conditions(f"{where}.stimuli.conditions", study["stimuli"]["conditions"])
    _check_atlas(f"{where}.brain.rois", study["brain"]["rois"])
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
                    f"{listed(names['roi'])}{near(roi, names['roi'])}"
                )
    for key in ("controls", "partition"):
        if study[key] and not set(study["comparators"]) & set(PARTIAL_COMPARATORS):
            raise InputError(
                f"{where}.{key}: found it with the comparators {listed(study['comparators'])}, "
                f"expected {' or '.join(PARTIAL_COMPARATORS)} among them; add one"
            )
    _check_controls(f"{where}.controls", study)
    _check_partition(f"{where}.partition", study)
    if "searchlight" in study:
        _check_searchlight(f"{where}.searchlight", study)


def _check_files(where: str, study: Mapping) -> None:
    """Check that all files of a study are named relative to the folder of its raw files."""
    stimuli = {"stimuli": study["stimuli"]} if "stimuli" in study else {}
    for place, source in (file_sources(study) | stimuli).items():
        setting = "features" if source.get("data") == "features" else "files"
        check_relative(f"{where}.{place}.{setting}", [source["files"]])
        check_relative(f"{where}.{place}.conditions.file", [source["conditions"]["file"]])
    brain = study["brain"]
    check_relative(f"{where}.brain.observations.file", [brain.get("observations", {}).get("file")])
    check_relative(f"{where}.brain.rois.atlas", [brain["rois"].get("atlas")])
    rois = axis_of(brain, "roi")
    check_relative(f"{where}.brain.rois.names", rois.values if rois.origin == "mask" else ())
    check_relative(f"{where}.searchlight.mask", [study.get("searchlight", {}).get("mask")])


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
                f"{where}: found {entry!r}, expected one of the layers {listed(layers)}"
                f"{near(layer, layers)}"
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
            f"{where}.controls: found all models to be mapped ({listed(mapped)}), expected one "
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
    if not brain["files"].lower().endswith(NIFTI_SUFFIXES):
        raise InputError(
            f"{where}: found the responses {brain['files']!r}, expected NIfTI images "
            f"({' or '.join(NIFTI_SUFFIXES)}), which say where each voxel lies; leave the "
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
            f"{where}: found {name!r}, expected one of the models {listed(models)}"
            f"{near(name, models)}"
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


def _check_atlas(where: str, rois: Mapping) -> None:
    if rois["from"] == "atlas" and "atlas" not in rois:
        raise InputError(
            f"{where}: found `from: atlas`, expected the file with the labels of ROIs; give its "
            "name in `atlas`"
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


SECTION = Section(
    "rsa",
    check=check_rsa,
    raw_paths=raw_paths,
    dataset_blocks=lambda entry: [entry],
    torchvision_networks=torchvision_networks,
    checker="workflow.lib.check.rsa",
)
