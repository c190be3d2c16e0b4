"""What the schema cannot say of section `reconstruction`."""

from collections.abc import Mapping

from workflow.lib.acquire.datasets import Dataset
from workflow.lib.config.raw_sources import check_folder, check_relative, check_source, claim_folder
from workflow.lib.config.reconstruction_models import (
    check_decoders,
    check_generators,
    check_networks,
    name_references,
    network_blocks,
    torchvision_networks,
)
from workflow.lib.config.schema import check_name
from workflow.lib.config.sections import Section
from workflow.lib.errors import InputError
from workflow.lib.layout import is_weight_file, raw_folder
from workflow.lib.layouts.pictures import (
    all_response_files,
    image_folders,
    response_patterns,
    stimulus_patterns,
    stimulus_tables,
)
from workflow.lib.sources import TRAINING
from workflow.lib.words import listed

# What each format of responses needs, and which keys of `responses` are for another one.
NEEDED = {"bdata": (), "arrays": ("key", "images")}


def check_reconstruction(config: Mapping) -> None:
    """Check sources, responses and stimuli of every entry."""
    folders: dict[str, str] = {}
    for name, entry in config["reconstruction"].items():
        where = f"config, reconstruction.{name}"
        _check_source(where, entry, name, folders)
        _check_responses(f"{where}.responses", entry)
        check_relative(f"{where}.responses", all_response_files(entry))
        _check_stimuli(f"{where}.stimuli", entry)
        check_decoders(where, entry)
        check_generators(where, entry)
        check_networks(where, entry)


def raw_paths(entry: Mapping, datasets: Mapping[str, Dataset], run: str) -> list[str]:
    """Return the files of responses of an entry, and the weights of its networks."""
    folder = raw_folder(entry, run)
    weights = [block["weights"] for block in network_blocks(entry)]
    return [f"{folder}/{file}" for file in all_response_files(entry)] + [
        path for path in weights if is_weight_file(path)
    ]


def given_folders(entry: Mapping, run: str) -> list[str]:
    """Return the folders of the images of an entry, unless they are simulated."""
    return [] if entry["source"] == "simulated" else image_folders(entry, raw_folder(entry, run))


def _check_source(where: str, entry: Mapping, name: str, folders: dict[str, str]) -> None:
    check_source(where, entry)
    if entry["source"] != "simulated":
        return
    if entry["responses"]["format"] != "bdata":
        raise InputError(
            f"{where}.responses.format: found {entry['responses']['format']} of a simulation, "
            "expected bdata, which is what is simulated; correct it, or give another source"
        )
    claim_folder(where, name, entry, folders)


def _check_responses(where: str, entry: Mapping) -> None:
    responses = entry["responses"]
    for key in NEEDED[responses["format"]]:
        if not responses[key]:
            raise InputError(
                f"{where}: found no `{key}`, expected it for the format {responses['format']}; "
                "give it"
            )
    if TRAINING in responses["tests"]:
        raise InputError(
            f"{where}.tests: found a test called {TRAINING}, expected another name, for that is "
            "what the other part is called; rename it"
        )
    for part, file in response_patterns(entry).items():
        if "{subject}" not in file and len(entry["subjects"]) > 1:
            raise InputError(
                f"{where}, {part}: found {file!r} for {len(entry['subjects'])} subjects, expected "
                "{subject} in it; correct it"
            )


def _check_stimuli(where: str, entry: Mapping) -> None:
    if entry["responses"]["format"] == "arrays":
        if "stimuli" in entry:
            raise InputError(
                f"{where}: found stimuli for responses in arrays, expected none, for the images "
                "stand beside them; leave it out"
            )
        return
    if "stimuli" not in entry:
        raise InputError(
            f"{where}: found none, expected the patterns of the image files of training and "
            "tests; give them"
        )
    tests, shown = entry["responses"]["tests"], entry["stimuli"]["tests"]
    if set(tests) != set(shown):
        raise InputError(
            f"{where}.tests: found {listed(shown)}, expected a pattern for each of "
            f"{listed(tests)}, the tests of `responses`; correct it"
        )
    if entry["source"] in ("mirror", "download") and not entry["stimuli"]["path"]:
        raise InputError(
            f"{where}.path: found none, expected the folder of the images, which are no part of "
            f"the published data; give it"
        )
    check_folder(f"{where}.path", entry["stimuli"]["path"] or "")
    for part in stimulus_tables(entry):
        check_name(f"{where}.tables", part, stimulus_patterns(entry))
    for part, pattern in stimulus_patterns(entry).items():
        if "{" not in pattern:
            raise InputError(
                f"{where}, {part}: found {pattern!r}, expected {{name}}, or {{synset}} and "
                "{image}, in it; correct it"
            )


SECTION = Section(
    "reconstruction",
    check=check_reconstruction,
    finish=name_references,
    torchvision_networks=torchvision_networks,
    raw_paths=raw_paths,
    given_folders=given_folders,
    dataset_blocks=lambda entry: [entry],
)
