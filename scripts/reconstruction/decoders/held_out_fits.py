"""One model per fold and one of all training images: who predicts what of a decoder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.data.responses import Responses
from scripts.reconstruction.decoders.folds import shuffled_images
from scripts.reconstruction.decoders.samples import ImageSamples, Standardiser, part_samples
from workflow.lib.pairs.splits import ImageFold
from workflow.lib.seeds import generator
from workflow.lib.sources import TRAINING
from workflow.lib.splits.held_out import HeldOut, fitted_to_all


@dataclass(frozen=True)
class DecoderInputs:
    """The samples of every part, as one decoder takes them.

    Attributes
    ----------
    images : mapping, part -> ImageTable
    samples : mapping, part -> ImageSamples
    """

    images: Mapping[str, ImageTable]
    samples: Mapping[str, ImageSamples]


@dataclass(frozen=True)
class ImageParts:
    """What a model learns from and what it stops by.

    Attributes
    ----------
    trained, validated : int arrays
        Training images.
    """

    trained: np.ndarray
    validated: np.ndarray


# ImageSamples to learn from, samples to stop by, and the name of the fit -> predictions of samples,
# arrays (n_samples, ...) by name; what is decoded is called "predicted".
Predictor = Callable[[np.ndarray], Mapping[str, np.ndarray]]
Fit = Callable[[ImageSamples, ImageSamples, str], Predictor]


def read_inputs(
    table: ImageTable,
    responses: Responses,
    *,
    trials: bool,
    shuffled: bool,
    seed: int,
    study: str,
) -> DecoderInputs:
    """Return the samples of all parts.

    Parameters
    ----------
    table : ImageTable
    responses : Responses
        Of one subject.
    trials : bool
        Whether a model learns from single trials, and not from the mean over those of an image.
    shuffled : bool
        The control: responses are those to other images of the same part.
    seed : int
    study : str

    Raises
    ------
    InputError
        See `part_samples`.
    """
    images = {part: table.of(part) for part in responses.parts}
    samples = {}
    for part, own in images.items():
        found = part_samples(responses, part, own, average=not trials)
        if shuffled:
            rng = generator(seed, "reconstruction", "shuffled", study, responses.subject, part)
            found = found.relabelled(shuffled_images(own.groups, rng))
        samples[part] = found
    return DecoderInputs(images, samples)


def held_out_predictions(
    inputs: DecoderInputs, folds: Sequence[ImageFold], fit: Fit
) -> dict[str, HeldOut]:
    """Return predictions of every image by a model that saw no response to it.

    Parameters
    ----------
    inputs : DecoderInputs
    folds : sequence of ImageFold
        Of the training images; those of the first also say what the last model, of all training
        images, stops by.
    fit : callable
        ImageSamples to learn from, samples to stop by, and a name that seeds follow from.

    Returns
    -------
    dict, part -> HeldOut
        Of the mean response to each image.

    Notes
    -----
    Voxels are scaled by the samples that are learned from. Training images are predicted out of
    fold, since a generator that learned from shapes and categories fitted to its own images would
    learn to trust them more than those of new images deserve.
    """
    learned = inputs.samples[TRAINING]
    predicted = {part: samples.averaged() for part, samples in inputs.samples.items()}
    own = predicted.pop(TRAINING)
    found: dict[str, np.ndarray] = {}
    fold_of = np.empty(len(own), np.int16)
    for fold in folds:
        predict = _fitted(learned, fold, fit, f"fold {fold.number}")
        rows = np.flatnonzero(np.isin(own.image, fold.tested))
        fold_of[rows] = fold.number
        for name, values in predict(own.responses[rows]).items():
            whole = found.setdefault(name, np.empty((len(own), *values.shape[1:]), np.float32))
            whole[rows] = values
    names = _names(own, inputs.images[TRAINING])
    held_out = {TRAINING: HeldOut(names, found.pop("predicted"), fold_of, found)}
    first = folds[0]
    everything = ImageParts(np.concatenate([first.trained, first.tested]), first.validated)
    predict = _fitted(learned, everything, fit, "all")
    for part, samples in predicted.items():
        names = _names(samples, inputs.images[part])
        held_out[part] = fitted_to_all(names, **predict(samples.responses))
    return held_out


def _fitted(samples: ImageSamples, parts: ImageFold | ImageParts, fit: Fit, name: str) -> Predictor:
    training, validation = samples.of(parts.trained), samples.of(parts.validated)
    scale = Standardiser.of(np.concatenate([training.responses, validation.responses]))
    predict = fit(
        ImageSamples(scale(training.responses), training.image),
        ImageSamples(scale(validation.responses), validation.image),
        name,
    )
    return lambda others: predict(scale(others))


def _names(samples: ImageSamples, images: ImageTable) -> list[str]:
    return [images.names[row] for row in samples.image]
