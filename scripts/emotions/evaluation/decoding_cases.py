"""What scores of decoding are set against: resampled episodes, and shifted labels."""

from dataclasses import dataclass

import numpy as np

from scripts.emotions.evaluation.evaluation import (
    class_weights,
    draw_shifts,
    episode_weights,
    shifted_codes,
)
from scripts.emotions.labelling.labels import Labels
from workflow.lib.inference.counts import image_counts
from workflow.lib.inference.held_out_null import widened, widened_p
from workflow.lib.inference.variance import interval, one_factor_variance
from workflow.lib.seeds import generator


@dataclass(frozen=True)
class Cases:
    """Weights of volumes that all models and splits are scored under.

    Attributes
    ----------
    own, shifted, anywhere, resampled : float32 arrays (n_classes, K, n_rows)
        As labelled; labels shifted circularly, by at least so much, and by any shift; episodes
        resampled within their class.
    n_episodes : int
    """

    own: np.ndarray
    shifted: np.ndarray
    anywhere: np.ndarray
    resampled: np.ndarray
    n_episodes: int

    @property
    def n_shifts(self) -> int:
        """Number of shifts."""
        return self.shifted.shape[1]

    def limits(self, value: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the 95 % interval of scores (...) over episodes, of draws (K, ...), in 0 to 1.

        Notes
        -----
        Decoders stay as they were fitted. Of 200 data sets with an effect intervals held the mean
        score over data sets in 91 to 98 %; without effect, where folds vary together most, in 84 to
        92 % of clean splits.
        """
        n_classes = len(self.own)
        # Episodes are drawn within classes, so that it is there that draws vary too little.
        per_class = max(2, self.n_episodes // n_classes)
        dof = max(1, self.n_episodes - n_classes)
        low, high = interval(value, one_factor_variance(draws, per_class), dof)
        return np.clip(low, 0, 1), np.clip(high, 0, 1)


def make_cases(
    labels: Labels, *, n_shifts: int, fewest: int, n_bootstrap: int, seed: int, study: str
) -> Cases:
    """Return the cases of a study, which are the same for all models and splits.

    Parameters
    ----------
    labels : Labels
    n_shifts : int
    fewest : int
        Volumes of a shift, from either end of a run.
    n_bootstrap : int
        Resamples of the episodes.
    seed : int
    study : str

    Raises
    ------
    InputError
        A run that is too short for shifts.
    """
    n_classes = len(labels.classes)
    rng = generator(seed, "emotions", "shifts", study)
    moved = [
        class_weights(
            shifted_codes(labels, draw_shifts(labels, n_shifts, fewest=n, rng=rng)), n_classes
        )
        for n in (fewest, 0)
    ]
    episodes, of_class = labelled_episodes(labels)
    rng = generator(seed, "emotions", "resample", study)
    counts = image_counts(of_class.size, n_bootstrap, rng, groups=of_class)
    return Cases(
        own=class_weights(labels.codes[None], n_classes),
        shifted=moved[0],
        anywhere=moved[1],
        resampled=episode_weights(labels, counts, episodes),
        n_episodes=of_class.size,
    )


def labelled_episodes(labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Return each volume's episode, -1 where it is not labelled, and each episode's class."""
    chosen = labels.labelled
    _, first, numbers = np.unique(labels.episodes[chosen], return_index=True, return_inverse=True)
    of_row = np.full(labels.n_rows, -1)
    of_row[chosen] = numbers
    return of_row, labels.codes[chosen][first]


def against_null(
    value: float, null: np.ndarray | None = None, anywhere: np.ndarray | None = None
) -> dict[str, float]:
    """Return p, the own order counted among the shifts, and where the widened null lies.

    Parameters
    ----------
    value : float
    null : float array (n_shifts,), optional
        Of shifts by at least so much; not given where shifts are no null.
    anywhere : float array (n,), optional
        Of shifts by any number of volumes: where the null is centred.

    Returns
    -------
    dict
        p, null_mean, null_high (95 % lie below), n_shifts

    Notes
    -----
    Labels are shifted in a circle in each run, by as much in all subjects, over all used volumes
    before classes are selected: they stay as slow as they are, and runs keep their classes. Models
    are not fitted again, for which the null is widened. Of 400 data sets without effect p <= 0.05
    of linear decoders came up in 2 to 6 % so, and in 10 to 15 % without.

    The centre is that of all shifts, small ones too: without those that leave labels nearly where
    they are, the mean lies on the other side of zero from the score, which in short runs makes p
    too small (7 % for 5 %, where shifts are 20 s or more in runs of 200 s).

    p is that of predictions that do not depend on the time in the movie: it stands for splits that
    hold out runs. Decoders of other splits have seen the moment in other subjects, or its
    neighbours: shifted labels are then wrong even where a decoder has only remembered what was
    shown when. Fitting again to shifted labels (`n_refits`) is a null for these, too.
    """
    if null is None or not np.isfinite(value):
        return {"p": np.nan, "null_mean": np.nan, "null_high": np.nan, "n_shifts": 0}
    # In a shift in which a class lies in no run beside another, its area is not known.
    known, centre = null[np.isfinite(null)], np.nanmean(anywhere)
    return {
        "p": widened_p(value, known, centre),
        "null_mean": centre,
        "null_high": np.quantile(widened(known, centre), 0.95),
        "n_shifts": known.size,
    }
