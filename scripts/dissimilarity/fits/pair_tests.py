"""What a fitted model of pairs says of the pairs that it is tested on."""

from functools import partial

import numpy as np

from scripts.dissimilarity.learning.pair_models import Items, PairModel
from workflow.lib.pairs.predictions import PairPredictions, symmetry_error
from workflow.lib.pairs.sampling import Pairs, PairSet

# Pairs that the order of their images is turned of, for the symmetry error.
TURNED_PAIRS = 1000


def predict(model: PairModel, items: Items, pairs: PairSet) -> np.ndarray:
    """Return the predictions of all pairs of a set, float64 (n_pairs,)."""
    return np.concatenate([model.predict(items, *images) for *images, _ in pairs.blocks()])


def asymmetry(model: PairModel, items: Items, pairs: PairSet) -> float:
    """Return the error of symmetry over some pairs of a set."""
    some = np.arange(0, len(pairs), -(-len(pairs) // TURNED_PAIRS))
    first, second, _ = pairs.at(some)
    return symmetry_error(partial(model.predict, items), first, second)


def with_truth(pairs: PairSet, predicted: np.ndarray) -> PairPredictions:
    """Return predictions (n_pairs,) of all pairs of a set beside what was measured of them."""
    # Millions of pairs take half the memory so.
    first, second, values = (
        np.concatenate(part) for part in zip(*map(_narrow, pairs.blocks()), strict=True)
    )
    return PairPredictions(first, second, values, predicted)


def _narrow(pairs: Pairs) -> Pairs:
    first, second, values = pairs
    return first.astype(np.int32), second.astype(np.int32), values
