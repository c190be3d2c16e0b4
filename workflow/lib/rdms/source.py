"""Reading the RDMs of a config block, one at a time and in the common order of images."""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow.lib.arrays.text import listed_names
from workflow.lib.errors import InputError
from workflow.lib.rdms.alignment import positions
from workflow.lib.rdms.files import open_rdm_file
from workflow.lib.rdms.rdm_file import IF_NO_RDMS, RDMFile
from workflow.lib.rdms.vectors import take_conditions
from workflow.lib.sources import Axis, axes_of, files_of, items_of


def names_by_file(source: Mapping, folder: Path) -> dict[str, list[str]]:
    """Return the names of the conditions of every file of a source, without reading its RDMs.

    Returns
    -------
    dict, file -> list of str in the file's own order
    """
    first_items = {item.file: item for item in reversed(items_of(source))}
    found = {}
    for file in files_of(source):
        item = first_items[file]
        with open_rdm_file(folder / file, key=item.key, field=source.get("field")) as rdm_file:
            found[file] = condition_names(rdm_file, source["conditions"], folder)
    return found


def read_aligned(
    source: Mapping,
    folder: Path,
    images: Sequence[str],
    *,
    match: str,
    fixed: Mapping[str, str] | None = None,
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield every RDM of a source over the common images.

    Parameters
    ----------
    source : a config block, see `workflow.lib.sources`
    folder : folder of the raw files
    images : matched names in the common order, see `workflow.lib.rdms.alignment.align`
    match : "exact" or "normalised"
    fixed : labels to restrict the source to, for example {"subject": "CSI1"}

    Yields
    ------
    labels : dict, placeholder -> label
    vector : float array (n_pairs,), condensed
    """
    axes = axes_of(source)
    items = items_of(source, fixed)
    for (file, key), group in itertools.groupby(items, lambda item: (item.file, item.key)):
        with open_rdm_file(folder / file, key=key, field=source.get("field")) as rdm_file:
            names = condition_names(rdm_file, source["conditions"], folder)
            order = positions(images, names, match=match, what=rdm_file.what)
            for item in group:
                index = _locate(rdm_file, axes, item.labels)
                yield item.labels, take_conditions(rdm_file.vector(index, names), order)


def averaged(
    rdms: Iterable[tuple[dict[str, str], np.ndarray]], over: str, n: int
) -> Iterator[tuple[dict[str, str], np.ndarray]]:
    """Yield the mean over one label, holding a running sum per remaining label only.

    Parameters
    ----------
    rdms : iterable of (labels, vector)
    over : the label to average over, such as "session"
    n : how many RDMs make one mean

    Yields
    ------
    labels : dict without `over`
    vector : float64 array (n_pairs,)
    """
    sums: dict[tuple[str, ...], tuple[np.ndarray, int]] = {}
    for labels, vector in rdms:
        rest = {name: label for name, label in labels.items() if name != over}
        total, count = sums.pop(tuple(rest.values()), (0.0, 0))
        total, count = total + vector.astype(np.float64), count + 1
        if count == n:
            yield rest, total / n
        else:
            sums[tuple(rest.values())] = (total, count)


def condition_names(rdm_file: RDMFile, conditions: Mapping, folder: Path) -> list[str]:
    """Return the names of a file's conditions from where the config says they stand.

    Raises
    ------
    InputError
        Their number is not the number of conditions of the RDMs.
    """
    origin = conditions["from"]
    if origin == "order":
        return [conditions["pattern"].format(i + 1) for i in range(rdm_file.n_conditions)]
    if origin == "list":
        names = listed_names(folder / conditions["file"], conditions.get("column"))
    else:
        names = rdm_file.stored_names(conditions.get("key"))
    if len(names) != rdm_file.n_conditions:
        raise InputError(
            f"{rdm_file.what}: found {len(names)} names for RDMs of {rdm_file.n_conditions} "
            "conditions, expected one name for each; check `conditions` in the config"
            f"{IF_NO_RDMS}"
        )
    return names


def _locate(rdm_file: RDMFile, axes: Sequence[Axis], labels: Mapping[str, str]) -> tuple[int, ...]:
    """Return the index, along the file's axes, of the one RDM with these labels."""
    shape = rdm_file.shape
    matching = np.ones(shape, dtype=bool)
    for axis in axes:
        if axis.origin == "axis":
            matching &= _on_axis(rdm_file, axis, labels[axis.placeholder])
        elif axis.origin == "descriptor":
            matching &= _with_descriptor(rdm_file, axis, labels[axis.placeholder])
    found = np.argwhere(matching)
    if len(found) != 1:
        wanted = ", ".join(f"{name} {label}" for name, label in labels.items())
        raise InputError(
            f"{rdm_file.what}: found {len(found)} RDMs for {wanted} (axes over RDMs: {shape}), "
            "expected exactly one; describe each of these axes, and no other, by `from: axis` or "
            f"`from: descriptor` (axes of length one do not count){IF_NO_RDMS}"
        )
    return tuple(int(position) for position in found[0])


def _on_axis(rdm_file: RDMFile, axis: Axis, label: str) -> np.ndarray:
    shape = rdm_file.shape
    number = axis.axis or 0
    # A file with a single RDM has lost that axis; then there is nothing to choose.
    is_first = not axis.mapped or axis.value(label) == "0"
    if math.prod(shape) == 1 and len(axis.names) == 1 and is_first:
        return np.ones(shape, dtype=bool)
    if number >= len(shape):
        raise InputError(
            f"{rdm_file.what}: found RDMs along {len(shape)} axes of lengths {shape}, expected the "
            f"{axis.placeholder}s along axis {number}; correct `axis` (counted from 0 over the "
            "axes that tell RDMs apart, without the two of the images and those of length one), or "
            "say `from: constant` if the file holds one only"
        )
    position = int(axis.value(label)) if axis.mapped else axis.names.index(label)
    if axis.mapped and not 0 <= position < shape[number]:
        raise InputError(
            f"{rdm_file.what}: found {shape[number]} RDMs along axis {number}, expected a position "
            f"of 0 to {shape[number] - 1} for the {axis.placeholder} {label!r}, not {position}; "
            "correct `names` in the config"
        )
    if not axis.mapped and len(axis.names) != shape[number]:
        raise InputError(
            f"{rdm_file.what}: found {shape[number]} RDMs along axis {number}, expected "
            f"{len(axis.names)} because the config names that many {axis.placeholder}s; name all, "
            "or give some as a mapping of name to position (counted from 0)"
        )
    along = np.arange(shape[number]) == position
    return along.reshape([-1 if i == number else 1 for i in range(len(shape))])


def _with_descriptor(rdm_file: RDMFile, axis: Axis, label: str) -> np.ndarray:
    descriptors = rdm_file.descriptors
    # rsatoolbox adds a running index; it numbers RDMs, not sessions or subjects.
    searched = [name for name in descriptors if name != "index"]
    for spelling in (str, _letters_and_digits):
        wanted = {spelling(value) for value in axis.values}
        chosen: dict[str, list[bool]] = {}
        for name in [axis.descriptor] if axis.descriptor else searched:
            found = [spelling(value) for value in descriptors.get(name, ())]
            if wanted <= set(found):
                value = spelling(axis.value(label))
                chosen[name] = [other == value for other in found]
        if chosen:
            return _the_only(chosen, axis, rdm_file)
    listed = "; ".join(
        f"{name}: {', '.join(repr(str(value)) for value in values[:12])}"
        for name, values in descriptors.items()
    )
    expected = repr(axis.descriptor) if axis.descriptor else "one"
    raise InputError(
        f"{rdm_file.what}: found the RDM descriptors {listed or 'none'}; expected {expected} with "
        f"the {axis.placeholder}s {', '.join(map(repr, axis.values))}; correct the names, or map "
        "each to its spelling in the file"
    )


def _the_only(chosen: Mapping[str, list[bool]], axis: Axis, rdm_file: RDMFile) -> np.ndarray:
    """Return the RDMs that a descriptor chooses, refusing descriptors that choose others."""
    own = {name: mask for name, mask in chosen.items() if axis.placeholder in name.casefold()}
    masks = list((own or chosen).values())
    if any(mask != masks[0] for mask in masks):
        raise InputError(
            f"{rdm_file.what}: found the {axis.placeholder}s in several RDM descriptors "
            f"({', '.join(own or chosen)}), expected one; name it by `descriptor` in the config"
        )
    return np.array(masks[0]).reshape(rdm_file.shape)


def _letters_and_digits(text: str) -> str:
    """Return text as compared when spellings differ: 'LH_EarlyVis' is 'lhearlyvis'.

    Something between two digits stays: 'layer1.0' and 'layer1_0' are one, 'layer10' is another.
    """
    joined = re.sub(r"(?<=\d)[\W_]+(?=\d)", ".", text.casefold())
    return re.sub(r"(?<!\d)[\W_]+|[\W_]+(?!\d)", "", joined)
