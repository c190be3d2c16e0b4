"""Test pairs of images with what was predicted of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PairPredictions:
    """Test pairs of a fold with what was predicted of them.

    All pairs among some images, or all pairs of one image of the left and one of the right: what
    permutations of images can be applied to. Folds of pairs dealt out at random are such only
    together.

    Attributes
    ----------
    first, second : int arrays (n_pairs,)
        Where a left image was seen in training and a right one was not, left images come first.
    true, predicted : float arrays (n_pairs,)
    """

    first: np.ndarray
    second: np.ndarray
    true: np.ndarray
    predicted: np.ndarray


def joined(tests: Sequence[PairPredictions]) -> PairPredictions:
    """Return the pairs of several folds as those of one."""
    fields = ("first", "second", "true", "predicted")
    return PairPredictions(
        *(np.concatenate([getattr(test, field) for test in tests]) for field in fields)
    )


def symmetry_error(
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray], first: np.ndarray, second: np.ndarray
) -> float:
    """Return the largest |f(a, b) - f(b, a)| over some pairs.

    Parameters
    ----------
    predict : function of two int arrays (n,) that returns predictions (n,)
    first, second : int arrays (n,)
    """
    return float(np.abs(predict(first, second) - predict(second, first)).max(initial=0))
