"""Which raw files an entry of section `emotions` has, below its folder. Standard library only.

Read while rules are parsed.
"""

from collections.abc import Iterable, Mapping


def run_files(entry: Mapping, subject: str) -> dict[str, str]:
    """Return run -> file with the responses of a subject."""
    return _of_runs(entry, entry["files"], subject)


def confound_files(entry: Mapping, subject: str) -> dict[str, str]:
    """Return run -> file with the confounds of a subject; none where the entry names none."""
    pattern = entry["volumes"]["confounds"]
    return _of_runs(entry, pattern, subject) if pattern and entry["data"] == "volumes" else {}


def mask_file(entry: Mapping, subject: str) -> str | None:
    """Return the file with a subject's mask; None where it is made of the volumes."""
    pattern = entry["volumes"]["mask"]
    if not pattern or entry["data"] != "volumes":
        return None
    return _named(pattern, subject=subject)


def region_file(entry: Mapping, subject: str) -> str | None:
    """Return the file with a subject's numbered regions; None where there is none."""
    rois = entry["rsa"]["rois"]
    if entry["data"] != "volumes" or not rois:
        return None
    return _named(rois["file"], subject=subject)


def annotation_files(entry: Mapping) -> dict[str, str]:
    """Return observer -> file with what this observer saw."""
    annotations = entry["annotations"]
    return {
        observer: _named(annotations["files"], observer=observer)
        for observer in annotations["observers"]
    }


def subject_files(entry: Mapping, subject: str) -> list[str]:
    """Return the files of a subject that its time series are made of, each once."""
    files = [*run_files(entry, subject).values(), *confound_files(entry, subject).values()]
    mask = mask_file(entry, subject)
    return _once([*files, mask] if mask else files)


def movie_files(entry: Mapping) -> list[str]:
    """Return all raw files of an entry, each once."""
    regions = [region_file(entry, subject) for subject in entry["subjects"]]
    return _once(
        [
            *annotation_files(entry).values(),
            *([entry["stimulus"]] if entry["stimulus"] else []),
            *(file for subject in entry["subjects"] for file in subject_files(entry, subject)),
            *(file for file in regions if file),
        ]
    )


def _of_runs(entry: Mapping, pattern: str, subject: str) -> dict[str, str]:
    return {run: _named(pattern, subject=subject, run=run) for run in entry["runs"]}


def _named(pattern: str, **labels: str) -> str:
    """Return a pattern with its placeholders filled in, all others left as they are."""
    for name, label in labels.items():
        pattern = pattern.replace(f"{{{name}}}", label)
    return pattern


def _once(files: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(files))
