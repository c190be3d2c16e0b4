"""Scores of reconstructions: image by image, and means with intervals over images.

Subjects saw the same images, so that one resample of the images serves all of them. Intervals speak
of new images seen by the same subjects; there are too few subjects to speak of new ones. Copies of
an image count as one image, see `workflow.lib.scores.copies`.
"""

import logging
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from scripts.reconstruction.data.image_table import MIN_IMAGES
from scripts.reconstruction.evaluation.measure_names import IDENTIFICATION, PIXELS
from workflow.lib.errors import InputError
from workflow.lib.inference.counts import image_counts
from workflow.lib.inference.held_out_null import WIDENING
from workflow.lib.inference.variance import interval, one_factor_variance, share_interval
from workflow.lib.scores.copies import of_different, over_copies, with_different_images
from workflow.lib.scores.identification import (
    identification_null,
    identified,
    means_in_orders,
    permutation_p,
    resampled_identification,
)
from workflow.lib.scores.images import (
    correlations,
    pixel_correlation,
    root_mean_square_error,
    structural_similarities,
)

# Measures of an image by itself, and what of them is better than nothing.
MEASURES = {
    "pixel_correlation": pixel_correlation,
    "ssim": structural_similarities,
    "rmse": root_mean_square_error,
}

log = logging.getLogger("workflow")


@dataclass(frozen=True)
class Reconstructions:
    """What one generator made of a subject's responses to the images of a test.

    Attributes
    ----------
    scores : DataFrame
        A column per measure, a row per image.
    similarities : mapping, features -> float array (n_images, n_images)
        Of every reconstruction (rows) with every true image, by pixels and by networks.
    """

    scores: pd.DataFrame
    similarities: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls, made: np.ndarray, true: np.ndarray, by_networks: Mapping[str, np.ndarray]
    ) -> "Reconstructions":
        """Return the scores of images.

        Parameters
        ----------
        made, true : uint8 arrays (n_images, side, side, 3)
        by_networks : mapping, features -> float array (n_images, n_images)
        """
        scores = {name: measure(made, true) for name, measure in MEASURES.items()}
        return cls(pd.DataFrame(scores), {PIXELS: correlations(made, true), **by_networks})


@dataclass(frozen=True)
class Evaluation:
    """How means over images are tested.

    Attributes
    ----------
    groups : int array (n_images,)
        Copies of one image.
    counts : int array (n_resamples, n_different)
        How often each different image is drawn.
    n_way : sequence of int
    n_permutations : int
    seed : int
        Of the permutations, which are the same for all generators and subjects.
    folds : array (n_images,)
        Of the models that predicted. Images are compared with those of their fold, and change
        places with them, alone: a model has learned from those of all others.
    """

    groups: np.ndarray
    counts: np.ndarray
    n_way: Sequence[int]
    n_permutations: int
    seed: int
    folds: np.ndarray

    @classmethod
    def of(
        cls,
        groups: np.ndarray,
        *,
        n_bootstrap: int,
        n_permutations: int,
        n_way: Sequence[int],
        rng: np.random.Generator,
        folds: np.ndarray | None = None,
    ) -> "Evaluation":
        """Return the evaluation of images, of one fold if none are given.

        Of several folds some may hold fewer than n_way different images: identification among as
        many is left out, with a warning.

        Raises
        ------
        InputError
            Fewer than `MIN_IMAGES` different images.
        """
        n_groups = np.unique(groups).size
        if n_groups < MIN_IMAGES:
            raise InputError(
                f"evaluation: found {n_groups} different test images, expected at least "
                f"{MIN_IMAGES}; give more"
            )
        counts = image_counts(n_groups, n_bootstrap, rng)
        folds = np.zeros(len(groups), int) if folds is None else np.asarray(folds)
        n_way = _possible_ways(n_way, of_different(folds, groups))
        return cls(groups, counts, n_way, n_permutations, int(rng.integers(2**31)), folds)

    @property
    def n_different(self) -> int:
        """How many images differ."""
        return self.counts.shape[1]

    @property
    def dof(self) -> int:
        """Different images, less one."""
        return self.n_different - 1

    def resampled(self, scores: np.ndarray) -> np.ndarray:
        """Return the mean over different images (n_different,) in every resample."""
        return self.counts @ scores / self.counts.sum(axis=1)

    def against(self, expected: float, null: np.ndarray) -> np.ndarray | None:
        """Return a null as a value is held against it.

        Parameters
        ----------
        expected : float
            The mean over all orders.
        null : float array (n_orders,)
            The observed value first.

        Returns
        -------
        float array (n_orders,) or None
            Of several folds, which learn from one another, all but the observed value are wider, so
            that p is a bound: see `workflow.lib.inference.held_out_null.widened`. Of 600 data sets
            with nothing to decode (ridge of four penalties, 60 images in five folds) p <= 0.05 of
            two-way identification came up in 1 to 4 % by the penalty, of the correlation of pixels
            in 2 to 7 %; without widening in 1 to 10 % and in 9 to 15 %. None where no two images
            share a fold.
        """
        if not self.has_chance:
            return None
        if np.unique(self.folds).size == 1:
            return null
        return np.concatenate([null[:1], expected + WIDENING * (null[1:] - expected)])

    @property
    def has_chance(self) -> bool:
        """Whether two different images share a fold, and can change places."""
        fold_of = of_different(self.folds, self.groups)
        return np.unique(fold_of).size < fold_of.size


