"""Every image has an effect, and the dissimilarity of two is the sum of theirs.

How much of the dissimilarities is due to single images: those with weak responses are far from all
others in correlation, those with strong ones in Euclidean distance. Knowing the images of a test
pair from other pairs (leaked split) is enough for it; of unseen images it knows nothing.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import lsqr

from scripts.dissimilarity.learning.pair_features import some_pairs
from scripts.dissimilarity.learning.pair_models import Items, Training
from workflow.lib.errors import InputError

TOLERANCE = 1e-12


@dataclass
class Model:
    """d(a, b) = mean + u_a + u_b, with the mean effect for images that no training pair has.

    Attributes
    ----------
    penalty : float
        Squared effects times this are added to the summed squared errors: an effect is shrunk as
        if so many pairs of its image had been at the mean.
    max_pairs : int
        Learned from, random ones if there are more.

    Notes
    -----
    Least squares on the sparse matrix with a row per pair and two ones in it, by LSQR (Paige &
    Saunders 1982, ACM Trans Math Softw 8:43), which needs a few iterations only: with all pairs of
    n images its Gram matrix is (n - 2) I + 11'.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    leaked: ClassVar[bool] = True
    stepwise: ClassVar[bool] = False
    symmetric: ClassVar[bool] = True

    penalty: float = 1.0
    max_pairs: int = 2_000_000
    mean: float = field(init=False, repr=False)
    effects: np.ndarray = field(init=False, repr=False)

    def fit(self, training: Training) -> None:
        """Learn the mean and the effects.

        Raises
        ------
        InputError
            A negative penalty.
        """
        if self.penalty < 0:
            raise InputError(
                f"additive: found a penalty of {self.penalty:g}, expected 0 or more; correct the "
                "model's options"
            )
        first, second, values = some_pairs(training.pairs, self.max_pairs, training)
        values = values.astype(np.float64)
        self.mean = float(values.mean())
        seen = np.union1d(first, second)
        rows, ones = np.arange(values.size), np.ones(values.size)
        has = scipy.sparse.csr_array(
            (np.tile(ones, 2), (np.tile(rows, 2), np.searchsorted(seen, np.r_[first, second])))
        )
        found = lsqr(
            has,
            values - self.mean,
            damp=np.sqrt(self.penalty),
            atol=TOLERANCE,
            btol=TOLERANCE,
        )[0]
        self.effects = np.full(training.pairs.n_images, found.mean())
        self.effects[seen] = found

    def predict(self, items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the dissimilarity of images `first` and `second`, (n,) float64."""
        return self.mean + (self.effects[first] + self.effects[second])
