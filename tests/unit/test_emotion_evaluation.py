"""Scores of decoders against scikit-learn and brute force, under labels, shifts and resamples."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    auc,
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    roc_auc_score,
    roc_curve,
)

from scripts.emotions.decoding.predictions import Predictions, empty_predictions
from scripts.emotions.decoding.splits import SPLITS, make_folds
from scripts.emotions.evaluation.decoding_cases import labelled_episodes, make_cases
from scripts.emotions.evaluation.evaluate_decoding import evaluate_decoding, read_refits
from scripts.emotions.evaluation.evaluation import (
    MEASURES,
    RATES,
    Evaluated,
    brier_score,
    calibration_error,
    class_weights,
    draw_shifts,
    episode_weights,
    min_volumes,
    pooled_areas,
    reliability,
    roc_curves,
    runs_with,
    shifted_codes,
)
from scripts.emotions.labelling.labels import shifted
from tests.unit.emotion_labels import CLASSES, SUBJECTS, movie_labels
from workflow.lib.errors import InputError

NO_REFITS = pd.DataFrame(columns=["model", "split", "measure", "value"])


def predict(labels, seed, *, skill=1.0, untested=0.1, ties=True, n_folds=1):
    """Return random probabilities that lean towards the truth; some volumes are not tested."""
    rng = np.random.default_rng(seed)
    shape = len(SUBJECTS), labels.n_rows, len(labels.classes)
    logits = rng.standard_normal(shape)
    known = labels.codes >= 0
    logits[:, np.flatnonzero(known), labels.codes[known]] += skill
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    if ties:
        probabilities = probabilities.round(1)
        probabilities[..., 0] = (1 - probabilities[..., 1:].sum(axis=-1)).clip(0)
    folds = rng.integers(n_folds, size=shape[:2])
    fold = np.where(labels.used & (rng.random(shape[:2]) > untested), folds, -1)
    probabilities[fold < 0] = np.nan
    return Predictions(probabilities.astype(np.float32), fold, labels.classes, SUBJECTS)


def flat(predictions, labels):
    """Return probabilities and codes of tested, labelled volumes."""
    chosen = predictions.tested & labels.labelled
    return predictions.probabilities[chosen], np.broadcast_to(labels.codes, chosen.shape)[chosen]


def area_by_hand(predictions, labels, code):
    """Return scikit-learn's area of every subject, run and fold, weighted by the pairs of each."""
    areas, weights = [], []
    for run in labels.runs:
        rows = labels.of_run(run)
        rows = rows[labels.labelled[rows]]
        for subject in range(len(predictions.subjects)):
            for fold in set(predictions.fold[subject, rows]) - {-1}:
                tested = rows[predictions.fold[subject, rows] == fold]
                truth = labels.codes[tested] == code
                if 0 < truth.sum() < truth.size:
                    probable = predictions.probabilities[subject, tested, code]
                    areas.append(roc_auc_score(truth, probable))
                    weights.append(truth.sum() * (~truth).sum())
    return np.average(areas, weights=weights) if areas else np.nan


def own_scores(predictions, labels):
    weights = class_weights(labels.codes[None], len(labels.classes))
    return Evaluated(predictions, labels).scores(weights)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("n_folds", [1, 3])
def test_scores_are_those_of_scikit_learn(seed, ties, n_folds):
    labels = movie_labels(seed)
    predictions = predict(labels, seed, ties=ties, n_folds=n_folds)
    probabilities, codes = flat(predictions, labels)
    taken = probabilities.argmax(axis=1)
    found = own_scores(predictions, labels)
    np.testing.assert_allclose(found.accuracy, [accuracy_score(codes, taken)])
    np.testing.assert_allclose(found.balanced_accuracy, [balanced_accuracy_score(codes, taken)])
    np.testing.assert_array_equal(found.confusion[0], confusion_matrix(codes, taken))
    areas = [area_by_hand(predictions, labels, code) for code in range(3)]
    np.testing.assert_allclose(found.class_auc[0], areas)
    np.testing.assert_allclose(found.auc, [np.mean(areas)])
    exact = probabilities / probabilities.sum(axis=1, keepdims=True, dtype=float)
    assert brier_score(predictions, labels) == pytest.approx(
        brier_score_loss(np.eye(3)[codes], exact, scale_by_half=False), rel=1e-5
    )


