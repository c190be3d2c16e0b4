"""Where the files of the Algonauts 2023 challenge lie below its folder.

Imported while the Snakefile is parsed: nothing heavy. Layout as published by Gifford et al. (2023),
The Algonauts Project 2023 Challenge, arXiv:2301.03198.
"""

import difflib
from collections.abc import Sequence

from workflow.lib.errors import InputError

HEMISPHERES = ("lh", "rh")
# Of every simulated folder.
SIMULATED_SUBJECTS = ("subj01", "subj02", "subj03")
# In place of a list of ROIs: every vertex that there are responses of.
ALL = "all"
# What a mapping calls the vertices of no ROI, label 0.
UNKNOWN = "Unknown"
# Classes of ROIs, each with a file of labels; within a class ROIs do not overlap.
ROI_CLASSES = {
    "prf-visualrois": ("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"),
    "floc-bodies": ("EBA", "FBA-1", "FBA-2", "mTL-bodies"),
    "floc-faces": ("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"),
    "floc-places": ("OPA", "PPA", "RSC"),
    "floc-words": ("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"),
    "streams": (
        "early",
        "midventral",
        "midlateral",
        "midparietal",
        "ventral",
        "lateral",
        "parietal",
    ),
}
ROI_NAMES = tuple(name for names in ROI_CLASSES.values() for name in names)
# Labels per vertex with responses, or per vertex of the surface fsaverage.
SPACES = ("challenge", "fsaverage")


def roi_class(name: str) -> str:
    """Return the class of an ROI.

    Raises
    ------
    InputError
        No such ROI.
    """
    for found, names in ROI_CLASSES.items():
        if name in names:
            return found
    near = difflib.get_close_matches(name, ROI_NAMES, n=3, cutoff=0.4)
    raise InputError(
        f"rois: found {name!r}, expected ROIs of Algonauts 2023, such as "
        f"{', '.join(near or ROI_NAMES)}; correct it, or write `{ALL}` for every vertex"
    )


def responses_file(subject: str, hemisphere: str) -> str:
    """Return the file of a hemisphere's responses, (n_images, n_vertices)."""
    return f"{subject}/training_split/training_fmri/{hemisphere}_training_fmri.npy"


def images_folder(subject: str) -> str:
    """Return the folder of the images that there are responses to, in the order of their names."""
    return f"{subject}/training_split/training_images"


def test_images_folder(subject: str) -> str:
    """Return the folder of the images whose responses were kept back."""
    return f"{subject}/test_split/test_images"


def mapping_file(subject: str, of_class: str) -> str:
    """Return the file with the names of the labels of a class of ROIs."""
    return f"{subject}/roi_masks/mapping_{of_class}.npy"


def mask_file(subject: str, hemisphere: str, of_class: str, space: str = SPACES[0]) -> str:
    """Return the file with the labels of a hemisphere's vertices in a class of ROIs."""
    return f"{subject}/roi_masks/{hemisphere}.{of_class}_{space}_space.npy"


def surface_file(subject: str, hemisphere: str) -> str:
    """Return the file that says which vertices of fsaverage there are responses of."""
    return f"{subject}/roi_masks/{hemisphere}.all-vertices_fsaverage_space.npy"


def noiseless_file(subject: str, hemisphere: str) -> str:
    """Return the file of the responses without noise, which simulated folders alone have."""
    return f"truth/{subject}_noiseless_{hemisphere}.npy"


def algonauts_files(folder: str, subject: str, parts: Sequence[str] | str) -> list[str]:
    """Return the files, images aside, that the responses of some ROIs are read from.

    Parameters
    ----------
    folder : folder of the data set
    subject : for example subj01
    parts : names of ROIs, or "all"

    Raises
    ------
    InputError
        No such ROI.
    """
    files = [responses_file(subject, hemisphere) for hemisphere in HEMISPHERES]
    for of_class in classes_of(parts):
        files.append(mapping_file(subject, of_class))
        files += [mask_file(subject, hemisphere, of_class) for hemisphere in HEMISPHERES]
    return [f"{folder}/{file}" for file in files]


def classes_of(parts: Sequence[str] | str) -> list[str]:
    """Return the classes of some ROIs, each once; of "all", none."""
    return [] if parts == ALL else list(dict.fromkeys(map(roi_class, parts)))


def simulated_files(subjects: Sequence[str]) -> list[str]:
    """Return the files, images aside, that a simulation writes, relative to its folder."""
    files = []
    for subject in subjects:
        files += [mapping_file(subject, of_class) for of_class in ROI_CLASSES]
        for hemisphere in HEMISPHERES:
            files += [
                responses_file(subject, hemisphere),
                noiseless_file(subject, hemisphere),
                surface_file(subject, hemisphere),
                *(mask_file(subject, hemisphere, c, s) for c in ROI_CLASSES for s in SPACES),
            ]
    return files
