"""Decode the shape of every picture (grey, without its ground, blurred) by ridge regression.

snakemake --cores 2 results/demo/pictures/models/shapes_early_01.h5
"""

from pathlib import Path

import numpy as np

from scripts.reconstruction.decoders.decoder_job import open_job
from scripts.reconstruction.decoders.held_out_fits import Fit, Predictor
from scripts.reconstruction.decoders.penalties import PENALTY, warn_at_edge
from scripts.reconstruction.decoders.ridge import RidgeSettings, fit_ridge
from scripts.reconstruction.decoders.samples import ImageSamples
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator


def ridge_of_shapes(
    shapes: np.ndarray, groups: np.ndarray, settings: RidgeSettings, *, seed: int, purpose: str
) -> Fit:
    """Return how shapes are fitted to responses.

    Of each image it is told, beside the shape, by which penalty it was predicted: the median over
    pixels, where these have their own.

    Parameters
    ----------
    shapes : float32 array (n_images, side, side)
        Of the training images.
    groups : int array (n_images,)
        Copies of one image.
    settings : RidgeSettings
    seed : int
    purpose : str
        Seeds of the inner folds follow from it.
    """

    def fit(training: ImageSamples, validation: ImageSamples, name: str) -> Predictor:
        # Ridge regression stops by nothing: it learns from the validation images, too.
        image = np.concatenate([training.image, validation.image])
        rng = generator(seed, "reconstruction", "inner folds", purpose, name)
        model = fit_ridge(
            np.concatenate([training.responses, validation.responses]),
            shapes[image].reshape(len(image), -1),
            groups[image],
            settings,
            int(rng.integers(2**31)),
        )
        penalty = float(np.median(model.best_alphas_))
        warn_at_edge(penalty, settings.alphas, f"{purpose}, {name}")
        return lambda others: {
            "predicted": model.predict(others).reshape(len(others), *shapes.shape[1:]),
            PENALTY: np.full(len(others), penalty),
        }

    return fit


if __name__ == "__main__":
    with script_job(snakemake):
        job = open_job(snakemake)
        job.write_predictions(
            Path(snakemake.output[0]),
            ridge_of_shapes(
                job.images.shapes,
                job.images.groups,
                RidgeSettings(**job.decoder["ridge"]),
                seed=job.seed,
                purpose=job.purpose,
            ),
        )