@pytest.mark.parametrize("ties", [True, False])
def test_pooled_areas_are_those_of_scikit_learn_of_weighted_volumes(ties, monkeypatch):
    monkeypatch.setattr("scripts.emotions.evaluation.evaluation.AT_A_TIME", 2)
    labels = movie_labels(2)
    predictions = predict(labels, 2, ties=ties, n_folds=3)
    probabilities, codes = flat(predictions, labels)
    rows = np.nonzero(predictions.tested & labels.labelled)[1]
    counts = np.random.default_rng(0).integers(0, 4, size=(5, labels.n_rows))
    # A resample without a class has no area of it.
    counts[4, labels.codes == 1] = 0
    weights = class_weights(labels.codes[None], 3) * counts.astype(np.float32)
    found = pooled_areas(predictions, labels, weights)
    for case, code in np.ndindex(4, 3):
        area = roc_auc_score(
            codes == code, probabilities[:, code], sample_weight=counts[case, rows]
        )
        assert found[case, code] == pytest.approx(area)
    assert np.isnan(found[4]).tolist() == [False, True, False]
    table = evaluated(labels, predictions).auc
    ones = pooled_areas(predictions, labels, class_weights(labels.codes[None], 3))[0]
    np.testing.assert_allclose(table["pooled"], ones)
    assert table["pooled"].between(table["pooled_low"], table["pooled_high"]).all()


def test_pooling_over_runs_would_bias_the_area_and_ours_does_not():
    # A class of one run only, and a decoder that knows the run but not the moment.
    labels = movie_labels(3)
    table = labels.table.copy()
    second = table["run"] == "2"
    table.loc[second & (table["label"] == "FEAR"), "label"] = "LOVE"
    labels = type(labels)(table, CLASSES)
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((len(SUBJECTS), labels.n_rows, 3))
    logits[..., 1] -= 3.0 * second.to_numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    fold = np.tile(np.where(labels.used, 0, -1), (len(SUBJECTS), 1))
    predictions = Predictions(probabilities.astype(np.float32), fold, CLASSES, SUBJECTS)
    pooled, codes = flat(predictions, labels)
    assert roc_auc_score(codes == 1, pooled[:, 1]) > 0.6
    assert own_scores(predictions, labels).class_auc[0, 1] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", SPLITS)
def test_how_frequent_classes_are_in_training_is_worth_nothing(name):
    # Within a fold the decoder says the same of all volumes.
    labels = movie_labels(22, shuffled=True)
    folds = make_folds(
        labels, SUBJECTS, name, n_folds=5, validation_share=0.0, seed=0, study="movie"
    )
    found = empty_predictions(CLASSES, SUBJECTS, labels.n_rows)
    for fold in folds:
        learned = np.broadcast_to(labels.codes, fold.training.shape)[fold.training]
        shares = np.bincount(learned[learned >= 0], minlength=len(CLASSES))
        found.probabilities[fold.test] = shares / shares.sum()
        found.fold[fold.test] = fold.number
    np.testing.assert_array_equal(own_scores(found, labels).class_auc, 0.5)
    np.testing.assert_allclose(roc_curves(found, labels), np.tile(RATES, (len(CLASSES), 1)))
    pooled = replace(found, fold=np.minimum(found.fold, 0))
    # Whole episodes leave folds with more of one class and less of another.
    if name == "episode":
        assert own_scores(pooled, labels).auc < 0.45


def test_runs_without_the_class_or_with_no_other_are_skipped_and_counted():
    labels = movie_labels(4)
    table = labels.table.copy()
    named = table["label"] != ""
    table.loc[(table["run"] == "1") & (table["label"] == "FEAR"), "label"] = "LOVE"
    table.loc[(table["run"] == "3") & named, "label"] = "LOVE"
    labels = type(labels)(table, CLASSES)
    expected = [[True, False, True], [True] * 3, [False] * 3, [True] * 3]
    predictions = predict(labels, 1)
    np.testing.assert_array_equal(runs_with(predictions, labels), expected)
    areas = [area_by_hand(predictions, labels, code) for code in range(3)]
    np.testing.assert_allclose(own_scores(predictions, labels).class_auc[0], areas)


