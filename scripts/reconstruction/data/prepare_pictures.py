"""Bring the images that responses are to into one table: colour, shape, and which are copies.

Inputs: responses (the files of all subjects, part by part), the folder of stimuli.
Output: features/images.npz. Params: options (`responses` of the config), subjects, parts, folder,
stimuli (part -> pattern), tables (part -> table of ids), image (size, matte, blur, background).
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.reconstruction.data.image_files import ImageFolder, named_ids, read_images, sized
from scripts.reconstruction.data.image_table import (
    ImageTable,
    check_n_images,
    write_image_table,
)
from scripts.reconstruction.data.response_files import ArrayResponses, open_responses
from scripts.reconstruction.data.shape_targets import shape_targets
from workflow.lib.errors import InputError
from workflow.lib.features.duplicates import duplicate_groups
from workflow.lib.jobs import script_job
from workflow.lib.sources import TRAINING
from workflow.lib.words import near

log = logging.getLogger("workflow")

# How many copies an error lists.
LISTED = 20


def shown_names(
    files: Mapping[str, Mapping[str, str | Path]], options: Mapping
) -> dict[str, list[str]]:
    """Return the images of each part that are not left out, sorted by name.

    Parameters
    ----------
    files : mapping, part -> {subject: file of responses}
    options : mapping
        The block `responses` of the config.

    Raises
    ------
    InputError
        Subjects saw other images, an image of a test is one of training, too, or none has a name
        that is to be left out.
    """
    left_out = set(options.get("leave_out", ()))
    shown: dict[str, list[str]] = {}
    seen: set[str] = set()
    for part, of_subjects in files.items():
        all_of_them = {
            subject: set(open_responses(path, part, {**options, "leave_out": []}).names()) - {None}
            for subject, path in of_subjects.items()
        }
        seen.update(*all_of_them.values())
        found = {subject: names - left_out for subject, names in all_of_them.items()}
        first, *others = found
        for subject in others:
            _check_same(part, found[first], found[subject], first, subject)
        shown[part] = sorted(found[first])
    for part, names in shown.items():
        both = sorted(set(names) & set(shown[TRAINING])) if part != TRAINING else []
        if both:
            raise InputError(
                f"responses, tests.{part}: found {both[0]!r} ({len(both)} of {len(names)} images) "
                "among the training images, too, expected others, for a decoder would have seen "
                "them; take the test's own file, or name them in `responses.leave_out`"
            )
    if left_out - seen:
        odd = min(left_out - seen)
        raise InputError(
            f"responses.leave_out: found {odd!r} ({len(left_out - seen)} such names), expected "
            f"names of images that are shown{near(odd, sorted(seen))}; correct it"
        )
    return shown


def _check_same(part: str, first: set, other: set, *subjects: str) -> None:
    if first != other:
        odd = min(first ^ other)
        raise InputError(
            f"responses, {part}: found {odd!r} ({len(first ^ other)} such images) for one of the "
            f"subjects {subjects[0]} and {subjects[1]} alone, expected the same images for both; "
            "leave a subject out, give files of the same sessions, or name the images in "
            "`responses.leave_out`"
        )


def prepare_pictures(
    names: Mapping[str, Sequence[str]],
    pictures: Mapping[str, np.ndarray],
    *,
    matte: bool,
    blur: float,
) -> ImageTable:
    """Return the table of all images.

    Parameters
    ----------
    names : mapping, part -> names of its images
    pictures : mapping, part -> uint8 array (n, side, side, 3), in the order of the names
    matte, blur : see `shape_targets`
    """
    images = np.concatenate([pictures[part] for part in names])
    return ImageTable(
        names=[name for of_part in names.values() for name in of_part],
        parts=[part for part, of_part in names.items() for _ in of_part],
        images=images,
        shapes=shape_targets(images, matte=matte, blur=blur),
        groups=duplicate_groups(images),
    )


def check_parts(table: ImageTable) -> None:
    """Refuse images that evaluation would refuse once everything is trained.

    Raises
    ------
    InputError
        A part has too few different images, or a test image is a copy of one of training, or
        nearly.
    """
    training = dict(zip(table.of(TRAINING).groups.tolist(), table.of(TRAINING).names, strict=True))
    for part in [TRAINING, *table.tests]:
        own = table.of(part)
        check_n_images(part, len(set(own.groups.tolist())))
        named = zip(own.names, own.groups.tolist(), strict=True)
        copies = {name: training[group] for name, group in named if group in training}
        if copies and part != TRAINING:
            first, *others = copies
            listed = ", ".join([first, *others][:LISTED])
            more = f" and {len(copies) - LISTED} more" if len(copies) > LISTED else ""
            raise InputError(
                f"{part}: found {len(copies)} of {len(own)} images that are copies of training "
                f"images, or nearly, such as {first} of {copies[first]}, expected others, for a "
                f"decoder would have seen them; name them in `responses.leave_out`: {listed}{more}"
            )


def stimuli_from_files(
    names: Mapping[str, Sequence[str]],
    folder: str | Path,
    patterns: Mapping[str, str],
    *,
    side: int,
    background: int,
    tables: Mapping[str, Mapping] | None = None,
    n_threads: int = 1,
) -> dict[str, np.ndarray]:
    """Return the images of each part from their files, uint8 arrays (n, side, side, 3).

    Parameters
    ----------
    names : mapping, part -> names
    folder : of the patterns
    patterns : mapping, part -> pattern, see `ImageFolder`
    tables : mapping, part -> {file, id, name}, optional
        Tables in the folder that say which file an id stands for, see `named_ids`.
    side, background, n_threads : see `read_images`
    """
    folder = Path(folder)
    known = {
        part: named_ids(folder / table["file"], id_column=table["id"], name_column=table["name"])
        for part, table in (tables or {}).items()
    }
    paths = {
        part: ImageFolder(folder, patterns[part], known.get(part)).find_all(of_part)
        for part, of_part in names.items()
    }
    return {
        part: read_images(of_part, side=side, background=background, n_threads=n_threads)
        for part, of_part in paths.items()
    }


def stimuli_from_arrays(
    files: Mapping[str, str | Path], names: Mapping[str, Sequence[str]], options: Mapping, side: int
) -> dict[str, np.ndarray]:
    """Return the images of each part that stand beside the responses, as `stimuli_from_files`."""
    found = {}
    for part, path in files.items():
        stored = ArrayResponses(Path(path), part, options).images()
        images = [sized(Image.fromarray(stored[name]).convert("RGB"), side) for name in names[part]]
        found[part] = np.array(images, dtype=np.uint8)
    return found


if __name__ == "__main__":
    with script_job(snakemake):
        params, paths = snakemake.params, iter(snakemake.input.responses)
        files = {
            part: {subject: next(paths) for subject in params.subjects} for part in params.parts
        }
        names, image = shown_names(files, params.options), params.image
        if params.options["format"] == "arrays":
            first = {part: next(iter(of_part.values())) for part, of_part in files.items()}
            pictures = stimuli_from_arrays(first, names, params.options, image["size"])
        else:
            pictures = stimuli_from_files(
                names,
                params.folder,
                params.stimuli,
                side=image["size"],
                background=image["background"],
                tables=params.tables,
                n_threads=snakemake.threads,
            )
        table = prepare_pictures(names, pictures, matte=image["matte"], blur=image["blur"])
        check_parts(table)
        log.info("%d images, %d that differ", len(table), len(set(table.groups.tolist())))
        write_image_table(snakemake.output.images, table)
