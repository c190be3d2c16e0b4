"""How well predicted probabilities tell emotions, under any weights of the volumes' labels.

One set of labels, a thousand of them shifted along the movie, and a thousand resamples of its
episodes are all weights W (n_classes, K, n_rows): how much each moment counts as each class, in
each of K cases. Confusions are then W N, with N the predicted classes of all subjects, and the area
under the ROC curve of a class follows, within each run and fold, from

    U = sum_ij W_i G_ij V_j,    pairs = sum_ij W_i T_ij V_j,

where W_i are the weights of volumes of the class and V_j those of all other classes, T_ij the
number of subjects in which both volumes were tested in one fold, and G_ij the number of these in
which the class is more probable in volume i than in j (ties count half). Sums of U and of pairs
over runs give the mean of the areas weighted by positives times negatives; a run without the class,
or with no other, adds nothing.

Volumes of different folds are scored by different decoders, and are not compared: what a fold tests
more of a class, its decoder has learned less of, so that the area of a decoder that knows no more
than how frequent classes are would lie below 0.5 (Forman & Scholz 2010; Airola et al. 2011).

References
----------
Airola et al. 2011, An experimental comparison of cross-validation techniques for estimating the
area under the ROC curve, Comput Stat Data Anal 55:1828; Forman & Scholz 2010, Apples-to-apples in
cross-validation studies, ACM SIGKDD Explor 12:49;
Hanley & McNeil 1982, The meaning and use of the area under a receiver operating characteristic
(ROC) curve, Radiology 143:29; Brier 1950, Mon Weather Rev 78:1; Naeini et al. 2015, Obtaining well
calibrated probabilities using Bayesian binning, AAAI (expected calibration error); Fawcett 2006,
An introduction to ROC analysis, Pattern Recognit Lett 27:861 (vertical averaging).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scripts.emotions.decoding.predictions import UNTESTED, Predictions
from scripts.emotions.labelling.labels import Labels
from workflow.lib.errors import InputError

ACCURACY, BALANCED, AUC = "accuracy", "balanced_accuracy", "auc"
MEASURES = (ACCURACY, BALANCED, AUC)
# Cases whose pooled areas are computed together, so that they fit into memory.
AT_A_TIME = 128
# Bins of the probability of the chosen class.
N_BINS = 10
# False-positive rates at which ROC curves of runs are averaged.
RATES = np.linspace(0, 1, 101)


# Weights


def class_weights(codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Return weights of volumes that count once, as the class that they have.

    Parameters
    ----------
    codes : int array (K, n_rows)
        Place among the classes, -1 for none.
    n_classes : int

    Returns
    -------
    float32 array (n_classes, K, n_rows)
    """
    return (codes == np.arange(n_classes)[:, None, None]).astype(np.float32)


def shifted_codes(labels: Labels, shifts: np.ndarray) -> np.ndarray:
    """Return the codes of labels that come later by so many volumes, in a circle in each run.

    As `scripts.emotions.labelling.labels.shifted`, for many shifts at once.

    Parameters
    ----------
    labels : Labels
    shifts : int array (K, n_runs)
        Of the runs in the order of `labels.runs`.

    Returns
    -------
    int array (K, n_rows)
    """
    codes = np.full((len(shifts), labels.n_rows), -1)
    own = labels.codes
    for run, by in zip(labels.runs, shifts.T, strict=True):
        rows = labels.of_run(run)
        rows = rows[labels.used[rows]]
        source = (np.arange(rows.size) - by[:, None]) % rows.size
        codes[:, rows] = own[rows[source]]
    return codes


def min_volumes(seconds: float, tr: float) -> int:
    """Return the fewest volumes that a shift of so many seconds takes, at least one."""
    return max(1, math.ceil(seconds / tr - 1e-9))