def test_a_class_that_no_run_has_beside_another_has_no_area():
    labels = movie_labels(5)
    table = labels.table.copy()
    named = table["label"] != ""
    table.loc[named, "label"] = np.where(table.loc[named, "run"] == "1", "FEAR", "LOVE")
    labels = type(labels)(table, CLASSES)
    found = own_scores(predict(labels, 2), labels)
    assert np.isnan(found.class_auc).all()
    assert np.isnan(found.auc).all()
    assert np.isfinite(found.balanced_accuracy).all()


def test_many_shifts_are_one_shift_at_a_time():
    labels = movie_labels(6)
    rng = np.random.default_rng(1)
    shifts = draw_shifts(labels, 7, fewest=5, rng=rng)
    codes = shifted_codes(labels, shifts)
    predictions = predict(labels, 3, n_folds=2)
    together = Evaluated(predictions, labels).scores(class_weights(codes, 3))
    for place, by in enumerate(shifts):
        moved = shifted(labels, dict(zip(labels.runs, by.tolist(), strict=True)))
        np.testing.assert_array_equal(codes[place], moved.codes)
        alone = own_scores(predictions, moved)
        for name in (*MEASURES, "class_auc", "confusion"):
            np.testing.assert_allclose(getattr(together, name)[place], getattr(alone, name)[0])


def test_shifts_stay_away_from_both_ends_and_differ_between_runs():
    labels = movie_labels(7)
    shifts = draw_shifts(labels, 2000, fewest=6, rng=np.random.default_rng(0))
    for run, by in zip(labels.runs, shifts.T, strict=True):
        length = labels.used[labels.of_run(run)].sum()
        assert by.min() == 6
        assert by.max() == length - 6
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.1
    # Of shifts by any number, that by none is one, not two.
    anywhere = draw_shifts(labels, 2000, fewest=0, rng=np.random.default_rng(0))
    for run, by in zip(labels.runs, anywhere.T, strict=True):
        assert (by.min(), by.max()) == (0, labels.used[labels.of_run(run)].sum() - 1)
    assert (min_volumes(30, 2.0), min_volumes(31, 2.0), min_volumes(0, 2.0)) == (15, 16, 1)
    with pytest.raises(InputError, match=r"min_shift: found \d+ used volumes in run 1"):
        draw_shifts(labels, 3, fewest=200, rng=np.random.default_rng(0))


def test_resampled_episodes_count_as_if_their_volumes_were_copied():
    labels = movie_labels(8)
    predictions = predict(labels, 4, untested=0.0)
    episodes, of_class = labelled_episodes(labels)
    counts = np.random.default_rng(2).integers(0, 3, size=(5, of_class.size))
    found = Evaluated(predictions, labels).scores(episode_weights(labels, counts, episodes))
    for place, times in enumerate(counts):
        rows = np.repeat(np.arange(labels.n_rows), np.append(times, 0)[episodes])
        codes = np.tile(labels.codes[rows], len(SUBJECTS))
        probabilities = predictions.probabilities[:, rows].reshape(-1, 3)
        taken = probabilities.argmax(axis=1)
        np.testing.assert_allclose(found.accuracy[place], accuracy_score(codes, taken))
        table = labels.table.iloc[rows].reset_index(drop=True)
        copied = type(labels)(table, CLASSES)
        of_copies = Predictions(
            predictions.probabilities[:, rows], predictions.fold[:, rows], CLASSES, SUBJECTS
        )
        areas = [area_by_hand(of_copies, copied, code) for code in range(3)]
        np.testing.assert_allclose(found.class_auc[place], areas)


def test_episodes_and_their_classes():
    labels = movie_labels(9)
    episodes, of_class = labelled_episodes(labels)
    assert of_class.size == labels.table.loc[labels.labelled, "episode"].nunique()
    np.testing.assert_array_equal(
        of_class[episodes[labels.labelled]], labels.codes[labels.labelled]
    )
    assert (episodes[~labels.labelled] == -1).all()


def test_curves_lie_on_scikit_learns_where_there_is_one_run_and_subject():
    labels = movie_labels(10, n_runs=1, n_episodes=20)
    many = predict(labels, 5, untested=0.0)
    one = Predictions(many.probabilities[:1], many.fold[:1], CLASSES, SUBJECTS[:1])
    probabilities, codes = flat(one, labels)
    for code, curve in enumerate(roc_curves(one, labels)):
        false, true, _ = roc_curve(codes == code, probabilities[:, code], drop_intermediate=False)
        np.testing.assert_allclose(curve, np.interp(RATES, false, true))


