"""Agreement of observers: kappa per emotion and over all, by pairs, and without each observer.

Each emotion is a question that every observer answers in every volume: is it seen or not. An
observer may see several at once, so that agreement over all emotions pools these questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.emotions.labelling.label_rules import Marks, episodes_of, modal_labels
from scripts.emotions.labelling.labels import UNLABELLED
from workflow.lib.errors import InputError

ALL = "all"
COLUMNS = (
    *("statistic", "emotion", "observer", "other", "value", "low", "high"),
    *("n_volumes", "n_shown", "n_labelled", "n_episodes", "n_observers", "n_bootstrap"),
)
QUANTILES = (0.025, 0.975)
# Share of resamples that may lack an emotion, beyond which it has no interval.
MAX_WITHOUT = 0.05
# ASSUME: stretches of a minute are longer than nearly all episodes, and so nearly independent.
BLOCK_SECONDS = 60.0


@dataclass(frozen=True)
class Sums:
    """Sums over volumes of what agreement is made of, float arrays (..., n_emotions).

    Attributes
    ----------
    n_volumes : float array (..., 1)
    seen : observers that see the emotion
    differ : pairs of observers (in both orders) of which one sees the emotion
    n_observers : int
    """

    n_volumes: np.ndarray
    seen: np.ndarray
    differ: np.ndarray
    n_observers: int

    @classmethod
    def of(cls, counts: np.ndarray, n_observers: int, weights: np.ndarray) -> "Sums":
        """Return the sums of counts (n_volumes, n_emotions), weighted (..., n_volumes)."""
        counts = counts.astype(float)
        differ = 2 * counts * (n_observers - counts)
        total = weights.sum(axis=-1, keepdims=True).astype(float)
        return cls(total, weights @ counts, weights @ differ, n_observers)


def fleiss_kappa(sums: Sums) -> np.ndarray:
    """Return Fleiss' kappa of each emotion, and over all of them as the last.

    Returns
    -------
    float array (..., n_emotions + 1)
        NaN where nobody or everybody sees the emotion throughout.

    Notes
    -----
    With p the share of answers that are yes, an emotion's observed disagreement is D_o, the share
    of pairs of answers to one question that differ, and the expected one D_e = 2 p (1 - p):
    kappa = 1 - D_o / D_e. Over all emotions it is 1 - sum D_o / sum D_e, the mean of the emotions'
    weighted by p (1 - p), which is Fleiss' kappa of many categories where everybody names
    exactly one.

    References
    ----------
    Fleiss 1971, Measuring nominal scale agreement among many raters, Psychol Bull 76:378.
    """
    n = sums.n_observers
    yes = sums.seen / (n * sums.n_volumes)
    observed = sums.differ / (n * (n - 1) * sums.n_volumes)
    expected = 2 * yes * (1 - yes)
    return 1 - _ratio(_and_sum(observed), _and_sum(expected))


def specific_agreement(sums: Sums) -> np.ndarray:
    """Return how often another observer sees an emotion that one sees, and over all as the last.

    Returns
    -------
    float array (..., n_emotions + 1)
        NaN where nobody sees the emotion.

    References
    ----------
    Cicchetti & Feinstein 1990, High agreement but low kappa: II, J Clin Epidemiol 43:551.
    """
    others = sums.n_observers - 1
    both = others * sums.seen - sums.differ / 2
    return _ratio(_and_sum(both), _and_sum(others * sums.seen))


def _and_sum(parts: np.ndarray) -> np.ndarray:
    return np.concatenate([parts, parts.sum(axis=-1, keepdims=True)], axis=-1)


def _ratio(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return np.divide(upper, lower, out=np.full_like(upper, np.nan), where=lower > 0)


_STATISTICS = {"fleiss_kappa": fleiss_kappa, "specific_agreement": specific_agreement}


def cohen_kappa(first: np.ndarray, second: np.ndarray) -> float:
    """Return Cohen's kappa of two observers, over all emotions as in `fleiss_kappa`.

    Parameters
    ----------
    first, second : bool array (n_volumes, n_emotions)

    References
    ----------
    Cohen 1960, A coefficient of agreement for nominal scales, Educ Psychol Meas 20:37.
    """
    p, q = first.mean(axis=0), second.mean(axis=0)
    expected = (p * (1 - q) + q * (1 - p)).sum()
    return float(1 - (first != second).mean(axis=0).sum() / expected) if expected else np.nan


def measure_agreement(
    marks: Marks,
    runs: np.ndarray,
    *,
    rule: str,
    min_observers: int,
    tr: float,
    n_bootstrap: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return how well observers agree, a row for each statistic.

    Parameters
    ----------
    marks : of the volumes that take part
    runs : array (n_volumes,), the run of each
    rule, min_observers : of the labels, see `scripts.emotions.labelling.label_rules.modal_labels`
    tr : seconds from one volume to the next
    n_bootstrap : resamples of stretches of the movie; 0 for no intervals
    rng : random numbers

    Returns
    -------
    DataFrame with columns `COLUMNS`
        fleiss_kappa, specific_agreement: of each emotion and over all, with 95 % intervals, and
        with the volumes in which anybody sees it (n_shown), those labelled with it, and their
        episodes.
        cohen_kappa: of each pair of observers. kappa_without: Fleiss' kappa over all emotions of
        the others. labels_kept: share of labelled volumes that have the same label without the
        observer. agrees_with_others: share of the volumes that the others alone label at which
        the observer sees that emotion.

    Raises
    ------
    InputError
        Fewer than two observers.

    Notes
    -----
    Volumes that follow one another are not independent: intervals are about other stretches of 60 s
    of such movies with these observers, drawn with replacement.
    """
    if marks.n_observers < 2:
        raise InputError(
            f"annotations: found {marks.n_observers} observer, expected at least two, of which it "
            "can be said how well they agree; add observers"
        )
    emotions = marks.of_emotions()
    labels = modal_labels(marks, rule=rule, min_observers=min_observers)
    weights = block_weights(runs, tr=tr, n_bootstrap=n_bootstrap, rng=rng)
    parts = [_of_emotions(emotions, weights, labels, runs), _of_pairs(emotions)]
    if marks.n_observers > max(min_observers, 2):
        parts.append(_of_left_out(marks, labels, rule=rule, min_observers=min_observers))
    table = pd.concat([pd.DataFrame(rows) for rows in parts], ignore_index=True)
    same = {"n_volumes": len(runs), "n_observers": marks.n_observers, "n_bootstrap": n_bootstrap}
    return table.assign(**same).reindex(columns=list(COLUMNS))


