"""Score the predictions of all models in all splits, with intervals over episodes and a null.

snakemake --cores 1 results/demo/movie/tables/decoding.csv
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from scripts.emotions.evaluation import (
    ACCURACY,
    AUC,
    BALANCED,
    MEASURES,
    RATES,
    Evaluated,
    Scores,
    brier_score,
    calibration_error,
    class_weights,
    draw_shifts,
    episode_weights,
    min_volumes,
    reliability,
    roc_curves,
    runs_with,
    shifted_codes,
)
from scripts.emotions.labels import Labels, read_labels
from scripts.emotions.predictions import Predictions, model_of, read_predictions
from scripts.emotions.splits import SPLITS
from workflow.lib.inference.bootstrap import image_counts
from workflow.lib.inference.held_out_null import widened, widened_p
from workflow.lib.inference.permutation import TIE_TOLERANCE
from workflow.lib.inference.variance import interval, one_factor_variance
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.tables import read_table, write_table

# Scores are sums of whole numbers and halves; what differs by less is a tie.
TIE = TIE_TOLERANCE[np.dtype(np.float64)]


class Tables(NamedTuple):
    """Tables of the scores, all with the columns study, model and split.

    Attributes
    ----------
    decoding : measure, value; low and high, its 95 % interval over episodes; subject_low and
        subject_high, that over subjects; chance, the chance level; majority, of who always says
        the most frequent class; p, null_mean and null_high (95 % of the widened shifts lie below),
        NaN without a valid null, n_shifts; refit_p, refit_mean, n_refits; and how much was tested
    subjects : subject, measure, value
    auc : class, value, low, high, p, n_positive (moments), n_runs, n_runs_skipped
    roc : class, fpr, tpr
    confusion : label, predicted, n (volumes of all subjects)
    calibration : low, high, n, confidence, accuracy
    """

    decoding: pd.DataFrame
    subjects: pd.DataFrame
    auc: pd.DataFrame
    roc: pd.DataFrame
    confusion: pd.DataFrame
    calibration: pd.DataFrame


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


def evaluate_decoding(
    labels: Labels,
    predictions: Mapping[str, Mapping[str, Predictions]],
    refits: pd.DataFrame,
    cases: Cases,
    *,
    study: str,
) -> Tables:
    """Return the scores of all models in all splits.

    Parameters
    ----------
    labels : Labels
    predictions : mapping, model -> split -> Predictions
    refits : DataFrame
        Of `scripts.emotions.decode_emotions.refit_shifted`; may be empty.
    cases : Cases
    study : str

    Raises
    ------
    InputError
        Predictions of other volumes or classes than the labels'.
    """
    parts: list[Tables] = []
    for model, by_split in predictions.items():
        for split in (split for split in SPLITS if split in by_split):
            found = by_split[split]
            named = {"study": study, "model": model, "split": split}
            own = refits[(refits["model"] == model) & (refits["split"] == split)]
            tables = _evaluate(labels, found, own, cases, clean=SPLITS[split].clean)
            for table in tables:
                for place, (column, value) in enumerate(named.items()):
                    table.insert(place, column, value)
            parts.append(tables)
    return Tables(*(pd.concat(same, ignore_index=True) for same in zip(*parts, strict=True)))


def _evaluate(
    labels: Labels, found: Predictions, refits: pd.DataFrame, cases: Cases, *, clean: bool
) -> Tables:
    evaluated = Evaluated(found, labels)
    own, draws = evaluated.scores(cases.own), evaluated.scores(cases.resampled)
    null = None
    if clean and cases.n_shifts:
        null = evaluated.scores(cases.shifted), evaluated.scores(cases.anywhere)
    subjects = _subjects(found, labels, cases)
    bins = reliability(found, labels)
    rows = [
        _row(measure, own, draws, null, subjects, cases)
        | _of_refits(measure, own, refits)
        | {"chance": _chance(measure, labels), "majority": _majority(measure, own)}
        for measure in MEASURES
    ]
    rows += [
        {"measure": "brier", "value": brier_score(found, labels)},
        {"measure": "calibration_error", "value": calibration_error(bins)},
    ]
    decoding = pd.DataFrame(rows).assign(**_sizes(found, labels, cases))
    return Tables(
        decoding,
        subjects,
        _auc(own, draws, null, runs_with(found, labels), labels, cases),
        _roc(found, labels),
        _confusion(own, labels),
        bins,
    )


def _row(
    measure: str,
    own: Scores,
    draws: Scores,
    null: tuple[Scores, Scores] | None,
    subjects: pd.DataFrame,
    cases: Cases,
) -> dict[str, float]:
    value = getattr(own, measure)[0]
    low, high = cases.limits(value, getattr(draws, measure))
    row = {"measure": measure, "value": value, "low": low, "high": high}
    each = subjects.loc[subjects["measure"] == measure, "value"].dropna().to_numpy()
    if each.size > 1:
        limits = interval(each.mean(), each.var(ddof=1) / each.size, each.size - 1)
        row |= dict(zip(("subject_low", "subject_high"), np.clip(limits, 0, 1), strict=True))
    return row | against_null(value, *(getattr(scores, measure) for scores in null or ()))


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


def _of_refits(measure: str, own: Scores, refits: pd.DataFrame) -> dict[str, float]:
    values = refits.loc[refits["measure"] == measure, "value"].to_numpy(float)
    if not values.size:
        return {"refit_p": np.nan, "refit_mean": np.nan, "n_refits": 0}
    above = np.count_nonzero(values >= getattr(own, measure)[0] - TIE)
    return {
        "refit_p": (1 + above) / (1 + values.size),
        "refit_mean": values.mean(),
        "n_refits": values.size,
    }


def _chance(measure: str, labels: Labels) -> float:
    return 0.5 if measure == AUC else 1 / len(labels.classes)


def _majority(measure: str, own: Scores) -> float:
    """Return the score of who says the most frequent of the tested classes, always."""
    sizes = own.confusion[0].sum(axis=1)
    of_measure = {
        ACCURACY: sizes.max() / sizes.sum(),
        BALANCED: 1 / np.count_nonzero(sizes),
        AUC: 0.5,
    }
    return float(of_measure[measure])


def _subjects(found: Predictions, labels: Labels, cases: Cases) -> pd.DataFrame:
    rows = []
    for place, subject in enumerate(found.subjects):
        scores = Evaluated(found, labels, [place]).scores(cases.own)
        rows += [(subject, measure, getattr(scores, measure)[0]) for measure in MEASURES]
    return pd.DataFrame(rows, columns=["subject", "measure", "value"])


def _sizes(found: Predictions, labels: Labels, cases: Cases) -> dict[str, int]:
    """Return how much was tested."""
    tested = found.tested & labels.labelled
    rows = tested.any(axis=0)
    return {
        "n_volumes": int(tested.sum()),
        "n_times": int(rows.sum()),
        "n_episodes": cases.n_episodes,
        "n_runs": labels.table["run"][rows].nunique(),
        "n_subjects": int(tested.any(axis=1).sum()),
        "n_folds": np.unique(found.fold[found.tested]).size,
    }


def _auc(
    own: Scores,
    draws: Scores,
    null: tuple[Scores, Scores] | None,
    with_class: np.ndarray,
    labels: Labels,
    cases: Cases,
) -> pd.DataFrame:
    rows = []
    for code, emotion in enumerate(labels.classes):
        value = own.class_auc[0, code]
        low, high = cases.limits(value, draws.class_auc[:, code])
        row = {"class": emotion, "value": value, "low": low, "high": high}
        row |= against_null(value, *(scores.class_auc[:, code] for scores in null or ()))
        n_runs = int(with_class[:, code].sum())
        row |= {"n_positive": int((labels.codes == code).sum()), "n_runs": n_runs}
        rows.append(row | {"n_runs_skipped": len(with_class) - n_runs})
    return pd.DataFrame(rows)


def _roc(found: Predictions, labels: Labels) -> pd.DataFrame:
    curves = roc_curves(found, labels)
    tables = [
        pd.DataFrame({"class": emotion, "fpr": RATES, "tpr": curve})
        for emotion, curve in zip(labels.classes, curves, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def _confusion(own: Scores, labels: Labels) -> pd.DataFrame:
    counts = pd.DataFrame(
        own.confusion[0].astype(int), index=list(labels.classes), columns=list(labels.classes)
    )
    return (
        counts.rename_axis("label")
        .reset_index()
        .melt("label", var_name="predicted", value_name="n")
    )


def read_models(paths: Sequence[str]) -> dict[str, dict[str, Predictions]]:
    """Return model -> split -> predictions of files that may hold some splits of a model each."""
    models: dict[str, dict[str, Predictions]] = {}
    for path in paths:
        models.setdefault(model_of(path), {}).update(read_predictions(path))
    return models


def read_refits(paths: Sequence[str]) -> pd.DataFrame:
    """Return the tables of refits of all models together."""
    tables = [read_table(path) for path in paths]
    columns = ["model", "split", "measure", "value"]
    return pd.concat([pd.DataFrame(columns=columns), *tables], ignore_index=True)


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs = snakemake.params, snakemake.input
        labels = read_labels(inputs.labels, params.classes)
        cases = make_cases(
            labels,
            n_shifts=params.n_shifts,
            fewest=min_volumes(params.min_shift, params.tr),
            n_bootstrap=params.n_bootstrap,
            seed=params.seed,
            study=snakemake.wildcards.study,
        )
        tables = evaluate_decoding(
            labels,
            read_models(inputs.predictions),
            read_refits(inputs.get("refits", [])),
            cases,
            study=snakemake.wildcards.study,
        )
        for name, table in tables._asdict().items():
            write_table(table, snakemake.output[name])
