"""What the schema cannot say of section `dissimilarity`."""

import re
from collections.abc import Mapping

from workflow.lib.acquire.datasets import Dataset
from workflow.lib.config.pair_kinds import (
    EMBEDDERS,
    FILE_KEYS,
    JOINED,
    file_of_subject,
    model_kinds,
)
from workflow.lib.config.pair_options import check_options
from workflow.lib.config.pair_sizes import asked_sizes, check_sizes
from workflow.lib.config.raw_sources import check_source, claim_folder
from workflow.lib.config.schema import check_name
from workflow.lib.config.sections import Section
from workflow.lib.errors import InputError
from workflow.lib.layout import is_weight_file, simulated_folder
from workflow.lib.layouts.algonauts2023 import ALL, algonauts_files
from workflow.lib.sources import axis_of


def check_dissimilarity(config: Mapping) -> None:
    """Check sources, embeddings and models of every entry."""
    folders: dict[str, str] = {}
    for name, entry in config["dissimilarity"].items():
        where = f"config, dissimilarity.{name}"
        _check_source(where, name, entry, config)
        _check_embeddings(where, entry["embeddings"])
        for model, block in entry["models"].items():
            _check_model(f"{where}.models.{model}", block, entry)
        if entry["shown_model"]:
            check_name(f"{where}.shown_model", entry["shown_model"], entry["models"])
        if entry["source"] == "simulated":
            _check_simulated_images(where, entry)
            claim_folder(where, name, entry, folders)


def name_subjects(config: Mapping) -> None:
    """Give entries that have the RDMs of a study of `rsa` the subjects of that study."""
    for name, entry in config["dissimilarity"].items():
        if entry["source"] == "rsa":
            entry["subjects"] = _subjects_of_rsa(config["rsa"][name])


def _subjects_of_rsa(study: Mapping) -> list[str]:
    return list(axis_of(study["brain"], "subject").names)


def challenge_folder(entry: Mapping, run: str) -> str:
    """Return the folder with a folder per subject of an entry."""
    if entry["source"] == "simulated":
        return f"{simulated_folder(run)}/{entry['simulation']['folder']}"
    return str(entry["path"])


def challenge_paths(entry: Mapping, run: str) -> list[str]:
    """Return the files of responses and ROIs of an entry.

    The RDMs of a study of `rsa` are that study's.
    """
    if entry["source"] == "rsa":
        return []
    folder = challenge_folder(entry, run)
    named = [part for parts in entry["rois"].values() if parts != ALL for part in parts]
    parts = list(dict.fromkeys(named))
    return [
        file for subject in entry["subjects"] for file in algonauts_files(folder, subject, parts)
    ]


def raw_paths(entry: Mapping, datasets: Mapping[str, Dataset], run: str) -> list[str]:
    """Return the responses, weights and arrays of an entry."""
    blocks = entry["embeddings"].values()
    named = [block.get("weights", "untrained") for block in blocks]
    weights = [weights for weights in named if is_weight_file(weights)]
    given = [block[key] for block in blocks for key in FILE_KEYS if key in block]
    arrays = [file_of_subject(file, subject) for file in given for subject in entry["subjects"]]
    return list(dict.fromkeys(challenge_paths(entry, run) + weights + arrays))


def _check_source(where: str, name: str, entry: Mapping, config: Mapping) -> None:
    source = entry["source"]
    if source == "rsa":
        if name not in config["rsa"]:
            raise InputError(
                f"{where}.source: found rsa, expected a study {name!r} in section `rsa`; give one, "
                "or another source"
            )
        if "stimuli" not in config["rsa"][name]:
            raise InputError(
                f"{where}.source: found rsa.{name} without stimuli, expected the images that its "
                "subjects saw; give them there"
            )
        for subject in entry["subjects"]:
            check_name(f"{where}.subjects", subject, _subjects_of_rsa(config["rsa"][name]))
        for key, given in (
            ("n_images", entry["n_images"]),
            ("images.exclude", entry["images"]["exclude"]),
        ):
            if given:
                raise InputError(
                    f"{where}.{key}: found {given!r:.80} for RDMs, expected it for responses "
                    "alone, for RDMs are of the images they are of; leave it out"
                )
        return
    if name in config["rsa"]:
        raise InputError(
            f"{where}.source: found {source!r} for a study that stands in `rsa`, too, expected "
            "rsa; give it another name"
        )
    check_source(where, entry)
    for key in ("subjects", "rois"):
        if not entry[key]:
            raise InputError(f"{where}.{key}: found none, expected at least one; name some")


def _check_simulated_images(where: str, entry: Mapping) -> None:
    """Check the splits of images of which the number is known before there are any."""
    n_simulated = entry["simulation"]["n_images"]
    n_images = entry["n_images"] or n_simulated
    if n_images > n_simulated:
        raise InputError(
            f"{where}.n_images: found {n_images}, expected at most the {n_simulated} that are "
            "simulated; lower it, or raise simulation.n_images"
        )
    check_sizes(n_images, f"{where}.splits", **asked_sizes(entry))


def _check_embeddings(where: str, embeddings: Mapping) -> None:
    needed = {kind: embedder.keys for kind, embedder in EMBEDDERS.items()} | {JOINED: ("parts",)}
    for name, block in embeddings.items():
        for key in needed[block["kind"]]:
            if not block.get(key):
                raise InputError(
                    f"{where}.embeddings.{name}: found no `{key}`, expected it for the kind "
                    f"{block['kind']}; give it"
                )
        if block["kind"] == "clip" and block["weights"] != "untrained" and "network" not in block:
            raise InputError(
                f"{where}.embeddings.{name}: found weights without `network`, which do not say "
                "with which activation they were trained, expected ViT-B-32-quickgelu (OpenAI's) "
                "or ViT-B-32 (LAION's); give it"
            )
        for key in FILE_KEYS:
            unknown = set(re.findall(r"{\w*}", block.get(key, ""))) - {"{subject}"}
            if unknown:
                raise InputError(
                    f"{where}.embeddings.{name}.{key}: found {min(unknown)} in {block[key]!r}, "
                    "expected no placeholder but {subject}; correct it"
                )
        single = [other for other, of_other in embeddings.items() if of_other["kind"] != JOINED]
        for part in block.get("parts", []):
            check_name(f"{where}.embeddings.{name}.parts", part, single)


def _check_model(where: str, block: Mapping, entry: Mapping) -> None:
    check_name(f"{where}.kind", block["kind"], model_kinds())
    check_options(block["kind"], block["options"], f"{where}.options")
    for variant, options in block["variants"].items():
        check_options(block["kind"], options, f"{where}.variants.{variant}")
    restricted = ["embeddings"] if entry["source"] == "rsa" else ["embeddings", "subjects", "rois"]
    for key in restricted:
        for name in block.get(key, []):
            check_name(f"{where}.{key}", name, entry[key])


SECTION = Section(
    "dissimilarity",
    check=check_dissimilarity,
    raw_paths=raw_paths,
    finish=name_subjects,
    # Models of pairs of a study of that name there, see _check_source.
    beside=("rsa",),
)
