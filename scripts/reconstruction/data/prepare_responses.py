"""Prepare a subject's responses: voxels that can be used, standardised; means over test repeats."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.data.response_files import Recorded
from workflow.lib.errors import InputError
from workflow.lib.sources import TRAINING

log = logging.getLogger("workflow")

# A voxel whose standard deviation is less than this share of its size varies by rounding alone.
SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True)
class Samples:
    """Responses to the images of one part.

    Attributes
    ----------
    responses : float32 array (n_samples, n_voxels)
    names : list of n_samples str
        The image of each sample.
    runs : list of n_samples str
        The run of each sample; "" where it is a mean over several, or not known.
    n_repeats : int array (n_samples,)
        Trials behind each sample: 1 in training.
    """

    responses: np.ndarray
    names: list[str]
    runs: list[str]
    n_repeats: np.ndarray


def prepare_responses(
    recorded: Mapping[str, Recorded], images: ImageTable, *, missing: str
) -> tuple[dict[str, np.ndarray], dict[str, Samples]]:
    """Return the ROIs and the responses of a subject.

    Parameters
    ----------
    recorded : mapping, part -> Recorded
        `training`, and tests.
    images : ImageTable
    missing : "refuse" or "leave_out"
        What is done about voxels that are not a number in some trial.

    Returns
    -------
    rois : dict, name -> bool array (n_voxels,)
    parts : dict, part -> Samples
        Of training, every trial; of tests, the mean over the trials of each image. Both less the
        mean of the training trials of a voxel, in their standard deviations (population).

    Raises
    ------
    InputError
        Files of other voxels, images without a trial or trials without an image, an image of a test
        that is one of training, voxels that are not a number, or none that varies.

    References
    ----------
    Shen et al. 2019, PLOS Comput Biol 15:e1006633: repeats of a test image averaged, voxels
    normalised by the training samples.
    """
    recorded = {part: _shown(trials) for part, trials in recorded.items()}
    training = recorded[TRAINING]
    for part, trials in recorded.items():
        _check_voxels(training, trials)
        _check_images(part, trials, images)
    kept = _numbers(recorded, missing)
    with np.errstate(invalid="ignore"):
        mean = training.voxels.mean(axis=0, dtype=np.float64)
        scale = training.voxels.std(axis=0, dtype=np.float64)
    varying = scale > SMALLEST_SPREAD * np.abs(mean)
    if (kept & ~varying).any():
        log.info("%s: left out %d constant voxels", training.what, (kept & ~varying).sum())
    kept &= varying
    rois = {roi: mask[kept] for roi, mask in training.masks.items()}
    for roi, mask in rois.items():
        if not mask.any():
            raise InputError(
                f"{training.what}, {roi}: found no voxel that varies and is a number in all "
                f"trials, expected some of {training.masks[roi].sum()}; leave the ROI out"
            )
    parts = {}
    for part, trials in recorded.items():
        samples = _trials(trials) if part == TRAINING else _means(trials, images.of(part).names)
        standard = samples.responses[:, kept]
        # In place: whole scans take gigabytes.
        standard -= mean[kept].astype(standard.dtype)
        standard /= scale[kept].astype(standard.dtype)
        parts[part] = replace(samples, responses=standard.astype(np.float32, copy=False))
    return rois, parts


def _shown(trials: Recorded) -> Recorded:
    """Return the trials that show an image."""
    rows = [row for row, name in enumerate(trials.names) if name is not None]
    if len(rows) == len(trials.names):
        return trials
    log.info("%s: left out %d samples of rest", trials.what, len(trials.names) - len(rows))
    return replace(
        trials,
        voxels=trials.voxels[rows],
        names=[trials.names[row] for row in rows],
        runs=[trials.runs[row] for row in rows],
    )


def _check_voxels(training: Recorded, trials: Recorded) -> None:
    for roi, mask in training.masks.items():
        other = trials.masks[roi]
        if not np.array_equal(mask, other):
            raise InputError(
                f"{trials.what}, {roi}: found {other.sum():,} of {other.size:,} voxels, expected "
                f"the {mask.sum():,} of {mask.size:,} of {training.what} in the same order; give "
                "files of the same subject and mask"
            )
    if training.places.shape == trials.places.shape and not np.allclose(
        training.places, trials.places, equal_nan=True
    ):
        raise InputError(
            f"{trials.what}: found voxels at other places than in {training.what}, expected the "
            "same ones; give files of the same subject and mask"
        )


def _check_images(part: str, trials: Recorded, images: ImageTable) -> None:
    known, found = set(images.of(part).names), set(trials.names)
    both = found & set(images.of(TRAINING).names) if part != TRAINING else set()
    if both:
        raise InputError(
            f"{trials.what}: found {min(both)!r} ({len(both)} of {len(found)} images) among the "
            "training images, too, expected others, for a decoder would have seen them; leave "
            "these trials out"
        )
    if known != found:
        odd = min(known ^ found)
        told = "trials of" if odd in found else "no trial of"
        raise InputError(
            f"{trials.what}: found {told} {odd!r} ({len(known ^ found)} such images), expected "
            f"trials of the {len(known)} images that are prepared; prepare the images again"
        )


def _numbers(recorded: Mapping[str, Recorded], missing: str) -> np.ndarray:
    """Return which voxels are numbers in every trial, bool array (n_voxels,)."""
    kept = np.ones(recorded[TRAINING].voxels.shape[1], bool)
    for trials in recorded.values():
        # A sum is a number where all that it is of are.
        good = np.isfinite(trials.voxels.sum(axis=0, dtype=np.float64))
        if missing == "refuse" and not good.all():
            of_roi = {roi: int((mask & ~good).sum()) for roi, mask in trials.masks.items()}
            told = ", ".join(f"{n} of {roi}" for roi, n in of_roi.items() if n)
            raise InputError(
                f"{trials.what}: found {(~good).sum():,} of {good.size:,} voxels that are not a "
                f"number in some trial ({told}), expected numbers; set responses.missing to "
                "leave_out to go on without them, or mend the file"
            )
        kept &= good
    if not kept.all():
        log.info("left out %d of %d voxels that are not a number", (~kept).sum(), kept.size)
    return kept


def _trials(trials: Recorded) -> Samples:
    return Samples(trials.voxels, list(trials.names), trials.runs, np.ones(len(trials.names), int))


def _means(trials: Recorded, names: list[str]) -> Samples:
    """Return the mean of the trials of each image, in the order of the names."""
    row_of = {name: row for row, name in enumerate(names)}
    image = np.array([row_of[name] for name in trials.names])
    sums = np.zeros((len(names), trials.voxels.shape[1]))
    np.add.at(sums, image, trials.voxels)
    counts = np.bincount(image, minlength=len(names))
    return Samples(sums / counts[:, None], names, [""] * len(names), counts)
