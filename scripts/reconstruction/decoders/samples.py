"""Responses as decoders take them: a row per image or per trial, and the image of each row."""

from dataclasses import dataclass

import numpy as np

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.data.responses import Responses
from workflow.lib.errors import InputError


@dataclass(frozen=True)
class ImageSamples:
    """Responses to the images of a part.

    Attributes
    ----------
    responses : float32 array (n_samples, n_voxels)
    image : int array (n_samples,)
        Row of each sample's image among the images of the part.
    """

    responses: np.ndarray
    image: np.ndarray

    def __len__(self) -> int:
        return len(self.image)

    def of(self, images: np.ndarray) -> "ImageSamples":
        """Return the samples of some images, in the order of the samples."""
        kept = np.isin(self.image, images)
        return ImageSamples(self.responses[kept], self.image[kept])

    def averaged(self) -> "ImageSamples":
        """Return the mean over the samples of each image, a row per image, sorted by image."""
        images, row, n_samples = np.unique(self.image, return_inverse=True, return_counts=True)
        sums = np.zeros((images.size, self.responses.shape[1]))
        np.add.at(sums, row, self.responses)
        return ImageSamples((sums / n_samples[:, np.newaxis]).astype(np.float32), images)

    def relabelled(self, order: np.ndarray) -> "ImageSamples":
        """Return the samples with the image `order[i]`'s responses given to image i."""
        return ImageSamples(self.responses, np.argsort(order)[self.image])


def part_samples(
    responses: Responses, part: str, images: ImageTable, *, average: bool
) -> ImageSamples:
    """Return the samples of a part, in the order of its images.

    Parameters
    ----------
    responses : Responses
    part : str
    images : ImageTable
        Of the part.
    average : bool
        Whether repeats of an image are averaged.

    Raises
    ------
    InputError
        An image without a response, or a response to an image that the table does not have.
    """
    found = responses.parts[part]
    image = images.positions(found.names)
    missing = np.setdiff1d(np.arange(len(images)), image)
    if missing.size:
        raise InputError(
            f"sub-{responses.subject}, {part}: found no response to {images.names[missing[0]]!r} "
            f"(of {missing.size} of {len(images)} images), expected one to each; prepare the "
            "images again"
        )
    samples = ImageSamples(found.responses, image)
    return samples.averaged() if average else samples


@dataclass(frozen=True)
class Standardiser:
    """Mean and standard deviation of training samples, by which all samples are scaled.

    Attributes
    ----------
    mean, deviation : float32 arrays (n_voxels,)
        A voxel that does not vary over the training samples keeps its size.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, training: np.ndarray) -> "Standardiser":
        """Return what scales training samples (n_samples, n_voxels) to mean 0 and variance 1."""
        mean = training.mean(axis=0, dtype=np.float64)
        deviation = training.std(axis=0, dtype=np.float64)
        # What is left of a constant is rounding.
        constant = deviation <= 1e-6 * np.abs(mean)
        deviation[constant] = 1
        return cls(mean.astype(np.float32), deviation.astype(np.float32))

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        return (samples - self.mean) / self.deviation
