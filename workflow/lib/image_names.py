"""Which images every part of a study knows: brain files, model files and stimuli."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow.lib.alignment import positions
from workflow.lib.patterns import condition_names
from workflow.lib.rdm_source import names_by_file
from workflow.lib.sources import axes_of
from workflow.lib.stimuli import Stimuli, open_stimuli

STIMULI = "stimuli"


def study_names(
    brain: Mapping, models: Mapping[str, Mapping], stimuli: Mapping | None, folder: Path
) -> dict[str, list[str]]:
    """Return the names of the images of every file of a study, without reading its data.

    Parameters
    ----------
    brain : the study's block of that name
    models : blocks of the models that are given as RDM files
    stimuli : the study's block of that name, if it has one
    folder : folder of the raw files

    Returns
    -------
    dict, file (or "patterns of <subject>", or "stimuli") -> names in its own order
    """
    if brain["data"] == "patterns":
        subjects = next(axis for axis in axes_of(brain) if axis.placeholder == "subject")
        names = {
            f"patterns of {subject}": condition_names(brain, folder, subject)
            for subject in subjects.names
        }
    else:
        names = names_by_file(brain, folder)
    for model in models.values():
        names |= names_by_file(model, folder)
    if stimuli:
        names[STIMULI] = open_stimuli(folder, stimuli).names
    return names


def common_stimuli(folder: Path, block: Mapping, names: Sequence[str], match: str) -> Stimuli:
    """Return the stimuli of a study in the common order of images.

    Parameters
    ----------
    folder : folder of the raw files
    block : the study's `stimuli` block
    names : matched names in the common order
    match : "exact" or "normalised"
    """
    stimuli = open_stimuli(folder, block)
    return stimuli.select(positions(names, stimuli.names, match=match, what=block["files"]))
