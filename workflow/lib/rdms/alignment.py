"""Putting the conditions of several files into one order, by name and never by position.

rsatoolbox compares RDMs without looking at their pattern names: two files in different order
give a plausible, wrong number. Every RDM of this workflow passes through this module first.
"""

import itertools
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from workflow.lib.errors import InputError

# BOLD5000 marks repeated presentations of an image by this prefix.
REPEAT_PREFIX = "rep_"
IMAGE_SUFFIXES = {"bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp"}


def normalised_name(name: str) -> str:
    """Return an image name without folder, repeat prefix, extension and case.

    Accents are composed: macOS hands out file names in which e and its accent are two characters.

    >>> normalised_name("COCO/rep_COCO_train2014_000000000003.JPG")
    'coco_train2014_000000000003'
    """
    return _split_name(name)[-1]


def normalised_in_folder(name: str) -> str:
    """Return an image name as `normalised_name` does, with the last folder if there is one.

    >>> normalised_in_folder("/data/Dog/1.png"), normalised_in_folder("1.png")
    ('dog/1', '1')
    """
    return "/".join(_split_name(name)[-2:])


def _split_name(name: str) -> tuple[str, ...]:
    """Return the folders and the bare name, normalised."""
    composed = unicodedata.normalize("NFC", name)
    path = PurePosixPath(composed.replace("\\", "/").strip().casefold())
    bare = path.name
    stem, dot, extension = bare.rpartition(".")
    if dot and extension in IMAGE_SUFFIXES:
        bare = stem
    folders = [part for part in path.parts[:-1] if part not in ("/", ".")]
    return *folders, bare.removeprefix(REPEAT_PREFIX)


IN_FOLDER = "normalised in folder"
MATCHING_RULES = {
    "exact": str,
    "normalised": normalised_name,
    IN_FOLDER: normalised_in_folder,
}
# What else to do where names do not match.
ADVICE = {
    "exact": ", or set images.match to normalised",
    "normalised": "",
    IN_FOLDER: " (some are alike but for their folder, so that every file has to give the folder)",
}


def merged_repeats(names: Sequence[str], match: str) -> list[str]:
    """Return names in which those that are matched as one, folders included, are spelled alike.

    Observations of an image and of its repeat are observations of one condition.

    Parameters
    ----------
    names : sequence of str
        Conditions of observations; the first spelling counts.
    match : "exact" or "normalised"

    Examples
    --------
    >>> merged_repeats(["a.jpg", "b.jpg", "rep_a.jpg"], "normalised")
    ['a.jpg', 'b.jpg', 'a.jpg']
    """
    if match == "exact":
        return list(names)
    first: dict[tuple[str, ...], str] = {}
    return [first.setdefault(_split_name(name), name) for name in names]


