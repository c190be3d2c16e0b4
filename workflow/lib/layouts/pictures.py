"""Which raw files an entry of section `reconstruction` has. Standard library only.

Read while rules are parsed.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath

from workflow.lib.sources import TRAINING

# Keys of `responses` that say what trials show, in whatever ROI, and with `missing` how their
# responses are read.
TRIAL_KEYS = ("format", "names", "key", "images", "leave_out")


def parts_of(entry: Mapping) -> list[str]:
    """Return training and the names of the tests of an entry, in order."""
    return [TRAINING, *entry["responses"]["tests"]]


def response_patterns(entry: Mapping) -> dict[str, str]:
    """Return part -> file of responses below the folder of raw files, with {subject}."""
    responses = entry["responses"]
    return {TRAINING: responses["training"], **responses["tests"]}


def response_files(entry: Mapping, subject: str) -> list[str]:
    """Return the files with the responses of a subject, part by part."""
    return [file.format(subject=subject) for file in response_patterns(entry).values()]


def trial_options(entry: Mapping) -> dict:
    """Return what of `responses` says which image each trial of a file shows."""
    return {key: entry["responses"][key] for key in TRIAL_KEYS}


def reading_options(entry: Mapping) -> dict:
    """Return what of `responses` says how responses are read, of any ROI."""
    return trial_options(entry) | {"missing": entry["responses"]["missing"]}


def all_response_files(entry: Mapping) -> list[str]:
    """Return the files of responses, each once: those of training for all subjects first."""
    patterns = response_patterns(entry).values()
    files = [file.format(subject=s) for file in patterns for s in entry["subjects"]]
    return list(dict.fromkeys(files))


def stimulus_patterns(entry: Mapping) -> dict[str, str]:
    """Return part -> pattern of the image files below the folder of stimuli."""
    if "stimuli" not in entry:
        return {}
    return {TRAINING: entry["stimuli"]["training"], **entry["stimuli"]["tests"]}


def stimulus_tables(entry: Mapping) -> dict[str, dict]:
    """Return part -> table of ids, with its file below the folder of stimuli."""
    return dict(entry["stimuli"]["tables"]) if "stimuli" in entry else {}


def stimulus_folders(entry: Mapping) -> list[str]:
    """Return the folders of the image files below the folder of stimuli, each once.

    Of a pattern, what stands before its first placeholder.
    """
    fixed = [pattern.split("{", 1)[0] + "x" for pattern in stimulus_patterns(entry).values()]
    return list(dict.fromkeys(str(PurePosixPath(pattern).parent) for pattern in fixed))


def image_folders(entry: Mapping, folder: str) -> list[str]:
    """Return the folders with the image files, none where they stand beside the responses.

    Parameters
    ----------
    entry : mapping
    folder : of the raw files
    """
    below = (entry.get("stimuli") or {}).get("path") or folder
    return [f"{below}/{name}" for name in stimulus_folders(entry)]


def simulated_stimuli(entry: Mapping) -> list[str]:
    """Return the folders that a simulation writes its pictures to."""
    return [f"stimuli/{part}" for part in parts_of(entry)]