def test_the_area_under_a_mean_curve_is_the_area_within_runs():
    labels = movie_labels(11, n_episodes=15)
    predictions = predict(labels, 6, n_folds=2)
    curves = roc_curves(predictions, labels)
    assert (np.diff(curves, axis=1) >= -1e-12).all()
    np.testing.assert_allclose(curves[:, -1], 1)
    areas = [auc(RATES, curve) for curve in curves]
    np.testing.assert_allclose(areas, own_scores(predictions, labels).class_auc[0], atol=0.02)


def test_bins_of_probability_by_hand():
    labels = movie_labels(12, n_runs=1)
    rows = np.flatnonzero(labels.labelled)[:4]
    fold = np.full((1, labels.n_rows), -1)
    fold[0, rows] = 0
    probabilities = np.full((1, labels.n_rows, 3), np.nan, np.float32)
    right = labels.codes[rows]
    for row, code, chance in zip(
        rows,
        [right[0], right[1], (right[2] + 1) % 3, right[3]],
        [0.95, 0.92, 0.98, 0.65],
        strict=True,
    ):
        probabilities[0, row] = (1 - chance) / 2
        probabilities[0, row, code] = chance
    bins = reliability(Predictions(probabilities, fold, CLASSES, ("01",)), labels)
    np.testing.assert_allclose(bins[["low", "high"]], [[0.6, 0.7], [0.9, 1.0]])
    np.testing.assert_array_equal(bins["n"], [1, 3])
    np.testing.assert_allclose(bins["accuracy"], [1, 2 / 3])
    np.testing.assert_allclose(bins["confidence"], [0.65, 0.95], rtol=1e-6)
    assert calibration_error(bins) == pytest.approx(0.25 * 0.35 + 0.75 * (0.95 - 2 / 3), rel=1e-5)