@dataclass(frozen=True)
class Alignment:
    """The conditions that all files share.

    Attributes
    ----------
    names : tuple of str
        Matched names in the order of the first file: the order of every aligned RDM.
    labels : tuple of str
        The same conditions as the first file spells them.
    unmatched : dict, file -> tuple of str
        Names (as the file spells them) that at least one other file lacks.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    unmatched: dict[str, tuple[str, ...]]


def match_keys(names: Sequence[str], match: str, what: str) -> list[str]:
    """Return the names as they are matched, refusing two that become one.

    Parameters
    ----------
    names : sequence of str
    match : a key of `MATCHING_RULES`
    what : str
        How an error names the file.

    Raises
    ------
    InputError
        Two conditions of the file share a name.
    """
    keys = [MATCHING_RULES[match](name) for name in names]
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    if repeated:
        spelled = [name for name, key in zip(names, keys, strict=True) if key == repeated[0]]
        raise InputError(
            f"{what}: found {len(repeated)} image name(s) more than once (for example "
            f"{' and '.join(map(repr, spelled[:2]))}), expected each once; average repeats "
            "or rename them"
            + (
                ", or set images.match to exact"
                if match != "exact" and len(set(spelled)) > 1
                else ""
            )
        )
    return keys


def align(
    names_by_file: Mapping[str, Sequence[str]],
    *,
    match: str = "exact",
    unmatched: str = "error",
    min_common: int = 3,
) -> Alignment:
    """Find the conditions that all files share.

    Parameters
    ----------
    names_by_file : mapping, file -> names of its conditions in its own order
    match : "exact" or "normalised"
    unmatched : "error" or "drop"
        What to do with a name that some file lacks.
    min_common : int
        Fewest shared conditions to go on with.

    Raises
    ------
    InputError
        Duplicate names, unmatched names where `unmatched` is "error", or too few in common.
    """
    if match == "normalised" and _folders_matter(names_by_file):
        match = IN_FOLDER
    keys_by_file = {file: match_keys(names, match, file) for file, names in names_by_file.items()}
    alignment = _common_names(names_by_file, keys_by_file)
    if len(alignment.names) < min_common:
        advice = (
            f"compare how the files spell them{ADVICE[match]}"
            if any(alignment.unmatched.values())
            else "all files hold the same, so lower images.min_common (config/README.md has the "
            "least), or give more images"
        )
        sentence = _too_few_sentence(len(alignment.names), keys_by_file, min_common)
        raise InputError(f"{sentence}; {advice}")
    if unmatched == "error" and any(alignment.unmatched.values()):
        sentence = _unmatched_sentence(alignment.unmatched, names_by_file, keys_by_file)
        raise InputError(
            f"{sentence}; correct the names{ADVICE[match]}, or, to go on with the common ones "
            "alone, set images.unmatched to drop"
        )
    return alignment


def _common_names(
    names_by_file: Mapping[str, Sequence[str]], keys_by_file: Mapping[str, Sequence[str]]
) -> Alignment:
    """Return what all files share, in the order of the first, and what each has beside it.

    Parameters
    ----------
    names_by_file : mapping, file -> names as it spells them
    keys_by_file : mapping, file -> the same names as they are matched
    """
    common = set.intersection(*(set(keys) for keys in keys_by_file.values()))
    pairs_by_file = {
        file: list(zip(keys, names_by_file[file], strict=True))
        for file, keys in keys_by_file.items()
    }
    kept = [(key, name) for key, name in next(iter(pairs_by_file.values())) if key in common]
    return Alignment(
        names=tuple(key for key, _ in kept),
        labels=tuple(name for _, name in kept),
        unmatched={
            file: tuple(name for key, name in pairs if key not in common)
            for file, pairs in pairs_by_file.items()
        },
    )


def _too_few_sentence(
    n_common: int, keys_by_file: Mapping[str, Sequence[str]], min_common: int
) -> str:
    """Return how many names all files share, and how many each has."""
    counts = ", ".join(f"{file} has {len(keys)}" for file, keys in keys_by_file.items())
    examples = " and ".join(repr(keys[0]) for keys in list(keys_by_file.values())[:2])
    return (
        f"found {n_common} image names common to all files ({counts}; for example "
        f"{examples}), expected at least {min_common} (images.min_common)"
    )


def _folders_matter(names_by_file: Mapping[str, Sequence[str]]) -> bool:
    """Return whether normalised names need their last folder to be told apart.

    They do where a file holds two of one name in different folders, or where two files that know
    the same folders put a name into different ones. Folders that only one file knows, such as the
    one that all its images lie in, say nothing of the image.
    """
    found: dict[str, dict[str, str]] = {}
    for file, names in names_by_file.items():
        folders = found.setdefault(file, {})
        for name in names:
            *rest, bare = _split_name(name)
            if folders.setdefault(bare, rest[-1] if rest else "") != (rest[-1] if rest else ""):
                return True
    known = {file: {*folders.values()} - {""} for file, folders in found.items()}
    return any(
        own[bare] != others[bare] and {own[bare], others[bare]} & known[file] & known[other]
        for (file, own), (other, others) in itertools.combinations(found.items(), 2)
        for bare in own.keys() & others.keys()
    )


def _unmatched_sentence(
    lost: Mapping[str, Sequence[str]],
    names_by_file: Mapping[str, Sequence[str]],
    keys_by_file: Mapping[str, Sequence[str]],
) -> str:
    """Return which file holds which name that which other file lacks.

    The name that the fewest files hold is the likeliest to be misspelled.
    """
    holders = Counter(key for keys in keys_by_file.values() for key in keys)
    spelled = {
        key: (file, name)
        for file, keys in keys_by_file.items()
        for key, name in zip(keys, names_by_file[file], strict=True)
        if name in lost[file]
    }
    rarest = min(spelled, key=lambda key: holders[key])
    file, name = spelled[rarest]
    lacking = next(other for other, keys in keys_by_file.items() if rarest not in keys)
    return (
        f"{file}: found {len(lost[file])} image name(s) that another file lacks (for example "
        f"{name!r}, which {lacking} lacks), expected the same names in all files"
    )


def rule_of_names(common: Sequence[str], match: str) -> str:
    """Return the key of `MATCHING_RULES` by which names were matched, as in `Alignment.names`."""
    folders_matter = match == "normalised" and any("/" in name for name in common)
    return IN_FOLDER if folders_matter else match


def positions(common: Sequence[str], names: Sequence[str], *, match: str, what: str) -> np.ndarray:
    """Return where each common name stands in a file.

    Parameters
    ----------
    common : matched names, as in `Alignment.names`
    names : names of the file's conditions in its own order

    Returns
    -------
    int array (len(common),)

    Raises
    ------
    InputError
        The file repeats a name or lacks one.
    """
    rule = rule_of_names(common, match)
    where = {key: index for index, key in enumerate(match_keys(names, rule, what))}
    missing = [name for name in common if name not in where]
    if missing:
        raise InputError(
            f"{what}: found no image {missing[0]!r} ({len(missing)} of {len(common)} are "
            "missing), expected every common image; the file changed since the images were "
            "aligned: run again"
        )
    return np.array([where[name] for name in common], dtype=np.int64)
