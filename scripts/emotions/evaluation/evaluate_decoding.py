"""Score the predictions of all models in all splits, with intervals over episodes and a null.

snakemake --cores 1 results/demo/movie/tables/decoding.csv
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from scripts.emotions.decoding.predictions import Predictions, model_of, read_predictions
from scripts.emotions.decoding.splits import SPLITS
from scripts.emotions.evaluation.decoding_cases import Cases, against_null, make_cases
from scripts.emotions.evaluation.evaluation import (
    ACCURACY,
    AUC,
    BALANCED,
    MEASURES,
    RATES,
    Evaluated,
    Scores,
    brier_score,
    calibration_error,
    min_volumes,
    pooled_areas,
    reliability,
    roc_curves,
    runs_with,
)
from scripts.emotions.labelling.labels import Labels, read_labels
from workflow.lib.inference.permutation import TIE_TOLERANCE
from workflow.lib.inference.variance import interval
from workflow.lib.jobs import script_job
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
        NaN without a valid null, n_shifts; refit_p, refit_mean, n_refits; how much was tested; and
        n_training and n_validation, labelled volumes that a fold learns from and stops or tunes by,
        means over folds
    subjects : subject, measure, value
    auc : class, value, low, high, p, n_positive (moments), n_runs, n_runs_skipped; pooled,
        pooled_low and pooled_high, the area over all runs and subjects, as published
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


def evaluate_decoding(
    labels: Labels,
    predictions: Mapping[str, Mapping[str, Predictions]],
    refits: pd.DataFrame,
    cases: Cases,
    *,
    study: str,
    audit: pd.DataFrame | None = None,
) -> Tables:
    """Return the scores of all models in all splits.

    Parameters
    ----------
    labels : Labels
    predictions : mapping, model -> split -> Predictions
    refits : DataFrame
        Of `scripts.emotions.evaluation.refit_decoders`; may be empty.
    cases : Cases
    study : str
    audit : DataFrame, optional
        Of `scripts.emotions.decoding.audit_volumes`, which knows how much is learned from.

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
    whole = Tables(*(pd.concat(same, ignore_index=True) for same in zip(*parts, strict=True)))
    return whole if audit is None else whole._replace(decoding=with_sizes(whole.decoding, audit))


def with_sizes(decoding: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """Return scores with how many volumes a fold of their split learns from, in the mean."""
    folds = audit.drop_duplicates(["split", "fold"]).groupby("split")
    means = folds[["n_training", "n_validation"]].mean()
    return decoding.join(means, on="split")


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
        _auc(own, draws, null, runs_with(found, labels), labels, cases).assign(
            **_pooled(found, labels, cases)
        ),
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


def _pooled(found: Predictions, labels: Labels, cases: Cases) -> dict[str, np.ndarray]:
    """Return the pooled area of each class, and its interval over episodes."""
    value = pooled_areas(found, labels, cases.own)[0]
    low, high = cases.limits(value, pooled_areas(found, labels, cases.resampled))
    return {"pooled": value, "pooled_low": low, "pooled_high": high}


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
            audit=read_table(inputs.audit),
        )
        for name, table in tables._asdict().items():
            write_table(table, snakemake.output[name])