def draw_shifts(
    labels: Labels, n_shifts: int, *, fewest: int, rng: np.random.Generator
) -> np.ndarray:
    """Return random shifts of runs, each at least so many volumes from either end of the circle.

    Returns
    -------
    int array (n_shifts, n_runs)

    Raises
    ------
    InputError
        A run that is too short to be shifted so far.
    """
    lengths = [int(labels.used[labels.of_run(run)].sum()) for run in labels.runs]
    for run, length in zip(labels.runs, lengths, strict=True):
        if length < 2 * fewest:
            raise InputError(
                f"inference.min_shift: found {length} used volumes in run {run}, expected at least "
                f"{2 * fewest} to shift labels by {fewest} or more; lower it"
            )
    # A shift by as many volumes as a run has is the one by none.
    drawn = [
        rng.integers(fewest, length - max(fewest, 1), size=n_shifts, endpoint=True)
        for length in lengths
    ]
    return np.stack(drawn, axis=1)


def episode_weights(labels: Labels, counts: np.ndarray, episodes: np.ndarray) -> np.ndarray:
    """Return weights of volumes that count as often as their episode was drawn.

    Parameters
    ----------
    labels : Labels
    counts : int array (K, n_episodes)
    episodes : int array (n_rows,)
        Place of each volume's episode, -1 where it is not labelled.

    Returns
    -------
    float32 array (n_classes, K, n_rows)
    """
    times = np.append(counts, np.zeros((len(counts), 1), counts.dtype), axis=1)[:, episodes]
    own = class_weights(labels.codes[None], len(labels.classes))
    return own * times.astype(np.float32)


# Scores


@dataclass(frozen=True)
class Scores:
    """Scores of one model and split in K cases.

    Attributes
    ----------
    accuracy, balanced_accuracy, auc : float arrays (K,)
        Share of volumes classified correctly, mean over classes of that of each, mean area over
        classes.
    class_auc : float array (K, n_classes)
        NaN of a class that no run has beside another.
    confusion : float array (K, n_classes, n_classes)
        Weight of the volumes of a class (rows) predicted as each (columns).
    """

    accuracy: np.ndarray
    balanced_accuracy: np.ndarray
    auc: np.ndarray
    class_auc: np.ndarray
    confusion: np.ndarray


class Evaluated:
    """The predictions of a model in a split, ready to be scored under any weights.

    Parameters
    ----------
    predictions : Predictions
    labels : Labels
        Of the same rows.
    subjects : sequence of int, optional
        Whose predictions to take; all if not given.

    Raises
    ------
    InputError
        Other classes, or another number of volumes.
    """

    def __init__(
        self, predictions: Predictions, labels: Labels, subjects: Sequence[int] | None = None
    ) -> None:
        check_rows(predictions, labels)
        own = slice(None) if subjects is None else list(subjects)
        self.n_classes = len(labels.classes)
        self.probabilities = predictions.probabilities[own]
        self.fold = predictions.fold[own]
        tested = predictions.tested[own]
        taken = predictions.chosen[own]
        self._predicted_as = np.stack(
            [(taken == code).sum(axis=0) for code in range(self.n_classes)], axis=1
        ).astype(np.float32)
        rows = (labels.of_run(run) for run in labels.runs)
        self._runs = [some[tested[:, some].any(axis=0)] for some in rows]

    def scores(self, weights: np.ndarray) -> Scores:
        """Return the scores under weights, float32 (n_classes, K, n_rows)."""
        confusion = np.stack([own @ self._predicted_as for own in weights], axis=1).astype(
            np.float64
        )
        right, sizes = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            accuracy = right.sum(axis=1) / sizes.sum(axis=1)
            per_class = right / sizes
        class_auc = self.class_auc(weights)
        means = (_mean_of_known(values) for values in (per_class, class_auc))
        return Scores(accuracy, *means, class_auc, confusion)

    def class_auc(self, weights: np.ndarray) -> np.ndarray:
        """Return the areas of classes under weights, float64 (K, n_classes)."""
        shape = weights.shape[1], self.n_classes
        above, pairs = np.zeros(shape), np.zeros(shape)
        for rows in self._runs:
            rows = rows[weights[:, :, rows].any(axis=(0, 1))]
            of_run = weights[:, :, rows]
            total = of_run.sum(axis=0)
            together = _scored_together(self.fold[:, rows])
            both = together.sum(axis=0, dtype=np.float32)
            for code, own in enumerate(of_run):
                others = total - own
                more = _comparisons(self.probabilities[:, rows, code], together)
                above[:, code] += np.einsum("kj,kj->k", own @ more, others)
                pairs[:, code] += np.einsum("kj,kj->k", own @ both, others)
        return above / np.where(pairs > 0, pairs, np.nan)


