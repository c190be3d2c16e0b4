"""What a model of pairs sees of two images, the same whichever of them comes first."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from scripts.dissimilarity.learning.pair_models import Training
from workflow.lib.errors import InputError
from workflow.lib.pairs.sampling import Pairs, PairSet
from workflow.lib.seeds import generator

# Pairs whose features exist at a time.
BLOCK = 4096

# No concatenation: a linear model of it is f(a) + g(b), which has `sum` with f = g; and neither
# tells how different two images are.
FORMS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "absolute": lambda a, b: np.abs(a - b),
    "squared": lambda a, b: (a - b) ** 2,
    "product": lambda a, b: a * b,
    "sum": lambda a, b: a + b,
}


def check_forms(forms: Sequence[str]) -> None:
    """Stop at a form that there is not, or none.

    Raises
    ------
    InputError
    """
    if not forms or not set(forms) <= set(FORMS):
        raise InputError(
            f"forms: found {', '.join(forms) or 'none'}, expected one or more of "
            f"{', '.join(FORMS)}; correct the model's options"
        )


def pair_features(
    features: np.ndarray, first: np.ndarray, second: np.ndarray, forms: Sequence[str]
) -> np.ndarray:
    """Return features of pairs.

    Parameters
    ----------
    features : float array (n_images, n_features)
    first, second : int arrays (n_pairs,)
    forms : keys of `FORMS`

    Returns
    -------
    float64 array (n_pairs, len(forms) * n_features)
        Exactly the same for (b, a) as for (a, b).
    """
    a, b = features[first].astype(np.float64), features[second].astype(np.float64)
    return np.concatenate([FORMS[form](a, b) for form in forms], axis=1)


def blocks(n_pairs: int) -> Iterator[slice]:
    """Yield slices of up to `BLOCK` pairs that make up all."""
    for start in range(0, n_pairs, BLOCK):
        yield slice(start, min(start + BLOCK, n_pairs))


def some_pairs(pairs: PairSet, max_pairs: int, training: Training, *purpose: str) -> Pairs:
    """Return all pairs of a set, or so many random ones if it has more.

    Parameters
    ----------
    pairs : PairSet
    max_pairs : int
    training : Training
        Whose seed the draw follows from.
    purpose : str
        Of the draw.
    """
    if len(pairs) <= max_pairs:
        return pairs.all()
    return pairs.draw(generator(training.seed, training.purpose, "pairs", *purpose), max_pairs)


def image_folds(images: np.ndarray, n_folds: int, training: Training) -> list[np.ndarray]:
    """Return random folds of the images that a model is trained with.

    Parameters
    ----------
    images : int array (n,)
    n_folds : int
        At most; a fold has three images or more, so three pairs or more, while there are two folds.
    training : Training
        Whose seed the folds follow from.
    """
    order = generator(training.seed, training.purpose, "folds").permutation(images)
    return np.array_split(order, max(2, min(n_folds, images.size // 3)))
