"""Where a study's raw files lie, according to its config. Standard library only."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from workflow.lib.sources import files_of

RESOURCES = "resources"


def simulated_folder(run: str) -> str:
    """Return the folder of all simulated raw files of a run."""
    return f"{RESOURCES}/simulated/{run}"


def raw_folder(study: Mapping, run: str) -> str:
    """Return the folder of a study's raw files, once they are there."""
    return {
        "simulated": f"{simulated_folder(run)}/{study['simulation'].get('folder')}",
        "mirror": f"{RESOURCES}/{study['dataset']}",
        "download": f"{RESOURCES}/{study['dataset']}",
        "path": str(study["path"]),
    }[study["source"]]


def sources_of(study: Mapping) -> Iterator[tuple[str, Mapping]]:
    """Yield every block of a study that says where RDMs lie, with its place in the config."""
    yield "brain", study["brain"]
    for name, model in study["models"].items():
        yield f"models.{name}", model


def raw_files(source: Mapping, fixed: Mapping[str, str] | None = None) -> list[str]:
    """Return the files of a source, its list of condition names included.

    Parameters
    ----------
    source : a config block, see `workflow.lib.sources`
    fixed : labels to restrict the source to, for example {"subject": "CSI1"}
    """
    conditions = source["conditions"]
    listed = [conditions["file"]] if conditions["from"] == "list" else []
    return files_of(source, fixed) + listed


def study_raw_files(study: Mapping) -> list[str]:
    """Return all raw files of a study, each once."""
    return list(
        dict.fromkeys(file for _, source in sources_of(study) for file in raw_files(source))
    )


def find_raw_file(study: Mapping, file: str, run: str, mirror: str | None) -> Path | None:
    """Return where a raw file lies now: in place or in the mirror; None if nowhere."""
    places = [Path(raw_folder(study, run))]
    if mirror and study["source"] in ("mirror", "download"):
        places.append(Path(mirror, study["dataset"]))
    return next((place / file for place in places if (place / file).is_file()), None)