def _possible_ways(n_way: Sequence[int], fold_of: np.ndarray) -> list[int]:
    """Return among how many images each may be identified, given the fold of each different one."""
    sizes = np.unique(fold_of, return_counts=True)[1]
    if sizes.size == 1:
        return list(n_way)
    left_out = [n for n in n_way if n > sizes.min()]
    if left_out:
        log.warning(
            "evaluation.n_way: found a fold of %d different training images, which are compared "
            "within folds; their identification among %s is left out",
            *(sizes.min(), ", ".join(map(str, left_out))),
        )
    return [n for n in n_way if n not in left_out]


@dataclass(frozen=True)
class Mean:
    """A mean over images, and what it would be for others.

    Attributes
    ----------
    measure, features, n_way : what it is of; features and n_way of identification alone
    value : float
    draws : float array (n_resamples,)
    null : float array (n_orders,) or None
        Under permutations of the images, the observed value first.
    chance : float
        NaN where there is none.
    is_share : bool
        A share of cases, which lies between 0 and 1.
    """

    measure: str
    features: str
    n_way: int | None
    value: float
    draws: np.ndarray
    null: np.ndarray | None
    chance: float
    is_share: bool

    @property
    def key(self) -> tuple[str, str, int | None]:
        """What tells it from other means."""
        return self.measure, self.features, self.n_way

    def row(self, evaluation: Evaluation) -> dict[str, object]:
        """Return a row of the table of means."""
        low, high = self._limits(evaluation)
        return {
            "measure": self.measure,
            "features": self.features,
            "n_way": self.n_way,
            "value": self.value,
            "low": low,
            "high": high,
            "p": np.nan if self.null is None else permutation_p(self.null),
            "chance": self.chance,
            "n_images": len(evaluation.groups),
            "n_different": evaluation.n_different,
        }

    def _limits(self, evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
        variance = one_factor_variance(self.draws, evaluation.n_different)
        if self.is_share:
            return share_interval(self.value, variance, evaluation.n_different)
        return interval(self.value, variance, evaluation.dof)


def means(made: Reconstructions, evaluation: Evaluation) -> Iterator[Mean]:
    """Yield the means over images of every measure, and of identification.

    The correlation of pixels is tested as identification is; what SSIM and RMSE are by chance
    depends on how bright and smooth images are, and is given by the control of shuffled responses.
    """
    for measure, of_images in made.scores.items():
        scores = over_copies(of_images.to_numpy(), evaluation.groups)
        draws, null = evaluation.resampled(scores), None
        if measure == "pixel_correlation":
            expected, null = matched_null(made.similarities[PIXELS], evaluation)
            null = evaluation.against(expected, null)
        yield Mean(measure, PIXELS, None, scores.mean(), draws, null, np.nan, is_share=False)
    for features, similarities in made.similarities.items():
        for n_way in evaluation.n_way:
            null = identification_null(
                similarities,
                evaluation.groups,
                n_way=n_way,
                n_permutations=evaluation.n_permutations,
                rng=np.random.default_rng(evaluation.seed),
                folds=evaluation.folds,
            )
            draws = resampled_identification(
                similarities, evaluation.groups, evaluation.counts, n_way, evaluation.folds
            )
            yield Mean(
                *(IDENTIFICATION, features, n_way, null[0], draws),
                evaluation.against(1 / n_way, null),
                1 / n_way,
                is_share=True,
            )


def over_subjects(by_subject: Sequence[Sequence[Mean]]) -> list[Mean]:
    """Return the means over subjects of their means over the same images."""
    return [
        Mean(
            *same[0].key,
            value=np.mean([mean.value for mean in same]),
            draws=np.mean([mean.draws for mean in same], axis=0),
            null=None if same[0].null is None else np.mean([mean.null for mean in same], axis=0),
            # Not numpy's: the mean of equal chances is then that chance to the last digit.
            chance=statistics.mean(float(mean.chance) for mean in same),
            is_share=same[0].is_share,
        )
        for same in zip(*by_subject, strict=True)
    ]


def differences(
    ours: Sequence[Mean], theirs: Sequence[Mean], evaluation: Evaluation
) -> Iterator[dict[str, object]]:
    """Yield rows on how much larger means are than others over the same images.

    Yields
    ------
    dict
        measure, features, n_way, difference, low, high, p (two-sided, t over images).
    """
    for left, right in zip(ours, theirs, strict=True):
        difference = left.value - right.value
        variance = one_factor_variance(left.draws - right.draws, evaluation.n_different)
        low, high = interval(difference, variance, evaluation.dof)
        error = np.sqrt(variance)
        p = 2 * student.sf(abs(difference) / error, evaluation.dof) if error > 0 else np.nan
        yield {
            "measure": left.measure,
            "features": left.features,
            "n_way": left.n_way,
            "difference": difference,
            "low": low,
            "high": high,
            "p": p,
            "n_images": len(evaluation.groups),
            "n_different": evaluation.n_different,
        }


def image_table(made: Reconstructions, names: Sequence[str], groups: np.ndarray) -> pd.DataFrame:
    """Return the scores of every image: name, the measures, and identified_<features> (two-way)."""
    shares = {
        f"identified_{features}": identified(similarities, groups)
        for features, similarities in made.similarities.items()
    }
    return pd.concat(
        [pd.Series(list(names), name="name"), made.scores, pd.DataFrame(shares)], axis=1
    )


def matched_null(similarities: np.ndarray, evaluation: Evaluation) -> tuple[float, np.ndarray]:
    """Return the mean over images of their similarity with the image they are given to.

    Parameters
    ----------
    similarities : float array (n_images, n_images)
    evaluation : Evaluation

    Returns
    -------
    expected : float
        The mean over all orders there are: of each image, over all of its fold.
    null : float64 array (n_orders,)
        With their own images first, see `means_in_orders`. Copies of an image change places
        together, and images those of their fold.
    """
    groups, fold_of = evaluation.groups, of_different(evaluation.folds, evaluation.groups)
    values = over_copies(with_different_images(similarities, groups), groups)
    together = fold_of[:, np.newaxis] == fold_of
    expected = np.average(values, axis=1, weights=together).mean()
    rng = np.random.default_rng(evaluation.seed)
    null = means_in_orders(values, n_permutations=evaluation.n_permutations, rng=rng, folds=fold_of)
    return float(expected), null


def named(rows: Iterator[dict[str, object]], **names: str) -> list[dict[str, object]]:
    """Return rows that begin with what they are about, such as the generator and the subject."""
    return [{**names, **row} for row in rows]
