"""Which images every part of a study knows: brain files, model files and stimuli."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from workflow.lib.errors import InputError
from workflow.lib.features.activations import activation_names
from workflow.lib.features.stimuli import open_stimuli
from workflow.lib.patterns.reading import pattern_conditions
from workflow.lib.rdms.alignment import Alignment, align
from workflow.lib.rdms.source import names_by_file
from workflow.lib.sources import axis_of

STIMULI = "stimuli"


def align_study(
    brain: Mapping,
    models: Mapping[str, Mapping],
    stimuli: Mapping | None,
    images: Mapping,
    folder: Path,
    made: Mapping[str, Sequence[str]] | None = None,
) -> tuple[dict[str, list[str]], Alignment]:
    """Return the names of the images of every file of a study, and those that all share.

    Parameters
    ----------
    brain, stimuli, images : the study's blocks of these names; stimuli may be None
    models : sources of the models that are given as RDM files or activations
    folder : folder of the raw files
    made : what the models that the study makes itself know, by what errors call it

    Returns
    -------
    names : dict, as of `study_names`, and `made`
    alignment : Alignment

    Raises
    ------
    InputError
        Names that `workflow.lib.rdms.alignment.align` or `check_ordered` refuse.
    """
    names = study_names(brain, models, stimuli, folder, match=images["match"])
    check_ordered(names, [brain, *models.values(), *([stimuli] if stimuli else [])])
    names |= {what: list(known) for what, known in (made or {}).items()}
    alignment = align(
        names,
        match=images["match"],
        unmatched=images["unmatched"],
        min_common=images["min_common"],
    )
    return names, alignment


def study_names(
    brain: Mapping,
    models: Mapping[str, Mapping],
    stimuli: Mapping | None,
    folder: Path,
    *,
    match: str,
) -> dict[str, list[str]]:
    """Return the names of the images of every file of a study, without reading its data.

    Parameters
    ----------
    brain : the study's block of that name
    models : sources of the models that are given as RDM files or activations
    stimuli : the study's block of that name, if it has one
    folder : folder of the raw files
    match : "exact" or "normalised"; of patterns, normalised names of one image are repeats

    Returns
    -------
    dict, file (or "patterns of <subject>", or "stimuli") -> names in its own order
    """
    if brain["data"] == "patterns":
        names = {
            f"patterns of {subject}": pattern_conditions(brain, folder, subject, match)
            for subject in axis_of(brain, "subject").names
        }
    else:
        names = names_by_file(brain, folder)
    for model in models.values():
        is_features = model.get("data") == "features"
        names |= (activation_names if is_features else names_by_file)(model, folder)
    if stimuli:
        names[STIMULI] = open_stimuli(folder, stimuli).names
    return names


def check_ordered(names: Mapping[str, Sequence[str]], sources: Iterable[Mapping]) -> None:
    """Raise InputError where images are matched by their order but files differ in number.

    Parameters
    ----------
    names : as `study_names` returns them
    sources : all blocks of the study that name conditions
    """
    lengths = {file: len(own) for file, own in names.items()}
    ordered = all(source["conditions"]["from"] == "order" for source in sources)
    if ordered and len(set(lengths.values())) > 1:
        counts = ", ".join(f"{file} has {n}" for file, n in lengths.items())
        raise InputError(
            f"found files of different numbers of images ({counts}) that are matched by order, "
            "expected the same number in each; give names by `conditions: {from: list}`"
        )