def shared_rows(annotations: pd.DataFrame) -> pd.DataFrame:
    """Return which share of their rows two observers have in common, a row for each pair.

    Rows that name the same character from the same second to the same second are rare where
    observers write by themselves: they tell of observers who sat together, or of copies.

    Parameters
    ----------
    annotations : from `scripts.emotions.labelling.annotations.read_observers`

    Returns
    -------
    DataFrame with columns `COLUMNS`
        statistic shared_rows: common rows, as a share of those of the observer with fewer.
    """
    rows = {
        observer: set(own[["start", "end", "character"]].itertuples(index=False, name=None))
        for observer, own in annotations.groupby("observer", sort=False)
    }
    pairs = [
        {"statistic": "shared_rows", "emotion": ALL, "observer": first, "other": second}
        | {"value": len(rows[first] & rows[second]) / min(len(rows[first]), len(rows[second]))}
        for first, second in combinations(rows, 2)
    ]
    return pd.DataFrame(pairs, columns=list(COLUMNS)).assign(n_observers=len(rows))


def read_agreement(path: str | Path) -> pd.DataFrame:
    """Return a table of `measure_agreement`, with observers such as "01" as they are called."""
    return pd.read_csv(path, dtype={"observer": str, "other": str})


def block_weights(
    runs: np.ndarray, *, tr: float, n_bootstrap: int, rng: np.random.Generator
) -> np.ndarray:
    """Return how often each resample holds each volume: whole stretches, none over two runs.

    Returns
    -------
    int array (n_bootstrap, n_volumes)
    """
    length = max(round(BLOCK_SECONDS / tr), 1)
    in_run = np.concatenate([np.arange((runs == run).sum()) for run in pd.unique(runs)])
    begins = in_run % length == 0
    block = np.cumsum(begins) - 1
    n_blocks = int(begins.sum())
    counts = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_bootstrap)
    return counts[:, block]


