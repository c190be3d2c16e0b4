"""The best layer's similarity on images that did not choose it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from workflow.lib.inference.folds import compare_varying, mean_of_defined
from workflow.lib.rdms.vectors import take_conditions


@dataclass(frozen=True)
class HeldOutLayers:
    """The layer chosen on training images, and its similarity on the others.

    Attributes
    ----------
    chosen : int array (n_splits, n_brains)
        Layer with the largest similarity among the training images of each split; -1 where the
        brain RDM does not vary over them.
    held_out : float64 array (n_splits, n_brains)
        Its similarity over pairs of test images; NaN where no layer was chosen, or the brain RDM
        does not vary over these.
    frequency : float64 array (n_brains, n_layers)
        Share of the splits with a choice that chose each layer; NaN without any.
    similarity : float64 array (n_brains,)
        Mean of `held_out` over the splits that have it.
    optimistic : float64 array (n_brains,)
        Largest similarity over the same test pairs, averaged: what choosing the layer on the very
        images that score it would report. Over the same splits.
    """

    chosen: np.ndarray
    held_out: np.ndarray
    frequency: np.ndarray
    similarity: np.ndarray
    optimistic: np.ndarray


def held_out_layers(
    models: np.ndarray,
    brains: np.ndarray,
    name: str,
    *,
    n_images: int,
    folds: Sequence[np.ndarray],
    averaged: Callable[[np.ndarray], np.ndarray] | None = None,
) -> HeldOutLayers:
    """Choose each ROI's best layer on some images and score it on the rest, fold by fold.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    brains : float array (n_brains, n_pairs)
    name : str
        A comparator.
    n_images : int
    folds : sequence of int arrays
        Test images of each split, from `workflow.lib.inference.folds.rdm_folds`, once or more.
    averaged : callable (n_models, n_brains) -> (n_layers, n_brains), optional
        Mean over the members of a layer, see `workflow.lib.rsa.model_layers`.

    Notes
    -----
    Training pairs are those among training images, test pairs those among test images; pairs
    between the two are used by neither. Splits overlap: their spread is no standard error.

    References
    ----------
    Kriegeskorte et al. 2009, Circular analysis in systems neuroscience, Nat Neurosci 12:535;
    Storrs et al. 2021, J Cogn Neurosci 33:2044.
    """
    chosen, held_out, largest = [], [], []
    for test in folds:
        train = np.setdiff1d(np.arange(n_images), test)
        scores, test_scores = (
            _similarities(models, brains, name, images, averaged) for images in (train, test)
        )
        best = np.where(np.isnan(scores).any(axis=0), -1, scores.argmax(axis=0))
        of_best = test_scores[best, np.arange(len(best))]
        chosen.append(best)
        held_out.append(np.where(best < 0, np.nan, of_best))
        largest.append(np.where(best < 0, np.nan, test_scores.max(axis=0)))
    chose = np.stack(chosen)[..., np.newaxis] == np.arange(len(scores))
    return HeldOutLayers(
        chosen=np.stack(chosen),
        held_out=np.stack(held_out),
        frequency=mean_of_defined(np.where(chose.any(axis=-1, keepdims=True), chose, np.nan)),
        similarity=mean_of_defined(held_out),
        optimistic=mean_of_defined(largest),
    )


def _similarities(
    models: np.ndarray,
    brains: np.ndarray,
    name: str,
    images: np.ndarray,
    averaged: Callable[[np.ndarray], np.ndarray] | None,
) -> np.ndarray:
    """Return the similarities of every layer over pairs of some images, (n_layers, n_brains)."""
    left, right = (
        np.stack([take_conditions(vector, images) for vector in vectors])
        for vectors in (models, brains)
    )
    similarities = compare_varying(left, right, name)
    return similarities if averaged is None else averaged(similarities)
