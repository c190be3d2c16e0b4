"""Support vector regression with a Gaussian kernel on symmetric features of pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from sklearn.kernel_approximation import Nystroem
from sklearn.svm import LinearSVR

from scripts.dissimilarity.learning.least_squares import moments_of
from scripts.dissimilarity.learning.pair_features import (
    blocks,
    check_forms,
    image_folds,
    pair_features,
    some_pairs,
)
from scripts.dissimilarity.learning.pair_models import Items, Training
from workflow.lib.pairs.sampling import Pairs
from workflow.lib.seeds import generator

# Held out to choose by, one of so many folds of images, where there are no validation pairs.
N_FOLDS = 5
# Newton's method takes about ten.
MAX_ITERATIONS = 1000


@dataclass
class Model:
    """A linear support vector machine on a Nystroem map of features of pairs.

    Attributes
    ----------
    forms : sequence of str
        Keys of `scripts.dissimilarity.learning.pair_features.FORMS`.
    n_components : int
        Training pairs, drawn at random, to which the kernel compares a pair.
    gamma : float
        The kernel is exp(-gamma * mean squared difference of the features of pairs, scaled to unit
        variance).
    costs : sequence of float
        Of errors against flatness (C), of which that of least squared error on the validation
        pairs is taken; without these, on pairs among held-out training images.
    epsilon : float
        Errors below it are free; in standard deviations of the dissimilarities.
    max_pairs : int
        Learned from, random ones if there are more.

    References
    ----------
    Drucker et al. 1996, Adv Neural Inf Process Syst 9:155; Williams & Seeger 2000, Adv Neural Inf
    Process Syst 13:682; Ho & Lin 2012, J Mach Learn Res 13:3323 (squared errors beyond epsilon).
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)
    leaked: ClassVar[bool] = True
    stepwise: ClassVar[bool] = False
    symmetric: ClassVar[bool] = True

    forms: Sequence[str] = ("absolute", "product")
    n_components: int = 100
    gamma: float = 0.3
    costs: Sequence[float] = (0.01, 0.1, 1.0, 10.0)
    epsilon: float = 0.1
    max_pairs: int = 20_000
    view: "View" = field(init=False, repr=False)
    machine: LinearSVR = field(init=False, repr=False)
    mean: float = field(init=False, repr=False)
    spread: float = field(init=False, repr=False)

    def fit(self, training: Training) -> None:
        """Choose the cost and learn the weights.

        Raises
        ------
        InputError
            A form that there is not.
        """
        check_forms(self.forms)
        features = training.items.features
        pairs = some_pairs(training.pairs, self.max_pairs, training)
        self.mean, self.spread = float(pairs[2].mean()), float(pairs[2].std()) or 1.0
        rng = generator(training.seed, training.purpose, "landmarks")
        self.view = View.of(
            features, pairs, self.forms, self.gamma, n_components=self.n_components, rng=rng
        )
        seen, target = self.view(features, *pairs[:2]), (pairs[2] - self.mean) / self.spread
        fits, checked, truth = self._choice(training, features, pairs, (seen, target))
        errors = [
            ((self._machine(cost, *fits).predict(checked) - truth) ** 2).sum()
            for cost in self.costs
        ]
        self.machine = self._machine(self.costs[int(np.argmin(errors))], seen, target)

    def predict(self, items: Items, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the dissimilarity of images `first` and `second`, (n,) float64."""
        predicted = np.empty(len(first))
        for block in blocks(len(first)):
            seen = self.view(items.features, first[block], second[block])
            predicted[block] = self.machine.predict(seen)
        return self.mean + self.spread * predicted

    def _choice(
        self,
        training: Training,
        features: np.ndarray,
        pairs: Pairs,
        learned: tuple[np.ndarray, np.ndarray],
    ) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
        """Return what to fit with while the cost is chosen, and the pairs to choose it by."""
        if training.validation is not None:
            first, second, values = some_pairs(
                training.validation, self.max_pairs, training, "validation"
            )
            return learned, self.view(features, first, second), (values - self.mean) / self.spread
        held_out = image_folds(training.pairs.images, N_FOLDS, training)[0]
        n_held_out = sum(np.isin(side, held_out).astype(int) for side in pairs[:2])
        seen, target = learned
        kept, out = n_held_out == 0, n_held_out == 2
        return (seen[kept], target[kept]), seen[out], target[out]

    def _machine(self, cost: float, seen: np.ndarray, target: np.ndarray) -> LinearSVR:
        # Squared errors beyond epsilon can be solved for in the primal, without random order.
        machine = LinearSVR(
            C=cost,
            epsilon=self.epsilon,
            loss="squared_epsilon_insensitive",
            dual=False,
            max_iter=MAX_ITERATIONS,
        )
        return machine.fit(seen, target)


@dataclass(frozen=True)
class View:
    """Features of pairs, scaled, and compared to those of some pairs by the kernel.

    Attributes
    ----------
    forms : of the features of pairs
    means, spreads : float64 arrays (n_pair_features,)
        Of the training pairs.
    kernel : Nystroem, fitted
    """

    forms: Sequence[str]
    means: np.ndarray
    spreads: np.ndarray
    kernel: Nystroem

    @classmethod
    def of(
        cls,
        features: np.ndarray,
        pairs: Pairs,
        forms: Sequence[str],
        gamma: float,
        *,
        n_components: int,
        rng: np.random.Generator,
    ) -> "View":
        """Return the view of training pairs, which is compared to random ones of them."""
        first, second, values = pairs
        moments = moments_of(features, pairs, forms, np.zeros(values.size, np.int64))[0]
        spreads = np.sqrt(np.maximum(np.diagonal(moments.covariance)[:-1], 0))
        spreads = np.where(spreads > 0, spreads, 1)
        means = moments.means[:-1]
        chosen = rng.choice(values.size, min(n_components, values.size), replace=False)
        landmarks = pair_features(features, first[chosen], second[chosen], forms)
        kernel = Nystroem(gamma=gamma / means.size, n_components=chosen.size, random_state=0)
        return cls(forms, means, spreads, kernel.fit((landmarks - means) / spreads))

    def __call__(self, features: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the mapped features of pairs, (n_pairs, n_components)."""
        parts = [
            self.kernel.transform(
                (pair_features(features, first[block], second[block], self.forms) - self.means)
                / self.spreads
            )
            for block in blocks(len(first))
        ]
        return np.concatenate(parts)
