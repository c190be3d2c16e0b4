"""Emotion x emotion RDMs: of responses, of what observers wrote, and of when emotions were shown.

All stand over the same classes in the same order, condensed as everywhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scripts.emotions.data.timeseries import TimeSeries
from scripts.emotions.labelling.annotations import AFFECT
from scripts.emotions.labelling.labels import COUNT, Labels
from workflow.lib.errors import InputError
from workflow.lib.rdms.distances import pattern_distances

# What one end of each scale of affect counts; the other is its opposite.
POSITIVE = {"arousal": "HIGH", "valence": "POS"}
# Fewest runs for a distance that noise of no run can enlarge.
MIN_RUNS = 2


@dataclass(frozen=True)
class ClassMeans:
    """Mean responses to the classes in every run, and the noise around them.

    Attributes
    ----------
    means : float64 array (n_runs, n_classes, n_features)
        Zero where a run does not show a class.
    counts : int array (n_runs, n_classes)
        Volumes behind each mean.
    noise : float64 array (n_features,)
        Variance around the means.
    """

    means: np.ndarray
    counts: np.ndarray
    noise: np.ndarray


def class_means(series: TimeSeries, labels: Labels) -> ClassMeans:
    """Return the means of a subject, reading one run at a time.

    Parameters
    ----------
    series : responses
    labels : of the same runs

    Raises
    ------
    InputError
        Fewer volumes than means, so that nothing says how large the noise is.
    """
    runs, n_classes = labels.runs, len(labels.classes)
    means = np.zeros((len(runs), n_classes, series.n_features))
    counts = np.zeros((len(runs), n_classes), dtype=int)
    squares = np.zeros(series.n_features)
    volumes = labels.table["volume"].to_numpy(int)
    for place, run in enumerate(runs):
        rows = labels.of_run(run)
        rows = rows[labels.labelled[rows]]
        codes = labels.codes[rows]
        values = series.rows(run, volumes[rows]).astype(np.float64)
        for code in np.unique(codes):
            of_class = values[codes == code]
            means[place, code] = of_class.mean(axis=0)
            counts[place, code] = len(of_class)
            squares += ((of_class - means[place, code]) ** 2).sum(axis=0)
    dof = int(counts.sum() - np.count_nonzero(counts))
    if dof < 1:
        raise InputError(
            f"{series.path.name}: found {counts.sum()} labelled volumes in "
            f"{np.count_nonzero(counts)} pairs of run and emotion, expected several of some; "
            "lower labels.min_observers"
        )
    return ClassMeans(means, counts, squares / dof)


def channel_distances(of: ClassMeans, classes: Sequence[str]) -> np.ndarray:
    """Return cross-validated squared distances between the classes, channel by channel.

    Parameters
    ----------
    of : means of the classes in every run
    classes : their names, for errors

    Returns
    -------
    float64 array (n_pairs, n_features)
        In units of the noise variance of each channel; NaN in one without noise. The mean over
        the channels of a region is the region's crossnobis distance with diagonal noise
        normalisation.

    Raises
    ------
    InputError
        A class that fewer than two runs show.

    Notes
    -----
    d_ij = g_ii + g_jj - 2 g_ij, where g_ij is the mean of x_ri x_sj over ordered pairs of runs
    r != s, weighted by the volumes n_ri n_sj behind them. Noise of different runs is independent,
    so that it adds nothing on average, and the distance may be negative. Where every run shows
    every class equally often this is `workflow.lib.rdms.distances.crossnobis_distances`, fold by
    fold and averaged. Movies show some emotions in some runs alone, or in one volume of them, which
    without weights would count as much as a hundred.

    References
    ----------
    Walther et al. 2016, Reliability of dissimilarity measures for multi-voxel pattern analysis,
    NeuroImage 137:188.
    """
    shown = of.counts > 0
    for name, n_runs in zip(classes, shown.sum(axis=0), strict=True):
        if n_runs < MIN_RUNS:
            raise InputError(
                f"{name}: found it in {n_runs} run(s), expected at least {MIN_RUNS} for distances "
                "that are cross-validated over runs; leave it out of labels.classes or lower "
                "labels.min_observers"
            )
    first, second = np.triu_indices(len(classes), 1)
    own = _between_runs(of, np.arange(len(classes)), np.arange(len(classes)))
    distances = own[first] + own[second] - 2 * _between_runs(of, first, second)
    return distances / np.where(of.noise > 0, of.noise, np.nan)


def _between_runs(of: ClassMeans, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the mean products of two classes over pairs of volumes of different runs.

    Returns
    -------
    float64 array (n_pairs, n_features)
    """
    weighted = of.means * of.counts[:, :, np.newaxis]
    sums, sizes = weighted.sum(axis=0), of.counts.sum(axis=0)
    within = np.einsum("rip,rip->ip", weighted[:, first], weighted[:, second])
    n_within = (of.counts[:, first] * of.counts[:, second]).sum(axis=0)
    n_pairs = sizes[first] * sizes[second] - n_within
    return (sums[first] * sums[second] - within) / n_pairs[:, np.newaxis]