def test_probabilities_that_are_true_are_calibrated():
    rng = np.random.default_rng(3)
    labels = movie_labels(13, n_runs=8, n_episodes=60)
    probabilities = rng.dirichlet(np.ones(3), size=labels.n_rows)
    table = labels.table.copy()
    drawn = (rng.random(labels.n_rows)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
    table.loc[labels.labelled, "label"] = np.array(CLASSES)[drawn[labels.labelled]]
    labels = type(labels)(table, CLASSES)
    fold = np.where(labels.used, 0, -1)[None]
    predictions = Predictions(probabilities[None].astype(np.float32), fold, CLASSES, ("01",))
    bins = reliability(predictions, labels)
    assert calibration_error(bins) < 0.05
    assert (bins["confidence"].between(bins["low"], bins["high"])).all()


# The whole evaluation


def evaluated(labels, predictions, *, split="run", n_shifts=199, refits=NO_REFITS, seed=0):
    cases = make_cases(
        labels, n_shifts=n_shifts, fewest=5, n_bootstrap=200, seed=seed, study="movie"
    )
    return evaluate_decoding(
        labels, {"logistic": {split: predictions}}, refits, cases, study="movie"
    )


def test_tables_say_what_was_tested_against_what():
    labels = movie_labels(14)
    tables = evaluated(labels, predict(labels, 7, skill=1.5, untested=0))
    rows = tables.decoding.set_index("measure")
    assert list(rows.index) == [*MEASURES, "brier", "calibration_error"]
    assert (rows[["study", "model", "split"]] == ["movie", "logistic", "run"]).all(axis=None)
    assert rows.loc["accuracy", "n_volumes"] == labels.labelled.sum() * len(SUBJECTS)
    assert rows.loc["accuracy", "n_times"] == labels.labelled.sum()
    assert rows.loc["accuracy", ["n_episodes", "n_runs", "n_subjects"]].tolist() == [36, 4, 4]
    tested = rows.loc[list(MEASURES)]
    assert (tested["p"] == 1 / 200).all()
    assert (tested["low"] < tested["value"]).all()
    assert (tested["value"] < tested["high"]).all()
    assert (tested["null_high"] < tested["low"]).all()
    np.testing.assert_allclose(tested["chance"], [1 / 3, 1 / 3, 0.5])
    counts = np.bincount(labels.codes[labels.labelled])
    np.testing.assert_allclose(tested["majority"], [counts.max() / counts.sum(), 1 / 3, 0.5])
    assert tables.confusion["n"].sum() == rows.loc["accuracy", "n_volumes"]
    assert (tables.auc["n_positive"] == counts).all()


def test_intervals_stay_within_what_scores_can_be():
    labels = movie_labels(24, n_episodes=6)
    for skill in (6.0, -6.0):
        tables = evaluated(labels, predict(labels, 9, skill=skill, untested=0, ties=False))
        limits = tables.decoding.set_index("measure").loc[list(MEASURES)]
        for table in (limits, tables.auc):
            assert (table["low"] >= 0).all()
            assert (table["high"] <= 1).all()
            assert (table["low"] <= table["value"]).all()
            assert (table["value"] <= table["high"]).all()
        assert limits["subject_low"].min() >= 0
        assert limits["subject_high"].max() <= 1


def test_scores_of_subjects_are_theirs_alone_and_their_mean_is_that_of_all():
    labels = movie_labels(15)
    predictions = predict(labels, 8, untested=0)
    tables = evaluated(labels, predictions)
    found = tables.subjects.query("measure == 'accuracy'").set_index("subject")["value"]
    for place, subject in enumerate(SUBJECTS):
        taken = predictions.probabilities[place, labels.labelled].argmax(axis=1)
        assert found[subject] == pytest.approx(accuracy_score(labels.codes[labels.labelled], taken))
    row = tables.decoding.iloc[0]
    assert found.mean() == pytest.approx(row["value"])
    assert row["subject_low"] < row["value"] < row["subject_high"]


@pytest.mark.parametrize("split", ["random", "subject", "tr", "episode"])
def test_leaked_splits_have_no_p_by_shifts(split):
    labels = movie_labels(16)
    tables = evaluated(labels, predict(labels, 9), split=split)
    assert tables.decoding["p"].isna().all()
    assert tables.auc["p"].isna().all()
    assert (tables.decoding["n_shifts"].dropna() == 0).all()


def test_refits_are_a_null_for_any_split():
    labels = movie_labels(17)
    predictions = predict(labels, 10)
    value = own_scores(predictions, labels).accuracy[0]
    values = [value - 0.1, value, value + 0.1, value - 0.2]
    refits = pd.DataFrame(
        {"model": "logistic", "split": "random", "measure": "accuracy", "value": values}
    )
    other = refits.assign(model="linear", value=1.0)
    tables = evaluated(labels, predictions, split="random", refits=pd.concat([refits, other]))
    row = tables.decoding.set_index("measure").loc["accuracy"]
    assert (row["refit_p"], row["n_refits"]) == (3 / 5, 4)
    assert row["refit_mean"] == pytest.approx(np.mean(values))


def test_intervals_over_episodes_hold_the_truth():
    # Right or wrong by whole episodes, as slow responses are: volumes are no observations.
    held, n_simulations = 0, 150
    for seed in range(n_simulations):
        labels = movie_labels(seed, n_runs=4, n_episodes=12)
        rng = np.random.default_rng([seed, 1])
        episodes, of_class = labelled_episodes(labels)
        right = rng.random(of_class.size) < 0.6
        taken = np.where(right, of_class, (of_class + 1) % 3)
        codes = np.append(taken, 0)[episodes]
        probabilities = np.broadcast_to(np.eye(3)[codes], (2, labels.n_rows, 3))
        fold = np.tile(np.where(labels.used, 0, -1), (2, 1))
        found = Predictions(probabilities.astype(np.float32), fold, CLASSES, SUBJECTS[:2])
        cases = make_cases(labels, n_shifts=0, fewest=5, n_bootstrap=200, seed=seed, study="movie")
        of_found = Evaluated(found, labels)
        value, draws = (of_found.scores(weights) for weights in (cases.own, cases.resampled))
        low, high = cases.limits(value.balanced_accuracy[0], draws.balanced_accuracy)
        held += low <= 0.6 <= high
    assert 0.88 <= held / n_simulations <= 0.99


def test_predictions_of_other_volumes_are_refused(tmp_path):
    labels = movie_labels(18)
    with pytest.raises(InputError, match=r"expected ANGERRAGE, FEAR, LOVE in \d+ as the labels"):
        evaluated(labels, predict(movie_labels(19, n_runs=3), 0))


def test_refits_of_no_table_are_none():
    assert read_refits([]).empty