def pooled_areas(predictions: Predictions, labels: Labels, weights: np.ndarray) -> np.ndarray:
    """Return areas under ROC curves over all subjects, runs and folds, as published.

    Telling runs apart counts here, which it does not in `Evaluated.class_auc`.

    Parameters
    ----------
    predictions : Predictions
    labels : Labels
    weights : float32 array (n_classes, K, n_rows)

    Returns
    -------
    float64 array (K, n_classes)
        NaN of a class that does not stand beside another.
    """
    chosen = predictions.tested & labels.labelled
    probabilities, rows = predictions.probabilities[chosen], np.nonzero(chosen)[1]
    areas, total = np.full(weights.shape[1::-1], np.nan), weights.sum(axis=0)
    for code, of_class in enumerate(weights):
        order = np.argsort(probabilities[:, code], kind="stable")
        # Volumes of one probability count half against one another.
        starts = np.flatnonzero(np.diff(probabilities[order, code], prepend=-1) != 0)
        for cases in np.array_split(np.arange(len(total)), -(-len(total) // AT_A_TIME)):
            own, every = (
                np.add.reduceat(values[cases][:, rows[order]], starts, axis=1, dtype=np.float64)
                for values in (of_class, total)
            )
            others = every - own
            pairs = own.sum(axis=1) * others.sum(axis=1)
            above = np.einsum("kj,kj->k", own, np.cumsum(others, axis=1) - others / 2)
            areas[cases, code] = above / np.where(pairs > 0, pairs, np.nan)
    return areas


def check_rows(predictions: Predictions, labels: Labels) -> None:
    """Refuse predictions that are not of the volumes and classes of the labels."""
    n_rows = predictions.fold.shape[1]
    if predictions.classes != labels.classes or n_rows != labels.n_rows:
        raise InputError(
            f"found predictions of {', '.join(predictions.classes)} in {n_rows} volumes, expected "
            f"{', '.join(labels.classes)} in {labels.n_rows} as the labels have them; run the "
            "model again"
        )


def _scored_together(fold: np.ndarray) -> np.ndarray:
    """Return which rows one decoder scored, bool (n_subjects, n_rows, n_rows), of their folds."""
    return (fold[:, :, None] == fold[:, None]) & (fold != UNTESTED)[:, :, None]


def _comparisons(probable: np.ndarray, together: np.ndarray) -> np.ndarray:
    """Return in how many subjects row i exceeds row j, ties half, of rows scored together.

    Parameters
    ----------
    probable : float array (n_subjects, n_rows)
    together : bool array (n_subjects, n_rows, n_rows)
    """
    more = np.zeros(together.shape[1:], np.float32)
    for own, pairs in zip(probable, together, strict=True):
        more += pairs & (own[:, None] > own)
        more += np.float32(0.5) * (pairs & (own[:, None] == own))
    return more


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of what is not NaN; NaN of nothing."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=-1)
    return total / np.where(known.any(axis=-1), known.sum(axis=-1), np.nan)


def scored_together(
    predictions: Predictions, labels: Labels
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the labelled volumes of every subject and run that one decoder scored.

    Yields
    ------
    run : str
    codes : int array (n,)
    probabilities : float32 array (n, n_classes)
    """
    codes = labels.codes
    for run in labels.runs:
        rows = labels.of_run(run)
        rows = rows[codes[rows] >= 0]
        for probable, fold in zip(
            predictions.probabilities[:, rows], predictions.fold[:, rows], strict=True
        ):
            for number in np.unique(fold[fold != UNTESTED]):
                own = fold == number
                yield run, codes[rows][own], probable[own]


def runs_with(predictions: Predictions, labels: Labels) -> np.ndarray:
    """Return in which runs a decoder scored a class and another, bool (n_runs, n_classes).

    The others tell nothing about the class, and are skipped.
    """
    n_classes = len(labels.classes)
    found = pd.DataFrame(False, index=list(labels.runs), columns=range(n_classes))
    for run, codes, _ in scored_together(predictions, labels):
        counts = np.bincount(codes, minlength=n_classes)
        found.loc[run] |= (counts > 0) & (counts < counts.sum())
    return found.to_numpy()


# Curves and calibration


def roc_curves(predictions: Predictions, labels: Labels) -> np.ndarray:
    """Return true-positive rates at `RATES`, float (n_classes, n_rates).

    Mean over the curves of every subject in every run and fold, weighted by positives times
    negatives: the area under it is that of `Evaluated.class_auc`, but for the steps between rates.
    """
    n_classes = len(labels.classes)
    total, weight = np.zeros((n_classes, RATES.size)), np.zeros((n_classes, 1))
    for _, codes, probable in scored_together(predictions, labels):
        for code in range(n_classes):
            positive = codes == code
            pairs = positive.sum() * (~positive).sum()
            if pairs:
                total[code] += pairs * _curve(positive, probable[:, code])
                weight[code] += pairs
    return total / np.where(weight > 0, weight, np.nan)


def _curve(positive: np.ndarray, probable: np.ndarray) -> np.ndarray:
    """Return the true-positive rates of one curve at `RATES`."""
    order = np.argsort(-probable, kind="stable")
    # Volumes of one probability pass the threshold together.
    last = np.append(np.diff(probable[order]) != 0, True)
    true, false = (np.cumsum(kind[order])[last] / kind.sum() for kind in (positive, ~positive))
    return np.interp(RATES, np.append(0, false), np.append(0, true))


def reliability(predictions: Predictions, labels: Labels) -> pd.DataFrame:
    """Return how often the chosen class is right, by how probable the model says it is.

    Returns
    -------
    DataFrame, a row per bin of probability that has volumes
        low, high (of the bin), n (volumes of all subjects), confidence (mean probability), accuracy
    """
    confidence, right = _chosen(predictions, labels)
    edges = np.linspace(0, 1, N_BINS + 1)
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, N_BINS - 1)
    table = pd.DataFrame({"bin": bins, "confidence": confidence, "accuracy": right})
    grouped = table.groupby("bin")
    means = grouped.mean().assign(n=grouped.size()).reset_index()
    means.insert(0, "low", edges[means["bin"]])
    means.insert(1, "high", edges[means["bin"] + 1])
    return means.drop(columns="bin")


def calibration_error(bins: pd.DataFrame) -> float:
    """Return the expected calibration error of a table of `reliability`."""
    gap = (bins["accuracy"] - bins["confidence"]).abs()
    return float((gap * bins["n"]).sum() / bins["n"].sum())


def brier_score(predictions: Predictions, labels: Labels) -> float:
    """Return the mean over volumes of the squared error, summed over classes: 0 to 2."""
    probabilities, codes = _labelled(predictions, labels)
    truth = np.eye(len(labels.classes))[codes]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def _labelled(predictions: Predictions, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and codes of all volumes that were tested and have a label."""
    chosen = predictions.tested & labels.labelled
    codes = np.broadcast_to(labels.codes, chosen.shape)[chosen]
    return predictions.probabilities[chosen].astype(np.float64), codes


def _chosen(predictions: Predictions, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    probabilities, codes = _labelled(predictions, labels)
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == codes