def affect_distances(annotations: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """Return how far apart emotions lie in arousal and valence, as observers wrote them.

    Parameters
    ----------
    annotations : DataFrame, see `scripts.emotions.labelling.annotations.read_observers`
    classes : emotions

    Returns
    -------
    float64 array (n_pairs,)
        Euclidean, from the means over rows that name an emotion: HIGH and POS count 1, LOW and NEG
        -1, empty cells not.

    Raises
    ------
    InputError
        An emotion of which no row says arousal or valence.
    """
    return pattern_distances(affect_of(annotations, classes).to_numpy(), "euclidean")


def affect_of(annotations: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return mean arousal and valence (-1 to 1) of each emotion, a row per emotion."""
    rows = annotations.explode("emotions")
    means = {}
    for scale, words in AFFECT.items():
        known = rows[rows[scale].isin(words)]
        coded = known[scale].eq(POSITIVE[scale]).astype(float) * 2 - 1
        means[scale] = coded.groupby(known["emotions"]).mean().reindex(classes)
    table = pd.DataFrame(means, index=list(classes))
    lacking = table.index[table.isna().any(axis=1)]
    if len(lacking):
        raise InputError(
            f"{lacking[0]}: found no row of an observer with its arousal and valence, expected "
            "some; leave it out of labels.classes"
        )
    return table


def cooccurrence_distances(labels: Labels) -> np.ndarray:
    """Return how rarely observers see two emotions at once: 1 - Jaccard of their counts.

    Returns
    -------
    float64 array (n_pairs,)
        1 - sum_t min(c_it, c_jt) / sum_t max(c_it, c_jt), c_it being the number of observers who
        see emotion i at volume t, over used volumes (Ruzicka).
    """
    counts = labels.table.loc[labels.used, [f"{COUNT}{name}" for name in labels.classes]]
    return _one_minus_shared(counts.to_numpy(float).T)


def run_distances(labels: Labels) -> np.ndarray:
    """Return how differently emotions are spread over runs, a control.

    Returns
    -------
    float64 array (n_pairs,)
        1 - Jaccard of their shares of labelled volumes by run: zero for the same shares, 1 for
        emotions that no run has both of.
    """
    places = pd.Categorical(labels.table["run"], categories=list(labels.runs)).codes
    shares = np.zeros((len(labels.classes), len(labels.runs)))
    np.add.at(shares, (labels.codes[labels.labelled], places[labels.labelled]), 1.0)
    return _one_minus_shared(shares / shares.sum(axis=1, keepdims=True))


def _one_minus_shared(amounts: np.ndarray) -> np.ndarray:
    """Return 1 - sum of minima / sum of maxima of all pairs of rows, (n_pairs,)."""
    first, second = np.triu_indices(len(amounts), 1)
    least, most = (
        function(amounts[first], amounts[second]).sum(axis=1)
        for function in (np.minimum, np.maximum)
    )
    return 1 - least / most
