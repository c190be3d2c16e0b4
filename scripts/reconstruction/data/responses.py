"""The responses of one subject over the voxels of a decoder, as it reads them from raw files.

Every decoder prepares its own, so that it depends on its own ROIs alone: with a file of all ROIs,
one more of them would train every network of the study again.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.data.prepare_responses import Samples, prepare_responses
from scripts.reconstruction.data.response_files import open_responses

log = logging.getLogger("workflow")


@dataclass(frozen=True)
class Responses:
    """The prepared responses of one subject, over the union of some ROIs, each voxel once.

    Attributes
    ----------
    subject : str
    parts : dict, part -> Samples
        training first, and the tests.
    """

    subject: str
    parts: dict[str, Samples]


def read_responses(
    files: Mapping[str, str | Path],
    images: ImageTable,
    *,
    subject: str,
    rois: Mapping[str, str],
    options: Mapping,
) -> Responses:
    """Return the responses of a subject.

    Parameters
    ----------
    files : mapping, part -> file of responses
        training first.
    images : ImageTable
        Of all parts.
    subject : str
    rois : mapping, name -> how the format selects its voxels
    options : mapping
        How files are read, see `open_responses`, and `missing`, see `prepare_responses`.

    Raises
    ------
    InputError
        See `prepare_responses`.
    """
    recorded = {
        part: open_responses(path, part, options).read(rois) for part, path in files.items()
    }
    found, parts = prepare_responses(recorded, images, missing=options["missing"])
    counts = {roi: np.count_nonzero(mask) for roi, mask in found.items()}
    log.info("voxels: %s", ", ".join(f"{n:,} of {roi}" for roi, n in counts.items()))
    return Responses(subject, parts)