def _of_emotions(
    marks: Marks, weights: np.ndarray, labels: np.ndarray, runs: np.ndarray
) -> list[dict]:
    counts, n = marks.counts, marks.n_observers
    whole = Sums.of(counts, n, np.ones(len(counts)))
    resampled = Sums.of(counts, n, weights)
    numbers = _numbers(marks, labels, runs)
    rows = []
    for name, statistic in _STATISTICS.items():
        values, limits = statistic(whole), _limits(statistic(resampled))
        for place, (emotion, own) in enumerate(numbers.items()):
            low, high = limits[:, place]
            rows.append(
                {"statistic": name, "emotion": emotion, "value": values[place]}
                | {"low": low, "high": high, **own}
            )
    return rows


def _numbers(marks: Marks, labels: np.ndarray, runs: np.ndarray) -> dict[str, dict[str, int]]:
    """Return of each emotion, and of all, how many volumes and episodes there are."""
    seen = marks.counts > 0
    shown = dict(zip(marks.names, seen.sum(axis=0), strict=True)) | {ALL: seen.any(axis=1).sum()}
    episodes = episodes_of(labels, runs)
    named = {name: labels == name for name in marks.names} | {ALL: labels != UNLABELLED}
    return {
        name: {
            "n_shown": int(shown[name]),
            "n_labelled": int(chosen.sum()),
            "n_episodes": len(np.unique(episodes[chosen])),
        }
        for name, chosen in named.items()
    }


def _limits(draws: np.ndarray) -> np.ndarray:
    """Return limits (2, n) of draws (n_draws, n), NaN where too many draws have no value.

    Quantiles of the draws, not t-intervals as of scores: kappa of a rare emotion is skewed.
    """
    limits = np.full((2, draws.shape[1]), np.nan)
    if len(draws):
        enough = np.isnan(draws).mean(axis=0) <= MAX_WITHOUT
        limits[:, enough] = np.nanquantile(draws[:, enough], QUANTILES, axis=0)
    return limits


def _of_pairs(marks: Marks) -> list[dict]:
    return [
        {"statistic": "cohen_kappa", "emotion": ALL, "observer": marks.observers[i]}
        | {"other": marks.observers[j], "value": cohen_kappa(marks.seen[i], marks.seen[j])}
        for i, j in combinations(range(marks.n_observers), 2)
    ]


def _of_left_out(marks: Marks, labels: np.ndarray, *, rule: str, min_observers: int) -> list[dict]:
    rows = []
    for observer, seen in zip(marks.observers, marks.seen, strict=True):
        others = marks.without(observer)
        emotions = others.of_emotions()
        sums = Sums.of(emotions.counts, emotions.n_observers, np.ones(len(labels)))
        theirs = modal_labels(others, rule=rule, min_observers=min_observers)
        values = {
            "kappa_without": fleiss_kappa(sums)[-1],
            "labels_kept": _share(theirs[labels != UNLABELLED] == labels[labels != UNLABELLED]),
            "agrees_with_others": _share(_names(seen, theirs, marks.names)),
        }
        rows += [
            {"statistic": name, "emotion": ALL, "observer": observer, "value": value}
            for name, value in values.items()
        ]
    return rows


def _names(seen: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return whether an observer sees the label, for each volume that has one."""
    rows = np.flatnonzero(labels != UNLABELLED)
    place = {name: number for number, name in enumerate(names)}
    return seen[rows, [place[label] for label in labels[rows]]]


def _share(hits: np.ndarray) -> float:
    return float(hits.mean()) if len(hits) else np.nan
